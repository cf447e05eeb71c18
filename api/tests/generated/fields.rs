//! docs/fields.md: the schemas as a table.

use super::check;
use api::{ConnectionProbe, ConnectionProbeRun};
use kube::CustomResourceExt;
use serde_json::{Map, Value};
use std::fmt::Write;

const HEAD: &str = "# Fields\n\n\
    Generated from the schemas by `make generate`: change the types in `api/src`, not this file. `kubectl explain cprobe.spec` says the same.\n\
    `[]` stands for each item of a list. What is not marked **required** may be left out.\n";

/// Kubernetes' own types, and what is said elsewhere on this page.
const NOT_OPENED: [(&str, &str); 8] = [
    (".affinity", "as in a pod"),
    (".tolerations", "as in a pod"),
    (".topologySpreadConstraints", "as in a pod"),
    (".resources", "as in a container"),
    (".imagePullSecrets", "as in a pod"),
    (".conditions", "Kubernetes' conditions"),
    (".asWritten", "as the probe's spec"),
    (".settled", "as the probe's spec"),
];

#[test]
fn the_fields_are_in_step() {
    let mut page = HEAD.to_owned();
    for crd in [ConnectionProbe::crd(), ConnectionProbeRun::crd()] {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        for part in ["spec", "status"] {
            let schema = &schema["openAPIV3Schema"]["properties"][part];
            writeln!(page, "\n## {}: {part}\n\n{}\n", crd.spec.names.kind, said(schema)).unwrap();
            page += "| field | type | what |\n|---|---|---|\n";
            rows(&mut page, "", schema);
        }
    }
    check("docs/fields.md", &page);
}

/// Whether the fields of a field are left out, and what is said of it then.
pub(super) fn not_opened(path: &str) -> Option<&'static str> {
    NOT_OPENED.iter().find(|(end, _)| path.ends_with(end)).map(|(_, words)| *words)
}

/// A row for each field of an object, each followed by its own fields.
fn rows(page: &mut String, path: &str, schema: &Value) {
    let none = Map::new();
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, field) in schema["properties"].as_object().unwrap_or(&none) {
        let path = format!("{path}.{name}");
        let foreign = not_opened(&path);
        let kind = foreign.map_or_else(|| type_of(field), str::to_owned);
        let required = if required.iter().any(|r| r == name) { "**required** " } else { "" };
        writeln!(page, "| `{}` | {required}{kind} | {} |", &path[1..], said(field)).unwrap();
        if foreign.is_none() {
            rows(page, &path, field);
            rows(page, &format!("{path}[]"), &field["items"]);
        }
    }
}

/// The description on one line, and what its rules ask for.
fn said(field: &Value) -> String {
    let description = field["description"].as_str().unwrap_or_default();
    let rules = field["x-kubernetes-validations"].as_array().map_or(&[][..], Vec::as_slice);
    let asked = rules.iter().filter_map(|rule| rule["message"].as_str());
    let asked = asked.filter(|message| !message.starts_with("write a duration"));
    let sentences: Vec<_> = std::iter::once(description.to_owned())
        .chain(asked.map(|message| format!("Refused otherwise: {message}.")))
        .collect();
    sentences.join(" ").split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The type with its bounds.
fn type_of(field: &Value) -> String {
    let bounds = |low: &str, high: &str, what: &str| {
        let number = |name: &str| field[name].as_f64();
        match (number(low), number(high)) {
            (Some(low), Some(high)) => format!(", {low}–{high}{what}"),
            (None, Some(high)) => format!(", at most {high}{what}"),
            (Some(low), None) => format!(", at least {low}{what}"),
            (None, None) => String::new(),
        }
    };
    if let Some(words) = field["enum"].as_array() {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
        return format!("`{}`", words.join("`, `"));
    }
    let rules = field["x-kubernetes-validations"].to_string();
    match (field["type"].as_str().unwrap_or("any"), field["format"].as_str()) {
        ("string", _) if rules.contains("duration(self)") => "duration, 1s–24h".to_owned(),
        ("string", Some("date-time")) => "time".to_owned(),
        ("string", _) => format!("string{}", bounds("minLength", "maxLength", " characters")),
        ("integer", _) => format!("integer{}", bounds("minimum", "maximum", "")),
        ("array", _) => {
            let items = type_of(&field["items"]);
            let items = items.split(',').next().unwrap_or_default();
            format!("list of {items}s{}", bounds("minItems", "maxItems", ""))
        }
        ("object", _) if field["additionalProperties"].is_object() => {
            format!("map{}", bounds("minProperties", "maxProperties", " entries"))
        }
        (kind, _) => kind.to_owned(),
    }
}
