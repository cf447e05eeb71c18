//! A ConnectionProbe on a real cluster: API server, kubelet, PgBouncer, PostgreSQL. A namespace each, all at
//! once; what kills parts of the cluster is in kill.rs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    inventory::Hop,
    observed::Role,
    render::{self, Format},
    report::{Arm, Inconclusive, Outcome},
    run::TriggerType,
};
use k8s_openapi::api::batch::v1::Job;
use kube::api::PostParams;
use lab::cluster::{Namespace, eventually, in_namespace, kubectl_with};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
/// The lab's PgBouncer ends idle clients after so many seconds, and looks once a second.
const CLIENT_IDLE_TIMEOUT: i64 = 20;

#[tokio::test]
async fn one_run_finds_the_timer_that_cuts() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  control: { host: postgres.databases.svc, port: 5432 }\n\
             \x20 duration: 25s\n  connections: 2\n  workloads:\n\
             \x20 - { name: idle, idle: {} }\n\
             \x20 - { name: beat, heartbeat: { interval: 5s } }\n\
             \x20 - { name: in-transaction, idleInTransaction: {} }\n\
             \x20 - { name: set, sessionVariable: {} }\n\
             \x20 - { name: listen, listen: {} }\n",
        );
        let seen = eventually("a first cut in the status", MINUTE, async || {
            ns.status().await.current_run.filter(|run| run.first_cut_seen_time.is_some())
        })
        .await;
        assert!(!seen.workloads_cut.is_empty(), "told before any report");

        let run = ns.ended(1, MINUTE).await.status.unwrap();
        let inventory = &run.inventory.as_ref().expect("the first pod took one").arms[0];
        assert_eq!((&inventory.problem, inventory.hop), (&None, Some(Hop::Indirect)));
        assert!(inventory.server.as_ref().unwrap().version.starts_with("15."), "{inventory:?}");
        let of = |name: &str| {
            let workload = run.workloads.iter().find(|w| w.workload == name).unwrap();
            workload.report.as_ref().unwrap().arm(Arm::Target).unwrap().clone()
        };
        for (name, control) in run.arms(Arm::Control) {
            assert_eq!(control.counts.survived, 2, "nothing cuts {name} on the direct path");
        }
        for name in ["idle", "set", "listen"] {
            let arm = of(name);
            assert_eq!(arm.counts.disconnected, 2, "{name}");
            let ending = arm.endings.iter().find(|e| e.outcome == Outcome::Disconnected).unwrap();
            let message = &ending.form.as_ref().unwrap().messages[0];
            assert_eq!(
                (message.code.as_str(), message.text.as_str()),
                ("08P01", "client_idle_timeout")
            );
            for lane in &ending.lanes {
                let clocks = lane.clocks.unwrap();
                let idle = clocks.request_ms.unwrap();
                let late = idle - CLIENT_IDLE_TIMEOUT * 1000;
                assert!((-100..5000).contains(&late), "{name}: {clocks:?}");
                // Exact, but for a stall of this busy machine.
                let life = lane.lifetime.unwrap();
                let width = life.max_ms.unwrap() - life.min_ms;
                assert!(width < 1000, "{name}: announced by a message");
            }
        }
        assert_eq!(of("beat").counts.survived, 2, "an idle timer spares a heartbeat");
        assert_eq!(of("in-transaction").counts.survived, 2, "and an open transaction");

        let status = ns.condition("Ready", "True", "Measured", SOON).await;
        let last = status.last_run.unwrap();
        assert_eq!(last.result, "6 of 10 cut, control 0 of 10");
        let finding = last.finding.unwrap();
        assert!(
            finding.starts_with("PoolerIdleTimeout ") && finding.ends_with(" (6 of 6)"),
            "{finding}"
        );
        let table = ns.kubectl(&["get", "cprobe", "t"]).text;
        assert!(table.contains("6 of 10 cut") && table.contains("Measured"), "{table}");
    })
    .await;
}

#[tokio::test]
async fn a_change_supersedes_and_keeps_what_was_measured() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 5m\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.holding(1).await;
        ns.patch_probe(r#"{"duration":"2s"}"#);
        let first = ns.ended(1, SOON).await.status.unwrap();
        assert_eq!(first.ended_early, Some(Inconclusive::Superseded));
        assert_eq!(first.workloads[0].reason, Some(Inconclusive::Superseded));
        let report = first.workloads[0].report.as_ref().expect("the last words were heard");
        assert_eq!(
            (report.arms[0].counts.disconnected, report.arms[0].counts.inconclusive),
            (0, 1),
            "no drop"
        );
        ns.condition("Ready", "True", "Measured", MINUTE).await;
        let runs = ns.runs().await;
        let ended = runs[0].status.as_ref().unwrap().end_time.clone().unwrap();
        let second = runs[1].metadata.creation_timestamp.clone().unwrap();
        assert!(second.0.as_second() >= ended.0.as_second(), "two runs never overlap");
    })
    .await;
}

