//! A real operator, real probe pods, a real Prometheus: every query of the dashboard has an answer.

use crate::{
    dashboard, path,
    prometheus::{Prometheus, Target},
    run,
};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};
use lab::cluster::{Namespace, eventually, in_namespace};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, Stdio},
    time::Duration,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Both paths, one of which ends idle clients after 20 seconds: first the target, then the control. The ladder's timer
/// lies between two of its rungs. What `workers` watches are the probe's own connections. `refused` asks for a database that is not there. `timed` runs every minute.
const PROBES: &str = "
apiVersion: probes.pulpproject.org/v1alpha1
kind: ConnectionProbe
metadata: { name: cut }
spec:
  target: { secretName: pulp-db }
  control: { host: postgres.databases.svc, port: 5432 }
  duration: 30s
  connections: 2
  expect: { minLifetime: 45m }
  workloads:
  - { name: idle, idle: {} }
  - { name: beat, heartbeat: { interval: 5s } }
  - { name: ladder, idleLadder: { rungs: [5s, 10s, 26s] } }
  - { name: workers, observe: { user: pulp } }
---
apiVersion: probes.pulpproject.org/v1alpha1
kind: ConnectionProbe
metadata: { name: reversed }
spec:
  target: { secretName: pulp-db, host: postgres.databases.svc, port: 5432 }
  control: { host: pgbouncer.databases.svc, port: 6432 }
  duration: 25s
  connections: 1
  workloads: [{ name: set, sessionVariable: {} }]
---
apiVersion: probes.pulpproject.org/v1alpha1
kind: ConnectionProbe
metadata: { name: refused }
spec:
  target: { secretName: pulp-db, host: postgres.databases.svc, port: 5432, database: missing }
  duration: 5s
  connections: 1
  workloads: [{ name: idle, idle: {} }]
---
apiVersion: probes.pulpproject.org/v1alpha1
kind: ConnectionProbe
metadata: { name: timed }
spec:
  schedule: '* * * * *'
  target: { secretName: pulp-db, host: postgres.databases.svc, port: 5432 }
  duration: 1s
  connections: 1
  workloads: [{ name: idle, idle: {} }]
---
apiVersion: probes.pulpproject.org/v1alpha1
kind: ConnectionProbe
metadata: { name: suspended }
spec: { suspend: true, target: { secretName: pulp-db }, workloads: [{ name: idle, idle: {} }] }
";

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_the_dashboard_has_an_answer() {
    in_namespace(async |ns| {
        let prometheus = Prometheus::start().await;
        let operator = operator(&ns).await;
        prometheus.discovered("operator", &[target(&operator).unwrap()]);
        eventually("the operator is scraped", MINUTE, async || {
            (!prometheus.now("connectionprobe_build_info").is_empty()).then_some(())
        })
        .await;
        let begin = seconds(&prometheus);
        ns.apply(PROBES);
        let pods = follow(&ns, &prometheus).await;
        assert_eq!(pods.len(), 4, "every pod that held connections was scraped: {pods:?}");
        let end = seconds(&prometheus);

        let dashboard = dashboard::read();
        let mut unanswered = Vec::new();
        for query in dashboard::queries(&dashboard) {
            let expression = dashboard::with_all(&query.expression);
            if prometheus.during(&expression, begin, end) == 0 {
                unanswered.push(format!("{}: {expression}", query.place));
            }
        }
        assert!(unanswered.is_empty(), "no data:\n{}", unanswered.join("\n"));
        for (name, series, label) in dashboard::variables(&dashboard) {
            let series = dashboard::with_all(&series);
            let values = prometheus.api(&format!("label/{label}/values"), &[("match[]", &series)]);
            assert!(!values.as_array().unwrap().is_empty(), "no value of ${name}: {series}");
        }
        the_numbers_are_those_of_the_runs(&ns, &prometheus);
        the_rules_are_evaluated(&ns, &prometheus);
    })
    .await;
}

