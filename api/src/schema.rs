//! Schema pieces that a derive can't say: bounds on durations, lists and names.
//!
//! The API server refuses a CRD whose rules could cost too much, so every string, list and map has
//! a bound.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A Go-style duration between a second and a day.
pub fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]+(\\\\.[0-9]+)?(h|m|s|ms))+$') && duration(self) >= duration('1s') && duration(self) <= duration('24h')",
            "message": "write a duration from 1s to 24h, such as 90s, 50m or 1h30m",
        }],
    })
}

/// An IdleClientTimeout of an RDS Proxy: whole seconds. AWS's reference states no bounds; others have found 1 s and 8 h.
pub fn idle_client_timeout(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]+(h|m|s))+$') && duration(self) >= duration('1s') && duration(self) <= duration('8h')",
            "message": "write whole seconds from 1s to 8h, such as 3600s or 1h30m",
        }],
    })
}

/// Time from one look at sessions to the next.
pub fn look_interval(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([0-9]+(\\\\.[0-9]+)?(m|s|ms))+$') && duration(self) >= duration('100ms') && duration(self) <= duration('1m')",
            "message": "write an interval from 100ms to 1m, such as 1s",
        }],
    })
}

/// Whether a number is left out of JSON.
pub fn is_zero<N: Default + PartialEq>(n: &N) -> bool {
    *n == N::default()
}

/// Rungs of a ladder.
pub fn rungs(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "minItems": 1, "maxItems": 32, "items": duration(generator) })
}

/// Ages to be explained.
pub fn ages(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "minItems": 1, "maxItems": 10, "items": duration(generator) })
}

/// The name of a Secret or ConfigMap (a DNS subdomain, RFC 1123).
pub fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// A key of a Secret or ConfigMap.
pub fn object_key(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": "^[-._a-zA-Z0-9]+$",
    })
}

/// A point in time with milliseconds.
pub fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// A few points in time.
pub fn times(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "maxItems": 8, "items": time(generator) })
}

/// A list of conditions, merged by type.
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let item =
        generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>();
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// A measurement in a run, without rules and field descriptions: nobody writes it, it was judged
/// as part of the probe, `kubectl explain connectionprobe.spec` has the descriptions, and `kubectl apply`
/// keeps no CRD of more than 256 KiB.
pub fn recorded_measurement(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = crate::measurement::Measurement::json_schema(generator);
    strip(schema.ensure_object());
    schema
}

fn strip(schema: &mut serde_json::Map<String, serde_json::Value>) {
    schema.remove("description");
    schema.remove("x-kubernetes-validations");
    for (key, value) in schema.iter_mut() {
        let children = match (key.as_str(), value) {
            ("properties", serde_json::Value::Object(fields)) => fields.values_mut().collect(),
            ("items" | "additionalProperties", child) => vec![child],
            _ => continue,
        };
        children.into_iter().filter_map(|child| child.as_object_mut()).for_each(strip);
    }
}
