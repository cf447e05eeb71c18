//! How large statuses become with the longest names, texts and counts that their schemas allow.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunStatus, ConnectionProbeStatus,
    Inventory, Report, diagnosis::Finding, rds_proxy::Evidence,
};
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

/// Design: 8 KiB for a probe's status, 128 KiB for a run's.
const PROBE: usize = 8 * 1024;
const RUN: usize = 128 * 1024;

/// Of one byte, two and four. Control characters, which JSON writes in six, are in what servers say, and that
/// is bounded in bytes.
const CHARACTERS: [char; 3] = ['w', 'é', '😀'];

/// The largest value that a schema allows, of this character. What has no bound is Kubernetes' own: a reason.
fn largest(schema: &Value, character: char) -> Value {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().max_by_key(|word| word.to_string().len()).unwrap().clone();
    }
    let number = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
    match (schema["type"].as_str().unwrap(), schema["format"].as_str()) {
        ("string", Some("date-time")) => json!("2026-11-25T01:02:03.123456789Z"),
        ("string", _) => {
            // What is shorter is a name, which is ASCII, or a word of ours.
            let length = number("maxLength").unwrap_or(24);
            let character = if length > 64 { character } else { 'w' };
            json!(character.to_string().repeat(length))
        }
        // Connections, and milliseconds of a day and more.
        ("integer", Some("int32")) => json!(10_000),
        ("integer", _) => json!(100_000_000),
        ("boolean", _) => json!(false),
        ("array", _) => {
            json!(vec![largest(&schema["items"], character); number("maxItems").unwrap()])
        }
        ("object", _) => {
            let fields = schema["properties"].as_object().unwrap().iter();
            let fields = fields.map(|(name, field)| (name.clone(), largest(field, character)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        (other, _) => panic!("{other}"),
    }
}

fn largest_status<K: CustomResourceExt>(character: char) -> Value {
    let schema = serde_json::to_value(&K::crd().spec.versions[0].schema).unwrap();
    let mut status = largest(&schema["openAPIV3Schema"]["properties"]["status"], character);
    // Four types there are, and all say the summary.
    let summary = status["summary"].clone();
    let conditions = status["conditions"].as_array_mut().unwrap();
    conditions.truncate(4);
    conditions.iter_mut().for_each(|condition| condition["message"] = summary.clone());
    status
}

#[test]
fn a_probes_status_has_at_most_8_kib() {
    for character in CHARACTERS {
        let status = largest_status::<ConnectionProbe>(character);
        let status: ConnectionProbeStatus = serde_json::from_value(status).unwrap();
        let fitting = status.clone().fitting();
        let size = serde_json::to_string(&fitting).unwrap().len();
        println!("probe, {character:?}: {size} bytes");
        assert!(size <= PROBE, "{size} bytes");
        assert_eq!(fitting.clone().fitting(), fitting, "what fits stays as it is");
    }
    let status = largest_status::<ConnectionProbe>('w');
    let at_rest: ConnectionProbeStatus = serde_json::from_value(status).unwrap();
    let at_rest = ConnectionProbeStatus { current_run: None, ..at_rest }.fitting();
    assert_eq!(at_rest.last_run.unwrap().workloads.len(), 24, "texts give way before lines");
}

#[test]
fn a_runs_status_has_at_most_128_kib() {
    let mut status: ConnectionProbeRunStatus =
        serde_json::from_value(largest_status::<ConnectionProbeRun>('😀')).unwrap();
    // As the operator reads them from a pod's termination messages: of lanes, or of a watcher, who has none.
    let watcher = status.workloads[0].report.clone().unwrap();
    let lanes = Report { observed: None, ..watcher.clone() };
    for (i, workload) in status.workloads.iter_mut().enumerate() {
        let report = serde_json::to_string(if i % 2 == 0 { &lanes } else { &watcher }).unwrap();
        workload.report = Some(Report::parse(&report).unwrap());
    }
    let inventory = serde_json::to_string(&status.inventory).unwrap();
    status.inventory = Some(Inventory::parse(&inventory).unwrap());
    let proxy = status.rds_proxy.as_mut().unwrap();
    for evidence in [&mut proxy.before, &mut proxy.after] {
        let told = serde_json::to_string(evidence).unwrap();
        *evidence = Some(Evidence::parse(&told).unwrap());
    }
    Finding::fit(&mut status.findings);
    let size = serde_json::to_string(&status).unwrap().len();
    println!("run: {size} bytes");
    assert!(size <= RUN, "{size} bytes");
}
