//! The binary itself: exit codes, signals, files, what it prints and serves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what goes wrong here is a failed test"
)]

mod fake;

use api::{
    Report,
    report::{Inconclusive, Outcome, ProblemReason, TcpTimers},
};
use fake::{DONE, Fake, GOODBYE, WELCOME, fatal, free_port};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread::sleep,
    time::Duration,
};
use tempfile::TempDir;

const USER: &str = "svc_of_the_test";
const PASSWORD: &str = "s3cret-of-the-test";

/// A folder with settings and a Secret, and the command that uses them.
struct Given {
    folder: TempDir,
    settings: Value,
    args: Vec<String>,
}

struct Ran {
    code: i32,
    report: Report,
    lines: Vec<Value>,
    output: String,
}

fn given(port: u16) -> Given {
    let folder = tempfile::tempdir().unwrap();
    let settings = json!({
        "run": "test-1",
        "target": { "secretName": "db", "port": port },
        "workloads": [workload("held", &json!("idle"))],
        "indexes": [0],
    });
    let given = Given { folder, settings, args: Vec::new() };
    given.secret(&[
        ("host", "localhost"),
        ("user", USER),
        ("password", PASSWORD),
        ("sslmode", "disable"),
    ]);
    given
}

fn workload(name: &str, pattern: &Value) -> Value {
    json!({ "name": name, "pattern": pattern, "durationMs": 1000, "connections": 1, "client": "Raw" })
}

impl Given {
    fn secret(&self, keys: &[(&str, &str)]) {
        let folder = self.path("secrets/db");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (key, value) in keys {
            fs::write(folder.join(key), value).unwrap();
        }
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.settings["workloads"][0][key] = value;
        self
    }

    fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.extend([name.to_owned(), value.to_owned()]);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn start(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_connection-probe"))
            .args(["run", "--index", "0", "--secrets"])
            .arg(self.path("secrets"))
            .arg("--termination-log")
            .arg(self.path("message"))
            .args(&self.args)
            .env("CONNECTION_PROBE_SETTINGS", self.settings.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn ran(&self, child: Child) -> Ran {
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let message = fs::read_to_string(self.path("message")).unwrap();
        let stdout = String::from_utf8(stdout).unwrap();
        let output = stdout.clone() + &String::from_utf8(stderr).unwrap() + &message;
        Ran {
            code: status.code().expect("an exit code"),
            report: Report::parse(&message).expect(&message),
            lines: stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
            output,
        }
    }

    fn run(&self) -> Ran {
        self.ran(self.start())
    }

    /// The report as it stands now.
    fn message(&self) -> Option<Report> {
        Report::parse(&fs::read_to_string(self.path("message")).ok()?).ok()
    }

    fn wait_for(&self, holds: impl Fn(&Report) -> bool) {
        for _ in 0..1000 {
            if self.message().is_some_and(|report| holds(&report)) {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("it does not come: {:?}", self.message());
    }
}

fn signal(child: &Child, signal: &str) {
    let args = [format!("-{signal}"), child.id().to_string()];
    assert!(Command::new("kill").args(args).status().unwrap().success());
}

fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a test knows when it did something")]
    Timestamp::now()
}

fn get(port: u16, path: &str) -> String {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_survivor_exits_with_0_and_tells_each_step_on_a_line() {
    let server = Fake::obliging();
    let ran = given(server.port).run();
    assert_eq!(ran.code, 0);
    assert_eq!(ran.report.arms[0].counts.survived, 1);
    let events: Vec<_> = ran.lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["started", "connected", "ended", "report"]);
    assert!(ran.lines.iter().all(|line| line["time"].is_string() && line["workload"] == "held"));
    // The lane of idle that never asks: start-up, the proof, goodbye.
    let got = server.received_to(&[b"Q\0\0\0\x0dSELECT 1\0", GOODBYE].concat());
    assert_eq!(got.windows(8).filter(|bytes| *bytes == b"SELECT 1").count(), 1);
    let cost = ran.report.arms[0].cost.unwrap();
    let bytes = [got.len(), WELCOME.len() + DONE.len()].map(|n| i64::try_from(n).unwrap());
    assert_eq!((cost.requests, [cost.bytes_sent, cost.bytes_received]), (1, bytes));
}

#[test]
fn tcps_timers_are_told_as_the_kernel_has_them() {
    let kernel = |name: &str| -> i32 {
        let value = fs::read_to_string(format!("/proc/sys/net/ipv4/tcp_keepalive_{name}")).unwrap();
        value.trim().parse().unwrap()
    };
    let ours = json!({ "keepaliveIdleS": 31, "keepaliveCount": 4, "userTimeoutMs": 7500 });
    for (asked, idle, count, timeout) in
        [(json!({}), kernel("time"), kernel("probes"), None), (ours, 31, 4, Some(7500))]
    {
        let server = Fake::obliging();
        let tcp = given(server.port).set("tcp", asked).run().report.arms[0].tcp.unwrap();
        let wanted = (idle, kernel("intvl"), count, timeout);
        let TcpTimers { keepalive_idle_seconds: idle, .. } = tcp;
        let interval = tcp.keepalive_interval_seconds;
        assert_eq!((idle, interval, tcp.keepalive_count, tcp.user_timeout_ms), wanted);
    }
}

#[test]
fn a_heartbeat_that_dies_tells_its_iteration() {
    let server = Fake::start(|_, mut peer| {
        peer.welcome();
        for _ in 0..3 {
            peer.read();
            peer.write(DONE);
        }
        peer.read();
    });
    let beat = json!({ "heartbeat": { "intervalMs": 50, "statement": "SELECT 1" } });
    let ran = given(server.port).set("pattern", beat).run();
    let ending = &ran.report.arms[0].endings[0];
    assert_eq!((ending.outcome, ending.lanes[0].requests), (Outcome::Disconnected, Some(3)));
}

#[test]
fn only_user_and_database_are_sent_at_start_up() {
    let server = Fake::obliging();
    given(server.port).run();
    let wanted = format!("\0\x03\0\0user\0{USER}\0database\0{USER}\0\0");
    let got = server.received();
    assert_eq!(&got[4..4 + wanted.len()], wanted.as_bytes());
}

#[test]
fn a_refused_login_exits_with_0_and_quotes_nothing_of_the_secret() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        let text = format!("password \"{PASSWORD}\" of {USER} is not known on localhost");
        peer.write(&fatal("28P01", &text));
    });
    let ran = given(server.port).run();
    assert_eq!(ran.code, 0);
    let ending = &ran.report.arms[0].endings[0];
    assert_eq!(ending.outcome, Outcome::ConnectFailed);
    let message = &ending.form.as_ref().unwrap().messages[0];
    assert_eq!(message.text, "password \"<password>\" of <user> is not known on <host>");
    for secret in [PASSWORD, USER, "localhost"] {
        assert!(!ran.output.contains(secret), "{secret} is in {}", ran.output);
    }
}

