//! What tests need beside the lab's own parts.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where something is that `lab/tools/get` makes ready. Inside the lab there is no registry, so it must have been made
/// ready before.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let get = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/get");
    let output = Command::new(get).arg(name).output().expect("lab/tools/get can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "make it ready outside of the lab: {error}");
    String::from_utf8(output.stdout).expect("a path").trim().into()
}
