//! A watcher of real sessions: those of a real Pulp's workers, which are ended in every way that is known, and of a
//! server's alone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbeRun, ConnectionProbeRunSpec, ConnectionProbeRunStatus,
    diagnosis::{Cause, diagnose},
    observed::{Fate, Life, Observed, Role},
    pattern::{Pattern, Watched},
    render::{self, Format},
    report::Report,
    run::{MeasurementRecord, Trigger, TriggerType, Versions, WorkloadResult, WorkloadState},
    statement::{Class, PinRule},
    workload::StatementDetail,
};
use lab::{
    holding::{Held, Holding},
    postgres::{self, Postgres},
    pulp::{PASSWORD, Pulp, Task, USER},
    server::command,
};
use probe::exit::Exit;
use std::{fs, thread::sleep, time::Duration};

/// With the lab's TTL of 6 s there is a heartbeat every 2 s: some of them join a session to its worker.
const SOME_BEATS: Duration = Duration::from_secs(10);
const LOOK_MS: u64 = 200;

fn watched(database: &str) -> Watched {
    Watched {
        user: USER.to_owned(),
        database: Some(database.to_owned()),
        application_name: None,
        address: None,
        interval_ms: LOOK_MS,
        statements: StatementDetail::Normalised,
        config_map: None,
    }
}

/// A watcher with a role of its own, which sees everybody's sessions.
fn watch(postgres: &Postgres, watched: Watched) -> Held {
    if postgres.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'watcher'") == "0" {
        postgres.role("watcher", "w4tch");
        postgres.sql("GRANT pg_monitor TO watcher");
    }
    let database = watched.database.clone().unwrap();
    let holding = Holding::new(postgres.port, "watcher", "w4tch").database(&database);
    holding.pattern(Pattern::Observe(watched)).duration(Duration::from_secs(600)).start()
}

async fn report(mut held: Held) -> (Report, Observed) {
    held.stop();
    let (exit, report) = held.whole().await;
    assert_eq!(exit, Exit::Interrupted);
    let observed = report.observed.clone().unwrap_or_else(|| panic!("{report:?}"));
    (report, *observed)
}

/// The run that this would be, with what is found.
fn run(report: Report) -> ConnectionProbeRun {
    let manifest = format!(
        "{{ target: {{ secretName: pulp-db }}, workloads: [ {{ name: held, observe: {{ user: {USER} }} }} ] }}"
    );
    let as_written: api::measurement::Measurement = serde_saphyr::from_str(&manifest).unwrap();
    let record = MeasurementRecord { settled: as_written.settled(), as_written };
    let result = WorkloadResult {
        state: WorkloadState::Reported,
        report: Some(report),
        ..WorkloadResult::new("held".to_owned())
    };
    let mut status =
        ConnectionProbeRunStatus { workloads: vec![result], ..ConnectionProbeRunStatus::default() };
    status.findings = diagnose("workers", &record, &status);
    let spec = ConnectionProbeRunSpec {
        number: 1,
        trigger: Trigger::new(TriggerType::Created),
        measurement: record,
        versions: Versions::default(),
    };
    let mut run = ConnectionProbeRun::new("workers-1", spec);
    run.status = Some(status);
    run
}

