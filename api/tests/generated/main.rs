//! The generated files are in step with the code. `make generate` writes them anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbe, ConnectionProbeRun,
    exit::Exit,
    metrics::{CATALOGUE, Metric},
};
use kube::{CustomResourceExt, Resource, ResourceExt};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

mod fields;

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
    for mut crd in [ConnectionProbe::crd(), ConnectionProbeRun::crd()] {
        // CRDs can be older or newer than the operator.
        crd.annotations_mut()
            .insert("probes.pulpproject.org/version".into(), env!("CARGO_PKG_VERSION").into());
        let yaml = format!("{HEAD}{}", serde_saphyr::to_string(&crd).unwrap());
        // A chart can read its own files only.
        for folder in ["crds", "charts/connection-probe-operator/crd-files"] {
            check(&format!("{folder}/{}.yaml", crd.spec.names.plural), &yaml);
        }
    }
}

/// Of the JSON that `-o json` prints and `--json` writes: what `kubectl get cproberun -o json` prints too.
#[test]
fn the_schema_of_a_run_is_in_step_and_holds_for_runs() {
    let mut schema = serde_json::to_value(schemars::schema_for!(ConnectionProbeRun)).unwrap();
    schema["properties"]["apiVersion"] = json!({ "const": ConnectionProbeRun::api_version(&()) });
    schema["properties"]["kind"] = json!({ "const": ConnectionProbeRun::kind(&()) });
    schema["properties"]["metadata"] =
        json!({ "type": "object", "description": "As of any Kubernetes object." });
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
    check("docs/connectionproberun.schema.json", &text);
    let schema = jsonschema::validator_for(&schema).unwrap();
    for run in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runs")).unwrap() {
        let path = run.unwrap().path();
        let run = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let wrong: Vec<_> = schema.iter_errors(&run).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
    }
}

#[test]
fn the_page_of_exit_codes_is_in_step() {
    let mut page = include_str!("exit-codes.md").to_owned();
    for (exit, who, what) in Exit::ALL {
        page += &format!("| {} | {who} | {what} |\n", exit.code());
    }
    check("docs/exit-codes.md", &page);
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
        let mut flaws = Vec::new();
        assert!(text.len() < 200_000, "{}: too large for kubectl apply", crd.spec.names.kind);
        flaws_of_descriptions(&schema["openAPIV3Schema"], "", &mut flaws);
        assert!(flaws.is_empty(), "{flaws:?}");
    }
}

/// Collects fields without a description, or with a link that only rustdoc follows. Kubernetes' own types are left to
/// Kubernetes.
fn flaws_of_descriptions(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if fields::not_opened(&path).is_some() || path == ".metadata" {
            continue;
        }
        let description = field["description"].as_str().unwrap_or_default();
        if description.is_empty() && path != ".spec" {
            found.push(format!("{path}: no description"));
        }
        if ["[`", "`]", "]("].iter().any(|link| description.contains(link)) {
            found.push(format!("{path}: {description}"));
        }
        flaws_of_descriptions(field, &path, found);
        flaws_of_descriptions(&field["items"], &format!("{path}[]"), found);
    }
}
