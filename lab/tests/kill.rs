//! What kills or changes the operator that all tests share: run last, one at a time, by `make test`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{rds_proxy::overriding::Outcome, report::Inconclusive, run::WorkloadResult};
use kube::ResourceExt;
use lab::{
    aws::Aws,
    cluster::{Namespace, eventually, in_namespace, kubectl, kubectl_with},
    elsewhere::Elsewhere,
    operator::{away, back, kill, operator, rolled_out, scale},
    overridden::{held, path, put_back},
    part::Killed,
};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// Waits until the first attempt at every workload is known to have been ended for this reason.
async fn interrupted(ns: &Namespace, reason: Inconclusive) {
    eventually(reason.as_str(), MINUTE, async || {
        let workloads = ns.runs().await.pop()?.status?.workloads;
        let seen = |workload: &WorkloadResult| Some(workload.interrupted.as_ref()?.reason);
        workloads.iter().all(|workload| seen(workload) == Some(reason)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_operator_killed_in_the_middle_neither_repeats_nor_loses_a_run() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 15s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.holding(1).await;
        kill();
        rolled_out();
        ns.condition("Ready", "True", "Measured", MINUTE).await;
        assert_eq!((ns.runs().await.len(), ns.jobs().await.len()), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn an_operator_killed_as_it_starts_a_run_starts_it_once() {
    in_namespace(async |ns| {
        for attempt in 1..=5 {
            let run_id = format!("{{\"runID\":\"{attempt}\"}}");
            if attempt == 1 {
                ns.apply_probe(
                    "  duration: 1s\n  connections: 1\n  runID: \"1\"\n\
                     \x20 workloads: [{ name: idle, idle: {} }]\n",
                );
            } else {
                ns.patch_probe(&run_id);
            }
            kill();
            ns.ended(attempt, MINUTE).await;
        }
        rolled_out();
        ns.condition("Ready", "True", "Measured", MINUTE).await;
        assert_eq!((ns.runs().await.len(), ns.jobs().await.len()), (5, 5));
    })
    .await;
}

#[tokio::test]
async fn reports_that_came_while_the_operator_was_away_are_read() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 5s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.holding(1).await;
        away().await;
        eventually("the pod's end", MINUTE, async || {
            let pods = ns.pods().await;
            let phase = pods[0].status.as_ref()?.phase.as_deref()?.to_owned();
            (phase == "Succeeded").then_some(())
        })
        .await;
        back();
        ns.condition("Ready", "True", "Measured", MINUTE).await;
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_vanished_while_the_operator_was_away_is_no_drop() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 5m\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.holding(1).await;
        away().await;
        let pod = ns.pods().await[0].metadata.name.clone().unwrap();
        assert!(ns.kubectl(&["delete", "pod", &pod, "--wait=true"]).ok);
        back();
        interrupted(&ns, Inconclusive::NoReport).await;
    })
    .await;
}

#[tokio::test]
async fn two_operators_at_once_are_harmless() {
    in_namespace(async |ns| {
        scale(2);
        rolled_out();
        for number in 1..=3 {
            if number == 1 {
                ns.apply_probe(
                    "  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
                );
            } else {
                ns.patch_probe(&format!("{{\"runID\":\"{number}\"}}"));
            }
            ns.ended(number, MINUTE).await;
        }
        ns.condition("Ready", "True", "Measured", MINUTE).await;
        assert_eq!((ns.runs().await.len(), ns.jobs().await.len()), (3, 3));
        back();
    })
    .await;
}

#[tokio::test]
async fn an_image_that_can_not_start_is_told_and_heals() {
    in_namespace(async |ns| {
        let with = |image: &str| {
            let image = format!("PROBE_IMAGE={image}");
            operator(&["set", "env", "deployment/connection-probe-operator", &image]);
            rolled_out();
        };
        with("localhost/connection-probe:missing");
        ns.apply_probe(
            "  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        let status = ns.condition("Ready", "False", "ImageUnavailable", MINUTE).await;
        assert!(status.summary.unwrap().contains("localhost/connection-probe:missing"));
        ns.condition("Reconciling", "True", "ImageUnavailable", SOON).await;
        ns.condition("Stalled", "True", "ImageUnavailable", Duration::from_secs(150)).await;
        with("localhost/connection-probe:dev");
        ns.patch_probe(r#"{"runID":"with the right image"}"#);
        ns.condition("Ready", "True", "Measured", MINUTE).await;
    })
    .await;
}

#[tokio::test]
async fn a_drained_node_repeats_what_it_ended() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 20s\n  connections: 2\n\
             \x20 workloads: [{ name: idle, idle: {} }, { name: beat, heartbeat: { interval: 5s } }]\n",
        );
        ns.holding(2).await;
        let run = ns.runs().await[0].metadata.name.clone().unwrap();
        let selector = format!("--pod-selector=probes.pulpproject.org/run={run}");
        let said = kubectl(&["drain", "node0", &selector, "--timeout=60s"]);
        assert!(said.ok, "{}", said.text);
        interrupted(&ns, Inconclusive::Evicted).await;
        ns.condition("Reconciling", "True", "Unschedulable", SOON).await;
        eventually("an event of each workload", SOON, async || {
            let told = ns.kubectl(&["events"]).text;
            let of = |workload: &str| told.contains(&format!("{workload}: The pod was evicted"));
            (of("idle") && of("beat")).then_some(())
        })
        .await;
        assert!(kubectl(&["uncordon", "node0"]).ok);
        let status = ns.condition("Ready", "True", "Measured", Duration::from_secs(90)).await;
        let last = status.last_run.unwrap();
        assert_eq!(last.result, "0 of 4 cut");
    })
    .await;
}

