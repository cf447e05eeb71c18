//! The documents: every block of code is run or validated, or stands in a table of exceptions; what they name
//! exists; the files of a release are in step.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbeRun,
    conditions::{State, Verdict, WaitingReason},
};
use kube::CustomResourceExt;
use lab::cluster::{Namespace, in_namespace, kubectl_with, require_lab};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

const NOT_RUN: &str = "docs/commands-not-run.md";

/// Groups of resources that the lab's API server does not serve.
const FOREIGN: [&str; 3] = ["argoproj.io/", ".toolkit.fluxcd.io/", "monitoring.coreos.com/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README.md, CONTRIBUTING.md and all of docs/.
fn documents() -> Vec<PathBuf> {
    let mut documents = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            match entry.extension() {
                _ if entry.is_dir() => folders.push(entry),
                Some(extension) if extension == "md" => documents.push(entry),
                _ => {}
            }
        }
    }
    documents
}

/// A block of code.
struct Block {
    /// Where it is, for messages.
    place: String,
    language: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for document in documents() {
        let name = document.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&document).unwrap();
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => {
                    let place = format!("{name}:{}", number + 1);
                    open =
                        Some(Block { place, language: language.to_owned(), text: String::new() });
                }
                (Some(block), None) => block.text += &format!("{line}\n"),
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{name}: a block does not end");
    }
    blocks
}

fn of(language: &str) -> Vec<Block> {
    blocks().into_iter().filter(|block| block.language == language).collect()
}

/// The commands of the `sh` blocks, one a line.
fn commands() -> Vec<String> {
    let lines = |block: Block| block.text.lines().map(str::to_owned).collect::<Vec<_>>();
    let lines = of("sh").into_iter().flat_map(lines);
    lines.filter(|line| !line.trim().is_empty()).collect()
}

/// The first cells of the tables of exceptions: commands, and the first lines of blocks.
fn not_run() -> Vec<String> {
    let text = fs::read_to_string(root().join(NOT_RUN)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split("` | ").next()).map(|cell| cell.replace("\\|", "|")).collect()
}

fn run(command: &str) {
    run_with(&[], command);
}

/// PATH with Helm on it.
fn path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let helm = Command::new(root().join("lab/tools/get")).arg("helm").output().unwrap();
        let helm = String::from_utf8(helm.stdout).unwrap();
        let folder = Path::new(helm.trim()).parent().unwrap_or(Path::new("."));
        format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
    })
}

fn run_with(variables: &[(&str, &str)], command: &str) {
    let mut sh = Command::new("sh");
    sh.args(["-c", command]).env("PATH", path()).envs(variables.iter().copied());
    let output = sh.current_dir(root()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&said));
}

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
            run_with(&[("NAMESPACE", &ns.name), ("PROBE", "t")], command);
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

/// What is written is possible; nothing of it stays.
fn check_sql(block: &Block) {
    require_lab();
    let socket = std::env::var("LAB_SOCKET").unwrap();
    let sql = format!("BEGIN; {} ROLLBACK", block.text);
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
        return run(&format!("{chart} {}", values.path().display()));
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
    let values = root().join("charts/connection-probe-operator/values.yaml");
    let values: Value = serde_saphyr::from_str(&fs::read_to_string(values).unwrap()).unwrap();
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
    run(&format!("{chart} --values {} >{}", values.path().display(), rendered.path().display()));
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

#[test]
fn versions_are_in_step() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let cargo = read("Cargo.toml");
    let version = cargo.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    let version = version.trim_matches('"');
    let chart: Value =
        serde_saphyr::from_str(&read("charts/connection-probe-operator/Chart.yaml")).unwrap();
    for field in ["version", "appVersion"] {
        assert_eq!(chart[field], version, "{field} of Chart.yaml");
    }
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for tag in text.split("/connection-probe:").skip(1) {
            let tag = tag.split(|c: char| !c.is_ascii_alphanumeric() && c != '.').next().unwrap();
            let known = [version, "dev"].contains(&tag.trim_end_matches('.'));
            assert!(known, "{}: an image of version {tag}", document.display());
        }
    }
}

