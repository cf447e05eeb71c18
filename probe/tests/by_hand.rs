//! The binary without a cluster: a manifest in, a table and a result out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what goes wrong here is a failed test"
)]

mod fake;

use api::{ConnectionProbeRun, Settings, forecast::Forecast, manifest, measurement::Order};
use fake::{DONE, Fake};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::sleep,
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

/// A folder with a manifest and a Secret.
struct Given {
    folder: TempDir,
}

fn given(port: u16, spec: &Value) -> Given {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secrets/db");
    fs::create_dir_all(&secret).unwrap();
    for (key, value) in [("host", "localhost"), ("user", "probe"), ("sslmode", "disable")] {
        fs::write(secret.join(key), value).unwrap();
    }
    let mut manifest = json!({
        "apiVersion": "probes.pulpproject.org/v1alpha1",
        "kind": "ConnectionProbe",
        "metadata": { "name": "by-hand" },
        "spec": { "target": { "secretName": "db", "port": port }, "connections": 1 },
    });
    manifest["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    fs::write(folder.path().join("probe.yaml"), manifest.to_string()).unwrap();
    Given { folder }
}

impl Given {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Child {
        probe(&["run", "--secrets"])
            .arg(self.path("secrets"))
            .args(["--file".as_ref(), self.path("probe.yaml").as_os_str()])
            .args(["--json".as_ref(), self.path("result.json").as_os_str()])
            .spawn()
            .unwrap()
    }

    fn run(&self) -> Output {
        self.start().wait_with_output().unwrap()
    }

    fn result(&self) -> ConnectionProbeRun {
        serde_json::from_slice(&fs::read(self.path("result.json")).unwrap()).unwrap()
    }
}

fn probe(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connection-probe"));
    command.args(args).env("JOB_COMPLETION_INDEX", "7");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn interrupt(child: &Child) {
    let args = ["-INT".to_owned(), child.id().to_string()];
    assert!(Command::new("kill").args(args).status().unwrap().success());
}

/// Answers queries as PostgreSQL does, and counts connections and queries, but for the inventory's queries.
fn counting() -> (Fake, Arc<[AtomicU64; 2]>) {
    let counts = Arc::new([AtomicU64::new(0), AtomicU64::new(0)]);
    let seen = Arc::clone(&counts);
    let server = Fake::start(move |_, mut peer| {
        seen[0].fetch_add(1, Ordering::SeqCst);
        peer.welcome();
        let mut status = 'I';
        loop {
            let message = peer.read();
            let Some((b'Q', query)) = message.split_first() else { return };
            let query = String::from_utf8_lossy(&query[4..query.len() - 1]).into_owned();
            seen[1].fetch_add(u64::from(!query.contains("pg_catalog.")), Ordering::SeqCst);
            let tag = query.split(' ').next().unwrap();
            status = match tag {
                "BEGIN" => 'T',
                "COMMIT" | "ROLLBACK" => 'I',
                _ => status,
            };
            let length = u8::try_from(tag.len() + 5).unwrap();
            let done =
                [b"C\0\0\0".as_slice(), &[length], tag.as_bytes(), b"\0Z\0\0\0\x05"].concat();
            peer.write(&[done, vec![status as u8]].concat());
        }
    });
    (server, counts)
}

#[test]
fn a_sequential_probe_leaves_a_table_and_a_run_that_report_reads() {
    let server = Fake::obliging();
    let given = given(
        server.port,
        &json!({
            "order": "Sequential", "placement": "Spread", "duration": "1s",
            "workloads": [{ "name": "quiet", "idle": {} }, { "name": "set", "sessionVariable": {} }],
        }),
    );
    let Output { status, stdout, stderr } = given.run();
    assert_eq!(status.code(), Some(0), "{}", text(&stderr));
    assert!(
        text(&stdout).contains("| quiet | 0:01     | no (0 of 1) | >= 0:01 | none  | no      |")
    );
    assert!(text(&stderr).contains("these are left out: placement."));
    assert!(text(&stderr).contains("0:00 of 0:02: 2 to come; next: "));

    let run = given.result();
    let reports: Vec<_> = run.status.as_ref().unwrap().reports().collect();
    assert!(reports[0].ended_at.unwrap() <= reports[1].started_at);
    assert_eq!(run.status.as_ref().unwrap().result.as_deref(), Some("0 of 2 cut"));
    let inventory = run.status.as_ref().unwrap().inventory.as_ref().unwrap();
    assert!(inventory.arms.len() == 1 && inventory.pod_tcp.keepalive_time_s.is_some());

    let mut table = probe(&["report"]).spawn().unwrap();
    let json = fs::read(given.path("result.json")).unwrap();
    table.stdin.take().unwrap().write_all(&json).unwrap();
    assert_eq!(table.wait_with_output().unwrap().stdout, stdout);
    let page = probe(&["report", "-o", "html"]).arg(given.path("result.json")).output().unwrap();
    assert!(text(&page.stdout).starts_with("<!DOCTYPE html>"), "{}", text(&page.stderr));
}

#[test]
fn workers_sockets_stand_beside_a_run_in_formats_that_have_a_place_for_them() {
    let file = |name: &str| format!("{}/../api/tests/timeline/{name}", env!("CARGO_MANIFEST_DIR"));
    let report = |format: &str, sockets: &str| {
        let (sockets, run) = (file(sockets), file("run.json"));
        probe(&["report", "-o", format, "--workers", &sockets, &run]).output().unwrap()
    };
    for format in ["table", "markdown", "html"] {
        let Output { status, stdout, stderr } = report(format, "sockets.json");
        assert_eq!(status.code(), Some(0), "{}", text(&stderr));
        assert!(text(&stdout).contains("left by the pod itself (FIN)"), "{format}");
    }
    for (format, sockets, why) in [
        ("json", "sockets.json", "formats table, markdown and html"),
        ("junit", "sockets.json", "formats table, markdown and html"),
        ("html", "run.json", "run.json: neither a list of reports"),
        ("html", "missing.json", "missing.json: No such file"),
    ] {
        let Output { status, stdout, stderr } = report(format, sockets);
        assert_eq!((status.code(), text(&stdout)), (Some(2), String::new()), "{format} {sockets}");
        assert!(text(&stderr).contains(why), "{}", text(&stderr));
    }
}

#[test]
fn interrupted_it_tells_what_it_has_and_exits_with_5() {
    // Closes the first connection, and that of the inventory.
    let server = Fake::start(|number, mut peer| {
        peer.welcome();
        if number > 1 {
            peer.serve();
        }
    });
    let given = given(
        server.port,
        &json!({ "duration": "10s", "connections": 2, "workloads": [{ "name": "quiet", "idle": {} }] }),
    );
    let child = given.start();
    sleep(Duration::from_millis(700));
    interrupt(&child);
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    assert_eq!(status.code(), Some(5));
    let cut = "quiet: connection 0 was cut after 0:00: closed without a message (FIN)";
    assert!(text(&stderr).contains(cut), "{}", text(&stderr));
    assert!(
        text(&stdout).contains("| quiet | 0:10     | yes (1 of 1) | 0:00  |"),
        "{}",
        text(&stdout)
    );
    let status = given.result().status.unwrap();
    assert_eq!(status.result.as_deref(), Some("1 of 2 cut"));
    assert!(status.summary.unwrap().ends_with("quiet ended early (Interrupted)."));
}

#[test]
fn a_second_interrupt_waits_for_nobody() {
    let server = Fake::start(|_, mut peer| {
        peer.welcome();
        // BEGIN and the statement; whatever tidies up is never answered.
        for _ in 0..2 {
            peer.read();
            peer.write(DONE);
        }
        peer.read();
        sleep(Duration::from_secs(60));
    });
    let workloads = json!([{ "name": "open", "idleInTransaction": {} }]);
    let given = given(server.port, &json!({ "duration": "60s", "workloads": workloads }));
    let child = given.start();
    sleep(Duration::from_millis(700));
    interrupt(&child);
    sleep(Duration::from_millis(300));
    let second = Instant::now();
    interrupt(&child);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(5));
    assert!(second.elapsed() < Duration::from_millis(500));
}

#[test]
fn what_the_api_server_refuses_is_refused_here_with_2_and_the_same_words() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/tests/cases/refused");
    for case in fs::read_dir(cases).unwrap().map(|case| case.unwrap().path()) {
        let wanted = fs::read_to_string(&case).unwrap();
        let wanted = wanted.lines().next().unwrap().strip_prefix("# refused: ").unwrap();
        let mut run = probe(&["run", "--secrets", "none", "--file"]);
        let Output { status, stdout, stderr } = run.arg(&case).output().unwrap();
        assert_eq!((status.code(), text(&stdout).as_str()), (Some(2), ""), "{}", case.display());
        let told = text(&stderr);
        assert!(wanted.split(" | ").any(|wanted| told.contains(wanted)), "{told}");
    }
}

