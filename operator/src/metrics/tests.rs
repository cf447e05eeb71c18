//! What a scrape says, of probes and runs as the API server has them.

use super::*;
use api::metrics::{CATALOGUE, Kind, POD};
use kube::runtime::{reflector, watcher::Event};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Metrics of one scope whose objects a test changes.
struct Scraped {
    metrics: Metrics,
    world: Arc<World>,
    writer: reflector::store::Writer<ConnectionProbe>,
}

impl Scraped {
    fn new() -> Self {
        let (probes, writer) = reflector::store();
        let (metrics, world) = (Metrics::new().unwrap(), Arc::<World>::default());
        metrics.tell_of(probes, world.clone());
        Self { metrics, world, writer }
    }

    fn probe(&mut self, name: &str, status: &Value) {
        let metadata = json!({ "name": name, "namespace": "ns", "uid": format!("uid-of-{name}") });
        let spec = json!({ "target": { "secretName": "s" }, "preset": "PulpPlan" });
        let probe = json!({
            "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
            "metadata": metadata, "spec": spec, "status": status,
        });
        self.writer.apply_watcher_event(&Event::Apply(serde_json::from_value(probe).unwrap()));
    }

    /// The run goes on, or has ended in one report.
    fn run(&self, number: i64, workload: &str, report: Option<Value>) -> Arc<ConnectionProbeRun> {
        let measurement = json!({
            "target": { "secretName": "s" }, "control": { "host": "h" },
            "workloads": [{ "name": workload, "idle": {} }],
        });
        let status = report.map(|report| {
            json!({
                "startTime": "2026-01-01T00:00:00Z", "endTime": "2026-01-01T01:00:00Z",
                "workloads": [{
                    "workload": workload, "attempt": 1, "state": "Reported", "report": report,
                }],
            })
        });
        let owner = json!({
            "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
            "name": "p", "uid": "uid-of-p", "controller": true,
        });
        let run = json!({
            "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbeRun",
            "metadata": {
                "name": format!("p-{number}"), "namespace": "ns", "ownerReferences": [owner],
                "resourceVersion": number.to_string(),
                "annotations": { "probes.pulpproject.org/probe-name": "p" },
            },
            "spec": {
                "number": number, "trigger": { "type": "Created" },
                "measurement": { "asWritten": measurement, "settled": measurement },
                "versions": { "operator": "1", "image": "i" },
            },
            "status": status,
        });
        self.world.runs.wrote(serde_json::from_value(run).unwrap())
    }

    /// The lines of a scrape, without comments, process and build.
    fn lines(&self) -> Vec<String> {
        let text = self.metrics.render().unwrap();
        let told = |line: &&str| !line.starts_with(['#', 'p']) && !line.contains("_build_info");
        text.lines().filter(told).map(str::to_owned).collect()
    }

    fn of_probes(&self) -> String {
        let lines = self.lines();
        let of_probe = lines.iter().filter(|line| line.contains("probe=\"p\""));
        let of_probe = of_probe.filter(|line| !line.ends_with(" 0"));
        of_probe.map(|line| format!("{line}\n")).collect()
    }
}

fn report(workload: &str) -> Value {
    let form = json!({
        "word": "Message", "tcp": "Fin",
        "messages": [{ "kind": "Error", "severity": "FATAL", "code": "57P05", "text": "t" }],
    });
    let spread = |n: i32, min: i64, median: i64, max: i64| json!({ "n": n, "minMs": min, "medianMs": median, "maxMs": max });
    let lane = |lane: i32, min: i64, max: i64| json!({ "lane": lane, "phase": "Hold", "at": "2026-01-01T00:30:00Z", "lifetime": { "minMs": min, "maxMs": max } });
    let cut = json!({
        "outcome": "Disconnected", "form": form, "n": 4, "lifetime": spread(4, 4_000, 1_800_250, 2_449_000),
        // Two of four are told: one exact, one an interval.
        "lanes": [lane(0, 4_000, 4_000), lane(1, 60_000, 2_449_000)],
    });
    let survived = json!({ "outcome": "Survived", "n": 1, "lifetime": spread(1, 3_000_000, 3_000_000, 3_000_000) });
    json!({
        "workload": workload, "startedAt": "2026-01-01T00:00:00Z", "endedAt": "2026-01-01T01:00:00Z",
        "arms": [{
            "arm": "Target", "connections": 5,
            "counts": { "survived": 1, "disconnected": 4, "requestFailed": 0, "connectFailed": 0, "inconclusive": 0 },
            "cutLifetime": spread(4, 4_000, 1_800_250, 2_449_000),
            "endings": [cut, survived],
            "ladder": [
                { "silenceMs": 840_000, "cut": 0, "survived": 2 },
                { "silenceMs": 960_000, "cut": 2, "survived": 0 },
            ],
        }],
        "observed": {
            "arm": "Target", "intervalMs": 1_000, "addresses": 1, "livesSeen": 3,
            "cost": { "looks": 3_600, "longestGapMs": 1_020, "queries": 10_900 },
            "fates": [{
                "role": "Task", "fate": "CutIdle", "lived": spread(1, 2_400_000, 2_400_000, 2_400_000),
                "silence": spread(1, 2_399_000, 2_399_000, 2_399_000),
            }],
            "alive": [{ "role": "Main", "lived": spread(2, 3_590_000, 3_590_000, 7_200_000) }],
        },
    })
}

