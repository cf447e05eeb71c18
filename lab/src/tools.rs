//! What tests need beside the lab's own parts.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Where something is that `lab/tools/get` makes ready. Inside the lab there is no registry, so it must have been made
/// ready before.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    said(Command::new(lab("tools/get")).arg(name))
}

/// Python with the packages that a file of requirements names, made where it is not there yet.
#[must_use]
pub fn python(requirements: &str) -> PathBuf {
    said(Command::new(lab("python/venv")).arg(lab(requirements))).join("bin/python")
}

/// The path that a script of ours prints.
fn said(script: &mut Command) -> PathBuf {
    let output = script.output().expect("a script of lab/ can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "make it ready outside of the lab: {error}");
    String::from_utf8(output.stdout).expect("a path").trim().into()
}

/// Something in the folder lab/.
pub(crate) fn lab(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