/// The lives that ended so.
fn lives(observed: &Observed, role: Role, fate: Fate) -> Vec<&Life> {
    let ended = |life: &&Life| life.role == role && life.end.is_some_and(|end| end.fate == fate);
    observed.lives.iter().filter(ended).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_for_a_worker_to_die_is_told_apart() {
    let mut postgres = Postgres::start(&postgres::Options::default());
    let pgbouncer = Pulp::pooler(&postgres);
    // One after the other: a worker is known by when it started, where all beat at the same time.
    let options = lab::pulp::Options { workers: 1, ..lab::pulp::Options::default() };
    let mut pulp = Pulp::start(&postgres, pgbouncer.port, options);
    pulp.start_worker();
    pulp.wait_online();
    pulp.sql(
        "GRANT SELECT (pulp_id, pulp_created, name, app_type, last_heartbeat, ttl, versions) ON core_appstatus TO PUBLIC;
         GRANT SELECT (pulp_id, state, started_at, app_lock_id) ON core_task TO PUBLIC",
    );
    let held = watch(&postgres, watched("pulp"));
    let main = [0, 1].map(|i| pulp.main_backend(&pulp.workers[i]));

    // Two tasks: one ends, the other's connection is cut while it is silent.
    let ends = pulp.wait_running(&pulp.dispatch(Task::Silent, 6.0));
    // A session is joined to its task by when both began: of two that began between two looks none is judged.
    sleep(Duration::from_secs(1));
    let cut = pulp.wait_running(&pulp.dispatch(Task::Silent, 30.0));
    sleep(SOME_BEATS);
    assert_eq!(pulp.wait_task(&ends.task), "completed");
    pulp.terminate(cut.backend);
    sleep(Duration::from_secs(1));

    // The row of the worker that has no task is deleted: its next heartbeat finds that out.
    let with_task = pulp.workers.iter().position(|worker| worker.pid() == cut.worker).unwrap();
    let without = 1 - with_task;
    pulp.delete_row(&pulp.workers[without]);
    pulp.workers[without].wait_ended();
    // The other one's main connection is cut.
    pulp.terminate(main[with_task]);
    pulp.workers[with_task].wait_ended();

    // Two more: one leaves in order, the other lives until the server is started anew.
    for _ in 0..2 {
        pulp.start_worker();
        pulp.wait_online();
    }
    sleep(SOME_BEATS);
    pulp.workers[2].signal("TERM");
    pulp.workers[2].wait_ended();
    sleep(Duration::from_secs(1));
    postgres.restart("INT");
    pulp.workers[3].wait_ended();
    sleep(Duration::from_secs(2));

    let (report, observed) = report(held).await;
    let run = run(report);
    fs::create_dir_all("../target").unwrap();
    fs::write("../target/workers.md", render::run(&run, None, Format::Markdown)).unwrap();
    fs::write("../target/workers.json", render::run(&run, None, Format::Json)).unwrap();
    println!("{}", render::run(&run, None, Format::Markdown));

    let one = |role, fate| {
        assert_eq!(observed.count(role, fate), 1, "{role:?} {fate:?}: {:#?}", observed.fates);
    };
    one(Role::Task, Fate::TaskEnded);
    one(Role::Task, Fate::CutIdle);
    one(Role::Main, Fate::RowDeleted);
    one(Role::Main, Fate::CutIdle);
    one(Role::Main, Fate::Left);
    one(Role::Main, Fate::ServerRestarted);
    assert_eq!(observed.restarts.len(), 1);
    let cut = lives(&observed, Role::Task, Fate::CutIdle)[0];
    let end = cut.end.unwrap();
    assert!(end.silence_ms > 5_000, "{cut:?}");
    assert!(end.before.as_millisecond() - end.after.as_millisecond() < 2_000, "{cut:?}");
    assert!(cut.worker.is_some(), "a task has its worker's key");
    for fate in [Fate::RowDeleted, Fate::CutIdle, Fate::Left] {
        let life = lives(&observed, Role::Main, fate)[0];
        assert!((1_500..=2_500).contains(&life.beat_ms.unwrap()), "{life:?}");
        assert!(life.longest_silence_ms < 6_000, "{life:?}");
        assert!(life.worker.as_ref().unwrap().contains('@'), "{life:?}");
    }
    let fact = |name: &str| observed.facts.iter().find(|fact| fact.name == name).unwrap();
    assert_eq!(fact("WORKER_TTL").value, "6");
    assert!(fact("pulpcore").value.starts_with("3."), "{:?}", fact("pulpcore"));
    let causes: Vec<_> = run.status.unwrap().findings.iter().map(|finding| finding.cause).collect();
    assert_eq!(
        causes[..3],
        [Cause::IdleTaskCut, Cause::WorkerLeft, Cause::WorkerCut],
        "{causes:?}"
    );
}

/// A session of the watched role, for so long.
fn session(postgres: &Postgres, seconds: u64) -> Held {
    let holding = Holding::new(postgres.port, USER, PASSWORD).pattern(Pattern::Idle);
    holding.duration(Duration::from_secs(seconds)).start()
}

/// What the watched role does in a session that ends at once.
fn does(postgres: &Postgres, statements: &[&str]) {
    let mut psql = command("psql");
    psql.args([
        "-XAtq",
        "-h",
        "127.0.0.1",
        "-p",
        &postgres.port.to_string(),
        "-U",
        USER,
        "postgres",
    ]);
    statements.iter().for_each(|sql| {
        psql.args(["-c", sql]);
    });
    assert!(psql.env("PGPASSWORD", PASSWORD).status().unwrap().success());
}

fn server(settings: &str) -> Postgres {
    let postgres = Postgres::start(&postgres::Options { settings, ..postgres::Options::default() });
    postgres.role(USER, PASSWORD);
    postgres
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_see_is_said() {
    let postgres = server("");
    postgres.role("watcher", "w4tch");
    let config_map = Some("pulp-settings".to_owned());
    let held = watch(&postgres, Watched { config_map, ..watched("postgres") });
    session(&postgres, 1).report().await;
    sleep(Duration::from_secs(1));
    let (_, observed) = report(held).await;
    let missing = observed.missing.join("\n");
    for words in [
        "GRANT pg_monitor",
        "core_appstatus",
        "core_task",
        "pg_stat_statements",
        "ConfigMap pulp-settings",
    ] {
        assert!(missing.contains(words), "{missing}");
    }
    assert_eq!(observed.count(Role::Other, Fate::Unknown), 1, "that it went is seen all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_that_is_cut_looks_on_and_says_what_it_missed() {
    let postgres = server("");
    let held = watch(&postgres, watched("postgres"));
    let client = session(&postgres, 5);
    sleep(Duration::from_secs(1));
    let watcher = postgres.sql("SELECT pid FROM pg_stat_activity WHERE usename = 'watcher'");
    postgres.sql(&format!("SELECT pg_terminate_backend({watcher})"));
    sleep(Duration::from_secs(3));
    let (_, observed) = report(held).await;
    client.report().await;
    assert_eq!(
        (observed.lives_seen, observed.going_on()),
        (1, 1),
        "the same session: {observed:?}"
    );
    assert_eq!(observed.cost.failed, 1);
    assert!(observed.cost.longest_gap_ms >= 1_000, "{:?}", observed.cost);
    assert!(observed.missing[0].contains("57P01"), "{:?}", observed.missing);
}

/// The first process of the server stays, and all others are started anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_the_server_that_is_killed_is_a_restart_for_all() {
    let postgres = server("");
    let held = watch(&postgres, watched("postgres"));
    let (one, other) = (session(&postgres, 60), session(&postgres, 60));
    sleep(Duration::from_secs(2));
    let pid = format!("SELECT min(pid) FROM pg_stat_activity WHERE usename = '{USER}'");
    postgres.signal_backend(postgres.sql(&pid).parse().unwrap(), "KILL");
    sleep(Duration::from_secs(4));
    let (_, observed) = report(held).await;
    assert_eq!(observed.count(Role::Other, Fate::ServerRestarted), 2, "{observed:?}");
    assert_eq!(observed.restarts.len(), 1, "{observed:?}");
    drop((one, other));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_pin_are_counted_and_their_literals_kept_out() {
    let postgres = server("shared_preload_libraries = 'pg_stat_statements'");
    postgres.sql("CREATE EXTENSION pg_stat_statements");
    does(&postgres, &["SET statement_timeout TO '46s'"]);
    let held = watch(&postgres, watched("postgres"));
    sleep(Duration::from_secs(2));
    let set = "SET statement_timeout TO '47s'";
    does(&postgres, &[set, set, set, "LISTEN a", "SELECT 'SET x'"]);
    sleep(Duration::from_secs(1));
    let (report, observed) = report(held).await;
    let statements = observed.statements.as_ref().unwrap();
    let pins: Vec<_> = statements
        .counts
        .iter()
        .filter_map(|count| Some((count.class, count.rule?, count.calls)))
        .collect();
    assert_eq!(
        pins,
        [(Class::Set, PinRule::Set, 3), (Class::Listen, PinRule::Listen, 1)],
        "{statements:?}"
    );
    let told = serde_json::to_string(&report).unwrap();
    assert!(!told.contains("47s") && !told.contains("SET x"), "{told}");
    assert!(told.contains("SET statement_timeout TO $1"), "{told}");
}
