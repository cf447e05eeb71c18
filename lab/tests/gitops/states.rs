//! Brings real objects into every state, and compares them with what was recorded.

use super::{Health, customization, generate, yaml};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{EvictParams, ListParams};
use lab::cluster::{Namespace, eventually, in_namespace, kubectl_with};
use serde_json::Value;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

const SOON: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

const LONG: &str = "  duration: 5m\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n";
const SHORT: &str = "  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n";

/// An object in a state is judged as documented, and has the conditions of the one that was recorded.
fn seen(kind: &str, state: &str, object: &str) {
    let live = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    fs::write(live.path(), object).unwrap();
    Health::of(kind, live.path()).assert_as_documented(kind, state);
    let recorded = customization(kind, &format!("testdata/{state}.yaml"));
    if generate() {
        fs::write(&recorded, object).unwrap();
    }
    let (live, recorded) = (conditions(&yaml(live.path())), conditions(&yaml(&recorded)));
    assert_eq!(live, recorded, "{kind} {state} looks otherwise than recorded: run with GENERATE=1");
}

/// All that the rules look at, but for messages.
fn conditions(object: &Value) -> (bool, Vec<[String; 3]>) {
    let status = &object["status"];
    let current = status["observedGeneration"] == object["metadata"]["generation"];
    let conditions = status["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    let word = |condition: &Value, name: &str| condition[name].as_str().unwrap().to_owned();
    let words = |c| [word(c, "type"), word(c, "status"), word(c, "reason")];
    (current, conditions.iter().map(words).collect())
}

fn probe(ns: &Namespace) -> String {
    ns.kubectl(&["get", "cprobe", "t", "-o", "yaml"]).text
}

async fn run(ns: &Namespace, number: usize) -> String {
    let name = ns.runs().await[number - 1].metadata.name.clone().unwrap();
    ns.kubectl(&["get", "cproberun", &name, "-o", "yaml"]).text
}

#[tokio::test]
async fn fresh_and_progressing() {
    in_namespace(async |ns| {
        let manifest = format!(
            "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
             metadata: {{ name: t }}\nspec:\n  target: {{ secretName: pulp-db }}\n{LONG}"
        );
        let mut watch = Command::new("kubectl");
        watch.args(["-n", &ns.name, "get", "cproberun", "--watch", "-o", "yaml"]);
        let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let created = kubectl_with(&manifest, &["-n", &ns.name, "create", "-f", "-", "-o", "yaml"]);
        seen("ConnectionProbe", "fresh", &created.text);
        ns.condition("Reconciling", "True", "Progressing", SOON).await;
        ns.holding(1).await;
        seen("ConnectionProbe", "progressing", &probe(&ns));
        seen("ConnectionProbeRun", "progressing", &run(&ns, 1).await);
        // The first thing that the watch told: the run had no status yet.
        let told = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
        let first: String = told.take_while(|line| line != "---").map(|line| line + "\n").collect();
        watch.kill().unwrap();
        watch.wait().unwrap();
        seen("ConnectionProbeRun", "fresh", &first);
    })
    .await;
}

#[tokio::test]
async fn measured_outdated_and_superseded() {
    in_namespace(async |ns| {
        ns.apply_probe(SHORT);
        ns.condition("Ready", "True", "Measured", MINUTE).await;
        seen("ConnectionProbe", "measured", &probe(&ns));
        seen("ConnectionProbeRun", "measured", &run(&ns, 1).await);
        let patch = r#"{"spec":{"duration":"5m"}}"#;
        let patched = ["patch", "cprobe", "t", "--type=merge", "-p", patch, "-o", "yaml"];
        seen("ConnectionProbe", "outdated", &ns.kubectl(&patched).text);
        ns.holding(1).await;
        ns.patch_probe(r#"{"duration":"1s"}"#);
        ns.ended(2, SOON).await;
        seen("ConnectionProbeRun", "superseded", &run(&ns, 2).await);
    })
    .await;
}

#[tokio::test]
async fn suspended() {
    in_namespace(async |ns| {
        ns.apply_probe(&format!("  suspend: true\n{SHORT}"));
        ns.condition("Ready", "True", "Suspended", SOON).await;
        seen("ConnectionProbe", "suspended", &probe(&ns));
    })
    .await;
}

#[tokio::test]
async fn partly_conclusive() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  connections: 1\n  workloads:\n\
             \x20 - { name: short, idle: {}, duration: 15s }\n  - { name: long, idle: {}, duration: 5m }\n",
        );
        ns.holding(2).await;
        evict(&ns, 1).await;
        evict_again(&ns).await;
        ns.condition("Ready", "True", "PartlyConclusive", MINUTE).await;
        seen("ConnectionProbe", "partly-conclusive", &probe(&ns));
    })
    .await;
}

