//! The probe that watches, as a process of its own.

use crate::ms;
use api::sockets::{Event, Line, SocketsReport};
use lab::server::{command, send_signal};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::Child,
};
use tempfile::TempDir;
use tokio::{task::block_in_place, time::sleep};

/// The probe, as `make build` leaves it; or the one that CONNECTION_PROBE names.
fn program() -> PathBuf {
    let built = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../target/x86_64-unknown-linux-gnu/release/connection-probe"
    );
    std::env::var_os("CONNECTION_PROBE").map_or_else(|| built.into(), Into::into)
}

/// watch-sockets at work, as nobody and without a capability.
pub(crate) struct Watcher {
    child: Child,
    folder: TempDir,
}

impl Watcher {
    pub(crate) async fn start(ports: &[u16], args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = command(program().to_str().unwrap());
        watch.args(["watch-sockets", "--output", "lines"]).args(args);
        watch.args(ports.iter().flat_map(|port| ["--port".to_owned(), port.to_string()]));
        let output = File::create(folder.path().join("lines")).unwrap();
        let errors = File::create(folder.path().join("errors")).unwrap();
        let child = watch.stdout(output).stderr(errors).spawn().unwrap();
        let watcher = Self { child, folder };
        while watcher.lines().is_empty() {
            sleep(ms(20)).await;
        }
        watcher
    }

    fn lines(&self) -> Vec<Line> {
        let text = fs::read_to_string(self.folder.path().join("lines")).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A field of its `/proc/PID/status`.
    pub(crate) fn status(&self, field: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        line.unwrap().trim_start_matches(':').trim().to_owned()
    }

    /// Tells it to stop, and reads what it saw.
    pub(crate) fn end(mut self) -> (SocketsReport, Vec<Line>) {
        send_signal(self.child.id(), "TERM");
        let status = block_in_place(|| self.child.wait()).unwrap();
        let errors = fs::read_to_string(self.folder.path().join("errors")).unwrap();
        assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
        let mut lines = self.lines();
        match lines.pop().unwrap().event {
            Event::Report { report } => (report, lines),
            other => panic!("the report is the last line: {other:?}"),
        }
    }
}
