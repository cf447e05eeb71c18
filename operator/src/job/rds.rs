//! Jobs, pods and containers of the image that has AWS's code, with the credentials that the user names for it.

use super::{labels, metadata, resources, restricted, restricted_pod, seconds, volume};
use api::{
    ConnectionProbeRun,
    names::{PROBE_ANNOTATION, RDS_PROXY_LABEL},
    pod_template::PodTemplate,
    rds_proxy::RdsProxy,
    settings::CaKind,
};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodSpec, PodTemplateSpec, Volume, VolumeMount},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use std::{collections::BTreeMap, time::Duration};

/// Where the kubelet puts the Secret with AWS's credentials.
pub(super) const CREDENTIALS: &str = "/etc/connection-probe/aws";
/// Volume of that Secret.
pub(super) const VOLUME: &str = "aws";

/// What tells such a Job from another.
pub(super) struct Kind<'a> {
    /// Its name.
    pub(super) name: String,
    /// Which of the run's it is: the value of a label.
    pub(super) label: &'a str,
    /// Annotations of its pods, beside that of whose they are.
    pub(super) annotations: BTreeMap<String, String>,
    /// How often its pod is made anew.
    pub(super) backoff_limit: i32,
    /// What it may take.
    pub(super) deadline: Duration,
}

/// A Job of the run with this pod.
pub(super) fn job(run: &ConnectionProbeRun, kind: Kind<'_>, pod: PodSpec) -> Job {
    let labels = labels(run, (RDS_PROXY_LABEL, kind.label.to_owned()));
    let probe = run.annotations().get(PROBE_ANNOTATION).cloned().unwrap_or_default();
    let whose = BTreeMap::from([(PROBE_ANNOTATION.to_owned(), probe)]);
    let mut annotations = kind.annotations;
    annotations.extend(whose.clone());
    Job {
        metadata: metadata(run, kind.name, labels.clone(), whose),
        spec: Some(JobSpec {
            backoff_limit: Some(kind.backoff_limit),
            active_deadline_seconds: Some(seconds(kind.deadline)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// A pod with this container, under the account that the user names for AWS.
pub(super) fn pod(
    run: &ConnectionProbeRun,
    proxy: &RdsProxy,
    container: Container,
    secret: Option<Volume>,
) -> PodSpec {
    let template = run.spec.measurement.settled.pod_template.clone();
    let PodTemplate { node_selector, tolerations, image_pull_secrets, priority_class_name, .. } =
        template.unwrap_or_default();
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        automount_service_account_token: Some(false),
        enable_service_links: Some(false),
        service_account_name: proxy.service_account_name.clone(),
        security_context: Some(restricted_pod()),
        node_selector: Some(node_selector),
        tolerations: Some(tolerations),
        image_pull_secrets: Some(image_pull_secrets),
        priority_class_name,
        containers: vec![container],
        volumes: Some(secret.into_iter().collect()),
        ..PodSpec::default()
    }
}

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