#[test]
fn a_missing_secret_exits_with_2_and_one_that_comes_is_waited_for() {
    let server = Fake::obliging();
    let given = given(server.port).arg("--wait-for-secret", "1s");
    fs::remove_dir_all(given.path("secrets/db")).unwrap();
    let ran = given.run();
    assert_eq!(ran.code, 2);
    assert_eq!(ran.report.problem.unwrap().reason, ProblemReason::SecretNotFound);

    let given = given.arg("--wait-for-secret", "20s");
    let given = Given { args: given.args[2..].to_vec(), ..given };
    let child = given.start();
    sleep(Duration::from_millis(300));
    given.secret(&[("host", "localhost"), ("sslmode", "disable")]);
    sleep(Duration::from_millis(1200));
    given.secret(&[("host", "localhost"), ("user", USER), ("sslmode", "disable")]);
    let ran = given.ran(child);
    assert_eq!(ran.code, 0);
    let waited: Vec<_> = ran.lines.iter().filter(|line| line["event"] == "waiting").collect();
    assert_eq!(waited[0]["problem"]["reason"], "SecretNotFound");
    assert_eq!(waited[1]["problem"]["reason"], "SecretKeyMissing");
}

#[test]
fn what_can_never_be_right_exits_with_2_at_once() {
    let given = given(1).arg("--wait-for-secret", "60s");
    given.secret(&[("host", "localhost"), ("user", USER), ("sslmode", "allow")]);
    let ran = given.run();
    assert_eq!(ran.code, 2);
    assert_eq!(ran.report.problem.unwrap().reason, ProblemReason::InvalidValue);

    let without = Given { settings: json!({ "run": "x" }), ..given };
    let ran = without.run();
    assert_eq!((ran.code, ran.report.workload.as_str()), (2, ""));
    assert_eq!(ran.report.problem.unwrap().reason, ProblemReason::InvalidValue);
}

