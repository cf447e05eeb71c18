//! What users may write: every manifest of `cases/`, and the samples of `deploy/`, against the schema and
//! its rules, without a cluster. The same files go to a real API server in the lab's tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunSpec, Settings, manifest,
    run::{MeasurementRecord, Trigger, TriggerType, Versions},
};
use kube::CustomResourceExt;
use serde_json::Value;
use std::{fs, path::PathBuf};

struct Case {
    name: String,
    text: String,
}

fn cases(folder: &str) -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let cases: Vec<Case> = files
        .map(|path| Case {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            text: fs::read_to_string(path).unwrap(),
        })
        .collect();
    assert!(!cases.is_empty(), "no cases in {}", folder.display());
    cases
}

/// Everything that the schema and its rules have against a manifest.
fn refusals(text: &str) -> Vec<String> {
    refusals_of::<ConnectionProbe>(serde_saphyr::from_str(text).unwrap())
}

fn refusals_of<K: CustomResourceExt>(mut manifest: Value) -> Vec<String> {
    let schema = schema::<K>();
    drop_nulls(&mut manifest);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut refusals: Vec<String> = validator
        .iter_errors(&manifest)
        .map(|error| refusal(error.instance_path().as_str(), &error.to_string()))
        .collect();
    let broken = kube::core::cel::Validator::new().validate(&schema, &manifest, None);
    refusals
        .extend(broken.err().iter().flat_map(|errors| errors.as_slice()).map(ToString::to_string));
    for list in ["/spec/workloads", "/spec/expect/workloads"] {
        let items = manifest.pointer(list).and_then(Value::as_array).into_iter().flatten();
        let mut names: Vec<_> = items.map(|workload| workload["name"].to_string()).collect();
        names.sort_unstable();
        let twice = names.windows(2).filter(|pair| pair[0] == pair[1]);
        // The key of a list map: no JSON schema knows that.
        refusals.extend(twice.map(|pair| format!("Duplicate value: {}", pair[0])));
    }
    refusals
}

fn schema<K: CustomResourceExt>() -> Value {
    let crd = K::crd();
    serde_json::to_value(&crd.spec.versions[0].schema).unwrap()["openAPIV3Schema"].take()
}

/// Names the field as the API server does: `spec.workloads[0].name`, a missing one included.
fn refusal(pointer: &str, text: &str) -> String {
    let mut field = String::new();
    for part in pointer.split('/').skip(1) {
        match part.parse::<usize>() {
            Ok(index) => field += &format!("[{index}]"),
            Err(_) if field.is_empty() => field += part,
            Err(_) => field += &format!(".{part}"),
        }
    }
    match text.strip_suffix(" is a required property") {
        Some(name) => format!("{field}.{}: Required value", name.trim_matches('"')),
        None => format!("{field}: {text}"),
    }
}

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

/// The run that the operator would claim.
fn run(probe: ConnectionProbe) -> ConnectionProbeRun {
    let as_written = probe.spec.measurement;
    let spec = ConnectionProbeRunSpec {
        number: 1,
        trigger: Trigger::new(TriggerType::Created),
        measurement: MeasurementRecord { settled: as_written.settled(), as_written },
        versions: Versions { operator: "1".into(), image: "i".into(), rds_image: None },
    };
    ConnectionProbeRun::new("run-1", spec)
}

#[test]
fn what_is_accepted() {
    for case in cases("tests/cases/accepted").iter().chain(&cases("../deploy/samples")) {
        assert_eq!(refusals(&case.text), Vec::<String>::new(), "{}", case.name);
        let probe = manifest::parse(&case.text).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        assert_eq!(probe, serde_saphyr::from_str(&case.text).unwrap(), "{}", case.name);
        let settings = Settings::new("run", &probe.spec.measurement, vec![0]);
        assert!(settings.is_ok(), "{}: {settings:?}", case.name);
        let run = serde_json::to_value(run(probe)).unwrap();
        assert_eq!(refusals_of::<ConnectionProbeRun>(run), Vec::<String>::new(), "{}", case.name);
    }
}

#[test]
fn what_is_refused_says_what_to_write() {
    for case in cases("tests/cases/refused") {
        let wanted = case.text.lines().next().and_then(|line| line.strip_prefix("# refused: "));
        let wanted = wanted.unwrap_or_else(|| panic!("{}: first line `# refused: …`", case.name));
        let by_schema = refusals(&case.text);
        let by_file = manifest::parse(&case.text).unwrap_err();
        for refusals in [by_schema, by_file.lines().map(str::to_owned).collect()] {
            assert!(
                wanted
                    .split(" | ")
                    .any(|wanted| refusals.iter().any(|refusal| refusal.contains(wanted))),
                "{}: wanted {wanted:?} among {refusals:?}",
                case.name
            );
        }
    }
}

#[test]
fn the_samples_have_every_field() {
    let samples: Vec<Value> = cases("../deploy/samples")
        .iter()
        .map(|case| serde_saphyr::from_str(&case.text).unwrap())
        .collect();
    let fields = schema::<ConnectionProbe>()["properties"]["spec"]["properties"]
        .as_object()
        .unwrap()
        .clone();
    let shown = |name: &&String| samples.iter().any(|sample| !sample["spec"][name].is_null());
    let missing: Vec<_> = fields.keys().filter(|name| !shown(name)).collect();
    assert!(
        missing.is_empty(),
        "fields without an example in deploy/samples/every-field.yaml: {missing:?}"
    );
}
