//! The commands that the documents tell people to type.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use lab::cluster::require_lab;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const NOT_RUN: &str = "docs/commands-not-run.md";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// README.md, CONTRIBUTING.md and docs/*.md.
fn documents() -> Vec<PathBuf> {
    let mut documents = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    documents
        .extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    documents
}

/// The lines of the `sh` blocks.
fn commands(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// The commands of the table of exceptions.
fn not_run() -> Vec<String> {
    let text = fs::read_to_string(root().join(NOT_RUN)).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split("` | ").next()).map(|cell| cell.replace("\\|", "|")).collect()
}

fn run(command: &str) {
    let output = Command::new("sh").args(["-c", command]).current_dir(root()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&said));
}

#[test]
fn every_command_of_the_documents_works() {
    require_lab();
    let excepted = not_run();
    let commands: Vec<String> =
        documents().iter().flat_map(|document| commands(document)).collect();
    assert!(commands.len() > 4, "commands were found: {commands:?}");
    for command in &excepted {
        assert!(commands.contains(command), "{NOT_RUN} names what no document says: {command}");
    }
    commands.iter().filter(|command| !excepted.contains(command)).for_each(|command| run(command));
}

#[test]
fn the_manifests_of_an_image_are_accepted() {
    require_lab();
    run("! make -s deploy IMAGE=registry.example/connection-probe:0.1.0 | grep localhost/");
    run(
        "make -s deploy IMAGE=registry.example/connection-probe:0.1.0 | kubectl apply --dry-run=server -f -",
    );
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