#[test]
fn a_probe_whose_run_ended_and_whose_next_one_goes_on() {
    let mut scraped = Scraped::new();
    scraped.probe(
        "p",
        &json!({
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "Progressing", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
            "currentRun": {
                "name": "p-2", "number": 2, "startTime": "2026-01-02T00:00:00Z",
                "expectedEndTime": "2026-01-02T01:00:00Z", "workloadsCut": ["idle"],
            },
        }),
    );
    scraped.run(1, "idle", Some(report("idle")));
    scraped.run(2, "idle", None);
    // Read from statuses, as after a restart: counters and histogram have seen nothing.
    insta::assert_snapshot!(scraped.of_probes());
}

#[test]
fn a_run_is_observed_when_it_ends_and_survivors_are_in_no_histogram() {
    let mut scraped = Scraped::new();
    scraped.probe("p", &json!({}));
    scraped.run(1, "idle", None);
    let before = scraped.lines().len();
    let ended = scraped.run(1, "idle", Some(report("idle")));
    scraped.metrics.run_ended(&ended);
    let text = scraped.of_probes();
    let labels = r#"arm="Target",probe="p",probe_namespace="ns",workload="idle""#;
    for line in [
        format!("connectionprobe_connection_lifetime_seconds_count{{{labels}}} 4"),
        // The two that are told as a number count by their median.
        format!("connectionprobe_connection_lifetime_seconds_sum{{{labels}}} 6053.5"),
        format!(r#"connectionprobe_connection_lifetime_seconds_bucket{{{labels},le="1800"}} 1"#),
        format!(r#"connectionprobe_connection_lifetime_seconds_bucket{{{labels},le="2100"}} 3"#),
        r#"connectionprobe_connections_ended_total{arm="Target",outcome="Survived",probe="p",probe_namespace="ns",workload="idle"} 1"#.to_owned(),
        r#"connectionprobe_runs_total{probe="p",probe_namespace="ns",result="Measured"} 1"#.to_owned(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    assert!(before > 60, "what will count was there with 0 before: {before}");
}

#[test]
fn a_run_that_a_deleted_probe_left_behind_drops_no_series() {
    let mut scraped = Scraped::new();
    scraped.probe("p", &json!({}));
    let ended = scraped.run(1, "idle", Some(report("idle")));
    scraped.metrics.run_ended(&ended);
    let before = scraped.of_probes();
    let mut left_behind = (*scraped.run(2, "other", None)).clone();
    left_behind.metadata.owner_references = None;
    left_behind.metadata.resource_version = Some("3".into());
    scraped.world.runs.wrote(left_behind);
    assert_eq!(scraped.of_probes(), before);
}

#[test]
fn a_thousand_runs_have_as_many_series_as_two_and_a_deleted_probe_has_none() {
    let mut scraped = Scraped::new();
    scraped.probe("p", &json!({}));
    scraped.metrics.schedule_missed(&scraped.metrics.scopes()[0].probes.state()[0], 1);
    let mut counts = Vec::new();
    for number in 1..=1000 {
        // A workload that is renamed again and again.
        let workload = format!("idle-{number}");
        let run = scraped.run(number, &workload, Some(report(&workload)));
        scraped.metrics.run_ended(&run);
        if [2, 1000].contains(&number) {
            counts.push(scraped.lines().len());
        }
    }
    assert_eq!(counts[0], counts[1]);
    let (probes, writer) = reflector::store();
    (scraped.writer, scraped.metrics.scopes()[0].probes) = (writer, probes);
    assert_eq!(scraped.of_probes(), "");
}

#[test]
fn what_is_served_is_what_the_catalogue_says() {
    let mut scraped = Scraped::new();
    let (last, next) = ("2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z");
    let met = json!({
        "type": "ExpectationsMet", "status": "True", "reason": "Met", "message": "", "lastTransitionTime": last,
    });
    let status = json!({ "lastScheduleTime": last, "nextScheduleTime": next, "conditions": [met] });
    scraped.probe("p", &status);
    let run = scraped.run(1, "idle", Some(report("idle")));
    scraped.metrics.run_ended(&run);
    scraped.metrics.schedule_missed(&scraped.metrics.scopes()[0].probes.state()[0], 1);
    scraped.metrics.watch_restarted("Pod", 1);
    scraped.metrics.requested("get", "200");
    let text = scraped.metrics.render().unwrap();
    let types: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| !name.starts_with("process_"))
        .collect();
    let catalogue = CATALOGUE.iter().flat_map(|(_, metrics)| *metrics);
    let operators: BTreeMap<&str, &str> = catalogue
        .filter(|metric| !POD.contains(metric))
        .map(|metric| (metric.name, metric.kind.as_str()))
        .collect();
    let absent: Vec<_> = operators.iter().filter(|(name, _)| !types.contains_key(*name)).collect();
    let of_a_going_run =
        absent.iter().all(|(name, _)| name.contains("_run_") || name.contains("_state"));
    assert!(of_a_going_run, "{absent:?}");
    assert!(types.iter().all(|(name, kind)| operators.get(name) == Some(kind)), "{types:?}");
    assert!(text.contains("process_resident_memory_bytes"));
    assert_eq!(Kind::Counter.as_str(), "counter");
}