/// What is known of these runs beforehand.
fn the_numbers_are_those_of_the_runs(ns: &Namespace, prometheus: &Prometheus) {
    let of = |metric: &str, matchers: &str| {
        prometheus.now(&format!(
            "connectionprobe_{metric}{{probe_namespace=\"{}\", {matchers}}}",
            ns.name
        ))
    };
    let only = |metric: &str, matchers: &str| {
        let found = of(metric, matchers);
        assert_eq!(found.len(), 1, "{metric} {matchers}: {found:?}");
        found[0].1
    };
    let cut = only("last_run_first_cut_seconds", "probe=\"cut\", arm=\"Target\"");
    assert!((20.0..26.0).contains(&cut), "PgBouncer's timer: {cut}");
    assert!(of("last_run_first_cut_seconds", "probe=\"cut\", arm=\"Control\"").is_empty());
    let survived =
        only("last_run_survived_seconds", "probe=\"cut\", workload=\"beat\", arm=\"Target\"");
    assert!((30.0..40.0).contains(&survived), "{survived}");
    assert_eq!(
        only("last_run_silence_seconds", "probe=\"cut\", arm=\"Target\", rung=\"survived\""),
        10.0
    );
    assert_eq!(
        only("last_run_silence_seconds", "probe=\"cut\", arm=\"Target\", rung=\"cut\""),
        26.0
    );
    assert_eq!(only("last_run_result", "probe=\"refused\", result=\"ConnectFailed\""), 1.0);
    assert_eq!(only("expectations_met", "probe=\"cut\""), 0.0);
    let explained = only("last_run_findings", "probe=\"cut\", cause=\"PoolerIdleTimeout\"");
    assert_eq!(explained, 4.0, "what was idle, and the ladder's last rung");
    let watched = of("last_run_sessions", "probe=\"cut\", role=\"Other\"");
    let n: f64 = watched.iter().map(|(_, n)| n).sum();
    assert!(n >= 4.0, "the control's idle connections, and those that beat: {watched:?}");
    assert_eq!(only("stalled", "probe=\"refused\""), 1.0);
    assert_eq!(only("suspended", "probe=\"suspended\""), 1.0);

    // A counter that begins with its first run would hide that run from `increase`.
    let grown = format!(
        "sum(increase(connectionprobe_connection_lifetime_seconds_count{{probe_namespace=\"{0}\", probe=\"cut\"}}[15m])) / \
         sum(connectionprobe_last_run_connections{{probe_namespace=\"{0}\", probe=\"cut\", outcome=\"Disconnected\"}})",
        ns.name
    );
    let share = prometheus.now(&grown)[0].1;
    assert!((0.9..1.2).contains(&share), "cuts that the histogram's growth shows: {share}");
}

/// A run that was cut after 20 seconds is earlier than expected, and that is told.
fn the_rules_are_evaluated(ns: &Namespace, prometheus: &Prometheus) {
    let rules = prometheus.api("rules", &[]);
    let groups = rules["groups"].as_array().unwrap().iter();
    for rule in groups.flat_map(|group| group["rules"].as_array().unwrap()) {
        assert_eq!(rule["health"], "ok", "{rule}");
        let recorded = rule["type"] == "recording";
        assert!(!recorded || !prometheus.now(rule["name"].as_str().unwrap()).is_empty(), "{rule}");
    }
    let alerts = format!("ALERTS{{probe_namespace=\"{}\"}}", ns.name);
    let told: Vec<String> = prometheus
        .now(&alerts)
        .iter()
        .map(|(labels, _)| format!("{} {}", labels["alertname"], labels["probe"]).replace('"', ""))
        .collect();
    assert!(told.contains(&"ConnectionProbeCutEarlier cut".to_owned()), "{told:?}");
    assert!(told.contains(&"ConnectionProbeExpectationsNotMet cut".to_owned()), "{told:?}");
    assert!(told.contains(&"ConnectionProbeInconclusive refused".to_owned()), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_written_as_prometheus_wants_them() {
    in_namespace(async |ns| {
        check_metrics(&operator(&ns).await);
        ns.apply_probe(
            "  duration: 10s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.holding(1).await;
        check_metrics(&ns.pods().await[0]);
    })
    .await;
}

#[tokio::test]
async fn every_command_of_the_runbooks_works() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 2s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.ended(1, MINUTE).await;
        let pages = fs::read_dir(path("docs/runbooks")).unwrap().map(|page| page.unwrap().path());
        let pages: Vec<String> = pages.map(|page| fs::read_to_string(page).unwrap()).collect();
        let blocks = pages.iter().flat_map(|page| page.split("```sh\n").skip(1));
        let lines = blocks.filter_map(|rest| rest.split("```").next()).flat_map(str::lines);
        // And within the text.
        let words =
            pages.iter().flat_map(|page| page.split('`')).filter(|w| w.starts_with("kubectl "));
        let commands: BTreeSet<&str> = lines.chain(words).collect();
        assert!(commands.len() > 10, "commands were found: {commands:?}");
        for command in commands {
            run(Command::new("sh")
                .args(["-c", command])
                .env("NAMESPACE", &ns.name)
                .env("PROBE", "t"));
        }
    })
    .await;
}