#[test]
fn told_to_stop_it_says_goodbye_and_exits_with_5() {
    for name in ["TERM", "INT"] {
        let server = Fake::obliging();
        let given =
            given(server.port).set("durationMs", json!(60_000)).set("connections", json!(3));
        let child = given.start();
        given.wait_for(|report| report.arms[0].server.is_some());
        signal(&child, name);
        let ran = given.ran(child);
        assert_eq!(ran.code, 5);
        assert_eq!(ran.report.arms[0].counts.inconclusive, 3);
        let reason = ran.report.arms[0].endings[0].reason;
        assert_eq!(reason, Some(Inconclusive::Interrupted));
        server.received_to(GOODBYE);
    }
}

#[test]
fn told_to_stop_while_it_waits_for_a_secret_it_stops() {
    let given = given(1);
    fs::remove_dir_all(given.path("secrets/db")).unwrap();
    let child = given.start();
    sleep(Duration::from_millis(500));
    signal(&child, "TERM");
    let ran = given.ran(child);
    assert_eq!(ran.code, 5);
    assert_eq!(ran.report.arms[0].counts.inconclusive, 1);
}

#[test]
fn the_first_cut_is_told_at_once_by_message_and_readiness() {
    let (cut, at_command) = mpsc::channel::<()>();
    let at_command = std::sync::Mutex::new(at_command);
    let server = Fake::start(move |number, mut peer| {
        peer.welcome();
        if number == 0 {
            let _ = at_command.lock().unwrap().recv();
        } else {
            peer.serve();
        }
    });
    let port = free_port();
    let given = given(server.port)
        .set("durationMs", json!(2500))
        .set("connections", json!(2))
        .arg("--listen", &format!("127.0.0.1:{port}"));
    let child = given.start();
    sleep(Duration::from_millis(700));
    assert!(get(port, "/ready").starts_with("HTTP/1.1 200"));
    assert!(get(port, "/healthz").starts_with("HTTP/1.1 200"));
    cut.send(()).unwrap();
    sleep(Duration::from_millis(100));
    assert_eq!(given.message().unwrap().arms[0].counts.disconnected, 1);
    let answer = get(port, "/ready");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.ends_with("held: 1 of 1 ended connections did not survive.\n"));
    let metrics = get(port, "/metrics");
    for line in [
        "connectionprobe_probe_cuts_total{arm=\"Target\",form=\"Fin\",workload=\"held\"} 1",
        "connectionprobe_probe_lanes{arm=\"Target\",state=\"alive\",workload=\"held\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let ran = given.ran(child);
    assert_eq!(ran.code, 0);
    assert_eq!(ran.report.arms[0].counts.survived, 1);
}

#[test]
fn a_process_that_was_stopped_gives_an_interval_in_which_the_truth_lies() {
    let (cut, at_command) = mpsc::channel::<()>();
    let at_command = std::sync::Mutex::new(at_command);
    let server = Fake::start(move |number, mut peer| {
        peer.welcome();
        if number == 0 {
            let _ = at_command.lock().unwrap().recv();
        } else {
            peer.serve();
        }
    });
    let given = given(server.port).set("durationMs", json!(30_000));
    let child = given.start();
    given.wait_for(|report| report.arms[0].server.is_some());
    sleep(Duration::from_millis(300));
    signal(&child, "STOP");
    sleep(Duration::from_millis(500));
    let before = now();
    cut.send(()).unwrap();
    let after = now();
    sleep(Duration::from_millis(700));
    signal(&child, "CONT");

    let ran = given.ran(child);
    let ending = &ran.report.arms[0].endings[0];
    assert_eq!(ending.outcome, Outcome::Disconnected);
    let lane = &ending.lanes[0];
    let lifetime = lane.lifetime.unwrap();
    let width = lifetime.max_ms.unwrap() - lifetime.min_ms;
    assert!((1150..1400).contains(&width), "{width} ms");
    let first = lane.at - Duration::from_millis(u64::try_from(width).unwrap());
    assert!(first <= before && after <= lane.at, "{first} to {} is not {before}", lane.at);
    let stalled = ran.lines.iter().find(|line| line["event"] == "stalled").unwrap();
    assert!(stalled["ms"].as_i64().unwrap() >= 1100);
    let stalls = ran.report.stalls.unwrap();
    assert!(stalls.n >= 1 && stalls.longest_ms >= 1100, "{stalls:?}");
}

#[test]
fn what_is_no_postgresql_is_not_taken_for_one() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        peer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.read();
    });
    let ran = given(server.port).run();
    let ending = &ran.report.arms[0].endings[0];
    assert_eq!(ending.outcome, Outcome::ConnectFailed);
    assert_eq!(ending.detail.as_deref(), Some("login: what answers is no PostgreSQL server"));
}
