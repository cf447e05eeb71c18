//! The subcommand `inventory`: it exits by 0 whatever happens, soon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what goes wrong here is a failed test"
)]

mod fake;

use api::Inventory;
use fake::{Fake, fatal};
use serde_json::json;
use std::{
    fs,
    process::{Command, Output},
    thread::sleep,
    time::Duration,
};

const USER: &str = "svc_of_the_test";
const PASSWORD: &str = "s3cret-of-the-test";

/// Standard output, and the termination message if there is one.
fn take(port: u16, index: &str, files: &[(&str, &str)]) -> (String, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (secret, log) = (folder.path().join("db"), folder.path().join("message"));
    fs::create_dir(&secret).unwrap();
    files.iter().for_each(|(key, value)| fs::write(secret.join(key), value).unwrap());
    let target = json!({ "secretName": "db", "host": "localhost", "port": port });
    let settings = json!({ "run": "test-1", "target": target, "workloads": [], "indexes": [] });
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_connection-probe"))
        .args(["inventory", "--secrets"])
        .arg(folder.path())
        .arg("--termination-log")
        .arg(&log)
        .env("CONNECTION_PROBE_SETTINGS", settings.to_string())
        .env("JOB_COMPLETION_INDEX", index)
        .output()
        .unwrap();
    assert!(status.success() && stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    (String::from_utf8(stdout).unwrap(), fs::read_to_string(log).ok())
}

fn problem(port: u16, files: &[(&str, &str)]) -> String {
    let (output, message) = take(port, "0", files);
    assert_eq!(message.as_deref(), Some(output.trim_end()));
    assert!(!output.contains(USER) && !output.contains(PASSWORD), "{output}");
    Inventory::parse(&output).unwrap().arms.remove(0).problem.expect(&output)
}

const FILES: [(&str, &str); 3] = [("user", USER), ("password", PASSWORD), ("sslmode", "disable")];

#[test]
fn a_refused_login_is_said_without_the_name() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        peer.write(&fatal("28000", &format!("role \"{USER}\" may not log in")));
    });
    assert_eq!(problem(server.port, &FILES), "FATAL 28000 role \"<user>\" may not log in");
}

#[test]
fn a_missing_secret_is_not_waited_for() {
    assert!(problem(1, &[]).starts_with("Secret db is not there"));
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = Fake::start(|_, mut peer| {
        peer.welcome();
        sleep(Duration::from_secs(60));
    });
    assert_eq!(problem(server.port, &FILES), "There was no answer within 8 s.");
}

#[test]
fn only_the_first_pod_takes_it() {
    assert_eq!(take(1, "3", &FILES), (String::new(), None));
}
