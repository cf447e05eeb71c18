//! Containers of the image that has AWS's code, with the credentials that the user names for it.

use super::{resources, restricted, volume};
use api::{ConnectionProbeRun, rds_proxy::RdsProxy, settings::CaKind};
use k8s_openapi::api::core::v1::{Container, Volume, VolumeMount};

/// Where the kubelet puts the Secret with AWS's credentials.
pub(super) const CREDENTIALS: &str = "/etc/connection-probe/aws";
/// Volume of that Secret.
pub(super) const VOLUME: &str = "aws";

/// A container that does what `args` say, and the volume that it needs where the user names a Secret.
pub(super) fn container(
    run: &ConnectionProbeRun,
    proxy: &RdsProxy,
    name: &str,
    args: &[&str],
) -> (Container, Option<Volume>) {
    let secret = proxy.credentials_secret_name.as_deref();
    let secret = secret.map(|secret| volume(VOLUME.to_owned(), CaKind::Secret, secret));
    let mounts = secret.iter().map(|volume| VolumeMount {
        name: volume.name.clone(),
        mount_path: CREDENTIALS.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    let credentials = secret.iter().flat_map(|_| ["--credentials", CREDENTIALS]);
    let container = Container {
        name: name.to_owned(),
        image: run.spec.versions.rds_image.clone(),
        command: Some(vec!["/connection-probe-rds".to_owned()]),
        args: Some(args.iter().copied().chain(credentials).map(str::to_owned).collect()),
        resources: Some(resources("32Mi", "128Mi")),
        security_context: Some(restricted()),
        volume_mounts: Some(mounts.collect()),
        ..Container::default()
    };
    (container, secret)
}
