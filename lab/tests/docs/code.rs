//! Every block of code is run or validated, or stands in the table of exceptions.

use crate::{
    blocks::{Block, NOT_RUN, blocks, commands, not_run, of},
    read, sh, sh_with,
};
use lab::cluster::{Namespace, in_namespace, kubectl_with, require_lab};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, io::Write, process::Command, time::Duration};

/// Groups of resources that the lab's API server does not serve.
const FOREIGN: [&str; 3] = ["argoproj.io/", ".toolkit.fluxcd.io/", "monitoring.coreos.com/"];

/// In the runbooks NAMESPACE and PROBE say which probe an alert is about.
#[tokio::test]
async fn every_command_of_the_documents_works() {
    in_namespace(async |ns| {
        ns.apply_probe(
            "  duration: 1s\n  connections: 1\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        ns.ended(1, Duration::from_secs(60)).await;
        let excepted = not_run();
        let commands = commands();
        assert!(commands.len() > 4, "commands were found: {commands:?}");
        for command in commands.iter().filter(|command| !excepted.contains(command)) {
            sh_with(&[("NAMESPACE", &ns.name), ("PROBE", "t")], command);
        }
    })
    .await;
}

#[test]
fn every_other_block_has_a_rule_or_is_excepted() {
    let excepted = not_run();
    let mut said: BTreeSet<String> = commands().into_iter().collect();
    for block in blocks() {
        let first = block.text.lines().next().unwrap_or_default();
        let first = first.split_whitespace().collect::<Vec<_>>().join(" ");
        match block.language.as_str() {
            "sh" | "yaml" => {}
            "json" => drop(serde_json::from_str::<Value>(&block.text).expect(&block.place)),
            "promql" => check_query(&block),
            "sql" => check_sql(&block),
            language => {
                let known = excepted.contains(&first);
                assert!(known, "{}: no rule for `{language}`: `{first}`", block.place);
            }
        }
        said.insert(first);
    }
    for row in &excepted {
        assert!(said.contains(row), "{NOT_RUN} names what no document says: {row}");
    }
}

/// promtool reads queries as parts of rules.
fn check_query(block: &Block) {
    let rule =
        json!({ "groups": [{ "name": "a", "rules": [{ "record": "a", "expr": block.text }] }] });
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(rule.to_string().as_bytes()).unwrap();
    let said = Command::new("promtool").args(["check", "rules"]).arg(file.path()).output().unwrap();
    assert!(said.status.success(), "{}: {}", block.place, String::from_utf8_lossy(&said.stderr));
}

/// Columns of Pulp's on which its documents grant rights.
const PULPS_TABLES: &str = "CREATE TABLE core_appstatus (pulp_id int, pulp_created int, name int, app_type int, \
    last_heartbeat int, ttl int, versions int); \
    CREATE TABLE core_task (pulp_id int, state int, started_at int, app_lock_id int);";

/// What is written is possible; nothing of it stays.
fn check_sql(block: &Block) {
    require_lab();
    let socket = std::env::var("LAB_SOCKET").unwrap();
    let sql = format!("BEGIN; {PULPS_TABLES} {} ROLLBACK", block.text);
    let mut psql = Command::new("psql");
    psql.args(["-h", &socket, "-U", "lab_admin", "-v", "ON_ERROR_STOP=1", "-c", &sql, "postgres"]);
    let said = psql.output().unwrap();
    assert!(said.status.success(), "{}: {}", block.place, String::from_utf8_lossy(&said.stderr));
}

#[tokio::test]
async fn every_manifest_of_the_documents_is_accepted() {
    in_namespace(async |ns| {
        let blocks = of("yaml");
        assert!(blocks.len() > 4);
        for block in blocks {
            for document in block.text.split("\n---\n") {
                let manifest: Value = serde_saphyr::from_str(document)
                    .unwrap_or_else(|error| panic!("{}: {error}", block.place));
                check_manifest(&ns, &block.place, manifest);
            }
        }
    })
    .await;
}

/// A resource is given to the API server, a part of a probe as a part of one, a part of the chart's values to Helm.
fn check_manifest(ns: &Namespace, place: &str, mut manifest: Value) {
    let keys: BTreeSet<String> = manifest.as_object().unwrap().keys().cloned().collect();
    let group = manifest["apiVersion"].as_str().unwrap_or_default().to_owned();
    if keys.contains("$schema") || FOREIGN.iter().any(|foreign| group.contains(foreign)) {
        return;
    }
    if keys.is_subset(&chart_values()) {
        let mut values = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        values.write_all(manifest.to_string().as_bytes()).unwrap();
        let chart =
            "helm template charts/connection-probe-operator --set image.repository=a --values";
        return sh(&format!("{chart} {}", values.path().display()));
    }
    if group.is_empty() {
        let mut spec = json!({ "target": { "secretName": "pulp-db" } });
        if !keys.contains("preset") && !keys.contains("workloads") {
            spec["preset"] = "PulpPlan".into();
        }
        spec.as_object_mut().unwrap().extend(manifest.as_object().unwrap().clone());
        manifest = json!({
            "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
            "metadata": { "name": "part" }, "spec": spec,
        });
    }
    // The test's own namespace: others may not be there.
    manifest["metadata"]["namespace"] = ns.name.clone().into();
    let apply = ["apply", "--dry-run=server", "-f", "-"];
    let said = kubectl_with(&manifest.to_string(), &apply);
    assert!(said.ok, "{place}: {}", said.text);
}

fn chart_values() -> BTreeSet<String> {
    let values: Value =
        serde_saphyr::from_str(&read("charts/connection-probe-operator/values.yaml")).unwrap();
    values.as_object().unwrap().keys().cloned().collect()
}

/// What the saas file in docs/gitops.md lets qontract apply is what the chart renders with its parameters.
#[test]
fn the_saas_file_names_every_kind_that_is_rendered() {
    let block = of("yaml").into_iter().find(|block| block.text.starts_with("$schema")).unwrap();
    let saas: Value = serde_saphyr::from_str(&block.text).unwrap();
    let mut values = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    let parameters = &saas["resourceTemplates"][0]["targets"][0]["parameters"];
    values.write_all(parameters.to_string().as_bytes()).unwrap();
    let rendered = tempfile::NamedTempFile::new().unwrap();
    let chart = "helm template charts/connection-probe-operator --namespace pulp-perf";
    sh(&format!("{chart} --values {} >{}", values.path().display(), rendered.path().display()));
    let rendered = fs::read_to_string(rendered.path()).unwrap();
    let kinds: BTreeSet<_> =
        rendered.lines().filter_map(|line| line.strip_prefix("kind: ")).collect();
    assert!(kinds.contains("Deployment"), "{rendered}");
    let managed = saas["managedResourceTypes"].as_array().unwrap();
    let managed: BTreeSet<_> = managed.iter().filter_map(Value::as_str).collect();
    let missing: Vec<_> = kinds.difference(&managed).collect();
    assert!(missing.is_empty(), "qontract would refuse {missing:?}");
    assert!(!rendered.contains("name: release-name"), "an object has no name of its own");
}
