//! The Job that asks AWS about a run's RDS Proxy, under the account that the user names.

use super::{labels, resources, restricted, restricted_pod, volume};
use crate::pods::RDS_CONTAINER;
use api::{
    ConnectionProbeRun,
    names::{PROBE_ANNOTATION, RDS_PROXY_LABEL, rds_job_name},
    pod_template::PodTemplate,
    rds_proxy::request::Request,
    settings::CaKind,
};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, EnvVar, PodSpec, PodTemplateSpec, VolumeMount},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Resource, ResourceExt};
use std::{collections::BTreeMap, time::Duration};

/// Where the kubelet puts the Secret with AWS's credentials.
pub(super) const AWS_CREDENTIALS: &str = "/etc/connection-probe/aws";
/// What a pod may take beyond its patience.
const SLACK: Duration = Duration::from_mins(3);

/// Builds the Job. Kubernetes makes its pod anew once if it is lost: nothing is measured in it.
pub(crate) fn asking(run: &ConnectionProbeRun, request: &Request) -> Job {
    let proxy = &request.proxy;
    let secret = proxy.credentials_secret_name.as_deref();
    let secret = secret.map(|secret| volume("aws".to_owned(), CaKind::Secret, secret));
    let mount = secret.iter().map(|volume| VolumeMount {
        name: volume.name.clone(),
        mount_path: AWS_CREDENTIALS.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    });
    let credentials = secret.iter().flat_map(|_| ["--credentials", AWS_CREDENTIALS]);
    let container = Container {
        name: RDS_CONTAINER.to_owned(),
        image: run.spec.versions.rds_image.clone(),
        command: Some(vec!["/connection-probe-rds".to_owned()]),
        args: Some(std::iter::once("collect").chain(credentials).map(str::to_owned).collect()),
        env: Some(vec![EnvVar {
            name: "REQUEST".to_owned(),
            value: serde_json::to_string(request).ok(),
            value_from: None,
        }]),
        resources: Some(resources("32Mi", "128Mi")),
        security_context: Some(restricted()),
        volume_mounts: Some(mount.collect()),
        ..Container::default()
    };
    let template = run.spec.measurement.settled.pod_template.clone();
    let PodTemplate { node_selector, tolerations, image_pull_secrets, priority_class_name, .. } =
        template.unwrap_or_default();
    let deadline = i64::try_from((Request::PATIENCE + SLACK).as_secs()).unwrap_or(i64::MAX);
    let labels = labels(run, (RDS_PROXY_LABEL, request.moment.as_str().to_owned()));
    let probe = run.annotations().get(PROBE_ANNOTATION).cloned().unwrap_or_default();
    let annotations = BTreeMap::from([(PROBE_ANNOTATION.to_owned(), probe)]);
    Job {
        metadata: ObjectMeta {
            name: Some(rds_job_name(&run.name_any(), request.moment)),
            namespace: run.namespace(),
            labels: Some(labels.clone()),
            annotations: Some(annotations.clone()),
            owner_references: run.controller_owner_ref(&()).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(JobSpec {
            backoff_limit: Some(1),
            active_deadline_seconds: Some(deadline),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(PodSpec {
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
                }),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}
