//! What a GitOps tool and its user do with a probe, on the lab's cluster.

use super::{customization, documented_rows, file, read, rules::act};
use api::ConnectionProbe;
use lab::cluster::{Namespace, Said, eventually, in_namespace, kubectl, kubectl_with};
use serde_json::Value;
use std::{fs, process::Command, time::Duration};
use tempfile::NamedTempFile;

const SOON: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);

/// A probe named `pulp`, as the documents call it.
fn manifest(spec: &str) -> String {
    format!(
        "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
         metadata: {{ name: pulp }}\nspec:\n  target: {{ secretName: pulp-db, tls: {{ mode: VerifyFull }} }}\n\
         \x20 connections: 1\n  workloads:\n  - {{ name: idle, idle: {{}} }}\n\
         \x20 - {{ name: beat, heartbeat: {{ interval: 1s }}, duration: 2s }}\n\
         \x20 podTemplate: {{ affinity: {{}}, labels: {{ team: pulp }} }}\n{spec}"
    )
}

const SHORT: &str = "  duration: 1s\n";

async fn ended(ns: &Namespace, number: i64) {
    eventually(&format!("run {number} in {}", ns.name), MINUTE, async || {
        let probe = ns.api::<ConnectionProbe>().get("pulp").await.unwrap();
        let last = probe.status.unwrap_or_default().last_run?;
        (last.number == number).then_some(())
    })
    .await;
}

fn write(ns: &Namespace, manifest: &str, verb: &[&str]) -> Said {
    kubectl_with(manifest, &[&["-n", &ns.name], verb, &["-f", "-"]].concat())
}

#[tokio::test]
async fn the_operator_causes_no_drift() {
    for apply in [&["apply"][..], &["apply", "--server-side"]] {
        in_namespace(async |ns| {
            let diff = [&["diff"], &apply[1..]].concat();
            let sample = read(&file("deploy/samples/every-field.yaml"));
            for manifest in [manifest("  duration: 5s\n"), sample] {
                let applied = write(&ns, &manifest, apply);
                assert!(applied.ok, "{}", applied.text);
                no_drift(&ns, &manifest, &diff).await;
                let name = applied.text.split([' ', '/']).nth(1).unwrap();
                let observed =
                    ["wait", "--for=jsonpath={.status.observedGeneration}=1", "--timeout=30s"];
                let said = ns.kubectl(&[&observed[..], &["cprobe", name]].concat());
                assert!(said.ok, "{}", said.text);
                no_drift(&ns, &manifest, &diff).await;
            }
            ended(&ns, 1).await;
            no_drift(&ns, &manifest("  duration: 5s\n"), &diff).await;
        })
        .await;
    }
}

/// `kubectl diff` finds nothing. It reads the object twice, and a status that is written in between looks like
/// a difference.
async fn no_drift(ns: &Namespace, manifest: &str, diff: &[&str]) {
    eventually("no difference", SOON, async || write(ns, manifest, diff).ok.then_some(())).await;
}

/// A kubeconfig whose namespace is the test's, so that commands can be run as they are written.
fn kubeconfig(ns: &Namespace) -> NamedTempFile {
    let config = NamedTempFile::new().unwrap();
    fs::write(config.path(), kubectl(&["config", "view", "--raw", "--flatten"]).text).unwrap();
    let path = format!("--kubeconfig={}", config.path().display());
    let namespace = format!("--namespace={}", ns.name);
    assert!(kubectl(&["config", "set-context", "--current", &namespace, &path]).ok);
    config
}

/// The command that docs/gitops.md writes beside a trigger.
fn documented_wait(trigger: &str) -> String {
    let row =
        documented_rows().into_iter().find(|(name, cells)| name == trigger && cells.len() == 1);
    let (_, cells) = row.unwrap_or_else(|| panic!("docs/gitops.md has no row for {trigger}"));
    cells[0].split('`').nth(1).unwrap().to_owned()
}

