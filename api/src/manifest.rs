//! A ConnectionProbe from a file, held to what the API server would hold it to: the same schema, the
//! same rules, and no unknown field, because a typo must not be a silent default.

use crate::{ConnectionProbe, names::GROUP};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use regex_lite::Regex;
use serde_json::Value;
use serde_saphyr::Error;
use std::collections::BTreeSet;

mod rules;

/// Parses a manifest in YAML or JSON.
///
/// # Errors
/// All that the API server would refuse, one per line, each with the field.
pub fn parse(text: &str) -> Result<ConnectionProbe, String> {
    // A snippet would quote values.
    let options = serde_saphyr::options! { with_snippet: false };
    let manifest = serde_saphyr::from_str_with_options(text, options);
    let mut manifest: Value = manifest.map_err(|error| match error {
        Error::MultipleDocuments { .. } => {
            "several documents: write one ConnectionProbe".to_owned()
        }
        error => error.to_string(),
    })?;
    drop_nulls(&mut manifest);
    let of = |field: &str| manifest[field].as_str().unwrap_or("absent").to_owned();
    let (kind, version) = (of("kind"), of("apiVersion"));
    if kind != "ConnectionProbe" || version != format!("{GROUP}/v1alpha1") {
        return Err(format!(
            "A ConnectionProbe of {GROUP}/v1alpha1 is wanted; kind is {kind}, apiVersion is {version}"
        ));
    }
    let mut refusals = Vec::new();
    if !manifest["metadata"]["name"].is_string() {
        refusals.push("metadata.name: Required value".to_owned());
    }
    let mut crd = ConnectionProbe::crd();
    let schema = crd.spec.versions.pop().and_then(|version| version.schema);
    let schema = schema.and_then(|schema| schema.open_api_v3_schema).unwrap_or_default();
    let mut fields = manifest.clone();
    // What every resource has, and no schema says.
    let own = |field: &str| ["apiVersion", "kind", "metadata"].contains(&field);
    fields.as_object_mut().into_iter().for_each(|fields| fields.retain(|name, _| !own(name)));
    check(&schema, &fields, "", &mut refusals);
    if !refusals.is_empty() {
        return Err(refusals.join("\n"));
    }
    serde_json::from_value(manifest).map_err(|error| error.to_string())
}

/// A field without a value was not written, as for the API server.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks a value against its schema. Refusals never quote a value: it may be a password in the wrong
/// place.
pub(crate) fn check(
    schema: &JSONSchemaProps,
    value: &Value,
    path: &str,
    refusals: &mut Vec<String>,
) {
    if !has_type(schema, value) {
        let type_ = schema.type_.as_deref().unwrap_or("integer or string");
        return refusals.push(format!("{path}: Invalid value: must be of type {type_}"));
    }
    refusals.extend(own_refusals(schema, value).into_iter().map(|refusal| match path {
        "" => refusal,
        _ => format!("{path}: {refusal}"),
    }));
    let below = |field: &str| match path {
        "" => field.to_owned(),
        _ => format!("{path}.{field}"),
    };
    if let Value::Object(fields) = value {
        let missing = |name: &&String| !fields.contains_key(*name);
        for name in schema.required.iter().flatten().filter(missing) {
            refusals.push(format!("{}: Required value", below(name)));
        }
        for (name, field) in fields {
            let known = schema.properties.as_ref().and_then(|known| known.get(name));
            match (known, &schema.additional_properties) {
                (Some(schema), _) => check(schema, field, &below(name), refusals),
                (None, Some(JSONSchemaPropsOrBool::Schema(schema))) => {
                    check(schema, field, &below(name), refusals);
                }
                (None, _) => refusals.push(format!("unknown field \"{}\"", below(name))),
            }
        }
    }
    if let (Value::Array(items), Some(JSONSchemaPropsOrArray::Schema(schema))) =
        (value, &schema.items)
    {
        for (i, item) in items.iter().enumerate() {
            check(schema, item, &format!("{path}[{i}]"), refusals);
        }
    }
}

