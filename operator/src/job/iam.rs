//! Logins by tokens of AWS IAM: a sidecar in the probe pod signs them, so that the container that holds connections has
//! neither AWS's code nor the account's credentials.

use super::{asking::AWS_CREDENTIALS, resources, restricted, volume};
use crate::pods::{CONTAINER, IAM_CONTAINER, INVENTORY_CONTAINER};
use api::{
    ConnectionProbeRun, Settings, iam::SOCKET, rds_proxy::RdsProxy, settings::CaKind, target::Auth,
};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, EnvVar, PodTemplateSpec, Volume, VolumeMount,
};
use std::path::Path;

/// Volume of the socket.
const SOCKET_VOLUME: &str = "iam-socket";
/// Volume of the Secret that the user names for it.
const CREDENTIALS_VOLUME: &str = "aws";
/// Tells EKS's webhook which containers are to do without the account's token, init containers too
/// (amazon-eks-pod-identity-webhook, its README).
const SKIP_ANNOTATION: &str = "eks.amazonaws.com/skip-containers";

/// The pods with a sidecar, if a login of theirs needs one.
pub(super) fn equipped(
    mut template: PodTemplateSpec,
    run: &ConnectionProbeRun,
    settings: &Settings,
) -> PodTemplateSpec {
    let by_token = settings.arms().any(|(_, target)| target.auth == Auth::AwsIam);
    let (Some(proxy), true) = (&run.spec.measurement.settled.rds_proxy, by_token) else {
        return template;
    };
    skip(&mut template);
    let Some(pod) = &mut template.spec else { return template };
    let init_containers = pod.init_containers.get_or_insert_default();
    for container in init_containers.iter_mut().chain(&mut pod.containers) {
        container.volume_mounts.get_or_insert_default().push(socket_mount());
    }
    // The first, so that the inventory can log in.
    init_containers.insert(0, sidecar(run, proxy));
    let volumes = pod.volumes.get_or_insert_default();
    volumes.push(Volume {
        name: SOCKET_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    });
    let secret = proxy.credentials_secret_name.as_deref();
    volumes
        .extend(secret.map(|secret| volume(CREDENTIALS_VOLUME.to_owned(), CaKind::Secret, secret)));
    if let Some(account) = &proxy.service_account_name {
        pod.service_account_name = Some(account.clone());
    }
    template
}

/// Keeps the account's token out of our other containers, and of those that the user names.
fn skip(template: &mut PodTemplateSpec) {
    let annotations = template.metadata.get_or_insert_default().annotations.get_or_insert_default();
    let ours = format!("{INVENTORY_CONTAINER},{CONTAINER}");
    annotations
        .entry(SKIP_ANNOTATION.to_owned())
        .and_modify(|users| *users = format!("{users},{ours}"))
        .or_insert(ours);
}

fn sidecar(run: &ConnectionProbeRun, proxy: &RdsProxy) -> Container {
    let mut args = vec!["token", "--socket", SOCKET, "--region", &proxy.region];
    let mut mounts = vec![socket_mount()];
    if proxy.credentials_secret_name.is_some() {
        args.extend(["--credentials", AWS_CREDENTIALS]);
        mounts.push(VolumeMount {
            name: CREDENTIALS_VOLUME.to_owned(),
            mount_path: AWS_CREDENTIALS.to_owned(),
            read_only: Some(true),
            ..VolumeMount::default()
        });
    }
    let variable = |name: &str, value: &str| EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        value_from: None,
    };
    // Where the account has no role, the node's must not step in for it.
    let mut env = vec![variable("AWS_EC2_METADATA_DISABLED", "true")];
    env.extend(proxy.endpoint_url.iter().map(|url| variable("AWS_ENDPOINT_URL", url)));
    Container {
        name: IAM_CONTAINER.to_owned(),
        image: run.spec.versions.rds_image.clone(),
        command: Some(vec!["/connection-probe-rds".to_owned()]),
        args: Some(args.into_iter().map(str::to_owned).collect()),
        env: Some(env),
        // A sidecar: it starts before the others, and is ended when they are over.
        restart_policy: Some("Always".to_owned()),
        resources: Some(resources("32Mi", "128Mi")),
        security_context: Some(restricted()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

fn socket_mount() -> VolumeMount {
    let folder = Path::new(SOCKET).parent().unwrap_or(Path::new("/"));
    VolumeMount {
        name: SOCKET_VOLUME.to_owned(),
        mount_path: folder.display().to_string(),
        ..VolumeMount::default()
    }
}

#[cfg(test)]
mod tests;
