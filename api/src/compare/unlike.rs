//! What was measured differently.

use super::settings;
use crate::{ConnectionProbeRun, settings::WorkloadSettings};
use serde_json::Value;
use std::collections::BTreeSet;

/// What two runs measured differently. Workloads that only one has are not compared, and say nothing.
pub(super) fn runs(before: &ConnectionProbeRun, after: &ConnectionProbeRun) -> Vec<String> {
    let (Some(before), Some(after)) = (settings(before), settings(after)) else {
        return vec!["this version can't read one of the measurements".to_owned()];
    };
    let mut found = Vec::new();
    differences("target", &json(&before.target), &json(&after.target), &mut found);
    differences("control", &json(&before.control), &json(&after.control), &mut found);
    for old in &before.workloads {
        if let Some(new) = after.workloads.iter().find(|new| new.name == old.name) {
            differences(&old.name, &json(old), &json(new), &mut found);
        }
    }
    found
}

/// What two workloads of a run do differently: only their client may differ.
pub(super) fn workloads(run: &ConnectionProbeRun, one: &str, other: &str) -> Vec<String> {
    let settings = settings(run);
    let named =
        |name: &str| settings.as_ref()?.workloads.iter().find(|workload| workload.name == name);
    let like = |workload: &WorkloadSettings| WorkloadSettings {
        name: String::new(),
        client: crate::measurement::Client::Raw,
        ..workload.clone()
    };
    let mut found = Vec::new();
    match (named(one), named(other)) {
        (Some(a), Some(b)) => differences("", &json(&like(a)), &json(&like(b)), &mut found),
        (a, _) => {
            found.push(format!("there is no workload {}", if a.is_none() { one } else { other }))
        }
    }
    found
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// Each leaf that differs, with both values.
fn differences(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let get = |side: &serde_json::Map<String, Value>| {
                    side.get(key).cloned().unwrap_or_default()
                };
                differences(&path, &get(old), &get(new), found);
            }
        }
        (old, new) if old != new => {
            let word = |value: &Value| match value {
                Value::Null => "none".to_owned(),
                value => value.to_string(),
            };
            found.push(format!("{path}: {} and {}", word(old), word(new)));
        }
        _ => {}
    }
}
