//! The Job that asks AWS about a run's RDS Proxy, under the account that the user names.

use super::{labels, metadata, rds, restricted_pod, seconds, variable};
use crate::pods::RDS_CONTAINER;
use api::{
    ConnectionProbeRun,
    names::{PROBE_ANNOTATION, RDS_PROXY_LABEL, rds_job_name},
    pod_template::PodTemplate,
    rds_proxy::{RdsProxy, request::Request},
};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{Container, PodSpec, PodTemplateSpec, Volume},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use std::{collections::BTreeMap, time::Duration};

/// What a pod may take beyond its patience.
const SLACK: Duration = Duration::from_mins(3);

/// Builds the Job. Kubernetes makes its pod anew once if it is lost: nothing is measured in it.
pub(crate) fn asking(run: &ConnectionProbeRun, request: &Request) -> Job {
    let proxy = &request.proxy;
    let (mut container, secret) = rds::container(run, proxy, RDS_CONTAINER, &["collect"]);
    container.env = Some(vec![variable("REQUEST", serde_json::to_string(request).ok())]);
    let labels = labels(run, (RDS_PROXY_LABEL, request.moment.as_str().to_owned()));
    let annotations = annotations(run);
    Job {
        metadata: metadata(
            run,
            rds_job_name(&run.name_any(), request.moment),
            labels.clone(),
            annotations.clone(),
        ),
        spec: Some(JobSpec {
            backoff_limit: Some(1),
            active_deadline_seconds: Some(seconds(Request::PATIENCE + SLACK)),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(run, proxy, container, secret)),
            },
            ..JobSpec::default()
        }),
        status: None,
    }
}

/// Whose it is.
pub(super) fn annotations(run: &ConnectionProbeRun) -> BTreeMap<String, String> {
    let probe = run.annotations().get(PROBE_ANNOTATION).cloned().unwrap_or_default();
    BTreeMap::from([(PROBE_ANNOTATION.to_owned(), probe)])
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