#[tokio::test]
async fn a_new_run_id_starts_a_run_and_nothing_else_does() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.ended(1, MINUTE).await;
        ns.patch_probe(r#"{"historyLimit":5}"#);
        ns.patch_probe(r#"{"runID":"again"}"#);
        ns.ended(2, MINUTE).await;
        ns.patch_probe(r#"{"suspend":true}"#);
        ns.condition("Ready", "True", "Suspended", SOON).await;
        ns.patch_probe(r#"{"runID":"while suspended"}"#);
        ns.patch_probe(r#"{"suspend":null}"#);
        ns.ended(3, MINUTE).await;
        let triggers: Vec<_> =
            ns.runs().await.iter().map(|run| format!("{:?}", run.spec.trigger.type_)).collect();
        assert_eq!(triggers, ["Created", "RunID", "RunID"]);
        ns.patch_probe(r#"{"historyLimit":1}"#);
        eventually("history to be pruned", SOON, async || {
            (ns.runs().await.len() == 1).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn annotations_start_and_end_runs() {
    in_namespace(async |ns| {
        let annotate = |annotation: &str| {
            let annotation = format!("probes.pulpproject.org/{annotation}");
            let said = ns.kubectl(&["annotate", "cprobe", "t", "--overwrite", &annotation]);
            assert!(said.ok, "{}", said.text);
        };
        ns.apply_probe(
            "  duration: 5m\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.holding(1).await;
        annotate("requestedAt=too-early");
        eventually("the refusal", SOON, async || {
            ns.kubectl(&["events"]).text.contains("RequestRefused").then_some(())
        })
        .await;
        annotate("cancel=1");
        let first = ns.ended(1, SOON).await.status.unwrap();
        assert_eq!(first.ended_early, Some(Inconclusive::Cancelled));
        assert!(first.workloads[0].report.is_some(), "the last words were heard");
        let status = ns.condition("Stalled", "True", "Cancelled", SOON).await;
        assert_eq!(status.last_handled_request.as_deref(), Some("too-early"));
        annotate("requestedAt=now");
        ns.holding(1).await;
        annotate("cancel=2");
        ns.ended(2, SOON).await;
        let runs = ns.runs().await;
        assert_eq!(runs[1].spec.trigger.type_, TriggerType::Requested);
        assert_eq!(runs.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_schedule_starts_runs_by_the_clock_and_nothing_else_does() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  schedule: \"* * * * *\"\n  timeZone: Asia/Kathmandu\n  duration: 1s\n  connections: 1\n\
             \x20 workloads: [{ name: idle, idle: {} }]\n",
        );
        let status = ns.condition("Ready", "True", "Scheduled", SOON).await;
        let due = status.next_schedule_time.expect("the next run is told");
        ns.patch_probe(r#"{"connections":2}"#);
        assert!(ns.runs().await.is_empty(), "neither creation nor an edit starts one");
        let first = ns.ended(1, Duration::from_secs(90)).await;
        assert_eq!(first.spec.trigger.type_, TriggerType::Scheduled);
        assert_eq!(first.spec.trigger.scheduled_time, Some(due.clone()));
        let late = first.metadata.creation_timestamp.unwrap().0.as_second() - due.0.as_second();
        assert!((0..5).contains(&late), "{late} s late");
        let status = ns.condition("Succeeded", "True", "Measured", SOON).await;
        assert_eq!(status.last_schedule_time, Some(due));
        ns.patch_probe(r#"{"schedule":"every minute"}"#);
        let status = ns.condition("Stalled", "True", "Invalid", SOON).await;
        assert!(status.summary.unwrap().contains("five fields"));
    })
    .await;
}

#[tokio::test]
async fn workloads_one_after_the_other_share_a_node_and_never_overlap() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  order: Sequential\n  duration: 2s\n  connections: 1\n\
             \x20 workloads: [{ name: a, idle: {} }, { name: b, idle: {} }, { name: c, idle: {} }]\n",
        );
        let run = ns.ended(1, MINUTE).await.status.unwrap();
        assert_eq!(run.result.as_deref(), Some("0 of 3 cut"));
        let reports: Vec<_> = run.reports().collect();
        assert!(reports.is_sorted_by(|a, b| a.ended_at.unwrap() <= b.started_at), "{reports:?}");
        let jobs = ns.jobs().await;
        let node = |job: &Job| {
            let affinity = job.spec.as_ref()?.template.spec.as_ref()?.affinity.as_ref()?;
            let required = &affinity.node_affinity.as_ref()?;
            let required = required.required_during_scheduling_ignored_during_execution.as_ref()?;
            required.node_selector_terms[0].match_fields.as_ref()?[0].values.clone()
        };
        assert_eq!(jobs.iter().map(node).collect::<Vec<_>>(), [None, Some(vec!["node0".into()])]);
    })
    .await;
}

#[tokio::test]
async fn a_missing_secret_is_told_and_heals() {
    in_namespace(async |ns| {
        let secret = ns.kubectl(&["get", "secret", "pulp-db", "-o", "yaml"]).text;
        assert!(ns.kubectl(&["delete", "secret", "pulp-db"]).ok);
        ns.apply_probe(
            "  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        let status =
            ns.condition("Stalled", "True", "SecretNotFound", Duration::from_secs(180)).await;
        let summary = status.summary.unwrap();
        assert!(summary.contains("pulp-db") && summary.contains("next attempt"), "{summary}");
        ns.apply(&secret);
        ns.condition("Ready", "True", "Measured", Duration::from_secs(120)).await;
        assert_eq!(ns.runs().await.len(), 1, "another attempt of the same run");
        assert_eq!(ns.jobs().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_missing_key_is_told_by_the_names_that_were_seen() {
    in_namespace(async |ns| {
        ns.apply(
            "apiVersion: v1\nkind: Secret\nmetadata: { name: odd }\n\
             stringData: { HOST: h, secretword: hidden-value }\n",
        );
        ns.apply(
            "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
             metadata: { name: t }\nspec:\n  target: { secretName: odd, host: pgbouncer.databases.svc }\n\
             \x20 duration: 1s\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        let status =
            ns.condition("Stalled", "True", "SecretKeyMissing", Duration::from_secs(180)).await;
        let summary = status.summary.unwrap();
        assert!(summary.contains("HOST") && summary.contains("secretword"), "{summary}");
        assert!(!summary.contains("hidden-value"), "{summary}");
    })
    .await;
}

#[tokio::test]
async fn a_probe_with_the_longest_name_runs() {
    in_namespace(async |ns| {
        let name = format!("pulp.955.{}", "x".repeat(244));
        ns.apply(&format!(
            "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
             metadata: {{ name: {name} }}\nspec:\n  target: {{ secretName: pulp-db }}\n  duration: 1s\n\
             \x20 connections: 1\n  workloads: [{{ name: idle, idle: {{}} }}]\n"
        ));
        let wait = ["wait", "cprobe", &name, "--for=condition=Succeeded", "--timeout=60s"];
        let said = ns.kubectl(&wait);
        assert!(said.ok, "{}", said.text);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_password_is_a_failed_connect() {
    in_namespace(async |ns| {
        let wrong = r#"{"stringData":{"password":"wrong"}}"#;
        assert!(ns.kubectl(&["patch", "secret", "pulp-db", "-p", wrong]).ok);
        ns.apply_probe(
            "  duration: 1s\n  connections: 2\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        let status = ns.condition("Ready", "False", "ConnectFailed", MINUTE).await;
        let summary = status.summary.unwrap();
        assert!(summary.contains("FATAL"), "{summary}");
        let run = ns.ended(1, SOON).await.status.unwrap();
        assert_eq!(run.reports().next().unwrap().arms[0].counts.connect_failed, 2);
    })
    .await;
}

#[tokio::test]
async fn a_pod_that_no_node_takes_is_told() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 1s\n  workloads: [{ name: idle, idle: {} }]\n\
             \x20 podTemplate: { nodeSelector: { nowhere: here } }\n",
        );
        let status = ns.condition("Ready", "False", "Unschedulable", SOON).await;
        assert!(status.summary.unwrap().contains("nodeSelector"));
        ns.patch_probe(r#"{"podTemplate":null}"#);
        ns.condition("Ready", "True", "Measured", MINUTE).await;
    })
    .await;
}

#[tokio::test]
async fn a_deleted_probe_takes_everything_along() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 5m\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.holding(1).await;
        assert!(ns.kubectl(&["delete", "cprobe", "t", "--wait=false"]).ok);
        eventually("nothing to be left", MINUTE, async || {
            let left = ns.runs().await.len() + ns.jobs().await.len() + ns.pods().await.len();
            (left == 0).then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_foreign_object_with_our_name_is_left_alone() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  suspend: true\n  duration: 1s\n  connections: 1\n\
             \x20 workloads: [{ name: idle, idle: {} }]\n",
        );
        let uid = ns.kubectl(&["get", "cprobe", "t", "-o", "jsonpath={.metadata.uid}"]).text;
        let run = api::names::run_name("t", &uid, 1);
        let job = api::names::job_name(&run, 1);
        ns.apply(&format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: {job} }}\nspec:\n  suspend: true\n\
             \x20 template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: a, image: a }}] }} }}\n"
        ));
        ns.patch_probe(r#"{"suspend":false}"#);
        let status = ns.condition("Stalled", "True", "NameConflict", SOON).await;
        assert!(status.summary.unwrap().contains(&job));
        assert!(ns.kubectl(&["get", "job", &job]).ok, "left alone");
    })
    .await;
}

#[tokio::test]
async fn what_users_may_write_is_the_same_on_a_real_api_server() {
    in_namespace(async |ns| {
        for (folder, accepted) in [("accepted", true), ("refused", false)] {
            let cases = format!("{}/../api/tests/cases/{folder}", env!("CARGO_MANIFEST_DIR"));
            for case in std::fs::read_dir(cases).unwrap() {
                let path = case.unwrap().path();
                let text = std::fs::read_to_string(&path).unwrap();
                let wanted = text.lines().next().and_then(|line| line.strip_prefix("# refused: "));
                for (how, refusal) in write_three_ways(&ns, &text).await {
                    let file = path.file_name().unwrap().display();
                    match (accepted, &refusal) {
                        (true, None) => {}
                        (false, Some(refusal))
                            if wanted.unwrap().split(" | ").any(|text| refusal.contains(text)) => {}
                        _ => panic!("{file} by {how}: {refusal:?}"),
                    }
                }
            }
        }
    })
    .await;
}

/// What kubectl, server-side apply and a plain POST have against a manifest.
async fn write_three_ways(ns: &Namespace, text: &str) -> [(&'static str, Option<String>); 3] {
    let apply = |args: &[&str]| {
        let said = kubectl_with(
            text,
            &[&["-n", &ns.name, "apply", "--dry-run=server", "-f", "-"], args].concat(),
        );
        (!said.ok).then_some(said.text)
    };
    let manifest: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    let path = format!("/apis/probes.pulpproject.org/v1alpha1/namespaces/{}", ns.name);
    let body = serde_json::to_vec(&manifest).unwrap();
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let request = kube::core::Request::new(format!("{path}/connectionprobes")).create(&dry, body);
    let posted = ns.client.request::<serde_json::Value>(request.unwrap()).await;
    [
        ("kubectl apply", apply(&[])),
        ("server-side apply", apply(&["--server-side"])),
        ("POST", posted.err().map(|error| error.to_string())),
    ]
}

#[tokio::test]
async fn samples_and_explain_work_as_the_readme_says() {
    in_namespace(async |ns| {
        let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples");
        let said = ns.kubectl(&["apply", "--dry-run=server", "-f", samples]);
        assert!(said.ok, "{}", said.text);
        let said = ns.kubectl(&["explain", "cprobe.spec.workloads.idle"]);
        assert!(said.text.contains("Logs in and sends nothing"), "{}", said.text);
    })
    .await;
}

#[tokio::test]
async fn sessions_of_workers_are_watched_beside_those_that_are_held() {
    in_namespace(async |ns| {
        ns.apply(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: pulp-settings }\n\
             data: { settings.py: \"SECRET_KEY = 'not-to-be-read'\\nWORKER_TTL = 6\\n\", PULP_TIME_ZONE: UTC }\n",
        );
        ns.apply_probe(
            "  control: { host: postgres.databases.svc, port: 5432 }\n\
             \x20 duration: 25s\n  connections: 2\n  workloads:\n\
             \x20 - { name: worker, pulpWorker: { interval: 2s } }\n\
             \x20 - { name: real, observe: { user: pulp, interval: 500ms, configMapName: pulp-settings } }\n",
        );
        let run = ns.ended(1, MINUTE).await;
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/workers.html");
        std::fs::write(page, render::run(&run, None, Format::Html)).unwrap();
        let run = run.status.unwrap();
        let observed = run.observed().next().expect("what was observed").clone();
        // The control's workers have sessions of their own; what the pooler has is the pooler's.
        let beating = observed.lives.iter().filter(|life| life.role == Role::Main);
        assert!(beating.count() >= 2, "{observed:?}");
        assert_eq!(observed.cut(), 0, "nobody's row and no task is known: {observed:?}");
        assert!(observed.cost.looks >= 40 && observed.cost.longest_gap_ms < 5_000, "{:?}", observed.cost);
        let fact = |name: &str| observed.facts.iter().find(|fact| fact.name == name).unwrap();
        assert_eq!((&*fact("WORKER_TTL").value, &*fact("TIME_ZONE").value), ("6", "UTC"));
        let told = serde_json::to_string(&run).unwrap();
        assert!(!told.contains("not-to-be-read"), "{told}");
        let status = ns.condition("Ready", "True", "Measured", SOON).await;
        let result = status.last_run.unwrap().result;
        assert!(result.starts_with("0 of 2 cut, control 0 of 2; real 0 of "), "{result}");
    })
    .await;
}