/// OpenShift's restricted-v2 gives each namespace a range of users, and the pods' volumes one of them as group.
#[tokio::test]
async fn operator_and_probe_run_as_whichever_user_openshift_gives_them() {
    in_namespace(async |ns| {
        let user = 1_000_000_000 + i64::from(std::process::id());
        let policy = format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicy\n\
             metadata: {{ name: any-user }}\nspec:\n  failurePolicy: Fail\n  reinvocationPolicy: Never\n\
             \x20 matchConstraints:\n    namespaceSelector:\n      matchExpressions:\n\
             \x20     - {{ key: kubernetes.io/metadata.name, operator: In, values: [connection-probe, {}] }}\n\
             \x20   resourceRules:\n    - {{ apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods] }}\n\
             \x20 mutations:\n  - patchType: ApplyConfiguration\n    applyConfiguration:\n      expression: >-\n\
             \x20       Object{{spec: Object.spec{{securityContext: Object.spec.securityContext{{\n\
             \x20       runAsUser: {user}, fsGroup: {user}}}}}}}\n---\n\
             apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\n\
             metadata: {{ name: any-user }}\nspec: {{ policyName: any-user }}\n",
            ns.name,
        );
        ns.apply(&policy);
        let as_user = |pods: &str| pods.contains(&format!("runAsUser: {user}"));
        eventually("an operator of that user", MINUTE, async || {
            kill();
            rolled_out();
            as_user(&operator(&["get", "pods", "-o", "yaml"])).then_some(())
        })
        .await;
        ns.apply_probe("  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n");
        ns.condition("Ready", "True", "Measured", MINUTE).await;
        assert!(as_user(&ns.kubectl(&["get", "pods", "-o", "yaml"]).text));
        let kinds = "mutatingadmissionpolicybinding,mutatingadmissionpolicy";
        assert!(ns.kubectl(&["delete", kinds, "any-user"]).ok);
        kill();
        rolled_out();
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_makes_way_for_another_is_measured_once_more() {
    in_namespace(async |ns| {
        let classes = [("connection-probe-lowest", -10), ("connection-probe-highest", 10)];
        for (name, value) in classes {
            let class = format!(
                "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\n\
                 metadata: {{ name: {name} }}\nvalue: {value}\n"
            );
            assert!(kubectl_with(&class, &["apply", "-f", "-"]).ok);
        }
        // The node has two processors: both pods don't fit.
        ns.apply_probe(
            "  duration: 20s\n  connections: 2\n  workloads: [{ name: idle, idle: {} }]\n\
             \x20 podTemplate: { priorityClassName: connection-probe-lowest, \
             resources: { requests: { cpu: 1100m } } }\n",
        );
        ns.holding(1).await;
        ns.apply(
            "apiVersion: v1\nkind: Pod\nmetadata: { name: important }\nspec:\n\
             \x20 priorityClassName: connection-probe-highest\n  restartPolicy: Never\n\
             \x20 securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }\n\
             \x20 containers:\n  - name: a\n    image: localhost/connection-probe:dev\n\
             \x20   command: [/connection-probe, --help]\n\
             \x20   resources: { requests: { cpu: 1100m } }\n\
             \x20   securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }\n",
        );
        interrupted(&ns, Inconclusive::Preempted).await;
        let first = ns.runs().await[0].status.clone().unwrap().workloads[0].interrupted.clone();
        let counts = first.unwrap().arms[0].counts;
        assert_eq!((counts.disconnected, counts.inconclusive), (0, 2), "what it saw is kept");
        let status = ns.condition("Ready", "True", "Measured", Duration::from_secs(90)).await;
        assert_eq!(status.last_run.unwrap().result, "0 of 2 cut");
        for (name, _) in classes {
            assert!(kubectl(&["delete", "priorityclass", name]).ok);
        }
    })
    .await;
}

#[tokio::test]
async fn a_lost_node_is_no_drop_and_what_it_held_is_measured_once_more() {
    in_namespace(async |ns| {
        let _elsewhere = Elsewhere::new();
        // Longer than a node that is back keeps its taint, which is up to five seconds: what tolerates the taint
        // is put on it then.
        ns.apply_probe(
            "  duration: 15s\n  connections: 2\n\
             \x20 workloads: [{ name: short, idle: {}, duration: 1s }, { name: idle, idle: {} }]\n\
             \x20 podTemplate: { tolerations: [{ key: node.kubernetes.io/unreachable, \
             effect: NoExecute, operator: Exists, tolerationSeconds: 10 }] }\n",
        );
        eventually("the end of the short one", MINUTE, async || {
            let pods = ns.pods().await;
            let phases = pods.iter().map(|pod| pod.status.as_ref()?.phase.as_deref());
            let mut phases: Vec<_> = phases.flatten().collect();
            phases.sort_unstable();
            (phases == ["Running", "Succeeded"]).then_some(())
        })
        .await;
        let kubelet = Killed::new("kubelet");
        let lost = eventually("NodeLost", MINUTE, async || {
            let status = ns.runs().await.pop()?.status?;
            status.workloads[1].interrupted.clone()
        })
        .await;
        assert_eq!((lost.attempt, lost.reason), (1, Inconclusive::NodeLost));
        // Nobody waits for a kubelet that does not answer.
        eventually("the second Job", SOON, async || {
            let jobs = ns.jobs().await;
            let names: Vec<_> = jobs.iter().filter_map(|job| job.metadata.name.as_ref()).collect();
            (names.len() == 1 && names[0].ends_with("-2")).then_some(())
        })
        .await;
        drop(kubelet);
        let status = ns.condition("Ready", "True", "Measured", Duration::from_secs(120)).await;
        assert_eq!(status.last_run.unwrap().result, "0 of 4 cut");
        let run = ns.runs().await.pop().unwrap().status.unwrap();
        assert_eq!(run.first_cut_seen_time, None, "no drop was suspected");
        let [short, idle] = &run.workloads[..] else { panic!("{:?}", run.workloads) };
        assert!(short.interrupted.is_none(), "it was through");
        assert_eq!((short.attempt, idle.attempt), (1, 2));
        assert_eq!(idle.interrupted.as_ref().unwrap().reason, Inconclusive::NodeLost);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_was_changed_from_a_lost_node_is_put_back() {
    let region = Aws::region_for_pods("eu-north-1");
    let path = path(region).await;
    in_namespace(async |ns| {
        let _elsewhere = Elsewhere::new();
        held(&ns, region, &path).await;
        let kubelet = Killed::new("kubelet");
        let what = "another pod to be ordered";
        eventually(what, MINUTE, async || {
            let jobs = ns.jobs().await;
            jobs.iter().any(|job| job.name_any().ends_with("-restore")).then_some(())
        })
        .await;
        drop(kubelet);
        put_back(region).await;
        let status = ns.ended(1, Duration::from_secs(120)).await.status.unwrap();
        assert_eq!(status.ended_early, Some(Inconclusive::OverrideEnded));
        let told = status.rds_proxy.unwrap().timeout_override.unwrap();
        assert_eq!(told.outcome, Some(Outcome::Restored), "{told:?}");
    })
    .await;
}
