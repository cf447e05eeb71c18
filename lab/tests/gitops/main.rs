//! What Argo CD, Flux and kubectl make of probes and runs. `rules` needs the recorded objects only; `states` and
//! `live` need the lab. After a change of what is recorded: GENERATE=1 with `states`, then with `rules`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod live;
mod rules;
mod states;

use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A path of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A path in the folder that Argo CD's repository has for a kind.
fn customization(kind: &str, path: &str) -> PathBuf {
    let folder = "deploy/gitops/argocd/resource_customizations/probes.pulpproject.org";
    file(folder).join(kind).join(path)
}

fn flux() -> PathBuf {
    file("deploy/gitops/flux/probes.yaml")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &Path) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap()
}

fn generate() -> bool {
    env::var_os("GENERATE").is_some()
}

/// Runs lab/tools/gitops: what it says, or why it can't.
fn tool(args: &[&Path]) -> Result<Value, String> {
    static GITOPS: OnceLock<PathBuf> = OnceLock::new();
    let tool = GITOPS.get_or_init(|| lab::tools::tool("gitops"));
    let output = Command::new(tool).args(args).output().unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// What one of the three makes of an object.
struct Health {
    argo: Value,
    flux: Option<String>,
    kstatus: String,
}

impl Health {
    fn of(kind: &str, object: &Path) -> Self {
        let word = |said: Result<Value, String>| match said {
            Ok(word) => word.as_str().unwrap().to_owned(),
            // What Flux shows while an expression names a field that is not there yet.
            Err(error) if error.contains("no such attribute") => "Unknown".to_owned(),
            Err(error) => panic!("{}: {error}", object.display()),
        };
        let verb = |name: &'static str| Path::new(name);
        Self {
            argo: tool(&[verb("lua"), &customization(kind, "health.lua"), object]).unwrap(),
            // Runs are not in Git.
            flux: (kind == "ConnectionProbe").then(|| word(tool(&[verb("flux"), &flux(), object]))),
            kstatus: word(tool(&[verb("kstatus"), object])),
        }
    }

    /// Fails unless it is what docs/gitops.md says of the state.
    fn assert_as_documented(&self, kind: &str, state: &str) {
        let [argo, flux, kstatus] = documented(state);
        let seen = (self.argo["status"].as_str().unwrap(), self.kstatus.as_str());
        assert_eq!(seen, (argo.as_str(), kstatus.as_str()), "{kind} {state}: Argo CD, kstatus");
        if let Some(seen) = &self.flux {
            assert_eq!(*seen, flux, "{kind} {state}: Flux");
        }
    }
}

/// The rows of a table of docs/gitops.md whose first cell begins with a word in backticks: that word, and the
/// other cells.
fn documented_rows() -> Vec<(String, Vec<String>)> {
    let text = read(&file("docs/gitops.md"));
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    rows.map(|row| {
        let mut cells = row.split(" | ").map(str::to_owned);
        let first = cells.next().unwrap();
        (first.split('`').next().unwrap().to_owned(), cells.collect())
    })
    .collect()
}

/// What docs/gitops.md says of a state: Argo CD, Flux, kstatus.
fn documented(state: &str) -> [String; 3] {
    let row = documented_rows().into_iter().find(|(name, cells)| name == state && cells.len() == 3);
    let (_, cells) = row.unwrap_or_else(|| panic!("docs/gitops.md has no row for {state}"));
    cells.try_into().unwrap()
}
