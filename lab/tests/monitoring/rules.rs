//! The rules' file.

use crate::{path, promql};
use serde_json::Value;
use std::{fs, path::Path};

pub(crate) const FILE: &str = "charts/connection-probe-operator/rules/connection-probe.yaml";

/// The alerts.
pub(crate) fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule.get("alert").is_some()).collect()
}

/// The alerts, and what is recorded.
pub(crate) fn rules() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(path(FILE)).unwrap()).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Writes the rules as a namespace's own: every selector confined to it, and its name a label of every result. JSON
/// is YAML.
pub(crate) fn write_confined(file: &Path, namespace: &str) {
    let rules: Vec<Value> = rules()
        .into_iter()
        .map(|mut rule| {
            rule["expr"] = promql::confined(rule["expr"].as_str().unwrap(), namespace).into();
            rule["labels"]["namespace"] = namespace.into();
            rule
        })
        .collect();
    let groups = serde_json::json!({ "groups": [{ "name": "confined", "rules": rules }] });
    fs::write(file, groups.to_string()).unwrap();
}
