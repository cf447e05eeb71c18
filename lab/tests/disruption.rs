//! What a cluster does to pods is no finding: each in a namespace of its own, all at once. What disturbs the
//! whole node is in kill.rs.

#![allow(clippy::unwrap_used, reason = "a test")]

use api::{
    report::Inconclusive,
    run::{ConnectionProbeRunStatus, WorkloadState},
};
use k8s_openapi::api::core::v1::Pod;
use kube::api::EvictParams;
use lab::cluster::{Namespace, eventually, in_namespace};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const LONG: &str = "  duration: 5m\n  connections: 3\n  workloads: [{ name: idle, idle: {} }]\n";

/// Of the only workload: what ended its first attempt.
fn interrupted(status: &ConnectionProbeRunStatus) -> Option<Inconclusive> {
    status.workloads.first()?.interrupted.as_ref().map(|attempt| attempt.reason)
}

/// Waits until the first attempt is known to have been ended for this reason, and the second holds its
/// connections.
async fn repeated(ns: &Namespace, reason: Inconclusive) -> ConnectionProbeRunStatus {
    let what = format!("{} to be told", reason.as_str());
    eventually(&what, MINUTE, async || {
        let status = ns.runs().await.pop()?.status?;
        (interrupted(&status) == Some(reason) && status.attempt == 2).then_some(())
    })
    .await;
    ns.holding(1).await;
    ns.runs().await.pop().unwrap().status.unwrap()
}

/// The run ended, and nothing is said of its only workload but this.
async fn inconclusive(ns: &Namespace, reason: Inconclusive) -> ConnectionProbeRunStatus {
    ns.condition("Ready", "False", "Inconclusive", MINUTE).await;
    let status = ns.ended(1, SOON).await.status.unwrap();
    let workload = &status.workloads[0];
    assert_eq!((workload.state, workload.reason), (WorkloadState::Inconclusive, Some(reason)));
    let cut = status.reports().flat_map(|report| &report.arms).map(|arm| arm.counts.disconnected);
    assert_eq!(cut.sum::<i32>(), 0, "no drop");
    status
}

async fn pod(ns: &Namespace) -> String {
    let is_going = |pod: &Pod| {
        pod.metadata.deletion_timestamp.is_none()
            && pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running")
    };
    let pods = ns.pods().await;
    pods.into_iter().find(is_going).unwrap().metadata.name.unwrap()
}

#[tokio::test]
async fn an_eviction_is_repeated_once_and_is_no_drop() {
    in_namespace(async |ns| {
        ns.apply_probe(LONG);
        for attempt in 1..=2 {
            ns.holding(1).await;
            ns.api::<Pod>().evict(&pod(&ns).await, &EvictParams::default()).await.unwrap();
            if attempt == 1 {
                let run = repeated(&ns, Inconclusive::Evicted).await;
                let seen = &run.workloads[0].interrupted.as_ref().unwrap().arms[0];
                assert_eq!((seen.counts.disconnected, seen.counts.inconclusive), (0, 3));
            }
        }
        let run = inconclusive(&ns, Inconclusive::Evicted).await;
        let report = run.workloads[0].report.as_ref().expect("the last words were heard");
        assert_eq!(report.arms[0].counts.inconclusive, 3);
    })
    .await;
}

#[tokio::test]
async fn a_job_deleted_by_hand_is_made_once_more() {
    in_namespace(async |ns| {
        ns.apply_probe(LONG);
        for attempt in 1..=2 {
            ns.holding(1).await;
            let job = ns.jobs().await[0].metadata.name.clone().unwrap();
            assert!(ns.kubectl(&["delete", "job", &job, "--wait=false"]).ok);
            if attempt == 1 {
                repeated(&ns, Inconclusive::JobDeleted).await;
            }
        }
        inconclusive(&ns, Inconclusive::JobDeleted).await;
    })
    .await;
}

#[tokio::test]
async fn too_little_memory_is_told_and_not_repeated() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 5m\n  connections: 1500\n  workloads: [{ name: idle, idle: {} }]\n\
             \x20 podTemplate: { resources: { limits: { memory: 8Mi } } }\n",
        );
        let run = inconclusive(&ns, Inconclusive::OOMKilled).await;
        assert!(run.workloads[0].message.as_ref().unwrap().contains("podTemplate.resources"));
        assert_eq!(ns.jobs().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_takes_too_long_keeps_its_report() {
    in_namespace(async |ns| {
        ns.apply_probe(LONG);
        ns.holding(1).await;
        // It would come after a quarter of an hour more than the run should take.
        let deadline = r#"{"spec":{"activeDeadlineSeconds":1}}"#;
        assert!(ns.kubectl(&["patch", "pod", &pod(&ns).await, "-p", deadline]).ok);
        let run = inconclusive(&ns, Inconclusive::DeadlineExceeded).await;
        assert!(run.workloads[0].report.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_quota_that_refuses_the_pod_is_told_and_heals() {
    in_namespace(async |ns| {
        ns.apply(
            "apiVersion: v1\nkind: ResourceQuota\nmetadata: { name: none }\n\
             spec: { hard: { pods: \"0\" } }\n",
        );
        ns.apply_probe(
            "  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        let status = ns.condition("Stalled", "True", "PodRefused", MINUTE).await;
        assert!(status.summary.unwrap().contains("quota"));
        assert!(ns.kubectl(&["delete", "resourcequota", "none"]).ok);
        ns.condition("Ready", "True", "Measured", Duration::from_secs(150)).await;
        assert_eq!(ns.runs().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_namespace_that_goes_takes_a_run_along_without_an_error() {
    in_namespace(async |ns| {
        ns.apply_probe(LONG);
        ns.holding(1).await;
        assert!(ns.kubectl(&["delete", "namespace", &ns.name, "--timeout=60s"]).ok);
        let operator =
            ["-n", "connection-probe", "logs", "deployment/connection-probe-operator", "--tail=-1"];
        let log = lab::cluster::kubectl(&operator).text;
        let failed = log.lines().filter(|line| line.contains("reconciliation failed"));
        let here: Vec<_> = failed.filter(|line| line.contains(&ns.name)).collect();
        assert!(here.is_empty(), "{here:?}");
    })
    .await;
}
