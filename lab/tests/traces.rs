//! What psycopg and Django send in the test plan's tests, recorded, and that the probe's clients of
//! these names send the same.

#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use api::{measurement::Client, pattern::Pattern, report::Outcome, target::TlsMode};
use futures::future::join_all;
use lab::{
    holding::{Holding, only_ending},
    postgres::{self, Postgres},
    recording::Recording,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tokio::task::{block_in_place, spawn_blocking};

const USER: &str = "svc_probe";
/// Whose sessions have another time zone than the server.
const IN_UTC: &str = "svc_in_utc";
const PASSWORD: &str = "s3cret-of-the-test";
/// A test of 50 minutes, scaled: it must last for more than six heartbeats, the sixth of which
/// psycopg prepares.
const MINUTES: u32 = 8;
const MINUTE_MS: u64 = 60;
/// The probe leaves out a heartbeat that it was too late for: a busy machine must not be so late.
const OUR_MINUTE_MS: u64 = 500;

/// Fixtures, and whose they are: both versions of Django send the same.
const RECORDED: [(&str, &str); 3] =
    [("psycopg", "requirements.txt"), ("django", "django-4.2.txt"), ("django", "django-5.2.txt")];

/// What the probe does instead of each test; the fourth as it stands fails at once.
fn pattern(test: &str) -> Option<Pattern> {
    let statement = || "SELECT 1".to_owned();
    Some(match test {
        "t1" | "t1_in_utc" => Pattern::Idle,
        "t2" | "t2_after_lead_in" => {
            Pattern::Heartbeat { interval_ms: OUR_MINUTE_MS, statement: statement() }
        }
        "t3" => Pattern::IdleInTransaction { statement: statement() },
        "t4_mended" => {
            Pattern::ActiveTransaction { interval_ms: 2 * OUR_MINUTE_MS, statement: statement() }
        }
        "t5" => Pattern::SessionVariable,
        "t6" => Pattern::Listen,
        "t7" => Pattern::ListenNotify { interval_ms: 2 * OUR_MINUTE_MS },
        _ => return None,
    })
}

/// What is different by design: in a recorded trace, and in ours. docs/clients.md says why.
const BY_DESIGN: [(&str, &str); 2] = [
    ("SELECT * FROM core_task LIMIT 1 FOR UPDATE", "SELECT 1"),
    ("LISTEN test_task_dispatch", "LISTEN \"probe_test-1_held_Target\""),
];

/// The plan's tests; the first also on a server in Django's own time zone, the second after our
/// lead-in, and the fourth without the statement that no Pulp understands.
const TESTS: [&str; 10] =
    ["t1", "t1_in_utc", "t2", "t2_after_lead_in", "t3", "t4", "t4_mended", "t5", "t6", "t7"];

fn path(parts: &[&str]) -> PathBuf {
    let lab = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
    parts.iter().fold(lab, |path, part| path.join(part))
}

/// A server in the time zone that Debian gives, with what the plan's statements read.
fn server() -> Postgres {
    block_in_place(|| {
        let postgres = Postgres::start(&postgres::Options {
            settings: "timezone = 'Etc/UTC'",
            ..postgres::Options::default()
        });
        postgres.role(USER, PASSWORD);
        postgres.role(IN_UTC, PASSWORD);
        postgres.sql(&format!("ALTER ROLE {IN_UTC} SET timezone = 'UTC'"));
        postgres.sql(&format!(
            "CREATE TABLE core_task (pulp_id uuid PRIMARY KEY, name text, state text);
             INSERT INTO core_task VALUES (gen_random_uuid(), 'sync', 'completed');
             CREATE TABLE core_worker (pulp_id uuid PRIMARY KEY);
             GRANT ALL ON core_task, core_worker TO {USER}"
        ));
        postgres
    })
}

fn user(test: &str) -> &'static str {
    if test.ends_with("_in_utc") { IN_UTC } else { USER }
}

fn fixture(client: &str, test: &str) -> PathBuf {
    path(&["traces", "fixtures", client, &format!("{test}.trace")])
}

