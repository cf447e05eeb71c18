//! The schema's rules. They are written in CEL, whose interpreter brings a parser generator's runtime
//! along; here each is a function, found by how its message begins.

use super::matches;
use kube::core::Duration;
use serde_json::Value;
use std::time;

/// A rule, for the value that it stands beside.
type Rule = fn(&Value) -> bool;

const RULES: [(&str, Rule); 23] = [
    ("write a duration from", is_duration),
    ("write either preset or workloads", |probe| {
        has(probe, "/spec/preset") != has(probe, "/spec/workloads")
    }),
    ("Psycopg and Django send no", |probe| {
        !has(probe, "/spec/applicationName") || is_or_absent(probe, "/spec/client", "Raw")
    }),
    ("timeZone, startingDeadlineSeconds and", |probe| {
        let beside = ["timeZone", "startingDeadlineSeconds", "concurrencyPolicy"];
        has(probe, "/spec/schedule") || beside.iter().all(|field| probe["spec"][field].is_null())
    }),
    ("write the time zone as", |probe| {
        !probe["spec"]["schedule"].as_str().is_some_and(|schedule| schedule.contains("TZ"))
    }),
    ("placement SameNode is", |probe| {
        !has(probe, "/spec/podTemplate/affinity/podAffinity")
            || is(probe, "/spec/placement", "Spread")
    }),
    ("write exactly one of", |workload| {
        let common = ["name", "duration", "connections", "client", "tcp"];
        let members = workload.as_object().into_iter().flat_map(|fields| fields.keys());
        members.filter(|name| !common.contains(&name.as_str())).count() == 1
    }),
    ("idleLadder holds", |workload| {
        !has(workload, "/idleLadder") || !has(workload, "/connections")
    }),
    ("observe watches", |workload| {
        let held = ["/connections", "/client", "/tcp"];
        !has(workload, "/observe") || !held.into_iter().any(|field| has(workload, field))
    }),
    ("write an interval from", |value| {
        let text = value.as_str().unwrap_or_default();
        matches(r"^([0-9]+(\.[0-9]+)?(m|s|ms))+$", text) && is_between(value, 100, 60_000)
    }),
    ("a statement of your own", |member| {
        !has(member, "/statement") || member["allowLongTransactions"] == true
    }),
    ("write host, port or secretName", |control| {
        ["/host", "/port", "/secretName"].into_iter().any(|field| has(control, field))
    }),
    ("write one of caConfigMapName", |tls| {
        !has(tls, "/caConfigMapName") || !has(tls, "/caSecretName")
    }),
    ("write minLifetime, survives,", |expect| {
        ["/minLifetime", "/survives", "/explains", "/workloads"]
            .into_iter()
            .any(|it| has(expect, it))
    }),
    ("write either serviceAccountName or", |proxy| {
        has(proxy, "/serviceAccountName") != has(proxy, "/credentialsSecretName")
    }),
    ("write whole seconds from 1s to 8h", |value| {
        let whole = matches(r"^([0-9]+(h|m|s))+$", value.as_str().unwrap_or_default());
        whole && is_between(value, 1000, 8 * 3_600_000)
    }),
    ("write allowModify: true", |change| change["allowModify"] == true || change["dryRun"] == true),
    ("auth AwsIam signs", |probe| has(probe, "/spec/rdsProxy") || !signs_in_by_iam(probe)),
    ("auth AwsIam sends", |target| {
        let unverified =
            ["Disable", "Prefer"].into_iter().any(|mode| is(target, "/tls/mode", mode));
        !is(target, "/auth", "AwsIam") || !unverified
    }),
    ("with auth AwsIam the probe pods", |probe| {
        let own = probe.pointer("/spec/podTemplate/serviceAccountName");
        let account = probe.pointer("/spec/rdsProxy/serviceAccountName");
        own.is_none() || account.is_none() || own == account || !signs_in_by_iam(probe)
    }),
    ("caKey needs", |tls| !has(tls, "/caKey") || has_ca(tls)),
    ("mode Disable uses no CA", |tls| !is(tls, "/mode", "Disable") || !has_ca(tls)),
    ("mode Disable shows no certificate", |tls| {
        !is(tls, "/mode", "Disable") || !has(tls, "/certificateSecretName")
    }),
];

