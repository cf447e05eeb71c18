//! A panic is our own failure, wherever it happens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use probe::exit::{self, Exit};
use std::{env, process::Command};
use tokio::{runtime::Builder, task::JoinSet};

/// Tells this test, started once more, to be the process that panics.
const VICTIM: &str = "CONNECTION_PROBE_TEST_PANICS";

#[test]
fn a_panic_in_a_lane_ends_the_process_with_4() {
    if env::var_os(VICTIM).is_some() {
        exit::on_panic(Exit::Internal);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut lanes = JoinSet::new();
            lanes.spawn(async { panic!("a lane went wrong") });
            lanes.join_next().await;
        });
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "a_panic_in_a_lane_ends_the_process_with_4", "--nocapture"])
        .env(VICTIM, "1")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("a lane went wrong"));
}
