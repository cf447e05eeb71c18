//! The documents and what goes with them: `code` runs or validates every block of code, `references` looks for what
//! they name, `release` looks after what a release needs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod blocks;
mod code;
mod references;
mod release;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
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

/// Runs a command at the root of the repository; it must succeed.
fn sh(command: &str) {
    sh_with(&[], command);
}

fn sh_with(variables: &[(&str, &str)], command: &str) {
    let mut sh = Command::new("sh");
    sh.args(["-c", command]).envs(variables.iter().copied());
    let output = sh.current_dir(root()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "`{command}`: {}", String::from_utf8_lossy(&said));
}
