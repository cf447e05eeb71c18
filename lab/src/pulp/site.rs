//! The folder in which a Pulp works, and how its programs are started.

use crate::{
    server::Folder,
    tools::{lab, python},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// What pulpcore encrypts fields with: 32 bytes in base64. There are none to encrypt but tasks' arguments.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A folder of a Pulp, and the Python that has pulpcore.
pub(super) struct Site {
    folder: Folder,
    python: PathBuf,
    ttl: Duration,
}

impl Site {
    pub(super) fn new(ttl: Duration) -> Self {
        let folder = Folder::default();
        _ = folder.write("key", KEY);
        for name in ["media", "tmp", "running"] {
            fs::create_dir(folder.path(name)).expect("a folder");
        }
        Self { folder, python: python("pulp/requirements.txt"), ttl }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    pub(super) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where the virtual environment is.
    pub(super) fn venv(&self) -> &Path {
        self.python.ancestors().nth(2).expect("bin/python is in it")
    }

    /// A program of pulpcore's, which reaches the database at this port.
    pub(super) fn script(&self, name: &str, port: u16) -> Command {
        self.command(&self.python.with_file_name(name), port)
    }

    /// A script of ours.
    pub(super) fn python(&self, name: &str, port: u16) -> Command {
        let mut command = self.command(&self.python, port);
        command.arg(lab("pulp").join(name));
        command
    }

    /// It runs as we do: the virtual environment is in our home, which is nobody else's to read.
    fn command(&self, program: &Path, port: u16) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin");
        command.env("PULP_SETTINGS", lab("pulp/settings.py")).env("PYTHONPATH", lab("pulp"));
        command.env("PULP_DATABASES__default__PORT", port.to_string());
        command.env("PULP_WORKER_TTL", self.ttl.as_secs().to_string());
        command.env("LAB_PULP", self.folder.path("")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.current_dir(self.folder.path("")).stdin(Stdio::null());
        command
    }
}
