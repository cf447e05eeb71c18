//! Puts back the IdleClientTimeout of an RDS Proxy that runs have left changed: by a pod like that of the probe's last run,
//! which has an account of AWS. It needs no operator.

use crate::cluster::Cluster;
use anyhow::Context;
use api::{
    exit::Exit,
    names::{RDS_PROXY_LABEL, RUN_LABEL},
    rds_proxy::RdsProxy,
};
use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::{ContainerStateTerminated, Pod, PodSpec, PodTemplateSpec},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    ResourceExt,
    api::{ListParams, LogParams, PostParams},
};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::sleep;

/// From one look at the pod to the next.
const LOOK: Duration = Duration::from_secs(1);
/// A pod may take so long, in seconds: it tries for 9 minutes.
const DEADLINE: i64 = 15 * 60;
/// It is kept so long, in seconds.
const KEPT: i32 = 3600;

/// Has the proxy of a probe put back, by all tags that runs have left on it.
pub(crate) async fn restore(cluster: &Cluster, probe: &str) -> anyhow::Result<Exit> {
    let (template, proxy) = last(cluster, probe).await?;
    let job =
        job(probe, template, &proxy).context("its last Job has no pod to take for a model")?;
    let job = cluster.all::<Job>().create(&PostParams::default(), &job).await?.name_any();
    println!("Job {job} puts back the proxy {}.", proxy.name);
    let (pod, end) = ended(cluster, &job).await?;
    let log = cluster.all::<Pod>().logs(&pod, &LogParams::default()).await.unwrap_or_default();
    crate::print(&log);
    Ok(match end.exit_code {
        0 => Exit::Complete,
        code => {
            eprintln!(
                "The proxy was not put back (exit code {code}): {}",
                end.message.unwrap_or_default()
            );
            Exit::Failed
        }
    })
}

/// The pods of the last run that talked to AWS, and the proxy that it was about.
async fn last(cluster: &Cluster, probe: &str) -> anyhow::Result<(PodTemplateSpec, RdsProxy)> {
    for run in cluster.runs(probe).await? {
        let Some(proxy) = run.spec.measurement.settled.rds_proxy.clone() else { continue };
        let of_run = format!("{RUN_LABEL}={},{RDS_PROXY_LABEL}", run.name_any());
        let jobs = cluster.all::<Job>().list(&ListParams::default().labels(&of_run)).await?;
        if let Some(spec) = jobs.items.into_iter().find_map(|job| job.spec) {
            return Ok((spec.template, proxy));
        }
    }
    anyhow::bail!(
        "no run of {probe} in namespace {} has talked to AWS. By hand: connection-probe-rds restore --proxy NAME --region REGION",
        cluster.namespace
    )
}

/// A Job whose pod is like that of `template`: same image, account and place.
fn job(probe: &str, template: PodTemplateSpec, proxy: &RdsProxy) -> Option<Job> {
    let pod = template.spec?;
    let mut container = pod.containers.first()?.clone();
    let credentials = container.args.take().unwrap_or_default();
    let credentials = credentials.into_iter().skip_while(|arg| arg != "--credentials").take(2);
    let endpoint = proxy.endpoint_url.iter().flat_map(|url| ["--endpoint-url", url]);
    let args = ["restore", "--proxy", &proxy.name, "--region", &proxy.region];
    let args = args.into_iter().chain(endpoint).map(str::to_owned);
    container.args = Some(args.chain(credentials).collect());
    (container.env, container.readiness_probe) = (None, None);
    let labels = BTreeMap::from([("app.kubernetes.io/name".into(), "connection-probe".into())]);
    let mut prefix = format!("{probe}-restore");
    prefix.truncate(50);
    Some(Job {
        metadata: ObjectMeta { generate_name: Some(prefix + "-"), ..ObjectMeta::default() },
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            active_deadline_seconds: Some(DEADLINE),
            ttl_seconds_after_finished: Some(KEPT),
            // None of the operator's labels: it does not take it for its own.
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta { labels: Some(labels), ..ObjectMeta::default() }),
                spec: Some(PodSpec { containers: vec![container], init_containers: None, ..pod }),
            },
            ..JobSpec::default()
        }),
        status: None,
    })
}

/// The Job's pod, and how it ended.
async fn ended(cluster: &Cluster, job: &str) -> anyhow::Result<(String, ContainerStateTerminated)> {
    let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    for _ in 0..DEADLINE {
        let pods = cluster.all::<Pod>().list(&of_job).await?;
        let end = pods.items.iter().find_map(|pod| {
            let containers = pod.status.as_ref()?.container_statuses.as_ref()?;
            let end = containers.first()?.state.as_ref()?.terminated.clone()?;
            Some((pod.name_any(), end))
        });
        if let Some(end) = end {
            return Ok(end);
        }
        sleep(LOOK).await;
    }
    anyhow::bail!("its pod did not end; see kubectl describe job {job}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Container, EnvVar};

    #[test]
    fn the_pod_is_like_that_of_the_run_but_for_what_it_does() {
        let guard = Container {
            image: Some("rds:1".into()),
            args: Some(["override", "--credentials", "/aws"].map(str::to_owned).to_vec()),
            env: Some(vec![EnvVar { name: "ORDER".into(), ..EnvVar::default() }]),
            ..Container::default()
        };
        let spec = PodSpec {
            containers: vec![guard.clone()],
            init_containers: Some(vec![guard]),
            service_account_name: Some("pulp-rds".into()),
            ..PodSpec::default()
        };
        let template = PodTemplateSpec { spec: Some(spec), ..PodTemplateSpec::default() };
        let proxy = RdsProxy {
            name: "pulp".into(),
            region: "us-east-1".into(),
            endpoint_url: Some("http://x".into()),
            ..RdsProxy::default()
        };
        let job = job(&"p".repeat(60), template, &proxy).unwrap();
        assert!(job.metadata.generate_name.unwrap().len() < 58, "five letters are added");
        let pod = job.spec.unwrap().template.spec.unwrap();
        assert_eq!(pod.service_account_name.as_deref(), Some("pulp-rds"));
        assert_eq!(pod.init_containers, None);
        let [container] = &pod.containers[..] else { panic!("{pod:?}") };
        let args = container.args.clone().unwrap().join(" ");
        assert_eq!(
            args,
            "restore --proxy pulp --region us-east-1 --endpoint-url http://x --credentials /aws"
        );
        assert_eq!((container.image.as_deref(), &container.env), (Some("rds:1"), &None));
    }
}
