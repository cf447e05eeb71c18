//! The generated files are in step with the code. `make generate` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbe, ConnectionProbeRun,
    metrics::{CATALOGUE, Metric},
};
use kube::CustomResourceExt;
use std::{fs, path::PathBuf};

const HEAD: &str =
    "# Generated from api/src by `make generate`: change the types, not this file.\n";

fn check(file: &str, generated: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
    if std::env::var_os("GENERATE").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{file} is stale: run `make generate` and commit it");
}

#[test]
fn crds_are_in_step() {
    let yaml = |crd| format!("{HEAD}{}", serde_saphyr::to_string(&crd).unwrap());
    check("crds/connectionprobes.yaml", &yaml(ConnectionProbe::crd()));
    check("crds/connectionproberuns.yaml", &yaml(ConnectionProbeRun::crd()));
}

#[test]
fn the_page_of_metrics_is_in_step() {
    let mut page = include_str!("metrics.md").to_owned();
    for (title, metrics) in CATALOGUE {
        page += &format!(
            "\n## {title}\n\n| metric | type | labels | what it says |\n|---|---|---|---|\n"
        );
        for Metric { name, kind, labels, help } in metrics {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            page += &format!("| `{name}` | {} | {labels} | {help} |\n", kind.as_str());
        }
    }
    check("docs/metrics.md", &page);
}

#[test]
fn crds_have_what_the_api_server_and_kubectl_explain_need() {
    let spec = serde_json::to_value(&ConnectionProbe::crd().spec.versions[0].schema).unwrap()
        ["openAPIV3Schema"]["properties"]["spec"]
        .to_string();
    assert!(!spec.contains("\"default\""), "defaults of measured fields belong to the run");
    for crd in [ConnectionProbe::crd(), ConnectionProbeRun::crd()] {
        let text = serde_json::to_string(&crd).unwrap();
        // 1.34 and later warn of formats that they do not know.
        assert!(!text.contains("uint"), "{}: unsigned formats", crd.spec.names.kind);
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).unwrap();
        let mut undocumented = Vec::new();
        assert!(text.len() < 200_000, "{}: too large for kubectl apply", crd.spec.names.kind);
        undocumented_fields(&schema["openAPIV3Schema"], "", &mut undocumented);
        assert!(undocumented.is_empty(), "fields without a description: {undocumented:?}");
    }
}

/// Collects fields without a description; Kubernetes' own types are left to Kubernetes.
fn undocumented_fields(schema: &serde_json::Value, path: &str, found: &mut Vec<String>) {
    const FOREIGN: [&str; 8] = [
        ".asWritten",
        ".settled",
        ".affinity",
        ".tolerations",
        ".topologySpreadConstraints",
        ".resources",
        ".imagePullSecrets",
        ".conditions",
    ];
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if FOREIGN.iter().any(|foreign| path.contains(foreign)) || path == ".metadata" {
            continue;
        }
        if field["description"].as_str().is_none_or(str::is_empty) && path != ".spec" {
            found.push(path.clone());
        }
        undocumented_fields(field, &path, found);
        undocumented_fields(&field["items"], &format!("{path}[]"), found);
    }
}
