//! A program that is measured, or that is measured beside: its output goes into a file.

use crate::usage::Usage;
use anyhow::{Context, Result, ensure};
use api::lanes::Schedule;
use jiff::Timestamp;
use lab::holding::Holding;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

const POLL: Duration = Duration::from_millis(200);

/// A running program. It is ended when this is dropped.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The release binary as it is in the image, as a pod of one workload starts it.
pub(crate) fn probe(holding: Holding, answer_timeout: &str) -> Result<Process> {
    let folder = tempfile::tempdir()?;
    let settings = holding.write(folder.path());
    let at = |name| folder.path().join(name);
    fs::write(at("settings.json"), serde_json::to_vec(&settings)?)?;
    let binary = root().join("target/x86_64-unknown-linux-gnu/release/connection-probe");
    let mut command = Command::new(binary);
    command.args(["run", "--index", "0", "--answer-timeout", answer_timeout]);
    command.arg("--settings").arg(at("settings.json")).arg("--secrets").arg(folder.path());
    command.arg("--termination-log").arg(at("message"));
    Process::start(command, folder)
}

/// When the probe opens the last of its lanes, and when the last one has only its pattern left to
/// send, from the start on.
pub(crate) fn schedule(lanes: usize, hold: Duration) -> (Duration, Duration) {
    let lanes = (0..lanes).map(|lane| Schedule::new(lane, hold));
    lanes.fold((Duration::ZERO, Duration::ZERO), |(connect, lead_in), lane| {
        (connect.max(lane.connect), lead_in.max(lane.connect + lane.lead_in))
    })
}

/// A baseline in C, compiled anew.
pub(crate) fn in_c(source: &str, arguments: &[&str]) -> Result<Process> {
    let folder = tempfile::tempdir()?;
    let (source, binary) =
        (root().join("lab/baselines").join(source), folder.path().join("binary"));
    let compiled = Command::new("cc").arg("-O2").arg("-o").arg(&binary).arg(source).status()?;
    ensure!(compiled.success(), "cc failed");
    let mut command = Command::new(binary);
    command.args(arguments);
    Process::start(command, folder)
}

/// A baseline in Python, with psycopg.
pub(crate) fn in_python(source: &str, arguments: &[&str]) -> Result<Process> {
    let venv = Command::new(root().join("lab/python/venv")).output()?;
    ensure!(venv.status.success(), "{}", String::from_utf8_lossy(&venv.stderr));
    let venv = PathBuf::from(String::from_utf8(venv.stdout)?.trim());
    let mut command = Command::new(venv.join("bin/python"));
    command.arg(root().join("lab/baselines").join(source)).args(arguments);
    Process::start(command, tempfile::tempdir()?)
}

impl Process {
    fn start(mut command: Command, folder: TempDir) -> Result<Self> {
        let output = File::create(folder.path().join("output"))?;
        let child = command.stdout(output).spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { child, folder })
    }

    /// What it has printed.
    pub(crate) fn output(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("output"))?)
    }

    /// Waits until it has printed `what` so often.
    pub(crate) async fn printed(&mut self, what: &str, times: usize) -> Result<()> {
        while self.output()?.matches(what).count() < times {
            ensure!(self.child.try_wait()?.is_none(), "it ended: {}", self.output()?);
            sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until it has ended, and returns what it printed.
    pub(crate) async fn ended(mut self, within: Duration) -> Result<String> {
        let deadline = Instant::now() + within;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "it does not end");
            sleep(POLL).await;
        }
        self.output()
    }

    /// What it takes.
    pub(crate) fn usage(&self) -> Usage {
        Usage { pid: self.child.id() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The wall clock in nanoseconds, as the baselines print it.
pub(crate) fn timestamp(nanoseconds: &str) -> Result<Timestamp> {
    Ok(Timestamp::from_nanosecond(nanoseconds.parse()?)?)
}