#[tokio::test]
async fn every_wait_of_the_documents_waits_for_what_it_says() {
    in_namespace(async |ns| {
        let config = kubeconfig(&ns);
        let folder = tempfile::tempdir().unwrap();
        let sh = |command: &str| {
            let mut sh = Command::new("timeout");
            sh.args(["90", "sh", "-c", command]).env("KUBECONFIG", config.path());
            let output = sh.current_dir(folder.path()).output().unwrap();
            let said = [output.stdout, output.stderr].concat();
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&said));
        };
        let number = async || {
            let probe = ns.api::<ConnectionProbe>().get("pulp").await.unwrap();
            probe.status.unwrap_or_default().last_run.map_or(0, |run| run.number)
        };
        let patch = |spec: &str| {
            let said = ns.kubectl(&["patch", "cprobe", "pulp", "--type=merge", "-p", spec]);
            assert!(said.ok, "{}", said.text);
        };
        assert!(write(&ns, &manifest(SHORT), &["create"]).ok);
        sh(&documented_wait("kubectl apply"));
        assert_eq!(number().await, 1);
        // A condition of the run before must not end the wait.
        patch(r#"{"spec":{"runID":"again"}}"#);
        sh(&documented_wait("runID"));
        assert_eq!(number().await, 2, "it waited for the new run");
        patch(r#"{"spec":{"duration":"2s"}}"#);
        sh(&documented_wait("runID"));
        assert_eq!(number().await, 3);
        patch(r#"{"spec":{"suspend":true}}"#);
        sh(&documented_wait("suspend: true"));
        patch(
            r#"{"spec":{"suspend":false,"runID":"last","target":{"user":"nobody-of-that-name"}}}"#,
        );
        sh(&documented_wait("lastRun"));
        assert_eq!(number().await, 4, "it ended, and measured nothing");
        sh(&documented_wait("Stalled"));
        let annotate = |annotation: &str| {
            let annotation = format!("probes.pulpproject.org/{annotation}");
            assert!(ns.kubectl(&["annotate", "cprobe", "pulp", &annotation]).ok);
        };
        patch(r#"{"spec":{"target":{"user":null},"duration":"5m"}}"#);
        ns.holding(1).await;
        annotate("cancel=5");
        sh(&documented_wait("cancel").replace("=4 ", "=5 "));
        patch(r#"{"spec":{"suspend":true,"duration":"1s"}}"#);
        sh(&documented_wait("suspend: true"));
        patch(r#"{"spec":{"suspend":false}}"#);
        sh(&documented_wait("runID"));
        assert_eq!(number().await, 6);
        annotate("requestedAt=monday");
        sh(&documented_wait("requestedAt: monday"));
        sh(&documented_wait("runID"));
        assert_eq!(number().await, 7);

        let generated = manifest(SHORT).replace("name: pulp }", "generateName: pulp- }");
        fs::write(folder.path().join("probe.yaml"), generated).unwrap();
        sh(&documented_wait("generateName"));
    })
    .await;
}

#[tokio::test]
async fn actions_of_argo_cd_do_what_they_are_called() {
    in_namespace(async |ns| {
        assert!(write(&ns, &manifest(SHORT), &["apply"]).ok);
        ended(&ns, 1).await;
        // What Argo CD would write: the object as the script returns it.
        let run = |action: &str| {
            let live = NamedTempFile::with_suffix(".yaml").unwrap();
            fs::write(live.path(), ns.kubectl(&["get", "cprobe", "pulp", "-o", "yaml"]).text)
                .unwrap();
            let made = act(action, live.path());
            let said = write(&ns, &made.to_string(), &["replace"]);
            assert!(said.ok, "{action}: {}", said.text);
        };
        let ready = |reason: &str| {
            let reason = format!(
                "--for=jsonpath={{.status.conditions[?(@.type==\"Ready\")].reason}}={reason}"
            );
            let said = ns.kubectl(&["wait", "cprobe", "pulp", &reason, "--timeout=30s"]);
            assert!(said.ok, "{}", said.text);
        };
        run("run-now");
        ended(&ns, 2).await;
        run("suspend");
        ready("Suspended");
        run("resume");
        ready("Measured");
        let triggers: Vec<_> =
            ns.runs().await.iter().map(|run| format!("{:?}", run.spec.trigger.type_)).collect();
        assert_eq!(triggers, ["Created", "Requested"], "an action changes nothing else");
    })
    .await;
}

#[tokio::test]
async fn what_argo_cd_is_given_is_accepted() {
    in_namespace(async |ns| {
        let hook = file("deploy/gitops/argocd/postsync.yaml");
        let hook = hook.to_str().unwrap();
        assert!(ns.kubectl(&["apply", "--dry-run=server", "-f", hook]).ok);
        assert!(ns.kubectl(&["create", "configmap", "argocd-cm"]).ok);
        let settings = file("deploy/gitops/argocd/argocd-cm.yaml");
        let patch = ["patch", "configmap", "argocd-cm", "--patch-file", settings.to_str().unwrap()];
        let said = ns.kubectl(&patch);
        assert!(said.ok, "{}", said.text);
        let said = ns.kubectl(&["get", "configmap", "argocd-cm", "-o", "json"]);
        let data: Value = serde_json::from_str::<Value>(&said.text).unwrap()["data"].clone();
        let key = "resource.customizations.health.probes.pulpproject.org_ConnectionProbe";
        assert_eq!(data[key], read(&customization("ConnectionProbe", "health.lua")));
    })
    .await;
}