/// What a test of a script sends.
async fn record(to: u16, python: &Path, client: &str, test: &str) -> String {
    let recording = Recording::start(to).await;
    let mut command = Command::new("/usr/bin/timeout");
    let (port, minutes) = (recording.port.to_string(), MINUTES.to_string());
    let minute = format!("{:.3}", Duration::from_millis(MINUTE_MS).as_secs_f64());
    // Nothing of our environment: libpq reads it.
    command.env_clear().arg("60").arg(python).arg(path(&["traces", &format!("plan_{client}.py")]));
    command.args([test, &port, user(test), PASSWORD, &minutes, &minute]);
    let output = spawn_blocking(move || command.output().expect("a script")).await;
    let output = output.expect("its end");
    assert!(output.status.success(), "{test}: {}", String::from_utf8_lossy(&output.stderr));
    recording.traces().await.join("\n")
}

/// What the probe's client sends on the same path.
async fn hold(to: u16, client: Client, test: &str) -> Option<String> {
    let pattern = pattern(test)?;
    let recording = Recording::start(to).await;
    // The second lane has a lead-in.
    let lane = usize::from(test == "t2_after_lead_in");
    let holding = Holding::new(recording.port, user(test), PASSWORD)
        .tls(TlsMode::Prefer)
        .client(client)
        .pattern(pattern)
        .connections(lane + 1)
        .duration(Duration::from_millis(OUR_MINUTE_MS * u64::from(MINUTES)));
    let report = holding.run().await;
    assert_eq!(only_ending(&report).outcome, Outcome::Survived, "{report:?}");
    recording.traces().await.into_iter().nth(lane).map(|trace| without_notifications(&trace))
}

/// Ours are numbered, and one more comes at the end.
fn without_notifications(trace: &str) -> String {
    let lines = trace.lines().filter(|line| !line.starts_with("< NotificationResponse"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What the probe has to send: what was recorded of the first connection, but for what is different by design.
fn expected(client: &str, test: &str) -> String {
    let trace = fs::read_to_string(fixture(client, test)).expect("a fixture");
    let first = trace.split("\n\n").next().map(without_notifications);
    BY_DESIGN
        .iter()
        .fold(first.expect("a connection"), |trace, (plan, ours)| trace.replace(plan, ours))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_clients_send_the_same() {
    let postgres = server();
    for (name, client) in [("psycopg", Client::Psycopg), ("django", Client::Django)] {
        let traces = TESTS.map(|test| hold(postgres.port, client, test));
        for (test, trace) in TESTS.iter().zip(join_all(traces).await) {
            if let Some(trace) = trace {
                let expected = expected(name, test);
                assert!(trace == expected, "{name}/{test}:\n{trace}\nis not\n{expected}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_and_django_send_what_was_recorded() {
    let postgres = server();
    for (client, requirements) in RECORDED {
        let python = format!("python/{requirements}");
        let python = block_in_place(|| lab::tools::python(&python));
        // One at a time: a notification of one test would reach another's listener.
        for test in TESTS {
            let trace = record(postgres.port, &python, client, test).await;
            let fixture = fixture(client, test);
            if std::env::var_os("GENERATE").is_some() {
                fs::create_dir_all(fixture.parent().expect("a folder")).expect("a folder");
                fs::write(&fixture, &trace).expect("a file");
            }
            let recorded = fs::read_to_string(&fixture).unwrap_or_default();
            assert_eq!(trace, recorded, "{client}/{test} is stale: run `make traces`");
        }
    }
}

#[test]
fn the_document_tells_every_difference() {
    let document = fs::read_to_string(path(&["..", "docs", "clients.md"])).expect("a document");
    for (plan, ours) in BY_DESIGN {
        let row = format!(
            "| `{plan}` | `{}` |",
            ours.replace("test-1_held_Target", "<run>_<workload>_<arm>")
        );
        assert!(document.contains(&row), "docs/clients.md lacks: {row}");
    }
    for test in TESTS {
        let row = format!("| `{test}` |");
        let compared = pattern(test).is_some();
        let row = document.lines().find(|line| line.starts_with(&row)).expect(test);
        assert_eq!(row.ends_with("| equal |"), compared, "docs/clients.md: {row}");
    }
}