/// Whether the rule with this message holds; `None` for one that is not known here.
pub(super) fn holds(message: &str, value: &Value) -> Option<bool> {
    let known = RULES.iter().find(|(begin, _)| message.starts_with(begin));
    known.map(|(_, holds)| holds(value))
}

fn has(value: &Value, field: &str) -> bool {
    value.pointer(field).is_some()
}

fn is(value: &Value, field: &str, word: &str) -> bool {
    value.pointer(field).is_some_and(|value| value == word)
}

fn is_or_absent(value: &Value, field: &str, word: &str) -> bool {
    !has(value, field) || is(value, field, word)
}

fn has_ca(tls: &Value) -> bool {
    has(tls, "/caConfigMapName") || has(tls, "/caSecretName")
}

fn signs_in_by_iam(probe: &Value) -> bool {
    ["/spec/target/auth", "/spec/control/auth"].into_iter().any(|auth| is(probe, auth, "AwsIam"))
}

fn is_duration(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    matches(r"^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$", text) && is_between(value, 1000, 24 * 3_600_000)
}

/// Whether it is a duration between these, in milliseconds.
fn is_between(value: &Value, least: u64, most: u64) -> bool {
    let bounds = time::Duration::from_millis(least)..=time::Duration::from_millis(most);
    let duration = value.as_str().unwrap_or_default().parse::<Duration>();
    duration.is_ok_and(|duration| bounds.contains(&duration.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ConnectionProbe;
    use kube::CustomResourceExt;
    use std::collections::BTreeSet;

    /// Keywords of the schema, and messages of its rules.
    fn words(schema: &Value, keywords: &mut BTreeSet<String>, messages: &mut BTreeSet<String>) {
        for (keyword, value) in schema.as_object().unwrap() {
            keywords.insert(keyword.clone());
            let children: Vec<&Value> = match keyword.as_str() {
                "properties" => value.as_object().unwrap().values().collect(),
                "items" | "additionalProperties" => vec![value],
                _ => Vec::new(),
            };
            children.into_iter().for_each(|child| words(child, keywords, messages));
        }
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            messages.insert(rule["message"].as_str().unwrap().to_owned());
        }
    }

    #[test]
    fn all_that_the_schema_says_is_understood_here() {
        let crd = ConnectionProbe::crd();
        let schema = crd.spec.versions[0].schema.as_ref().unwrap();
        let root = schema.open_api_v3_schema.as_ref().unwrap();
        let spec = serde_json::to_value(&root.properties.as_ref().unwrap()["spec"]).unwrap();
        let (mut keywords, mut messages) = (BTreeSet::new(), BTreeSet::new());
        words(&spec, &mut keywords, &mut messages);
        let checked = "additionalProperties description enum format items maxItems maxLength maxProperties \
                       maximum minItems minLength minimum nullable pattern properties required type \
                       x-kubernetes-int-or-string x-kubernetes-list-map-keys x-kubernetes-list-type \
                       x-kubernetes-validations";
        let unknown: Vec<_> = keywords
            .iter()
            .filter(|word| !checked.split(' ').any(|known| known == *word))
            .collect();
        assert!(unknown.is_empty(), "manifest.rs does not check {unknown:?}");
        let rules = root.x_kubernetes_validations.as_ref().unwrap();
        messages.extend(rules.iter().map(|rule| rule.message.clone().unwrap()));
        assert_eq!(messages.len(), RULES.len(), "{messages:#?}");
        for message in messages {
            assert!(holds(&message, &Value::Null).is_some(), "no function for: {message}");
        }
    }
}
