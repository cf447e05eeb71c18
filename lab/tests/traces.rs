//! What psycopg and Django send in the test plan's tests, recorded, and that the probe's clients of
//! these names send the same.

#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use lab::{
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
const PASSWORD: &str = "s3cret-of-the-test";
/// A test of 50 minutes, scaled: it must last for more than six heartbeats, the sixth of which
/// psycopg prepares.
const MINUTES: u32 = 8;
const MINUTE_MS: u64 = 60;

/// Fixtures, and whose they are: both versions of Django send the same.
const RECORDED: [(&str, &str); 3] =
    [("psycopg", "requirements.txt"), ("django", "django-4.2.txt"), ("django", "django-5.2.txt")];

/// The plan's tests; the fourth also without the statement that no Pulp understands, and the second
/// after our lead-in.
const TESTS: [&str; 9] =
    ["t1", "t2", "t2_after_lead_in", "t3", "t4", "t4_mended", "t5", "t6", "t7"];

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
        postgres.sql(&format!(
            "CREATE TABLE core_task (pulp_id uuid PRIMARY KEY, name text, state text);
             INSERT INTO core_task VALUES (gen_random_uuid(), 'sync', 'completed');
             CREATE TABLE core_worker (pulp_id uuid PRIMARY KEY);
             GRANT ALL ON core_task, core_worker TO {USER}"
        ));
        postgres
    })
}

/// The folder of a virtual environment.
fn venv(requirements: &str) -> PathBuf {
    let made =
        Command::new(path(&["python", "venv"])).arg(path(&["python", requirements])).output();
    let made = made.expect("lab/python/venv");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).expect("a path").trim().into()
}

/// What a test of a script sends.
async fn record(to: u16, venv: &Path, client: &str, test: &str) -> String {
    let recording = Recording::start(to).await;
    let mut command = Command::new("/usr/bin/timeout");
    let (port, minutes) = (recording.port.to_string(), MINUTES.to_string());
    let minute = format!("{:.3}", Duration::from_millis(MINUTE_MS).as_secs_f64());
    // Nothing of our environment: libpq reads it.
    command
        .env_clear()
        .arg("60")
        .arg(venv.join("bin/python"))
        .arg(path(&["traces", &format!("plan_{client}.py")]));
    command.args([test, &port, USER, PASSWORD, &minutes, &minute]);
    let output = spawn_blocking(move || command.output().expect("a script")).await;
    let output = output.expect("its end");
    assert!(output.status.success(), "{test}: {}", String::from_utf8_lossy(&output.stderr));
    recording.traces().await.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn psycopg_and_django_send_what_was_recorded() {
    let postgres = server();
    for (client, requirements) in RECORDED {
        let venv = block_in_place(|| venv(requirements));
        // One at a time: a notification of one test would reach another's listener.
        for test in TESTS {
            let trace = record(postgres.port, &venv, client, test).await;
            let fixture = path(&["traces", "fixtures", client, &format!("{test}.trace")]);
            if std::env::var_os("GENERATE").is_some() {
                fs::create_dir_all(fixture.parent().expect("a folder")).expect("a folder");
                fs::write(&fixture, &trace).expect("a file");
            }
            let recorded = fs::read_to_string(&fixture).unwrap_or_default();
            assert_eq!(trace, recorded, "{client}/{test} is stale: run `make traces`");
        }
    }
}
