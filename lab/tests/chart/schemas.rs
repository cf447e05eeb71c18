//! kubeconform, with schemas from this machine: Kubernetes' own from PyPI, those of our CRDs and of the Prometheus
//! Operator's from the CRDs themselves.

use crate::render::{parsed, root, run};
use lab::tools::tool;
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tempfile::TempDir;

/// The versions of Kubernetes by which is checked: the oldest that the chart takes, and the lab's.
pub(crate) const VERSIONS: [&str; 2] = ["1.33.0", "1.36.0"];

/// kubeconform's summary of a stream of YAML, by this version of Kubernetes, or what it has against it.
pub(crate) fn checked(stream: &str, version: &str) -> Result<String, String> {
    static TOOLS: OnceLock<(PathBuf, TempDir)> = OnceLock::new();
    let (kubeconform, schemas) = TOOLS.get_or_init(|| (tool("kubeconform"), schemas()));
    // Its name decides whether it is read at all.
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(file.path(), stream).unwrap();
    let schemas = schemas.path().display();
    let location =
        |folder| format!("{schemas}/{folder}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json");
    run(Command::new(kubeconform)
        .args(["-strict", "-summary", "-kubernetes-version", version])
        .args(["-schema-location", &location(version), "-schema-location", &location("crds")])
        .arg(file.path()))
}

/// A folder for each version, and one for custom resources, with files as kubeconform looks for them.
fn schemas() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let kubernetes = tool("schemas");
    for version in VERSIONS {
        let to = folder.path().join(version);
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(kubernetes.join(format!("v{version}-local-strict"))).unwrap() {
            let file = file.unwrap();
            // They refer to each other by addresses, which would be asked for.
            let text = fs::read_to_string(file.path()).unwrap().replace("\"$id\"", "\"$comment\"");
            let text = text.replace("/api/_definitions.json", "_definitions.json");
            fs::write(to.join(file.file_name()), text).unwrap();
        }
    }
    of_crds(&folder.path().join("crds"));
    folder
}

fn of_crds(folder: &Path) {
    fs::create_dir(folder).unwrap();
    let monitoring = tool("monitoring-crds");
    let files = ["servicemonitors", "podmonitors", "prometheusrules"]
        .map(|name| monitoring.join(format!("monitoring.coreos.com_{name}.yaml")));
    let ours = fs::read_dir(root().join("crds")).unwrap().map(|entry| entry.unwrap().path());
    for file in files.into_iter().chain(ours) {
        for crd in parsed(&fs::read_to_string(file).unwrap()) {
            let spec = &crd["spec"];
            let kind = spec["names"]["kind"].as_str().unwrap().to_lowercase();
            let group = spec["group"].as_str().unwrap().split('.').next().unwrap();
            for version in spec["versions"].as_array().unwrap() {
                let name = format!("{kind}-{group}-{}.json", version["name"].as_str().unwrap());
                let mut schema = version["schema"]["openAPIV3Schema"].clone();
                refuse_unknown_fields(&mut schema);
                // What every object has, CRDs need not mention.
                for name in ["apiVersion", "kind", "metadata"] {
                    schema["properties"][name] = json!({});
                }
                fs::write(folder.join(name), schema.to_string()).unwrap();
            }
        }
    }
}

/// As the API server does for kubectl.
fn refuse_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
                fields.remove("type");
            }
            let open = fields.contains_key("additionalProperties")
                || fields.contains_key("x-kubernetes-preserve-unknown-fields");
            if fields.get("properties").is_some_and(Value::is_object)
                && fields.get("type") == Some(&json!("object"))
                && !open
            {
                fields.insert("additionalProperties".into(), json!(false));
            }
            fields.values_mut().for_each(refuse_unknown_fields);
        }
        Value::Array(items) => items.iter_mut().for_each(refuse_unknown_fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
