//! The Job of an attempt: one index per workload, nothing that a restricted namespace refuses.

use crate::pods::{CONTAINER, INVENTORY_CONTAINER, WORKLOADS_ANNOTATION};
use api::{
    ConnectionProbeRun, Settings,
    measurement::Order,
    names::{
        self, ATTEMPT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, PROBE_ANNOTATION, PROBE_LABEL, RUN_LABEL,
    },
    pattern::Pattern,
    pod_template::PodTemplate,
    settings::{CaKind, Invalid, TargetSettings, WorkloadSettings},
};
use k8s_openapi::{
    api::{
        batch::v1::{
            Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnPodConditionsPattern,
            PodFailurePolicyRule,
        },
        core::v1::{
            Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EnvVar, HTTPGetAction,
            PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
            SeccompProfile, SecretVolumeSource, SecurityContext, Volume, VolumeMount,
        },
    },
    apimachinery::pkg::{
        api::resource::Quantity, apis::meta::v1::ObjectMeta, util::intstr::IntOrString,
    },
};
use kube::{Resource, ResourceExt};
use std::{collections::BTreeMap, time::Duration};

mod asking;
mod iam;
mod overriding;
mod placement;
mod rds;

pub(crate) use asking::asking;
pub(crate) use overriding::overriding;

/// Where the kubelet puts Secrets, a folder each.
const SECRETS: &str = "/etc/connection-probe/secrets";
/// Where the kubelet puts ConfigMaps, a folder each.
const CONFIG_MAPS: &str = "/etc/connection-probe/config-maps";
/// Port of readiness and metrics.
const PORT: i32 = 8080;
/// What a pod may take beyond its last connection: the wait for a Secret (2 min), the last proof
/// (150 s), the image, and room.
const SLACK: Duration = Duration::from_mins(15);
/// A Job that nothing else ended: an image that never came, a node that never had room.
const BACKSTOP: Duration = Duration::from_hours(24);

/// Builds the Job of an attempt, on `node` if it is to be where earlier pods of the run were.
///
/// # Errors
/// A measurement that can't be carried out; the plan starts none.
pub(crate) fn job(
    run: &ConnectionProbeRun,
    attempt: i32,
    workloads: &[usize],
    node: Option<&str>,
) -> Result<Job, Invalid> {
    let measurement = &run.spec.measurement.settled;
    let settings = Settings::new(&run.name_any(), measurement, workloads.to_vec())?;
    let template = measurement.pod_template.clone().unwrap_or_default();
    let count = i32::try_from(workloads.len()).unwrap_or(i32::MAX);
    let parallelism = match measurement.order.unwrap_or_default() {
        Order::Parallel => count,
        Order::Sequential => 1,
    };
    let chosen = || workloads.iter().filter_map(|position| settings.workloads.get(*position));
    let longest = chosen().map(WorkloadSettings::last_end).max().unwrap_or_default();
    let pod_deadline = longest + SLACK;
    let job_deadline = pod_deadline * u32::try_from(workloads.len()).unwrap_or(1) + BACKSTOP;
    let lanes = chosen().map(|workload| workload.connections).max().unwrap_or_default()
        * settings.arms().count();
    let labels = labels(run, (ATTEMPT_LABEL, attempt.to_string()));
    let annotations = annotations(run, workloads);
    Ok(Job {
        metadata: metadata(
            run,
            names::job_name(&run.name_any(), attempt),
            labels.clone(),
            annotations.clone(),
        ),
        spec: Some(JobSpec {
            completion_mode: Some("Indexed".to_owned()),
            completions: Some(count),
            parallelism: Some(parallelism),
            // A pod that failed is never made anew by Kubernetes: whether and when to measure
            // again is the plan's decision, or an interrupted hour would begin unseen.
            backoff_limit_per_index: Some(0),
            max_failed_indexes: Some(count),
            pod_failure_policy: Some(PodFailurePolicy {
                rules: vec![PodFailurePolicyRule {
                    action: "FailIndex".to_owned(),
                    on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                        type_: "DisruptionTarget".to_owned(),
                        status: "True".to_owned(),
                    }]),
                    on_exit_codes: None,
                }],
            }),
            active_deadline_seconds: Some(seconds(job_deadline)),
            template: iam::equipped(
                PodTemplateSpec {
                    metadata: Some(pod_metadata(&template, labels, annotations)),
                    spec: Some(pod(run, &settings, template, (attempt, node), lanes, pod_deadline)),
                },
                run,
                &settings,
            ),
            ..JobSpec::default()
        }),
        status: None,
    })
}