fn has_type(schema: &JSONSchemaProps, value: &Value) -> bool {
    match (schema.type_.as_deref(), value) {
        (Some("object"), Value::Object(_))
        | (Some("array"), Value::Array(_))
        | (Some("string"), Value::String(_))
        | (Some("boolean"), Value::Bool(_)) => true,
        (Some("integer"), Value::Number(number)) => number.is_i64(),
        (None, Value::Number(_) | Value::String(_)) => {
            schema.x_kubernetes_int_or_string == Some(true)
        }
        _ => false,
    }
}

/// What the schema has against this value, its fields and items apart.
fn own_refusals(schema: &JSONSchemaProps, value: &Value) -> Vec<String> {
    let mut refusals = Vec::new();
    let mut bounds = |what: &str, n: Option<f64>, min: Option<f64>, max: Option<f64>| {
        if let (Some(n), Some(min)) = (n, min)
            && n < min
        {
            refusals.push(format!("Invalid value: must be at least {min}{what}"));
        }
        if let (Some(n), Some(max)) = (n, max)
            && n > max
        {
            refusals.push(format!("Invalid value: must be at most {max}{what}"));
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "bounds and lengths are small")]
    let (count, bound) = (|n: usize| n as f64, |n: Option<i64>| n.map(|n| n as f64));
    let chars = value.as_str().map(|text| count(text.chars().count()));
    let items = value.as_array().map(|items| count(items.len()));
    let fields = value.as_object().map(|fields| count(fields.len()));
    bounds("", value.as_f64(), schema.minimum, schema.maximum);
    bounds(" characters", chars, bound(schema.min_length), bound(schema.max_length));
    bounds(" items", items, bound(schema.min_items), bound(schema.max_items));
    bounds(" fields", fields, bound(schema.min_properties), bound(schema.max_properties));
    if let (Some(pattern), Some(text)) = (&schema.pattern, value.as_str())
        && !matches(pattern, text)
    {
        refusals.push(format!("Invalid value: must match '{pattern}'"));
    }
    if let Some(words) = &schema.enum_
        && !words.iter().any(|word| word.0 == *value)
    {
        let words: Vec<_> = words.iter().map(|word| word.0.to_string()).collect();
        refusals.push(format!("Unsupported value: supported values: {}", words.join(", ")));
    }
    let mut seen = BTreeSet::new();
    for key in schema.x_kubernetes_list_map_keys.iter().flatten() {
        let keys = value.as_array().into_iter().flatten().map(|item| item[key].to_string());
        let twice = keys.filter(|key| !seen.insert(key.clone()));
        refusals.extend(twice.map(|key| format!("Duplicate value: {key}")));
    }
    let rules = schema.x_kubernetes_validations.iter().flatten();
    let messages = rules.map(|rule| rule.message.clone().unwrap_or_default());
    refusals.extend(messages.filter(|message| rules::holds(message, value) != Some(true)));
    refusals
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n";

    #[test]
    fn what_is_no_connection_probe_is_refused_by_name() {
        let table = [
            ("{}", "kind is absent, apiVersion is absent"),
            ("{ apiVersion: v1, kind: Secret }", "kind is Secret, apiVersion is v1"),
            (
                HEAD,
                "metadata.name: Required value\nwrite either preset or workloads\nspec: Required value",
            ),
            ("a: 1\n---\nb: 2\n", "several documents: write one ConnectionProbe"),
            ("a: [ u:pw@h", "unclosed bracket '[' at line 1, column 4"),
        ];
        for (text, wanted) in table {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(wanted) && !refused.contains("pw"), "{text}: {refused}");
        }
    }

    #[test]
    fn every_typo_is_told_with_its_place_and_no_value_is_quoted() {
        let spec = "metadata: { name: a }\nspec:\n  target: { secretName: a, host: 'u:pw@h', hosts: b }\n  \
                    connections: 5.5\n  workloads: [{ name: w, idle: { keepAlive: 30s } }]\n";
        assert_eq!(
            parse(&format!("{HEAD}{spec}")).unwrap_err().lines().collect::<Vec<_>>(),
            [
                "spec.connections: Invalid value: must be of type integer",
                "spec.target.host: Invalid value: must match '^[A-Za-z0-9._:-]+$'",
                "unknown field \"spec.target.hosts\"",
                "unknown field \"spec.workloads[0].idle.keepAlive\"",
            ]
        );
    }
}