#[tokio::test]
async fn inconclusive() {
    in_namespace(async |ns| {
        ns.apply_probe(LONG);
        ns.holding(1).await;
        evict(&ns, 0).await;
        evict_again(&ns).await;
        ns.condition("Ready", "False", "Inconclusive", MINUTE).await;
        seen("ConnectionProbe", "inconclusive", &probe(&ns));
        seen("ConnectionProbeRun", "inconclusive", &run(&ns, 1).await);
    })
    .await;
}

/// Evicts the pod of a workload, by its place in the manifest.
async fn evict(ns: &Namespace, workload: usize) {
    let index = format!("batch.kubernetes.io/job-completion-index={workload}");
    let pods = ns
        .api::<Pod>()
        .list(&ListParams::default().labels(&index).fields("status.phase=Running"))
        .await
        .unwrap();
    let name = pods.items[0].metadata.name.clone().unwrap();
    ns.api::<Pod>().evict(&name, &EvictParams::default()).await.unwrap();
}

/// Evicts the pod of the second attempt, which is measured when the first is through.
async fn evict_again(ns: &Namespace) {
    eventually("a second attempt", MINUTE, async || (ns.jobs().await.len() == 2).then_some(()))
        .await;
    ns.holding(1).await;
    evict(ns, 0).await;
}

#[tokio::test]
async fn scheduled_and_cancelled() {
    in_namespace(async |ns| {
        ns.apply_probe(&format!("  schedule: \"0 3 29 2 *\"\n{LONG}"));
        ns.condition("Ready", "True", "Scheduled", SOON).await;
        seen("ConnectionProbe", "scheduled", &probe(&ns));
        ns.patch_probe(r#"{"runID":"now"}"#);
        ns.holding(1).await;
        seen("ConnectionProbe", "scheduled", &probe(&ns));
        ns.patch_probe(r#"{"schedule":null}"#);
        ns.condition("Reconciling", "True", "Progressing", SOON).await;
        let cancel = "probes.pulpproject.org/cancel=1";
        assert!(ns.kubectl(&["annotate", "cprobe", "t", cancel]).ok);
        ns.condition("Ready", "False", "Cancelled", SOON).await;
        seen("ConnectionProbe", "cancelled", &probe(&ns));
        seen("ConnectionProbeRun", "cancelled", &run(&ns, 1).await);
    })
    .await;
}

#[tokio::test]
async fn expectations_missed() {
    in_namespace(async |ns| {
        // It lives, and that is not what was expected.
        ns.apply_probe(&format!("{SHORT}  expect: {{ survives: false }}\n"));
        ns.condition("Ready", "True", "Measured", MINUTE).await;
        ns.condition("ExpectationsMet", "False", "Missed", SOON).await;
        seen("ConnectionProbe", "expectations-missed", &probe(&ns));
    })
    .await;
}

#[tokio::test]
async fn connect_failed() {
    in_namespace(async |ns| {
        let wrong = r#"{"stringData":{"password":"wrong"}}"#;
        assert!(ns.kubectl(&["patch", "secret", "pulp-db", "-p", wrong]).ok);
        ns.apply_probe(SHORT);
        ns.condition("Ready", "False", "ConnectFailed", MINUTE).await;
        seen("ConnectionProbe", "connect-failed", &probe(&ns));
    })
    .await;
}

#[tokio::test]
async fn unschedulable() {
    in_namespace(async |ns| {
        ns.apply_probe(&format!("{SHORT}  podTemplate: {{ nodeSelector: {{ nowhere: here }} }}\n"));
        ns.condition("Ready", "False", "Unschedulable", SOON).await;
        seen("ConnectionProbe", "unschedulable", &probe(&ns));
    })
    .await;
}

#[tokio::test]
async fn secret_not_found() {
    in_namespace(async |ns| {
        assert!(ns.kubectl(&["delete", "secret", "pulp-db"]).ok);
        ns.apply_probe(SHORT);
        // The probe waits two minutes for it.
        ns.condition("Stalled", "True", "SecretNotFound", Duration::from_secs(180)).await;
        seen("ConnectionProbe", "secret-not-found", &probe(&ns));
        seen("ConnectionProbeRun", "secret-not-found", &run(&ns, 1).await);
    })
    .await;
}