/// Of a Job of the run.
fn metadata(
    run: &ConnectionProbeRun,
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: run.namespace(),
        labels: Some(labels),
        annotations: Some(annotations),
        owner_references: run.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// What tells whose it is; `which` among the run's Jobs it is, by this label.
fn labels(run: &ConnectionProbeRun, which: (&str, String)) -> BTreeMap<String, String> {
    let probe = run.annotations().get(PROBE_ANNOTATION).map(String::as_str).unwrap_or_default();
    BTreeMap::from([
        ("app.kubernetes.io/name".to_owned(), "connection-probe".to_owned()),
        (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
        (PROBE_LABEL.to_owned(), names::probe_label(probe)),
        (RUN_LABEL.to_owned(), run.name_any()),
        (which.0.to_owned(), which.1),
    ])
}

fn annotations(run: &ConnectionProbeRun, workloads: &[usize]) -> BTreeMap<String, String> {
    let probe = run.annotations().get(PROBE_ANNOTATION).cloned().unwrap_or_default();
    let positions: Vec<String> = workloads.iter().map(ToString::to_string).collect();
    BTreeMap::from([
        (PROBE_ANNOTATION.to_owned(), probe),
        (WORKLOADS_ANNOTATION.to_owned(), positions.join(",")),
    ])
}

/// The user's labels and annotations with ours. An evicted pod is a lost hour, so autoscalers are
/// asked to leave it alone; the user's annotations go before that request.
fn pod_metadata(
    template: &PodTemplate,
    ours: BTreeMap<String, String>,
    our_annotations: BTreeMap<String, String>,
) -> ObjectMeta {
    let mut labels = template.labels.clone();
    labels.extend(ours);
    let mut annotations = undisturbed();
    annotations.extend(template.annotations.clone());
    annotations.extend(our_annotations);
    ObjectMeta { labels: Some(labels), annotations: Some(annotations), ..ObjectMeta::default() }
}

/// Annotations of pods that ask autoscalers to leave them alone.
fn undisturbed() -> BTreeMap<String, String> {
    BTreeMap::from([
        ("cluster-autoscaler.kubernetes.io/safe-to-evict".to_owned(), "false".to_owned()),
        ("karpenter.sh/do-not-disrupt".to_owned(), "true".to_owned()),
    ])
}

fn pod(
    run: &ConnectionProbeRun,
    settings: &Settings,
    template: PodTemplate,
    (attempt, node): (i32, Option<&str>),
    lanes: usize,
    deadline: Duration,
) -> PodSpec {
    let PodTemplate {
        labels: _,
        annotations: _,
        node_selector,
        tolerations,
        affinity,
        topology_spread_constraints,
        resources,
        service_account_name,
        image_pull_secrets,
        priority_class_name,
    } = template;
    let mounts = mounts(settings);
    let resources = resources.unwrap_or_else(|| default_resources(lanes));
    let placement = run.spec.measurement.settled.placement.unwrap_or_default();
    PodSpec {
        restart_policy: Some("Never".to_owned()),
        active_deadline_seconds: Some(seconds(deadline)),
        termination_grace_period_seconds: Some(10),
        automount_service_account_token: Some(false),
        // Every Service of the namespace as a variable, "PG*" ones among them, is no help.
        enable_service_links: Some(false),
        security_context: Some(restricted_pod()),
        node_selector: Some(node_selector),
        tolerations: Some(tolerations),
        affinity: Some(placement::affinity(placement, affinity, (&run.name_any(), attempt), node)),
        topology_spread_constraints: Some(topology_spread_constraints),
        service_account_name,
        image_pull_secrets: Some(image_pull_secrets),
        priority_class_name,
        init_containers: Some(vec![inventory(run, settings, resources.clone(), &mounts)]),
        containers: vec![container(run, settings, resources, &mounts)],
        volumes: Some(mounts.into_iter().map(|(volume, _)| volume).collect()),
        ..PodSpec::default()
    }
}

/// Takes the inventory before the connections are held, in the first pod. It may use what the pod
/// is given for them: a pod asks for the larger of the two.
fn inventory(
    run: &ConnectionProbeRun,
    settings: &Settings,
    resources: ResourceRequirements,
    mounts: &[(Volume, VolumeMount)],
) -> Container {
    let paths = Settings { workloads: Vec::new(), indexes: Vec::new(), ..settings.clone() };
    Container {
        name: INVENTORY_CONTAINER.to_owned(),
        ..base(run, "inventory", &paths, resources, mounts)
    }
}

fn container(
    run: &ConnectionProbeRun,
    settings: &Settings,
    resources: ResourceRequirements,
    mounts: &[(Volume, VolumeMount)],
) -> Container {
    let mut container = Container {
        name: CONTAINER.to_owned(),
        ports: Some(vec![ContainerPort {
            name: Some("metrics".to_owned()),
            container_port: PORT,
            ..ContainerPort::default()
        }]),
        readiness_probe: Some(Probe {
            http_get: Some(HTTPGetAction {
                path: Some("/ready".to_owned()),
                port: IntOrString::Int(PORT),
                ..HTTPGetAction::default()
            }),
            period_seconds: Some(1),
            failure_threshold: Some(1),
            timeout_seconds: Some(5),
            ..Probe::default()
        }),
        ..base(run, "run", settings, resources, mounts)
    };
    let listen = ["--listen", "[::]:8080"].map(str::to_owned);
    container.args.get_or_insert_default().extend(listen);
    container
}

/// A container that does what `subcommand` does.
fn base(
    run: &ConnectionProbeRun,
    subcommand: &str,
    settings: &Settings,
    resources: ResourceRequirements,
    mounts: &[(Volume, VolumeMount)],
) -> Container {
    Container {
        image: Some(run.spec.versions.image.clone()),
        command: Some(vec!["/connection-probe".to_owned()]),
        args: Some(
            [subcommand, "--secrets", SECRETS, "--config-maps", CONFIG_MAPS]
                .map(str::to_owned)
                .to_vec(),
        ),
        env: Some(vec![variable(
            "CONNECTION_PROBE_SETTINGS",
            serde_json::to_string(settings).ok(),
        )]),
        resources: Some(resources),
        security_context: Some(restricted()),
        volume_mounts: Some(mounts.iter().map(|(_, mount)| mount.clone()).collect()),
        ..Container::default()
    }
}

/// An environment variable.
fn variable(name: &str, value: Option<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value, value_from: None }
}

/// What Pod Security `restricted` asks of a pod.
fn restricted_pod() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

/// What it asks of a container, and a file system that nobody writes to.
fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        ..SecurityContext::default()
    }
}

