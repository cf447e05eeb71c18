//! Comparisons of runs that were captured before and after a PgBouncer's timer was raised from 20 s to 40 s.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbeRun,
    compare::{self, Comparison, Timer, Verdict},
    measurement::Client,
};
use std::{fs, path::Path};

fn captured(seconds: u32) -> ConnectionProbeRun {
    let run = format!("tests/runs/timer-{seconds}s.json");
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join(run);
    serde_json::from_str(&fs::read_to_string(run).unwrap()).unwrap()
}

fn verdict<'a>(comparison: &'a Comparison, name: &str) -> &'a Verdict {
    &comparison.moves.iter().find(|moved| moved.name == name).unwrap().verdict
}

/// As if the inventory had not been read.
fn unread(mut run: ConnectionProbeRun) -> ConnectionProbeRun {
    run.status.as_mut().unwrap().inventory = None;
    run
}

#[test]
fn the_words() {
    let (before, after) = (captured(20), captured(40));
    let all = [
        compare::plain(&compare::runs(&before, &after, &[])),
        compare::plain(&compare::runs(&before, &before, &[])),
        compare::plain(&compare::paths(&before)),
        compare::plain(&compare::workloads(&before, "listen", "listen-notify")),
        compare::markdown(&compare::workloads(&before, "idle", "listen")),
    ];
    insta::assert_snapshot!(all.join("\n────\n\n"));
}

#[test]
fn a_timer_confirms_only_what_followed_it() {
    let (before, after) = (captured(20), captured(40));
    let confirmed = |timer: &str| Verdict::Confirmed { timer: timer.to_owned() };
    let read = compare::runs(&before, &after, &[]);
    assert_eq!(*verdict(&read, "idle"), confirmed("PgBouncer's client_idle_timeout"));
    assert_eq!(*verdict(&read, "heartbeat"), Verdict::NeverCut);
    assert!(read.unlike.is_empty(), "{:?}", read.unlike);

    let (before, after) = (unread(before), unread(after));
    assert_eq!(*verdict(&compare::runs(&before, &after, &[]), "idle"), Verdict::Moved);
    let told = |seconds: [i64; 2]| {
        let [before_ms, after_ms] = seconds.map(|seconds| seconds * 1000);
        let told = [Timer { name: "idleClientTimeout".to_owned(), before_ms, after_ms }];
        verdict(&compare::runs(&before, &after, &told), "idle").clone()
    };
    assert_eq!(told([20, 40]), confirmed("idleClientTimeout"));
    assert_eq!(told([30, 60]), Verdict::Moved, "something else did it");
    assert_eq!(*verdict(&compare::runs(&before, &before, &[]), "idle"), Verdict::Stayed);
}

#[test]
fn unlike_measurements_are_named() {
    let (before, mut after) = (captured(20), captured(40));
    let measurement = &mut after.spec.measurement.settled;
    measurement.target.port = Some(5432);
    measurement.workloads[0].connections = Some(7);
    measurement.workloads.remove(1);
    let unlike = compare::runs(&before, &after, &[]).unlike;
    assert_eq!(unlike, ["target.port: 26420 and 5432", "idle.connections: 5 and 7"]);

    let mut run = captured(20);
    assert_eq!(compare::workloads(&run, "idle", "none").unlike, ["there is no workload none"]);
    assert!(!compare::workloads(&run, "idle", "listen").unlike.is_empty());
    let settled = &mut run.spec.measurement.settled;
    settled.workloads[4] = settled.workloads[0].clone();
    settled.workloads[4].name = "listen".to_owned();
    settled.workloads[4].client = Some(Client::Psycopg);
    assert!(compare::workloads(&run, "idle", "listen").unlike.is_empty());
}
