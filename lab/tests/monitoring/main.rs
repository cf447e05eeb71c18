//! The dashboard, the alerts and their pages: `offline` by themselves, `live` on a Prometheus that reads the
//! metrics of a real operator and its probe pods.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod dashboard;
mod live;
mod offline;
mod prometheus;
mod promql;
mod rules;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// A path of this repository.
fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(relative)
}

/// What a command prints; it must succeed.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}{error}");
    said
}
