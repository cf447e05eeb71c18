//! The rules, on objects that were recorded: no cluster is needed.

use super::{Health, customization, documented_rows, file, flux, generate, read, tool, yaml};
use serde_json::{Value, json};
use std::{collections::BTreeSet, fs, path::Path, sync::Mutex};

const KINDS: [&str; 2] = ["ConnectionProbe", "ConnectionProbeRun"];
const ACTIONS: [&str; 3] = ["run-now", "suspend", "resume"];

/// The states of a kind that there are objects of.
fn states(kind: &str) -> Vec<String> {
    let files = fs::read_dir(customization(kind, "testdata")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.map(|name| name.replace(".yaml", "")).collect();
    names.sort();
    names
}

#[test]
fn every_state_is_judged_as_documented() {
    for kind in KINDS {
        for state in states(kind) {
            let object = customization(kind, &format!("testdata/{state}.yaml"));
            Health::of(kind, &object).assert_as_documented(kind, &state);
        }
    }
    let recorded: BTreeSet<_> = KINDS.iter().flat_map(|kind| states(kind)).collect();
    for (state, cells) in documented_rows() {
        assert!(cells.len() != 3 || recorded.contains(&state), "no object was recorded of {state}");
    }
}

#[test]
fn the_tests_for_argo_cds_repository_are_in_step() {
    write_what_follows_if_asked();
    for kind in KINDS {
        let tests = health_tests(kind);
        assert_eq!(yaml(&customization(kind, "health_test.yaml")), tests, "run with GENERATE=1");
        for test in tests["tests"].as_array().unwrap() {
            let message = test["healthStatus"]["message"].as_str().unwrap();
            assert!(!message.is_empty(), "{test}");
        }
    }
}

/// health_test.yaml, of what is recorded.
fn health_tests(kind: &str) -> Value {
    let test = |state: &String| {
        let path = format!("testdata/{state}.yaml");
        let health = Health::of(kind, &customization(kind, &path)).argo;
        json!({ "healthStatus": health, "inputPath": path })
    };
    json!({ "tests": states(kind).iter().map(test).collect::<Vec<_>>() })
}

#[test]
fn actions_are_offered_and_do_as_their_tests_say() {
    write_what_follows_if_asked();
    let folder = customization("ConnectionProbe", "actions");
    let tests = yaml(&folder.join("action_test.yaml"));
    for test in tests["discoveryTests"].as_array().unwrap() {
        let input = folder.join(test["inputPath"].as_str().unwrap());
        let offered = tool(&[Path::new("lua"), &folder.join("discovery.lua"), &input]).unwrap();
        let mut wanted = json!({});
        for action in test["result"].as_array().unwrap() {
            let mut shown = action.as_object().unwrap().clone();
            let name = shown.remove("name").unwrap();
            wanted[name.as_str().unwrap()] = shown.into();
        }
        assert_eq!(offered, wanted, "{}", input.display());
    }
    let mut tested = BTreeSet::new();
    for test in tests["actionTests"].as_array().unwrap() {
        let path = |name: &str| folder.join(test[name].as_str().unwrap());
        let action = test["action"].as_str().unwrap();
        assert_eq!(act(action, &path("inputPath")), yaml(&path("expectedOutputPath")), "{action}");
        tested.insert(action);
    }
    assert_eq!(tested, BTreeSet::from(ACTIONS));
}

/// Where run-now writes.
const REQUESTED_AT: &str = "/metadata/annotations/probes.pulpproject.org~1requestedAt";

/// What an action makes of an object. The time of a request is taken out.
pub(super) fn act(action: &str, object: &Path) -> Value {
    let script = customization("ConnectionProbe", &format!("actions/{action}/action.lua"));
    let mut made = tool(&[Path::new("lua"), &script, object]).unwrap();
    if action == "run-now" {
        let requested = made.pointer_mut(REQUESTED_AT).unwrap();
        let token = requested.as_str().unwrap();
        let time: jiff::Timestamp = token.strip_prefix("argocd-").unwrap().parse().unwrap();
        assert!(time.as_second() > 0, "{token}");
        *requested = "argocd-0001-01-01T00:00:00Z".into();
    }
    made
}

/// With GENERATE, writes what follows from the recorded objects and from the scripts.
fn write_what_follows_if_asked() {
    static ONE: Mutex<()> = Mutex::new(());
    if !generate() {
        return;
    }
    let _one = ONE.lock();
    let write = |path: &Path, value: &Value| {
        fs::write(path, serde_saphyr::to_string(value).unwrap()).unwrap();
    };
    for kind in KINDS {
        write(&customization(kind, "health_test.yaml"), &health_tests(kind));
    }
    let input =
        |state: &str| yaml(&customization("ConnectionProbe", &format!("testdata/{state}.yaml")));
    for (name, state) in [("run-now", "measured"), ("suspend", "measured"), ("resume", "suspended")]
    {
        let mut object = input(state);
        match name {
            "run-now" => {
                let token = "argocd-0001-01-01T00:00:00Z".into();
                object["metadata"]["annotations"]["probes.pulpproject.org/requestedAt"] = token;
            }
            _ => object["spec"]["suspend"] = (name == "suspend").into(),
        }
        write(&customization("ConnectionProbe", &format!("actions/testdata/{name}.yaml")), &object);
    }
    fs::write(file(CONFIG_MAP), config_map()).unwrap();
}

const CONFIG_MAP: &str = "deploy/gitops/argocd/argocd-cm.yaml";

#[test]
fn the_settings_of_argo_cd_hold_these_scripts() {
    write_what_follows_if_asked();
    assert_eq!(read(&file(CONFIG_MAP)), config_map(), "run with GENERATE=1");
    let data = &yaml(&file(CONFIG_MAP))["data"];
    let actions = &data["resource.customizations.actions.probes.pulpproject.org_ConnectionProbe"];
    let actions: Value = serde_saphyr::from_str(actions.as_str().unwrap()).unwrap();
    for action in actions["definitions"].as_array().unwrap() {
        let path = format!("actions/{}/action.lua", action["name"].as_str().unwrap());
        assert_eq!(action["action.lua"], read(&customization("ConnectionProbe", &path)));
    }
}

/// The scripts as Argo CD's ConfigMap has them.
fn config_map() -> String {
    let key = "resource.customizations";
    let group = "probes.pulpproject.org";
    let mut text = "# Generated from resource_customizations/. A patch for Argo CD's settings:\n\
                    # kubectl --namespace argocd patch configmap argocd-cm --patch-file deploy/gitops/argocd/argocd-cm.yaml\ndata:\n"
        .to_owned();
    for kind in KINDS {
        text += &format!("  {key}.health.{group}_{kind}: |\n");
        text += &indented(&customization(kind, "health.lua"), 4);
    }
    text += &format!("  {key}.actions.{group}_ConnectionProbe: |\n    discovery.lua: |\n");
    text += &indented(&customization("ConnectionProbe", "actions/discovery.lua"), 6);
    text += "    definitions:\n";
    for action in ACTIONS {
        text += &format!("    - name: {action}\n      action.lua: |\n");
        let script = customization("ConnectionProbe", &format!("actions/{action}/action.lua"));
        text += &indented(&script, 8);
    }
    text
}

fn indented(script: &Path, by: usize) -> String {
    let text = read(script);
    let lines = text.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("{:by$}{line}\n", ""),
    });
    lines.collect()
}

#[test]
fn fluxs_manifests_have_no_field_that_flux_does_not_know() {
    for manifest in [flux(), file("deploy/gitops/flux/source.yaml")] {
        tool(&[Path::new("known"), &manifest]).unwrap();
    }
}

#[test]
fn a_script_has_no_more_of_luas_library_than_in_argo_cd() {
    let object = customization("ConnectionProbe", "testdata/measured.yaml");
    let script = tempfile::NamedTempFile::new().unwrap();
    let check = "local os = require('os')\n\
                 return { io == nil, string == nil, math == nil, debug == nil, os.execute == nil, os.time() > 0 }";
    fs::write(script.path(), check).unwrap();
    let said = tool(&[Path::new("lua"), script.path(), &object]).unwrap();
    assert_eq!(said, json!([true, true, true, true, true, true]));
}
