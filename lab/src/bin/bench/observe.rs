//! What watching 500 sessions costs the server: processor time of the watcher's own process there, beside what all the
//! sessions that are watched take in the same minutes.

use crate::{
    figure::{Baseline, Figure},
    usage::Usage,
};
use anyhow::{Context, Result, ensure};
use api::{
    pattern::{Pattern, Watched},
    workload::StatementDetail,
};
use lab::{
    holding::Holding,
    postgres::{Options, Postgres},
};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Sessions that beat as Pulp's workers do, each on its own.
const SESSIONS: usize = 500;
const MINUTE: Duration = Duration::from_secs(60);
/// Minutes that are measured.
const MINUTES: usize = 5;
/// From the first session to the last, and the minutes that are measured.
const LENGTH: Duration = Duration::from_secs(600);

/// Pulp's own tables, as far as they are asked for: a row for each worker, and a history of tasks of which few are running.
const TABLES: &str = "
    CREATE TABLE core_appstatus (pulp_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pulp_created timestamptz DEFAULT now(),
        name text, app_type text DEFAULT 'worker', last_heartbeat timestamptz DEFAULT now(), ttl interval DEFAULT '30 s',
        versions text DEFAULT '\"core\"=>\"3.123.1\"');
    INSERT INTO core_appstatus (name) SELECT n || '@pulp-worker' FROM generate_series(1, 500) n;
    CREATE TABLE core_task (pulp_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), state text, started_at timestamptz DEFAULT now(),
        app_lock_id uuid);
    INSERT INTO core_task (state) SELECT CASE WHEN n % 200 = 0 THEN 'running' ELSE 'completed' END FROM generate_series(1, 100000) n;
    CREATE INDEX ON core_task (state);
    ANALYZE";

pub(crate) async fn figures() -> Result<Vec<Figure>> {
    let settings = "max_connections = 700\nshared_preload_libraries = 'pg_stat_statements'";
    let postgres = Postgres::start(&Options { settings, ..Options::default() });
    postgres.sql("CREATE EXTENSION pg_stat_statements");
    for role in ["pulp", "watcher"] {
        postgres.role(role, "s3cret");
    }
    postgres.sql(TABLES);
    postgres
        .sql("GRANT pg_monitor TO watcher; GRANT SELECT ON core_appstatus, core_task TO watcher");
    let workers = Holding::new(postgres.port, "pulp", "s3cret")
        .pattern(Pattern::PulpWorker { interval_ms: 10_000, table: None, listen: true })
        .connections(SESSIONS)
        .duration(LENGTH)
        .start();
    let of_role = |role: &str| format!("FROM pg_stat_activity WHERE usename = '{role}'");
    let began = Instant::now();
    while postgres.sql(&format!("SELECT count(*) {}", of_role("pulp"))) != SESSIONS.to_string() {
        ensure!(began.elapsed() < LENGTH / 4, "the sessions are not there");
        sleep(Duration::from_secs(2)).await;
    }
    let mut watcher = Holding::new(postgres.port, "watcher", "s3cret")
        .pattern(Pattern::Observe(Watched {
            user: "pulp".to_owned(),
            database: None,
            application_name: None,
            address: None,
            interval_ms: 1000,
            statements: StatementDetail::Classes,
            config_map: None,
        }))
        .duration(LENGTH)
        .start();
    sleep(Duration::from_secs(5)).await;
    let pids = |role: &str| -> Vec<Usage> {
        let pids = postgres.sql(&format!("SELECT pid {}", of_role(role)));
        pids.lines().filter_map(|pid| Some(Usage { pid: pid.parse().ok()? })).collect()
    };
    let (ours, theirs) = (pids("watcher"), pids("pulp"));
    let (mut cost, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..MINUTES {
        let before = (cpu(&ours)?, cpu(&theirs)?);
        sleep(MINUTE).await;
        cost.push(cpu(&ours)? - before.0);
        beside.push(cpu(&theirs)? - before.1);
    }
    watcher.stop();
    let (_, report) = watcher.whole().await;
    drop(workers);
    let observed = report.observed.context("nothing was observed")?;
    ensure!(observed.cost.failed == 0, "{:?}", observed.cost);
    let (first, last) = observed.first_look.zip(observed.last_look).context("no look")?;
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let rate = {
        let minutes = (last.as_millisecond() - first.as_millisecond()) as f64 / 60_000.0;
        observed.cost.queries as f64 / minutes
    };
    #[expect(clippy::cast_precision_loss, reason = "microseconds")]
    let answer = observed.cost.median_us.context("no answer")? as f64 / 1000.0;
    let looks = usize::try_from(observed.cost.looks)?;
    ensure!(observed.lives_seen == i32::try_from(SESSIONS)?, "{} lives", observed.lives_seen);
    let baseline = Baseline::spread("the 500 sessions themselves", beside);
    Ok(vec![
        Figure::value("observe.queries_per_minute", "statements", rate, looks),
        Figure::spread("observe.server_cpu", "s/min", cost).beside(baseline),
        Figure::value("observe.answer", "ms", answer, looks),
    ])
}

/// Seconds on a processor, of all of them.
fn cpu(processes: &[Usage]) -> Result<f64> {
    processes.iter().map(|process| process.cpu()).sum()
}
