//! Logins by tokens of AWS IAM: a sidecar in the probe pod signs them, so that the container that holds connections has
//! neither AWS's code nor the account's credentials.

use super::{rds, variable};
use crate::pods::{CONTAINER, IAM_CONTAINER, INVENTORY_CONTAINER};
use api::{ConnectionProbeRun, Settings, iam::SOCKET, rds_proxy::RdsProxy, target::Auth};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, PodTemplateSpec, Volume, VolumeMount,
};
use std::path::Path;

/// Volume of the socket.
const SOCKET_VOLUME: &str = "iam-socket";
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
    let (sidecar, secret) = sidecar(run, proxy);
    init_containers.insert(0, sidecar);
    let volumes = pod.volumes.get_or_insert_default();
    volumes.push(Volume {
        name: SOCKET_VOLUME.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    });
    volumes.extend(secret);
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

fn sidecar(run: &ConnectionProbeRun, proxy: &RdsProxy) -> (Container, Option<Volume>) {
    let args = ["token", "--socket", SOCKET, "--region", &proxy.region];
    let (mut container, secret) = rds::container(run, proxy, IAM_CONTAINER, &args);
    // Where the account has no role, the node's must not step in for it.
    let mut env = vec![variable("AWS_EC2_METADATA_DISABLED", Some("true".to_owned()))];
    env.extend(
        proxy.endpoint_url.iter().map(|url| variable("AWS_ENDPOINT_URL", Some(url.clone()))),
    );
    container.env = Some(env);
    // A sidecar: it starts before the others, and is ended when they are over.
    container.restart_policy = Some("Always".to_owned());
    container.volume_mounts.get_or_insert_default().insert(0, socket_mount());
    (container, secret)
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
