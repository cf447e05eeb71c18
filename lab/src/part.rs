//! Parts of the lab, ended and started.

use std::process::{Command, Output};

/// A part that was killed. It starts again when this is dropped.
pub struct Killed(&'static str);

impl Killed {
    /// Kills it.
    ///
    /// # Panics
    /// There is no such part.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let said = part(&["stop", name, "KILL"]);
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        Self(name)
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let said = part(&["start", self.0]);
        // Whoever waits for it fails; a panic here might hide another.
        eprint!("{}", String::from_utf8_lossy(&said.stderr));
    }
}

fn part(args: &[&str]) -> Output {
    let part = concat!(env!("CARGO_MANIFEST_DIR"), "/part");
    Command::new(part).args(args).output().expect("lab/part can be run")
}
