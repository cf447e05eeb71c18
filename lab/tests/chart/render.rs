//! helm and what it renders.

use lab::tools::tool;
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// What `make` and the plain manifests name.
pub(crate) const IMAGE: &str = "image.repository=localhost/connection-probe,image.tag=dev";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

pub(crate) fn chart() -> String {
    root().join("charts/connection-probe-operator").display().to_string()
}

/// Standard output of a command, or everything that it said as it failed.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&[output.stdout, output.stderr].concat())),
    }
}

pub(crate) fn helm(args: &[&str]) -> Result<String, String> {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    run(Command::new(HELM.get_or_init(|| tool("helm"))).args(args))
}

/// What the release `t` in the namespace `here` consists of.
pub(crate) fn rendered(args: &[&str]) -> Result<String, String> {
    helm(&[&["template", "t", &chart(), "--namespace=here", "--set", IMAGE], args].concat())
}

/// Its objects.
pub(crate) fn objects(args: &[&str]) -> Vec<Value> {
    parsed(&rendered(args).unwrap())
}

/// The objects of a stream of YAML.
pub(crate) fn parsed(stream: &str) -> Vec<Value> {
    let documents = stream.trim_start_matches("---\n").split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str::<Value>(document).unwrap())
        .filter(|object| !object.is_null())
        .collect()
}

pub(crate) fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// Sets of values that together use everything.
pub(crate) fn matrix() -> Vec<(&'static str, Vec<String>)> {
    let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let digest = format!("image.digest=sha256:{}", "0123456789abcdef".repeat(4));
    let everything = root().join("lab/tests/chart/everything.yaml").to_str().unwrap().to_owned();
    vec![
        ("the whole cluster", vec![]),
        ("two namespaces", args(&["--set", "scope.namespaces={a,b}"])),
        ("its own namespace", args(&["--set", "scope.ownNamespace=true"])),
        (
            "no rights in the cluster",
            args(&["--set", "scope.ownNamespace=true,crds.enabled=false"]),
        ),
        ("a digest", args(&["--set", &digest])),
        ("everything", args(&["--values", &everything])),
        (
            "everything, in two namespaces",
            args(&["--values", &everything, "--set", "scope.namespaces={a,b}"]),
        ),
    ]
}