/// promtool's judgement of names, types, help and format.
fn check_metrics(pod: &Pod) {
    let url = format!("http://{}/metrics", target(pod).unwrap().address);
    let metrics = run(Command::new("curl").args(["-fsS", &url]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("metrics");
    fs::write(&file, &metrics).unwrap();
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::from(fs::File::open(file).unwrap()));
    let checked = promtool.stderr(Stdio::piped()).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success() && said.is_empty(), "{}: {said}", pod.name_any());
}

/// The operator's pod.
async fn operator(ns: &Namespace) -> Pod {
    let pods: Api<Pod> = Api::namespaced(ns.client.clone(), "connection-probe");
    let labelled = ListParams::default().labels("app.kubernetes.io/name=connection-probe-operator");
    let found = pods.list(&labelled).await.unwrap().items;
    let mut running = found.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
    running.next().expect("lab/install has installed the operator")
}

/// Where a pod is scraped, as the discovery of pods tells it; none while it has no address.
fn target(pod: &Pod) -> Option<Target> {
    let address = pod.status.as_ref()?.pod_ip.as_ref()?;
    let name = |prefix: &str, key: &str| {
        let word = key.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        format!("pod_{prefix}_{word}")
    };
    let mut meta = BTreeMap::from([
        ("namespace".to_owned(), pod.namespace()?),
        ("pod_name".to_owned(), pod.name_any()),
    ]);
    meta.extend(pod.labels().iter().map(|(key, value)| (name("label", key), value.clone())));
    meta.extend(
        pod.annotations().iter().map(|(key, value)| (name("annotation", key), value.clone())),
    );
    Some(Target { address: format!("{address}:8080"), meta })
}

/// Keeps Prometheus told of the probe pods until the runs have ended and that was scraped. Returns the pods that
/// were scraped.
async fn follow(ns: &Namespace, prometheus: &Prometheus) -> Vec<String> {
    let ended = format!("connectionprobe_last_run_number{{probe_namespace=\"{}\"}}", ns.name);
    eventually("the end of four probes' runs, in Prometheus", 3 * MINUTE, async || {
        let running = |pod: &Pod| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
            phase.as_deref() == Some("Running")
        };
        let pods: Vec<Pod> = ns.pods().await.into_iter().filter(running).collect();
        prometheus.discovered("pods", &pods.iter().filter_map(target).collect::<Vec<_>>());
        (prometheus.now(&ended).len() == 4).then_some(())
    })
    .await;
    // Scraped every second; growth shows from the second scrape on.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let held = format!(
        "count by (pod) (last_over_time(connectionprobe_probe_lanes{{namespace=\"{}\", probe=~\"cut|reversed\"}}[5m]))",
        ns.name
    );
    prometheus.now(&held).iter().map(|(labels, _)| labels["pod"].to_string()).collect()
}

/// Prometheus' clock.
fn seconds(prometheus: &Prometheus) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of an epoch fit")]
    let seconds = prometheus.now("vector(time())")[0].1 as i64;
    seconds
}