/// Memory for a base and for the lanes: a connection under TLS takes 10.5 kB.
fn default_resources(lanes: usize) -> ResourceRequirements {
    let memory = |base: usize| format!("{}Mi", base + lanes / 64);
    resources(&memory(64), &memory(256))
}

fn resources(requested: &str, limit: &str) -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), Quantity((*v).to_owned()))).collect())
    };
    ResourceRequirements {
        requests: quantities(&[("cpu", "50m"), ("memory", requested)]),
        limits: quantities(&[("memory", limit)]),
        claims: None,
    }
}

/// The arms' Secrets, client certificates and CAs, and Pulp's settings, as optional volumes: the API server never shows
/// why a mount fails, and the probe can name the keys that it saw and wanted.
fn mounts(settings: &Settings) -> Vec<(Volume, VolumeMount)> {
    let mut objects: Vec<(CaKind, &str)> = Vec::new();
    let watched = settings.workloads.iter().filter_map(|workload| match &workload.pattern {
        Pattern::Observe(watched) => Some((CaKind::ConfigMap, watched.config_map.as_deref()?)),
        _ => None,
    });
    for object in settings.arms().flat_map(|(_, target)| objects_of(target)).chain(watched) {
        if !objects.contains(&object) {
            objects.push(object);
        }
    }
    let numbered = objects.into_iter().enumerate();
    numbered
        .map(|(number, (kind, object))| {
            let name = format!("credentials-{number}");
            let folder = match kind {
                CaKind::Secret => SECRETS,
                CaKind::ConfigMap => CONFIG_MAPS,
            };
            let mount = VolumeMount {
                name: name.clone(),
                mount_path: format!("{folder}/{object}"),
                read_only: Some(true),
                ..VolumeMount::default()
            };
            (volume(name, kind, object), mount)
        })
        .collect()
}

fn objects_of(target: &TargetSettings) -> impl Iterator<Item = (CaKind, &str)> {
    let ca = target.ca.iter().map(|ca| (ca.kind, ca.name.as_str()));
    let certificate = target.certificate_secret.iter();
    let secrets = std::iter::once(&target.secret_name).chain(certificate);
    secrets.map(|name| (CaKind::Secret, name.as_str())).chain(ca)
}

fn volume(name: String, kind: CaKind, object: &str) -> Volume {
    let (object, optional) = (object.to_owned(), Some(true));
    match kind {
        CaKind::Secret => {
            let source = SecretVolumeSource {
                secret_name: Some(object),
                optional,
                ..SecretVolumeSource::default()
            };
            Volume { name, secret: Some(source), ..Volume::default() }
        }
        CaKind::ConfigMap => {
            let source = ConfigMapVolumeSource {
                name: object,
                optional,
                ..ConfigMapVolumeSource::default()
            };
            Volume { name, config_map: Some(source), ..Volume::default() }
        }
    }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