#[test]
fn the_workflows_are_valid_and_call_make_targets_that_exist() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let folder = fs::canonicalize(root().join(".github/workflows")).unwrap();
    let workflows: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    for workflow in &workflows {
        let text = fs::read_to_string(workflow).unwrap();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        let text = lines.collect::<Vec<_>>().join("\n");
        for command in text.split(" make ").skip(1) {
            let words = command.split([' ', '\n']).filter(|word| !word.starts_with('-'));
            let target = words.map(|word| format!("\n{word}: ")).next().unwrap();
            assert!(makefile.contains(&target), "{}: make{target}", workflow.display());
        }
    }
    let mut lint = Command::new("go");
    lint.args(["tool", "actionlint"])
        .args(&workflows)
        .current_dir(root().join("lab/tools/actionlint"));
    let said = lint.output().unwrap();
    let text = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    assert!(said.status.success(), "{text}");
}

#[test]
fn the_manifests_of_an_image_are_accepted() {
    require_lab();
    run("! make -s deploy IMAGE=registry.example/connection-probe:0.1.0 | grep localhost/");
    run(
        "make -s deploy IMAGE=registry.example/connection-probe:0.1.0 | kubectl apply --dry-run=server -f -",
    );
}

/// Of every reason that a user can meet, docs/troubleshooting.md says what to do.
#[test]
fn every_reason_is_explained() {
    let text = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let crd = serde_json::to_value(ConnectionProbeRun::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"];
    let workload = &schema["properties"]["workloads"]["items"]["properties"];
    let problem = &workload["report"]["properties"]["problem"]["properties"]["reason"]["enum"];
    let enums = [&schema["properties"]["endedEarly"]["enum"], problem];
    let enums = enums.iter().flat_map(|words| words.as_array().unwrap());
    let verdicts = [Verdict::Measured, Verdict::PartlyConclusive, Verdict::Inconclusive];
    let words: Vec<&str> = enums
        .map(|word| word.as_str().unwrap())
        .chain([WaitingReason::PodRefused, WaitingReason::NameConflict].map(|r| r.as_str()))
        .chain(verdicts.map(|verdict| verdict.as_str()))
        .chain([Verdict::ConnectFailed.as_str()])
        .chain([State::Invalid, State::Progressing, State::Suspended(None)].map(|s| s.reason()))
        .collect();
    for word in words {
        let known = text.lines().any(|line| {
            let cell = line.split(" | ").next().unwrap_or_default();
            line.starts_with('|') && cell.contains(&format!("`{word}`"))
        });
        assert!(known, "no row for {word}");
    }
}

/// Links between the documents, and from them into the repository.
#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for rest in text.split("](").skip(1) {
            let link = rest.split(')').next().unwrap();
            let path = link.split('#').next().unwrap();
            let there = path.contains("://") || document.parent().unwrap().join(path).exists();
            assert!(there, "{}: {link}", document.display());
        }
    }
}

#[test]
fn every_make_target_in_the_documents_exists() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for named in text.split("`make ").skip(1) {
            let target: String = named.chars().take_while(char::is_ascii_lowercase).collect();
            let exists = target.is_empty() || makefile.contains(&format!("\n{target}: "));
            assert!(exists, "{}: make {target}", document.display());
        }
    }
}

#[test]
fn every_test_that_the_documents_name_exists() {
    let is_name = |word: &&str| {
        word.matches('_').count() > 2
            && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let files =
        |folder| fs::read_dir(root().join(folder)).unwrap().map(|file| file.unwrap().path());
    let tests = ["lab/tests", "lab/tests/forms", "probe/tests"].into_iter().flat_map(files);
    let code: String = tests.filter_map(|path| fs::read_to_string(path).ok()).collect();
    for document in ["README.md", "docs/evidence.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_name).collect();
        assert!(!named.is_empty(), "{document} names the tests that prove it");
        for name in named {
            // Or a setting of a server, with as many words, that a test makes.
            let (test, setting) = (format!("fn {name}()"), format!("{name} = "));
            assert!(code.contains(&test) || code.contains(&setting), "{document}: no test {name}");
        }
    }
}