#[test]
fn what_can_not_begin_says_why_and_exits_with_2() {
    let given = given(
        1,
        &json!({ "workloads": [{ "name": "w", "pulpTask": { "work": "2s" } }], "duration": "2s" }),
    );
    let told = |command: &mut Command| {
        let Output { status, stderr, .. } = command.output().unwrap();
        (status.code(), text(&stderr))
    };
    let file = given.path("probe.yaml");
    let (code, why) = told(probe(&["plan", "--file"]).arg(&file));
    assert_eq!(code, Some(2));
    assert!(why.contains("pulpTask.work must be shorter than the duration"), "{why}");
    let (code, why) = told(&mut probe(&["plan", "--file", "absent.yaml"]));
    assert_eq!((code, why.contains("absent.yaml: No such file")), (Some(2), true), "{why}");

    let given = self::given(1, &json!({ "workloads": [{ "name": "w", "idle": {} }] }));
    fs::remove_dir_all(given.path("secrets/db")).unwrap();
    let Output { status, stdout, stderr } = given.run();
    assert_eq!((status.code(), text(&stdout).as_str()), (Some(2), ""));
    assert!(text(&stderr).contains("Secret db is not there, or it is empty."), "{}", text(&stderr));
}

/// All patterns, on two paths.
#[test]
fn a_run_sends_what_plan_said() {
    let (server, counts) = counting();
    let given = given(
        server.port,
        &json!({
            "control": { "port": server.port },
            "duration": "3s",
            "workloads": [
                { "name": "idle", "idle": {}, "connections": 3 },
                { "name": "heartbeat", "heartbeat": { "interval": "1s" } },
                { "name": "idle-in-transaction", "idleInTransaction": {} },
                { "name": "active-transaction", "activeTransaction": { "interval": "1s" } },
                { "name": "session-variable", "sessionVariable": {} },
                { "name": "listen", "listen": {} },
                { "name": "worker", "pulpWorker": { "interval": "1s" } },
                { "name": "redis-worker", "pulpWorker": { "interval": "2s", "listen": false } },
                { "name": "task", "pulpTask": { "work": "2s", "inTransaction": true } },
                { "name": "slow", "slowStatement": {} },
                { "name": "ladder", "idleLadder": { "rungs": ["1s"] } },
            ],
        }),
    );
    let file = given.path("probe.yaml");
    let said = text(&probe(&["plan", "--file"]).arg(&file).output().unwrap().stdout);
    let measurement =
        manifest::parse(&fs::read_to_string(&file).unwrap()).unwrap().spec.measurement;
    let settings = Settings::new("", &measurement, Vec::new()).unwrap();
    let forecast = Forecast { settings: &settings, order: Order::Parallel };
    assert_eq!(said, forecast.to_string());
    assert_eq!(given.run().status.code(), Some(0));
    let [logins, statements] = [&counts[0], &counts[1]].map(|count| count.load(Ordering::SeqCst));
    // The only one that listens is notified once: LISTEN and NOTIFY in one message, then UNLISTEN.
    let held_or_read = forecast.logins() + forecast.inventories();
    assert_eq!(logins, held_or_read as u64 + forecast.notifies());
    assert_eq!(statements, forecast.statements() + 2 * forecast.notifies());
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let Output { status, stdout, .. } = probe(&["completion", shell]).output().unwrap();
        assert_eq!(status.code(), Some(0));
        for command in ["run", "plan", "report", "markdown", "completion", "secrets"] {
            assert!(text(&stdout).contains(command), "{shell}: {command}");
        }
    }
}
