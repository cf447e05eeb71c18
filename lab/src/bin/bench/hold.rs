//! What holding costs, through PgBouncer: the probe's release binary beside psycopg (memory) and
//! beside the least that can hold a connection, C and epoll.

use crate::{
    figure::{Baseline, Figure},
    process::{self, Process, in_c, in_python},
};
use anyhow::{Context, Result, ensure};
use api::target::TlsMode;
use jiff::Timestamp;
use lab::{
    certificates::Authority,
    holding::Holding,
    pgbouncer::{Options, PgBouncer},
    postgres::{self, Postgres},
};
use serde_json::Value;
use std::time::Duration;
use tokio::{
    time::{Instant, sleep, sleep_until},
    try_join,
};

const LANES: usize = 10_000;
/// psycopg's connections cost the same each, and take long to open one after the other.
const PSYCOPG_LANES: usize = 1_000;
/// How long connections are to be held: long enough for what is measured, and then ended.
const HOLD: Duration = Duration::from_secs(300);
/// How long nothing happens while processor time is taken.
const IDLE: Duration = Duration::from_secs(60);
/// How long a process is left alone before its memory is read.
const SETTLE: Duration = Duration::from_secs(1);

const USER: &str = "bench";
const PASSWORD: &str = "of-the-bench";
const CONNECTED: &str = r#""event":"connected""#;
/// All clients share few servers. PgBouncer lets 128 of them wait for its accept by itself; the others would be answered
/// with SYN cookies, and reset if the queue is still full when they acknowledge.
const POOL: &str = "pool_mode = transaction\ndefault_pool_size = 5\nmax_client_conn = 12000\nlisten_backlog = 4096\n\
log_connections = 0\nlog_disconnections = 0\n";

/// What a process that holds connections costs.
struct Cost {
    /// Resident bytes with one connection.
    base: f64,
    /// Resident bytes that each further one adds.
    each: f64,
}

/// The probe with all its lanes idle.
struct Held {
    cost: Cost,
    /// Seconds until the last lane was open.
    opened: f64,
    /// Processor seconds in a minute.
    cpu: f64,
}

pub(crate) async fn figures() -> Result<Vec<Figure>> {
    let postgres = Postgres::start(&postgres::Options::default());
    postgres.role(USER, PASSWORD);
    let identity = Authority::default().identity(&["127.0.0.1"]);
    let pooler = |settings: &str| {
        let settings = &format!("{POOL}client_tls_sslmode = allow\n{settings}");
        let (users, identity): (&[_], _) = (&[(USER, PASSWORD)], Some(&identity));
        PgBouncer::start(&postgres, &Options { settings, users, identity })
    };
    let pgbouncer = pooler("");
    let trusting = pooler("auth_type = trust");
    let port = pgbouncer.port;

    let (plain, bare_cpu) = try_join!(ours(port, TlsMode::Disable), bare(trusting.port))?;
    let tls = ours(port, TlsMode::Require).await?;
    let psycopg = [psycopg(port, "disable").await?, psycopg(port, "require").await?];

    let (last_connect, _) = process::schedule(LANES, HOLD);
    let mut figures = Vec::new();
    for (word, ours, psycopg) in [("plain", plain, &psycopg[0]), ("tls", tls, &psycopg[1])] {
        let mut add = |name: &str, unit, value, n, baseline: (&'static str, f64)| {
            let baseline = Baseline::value(baseline.0, baseline.1);
            figures.push(Figure::value(&format!("{name}.{word}"), unit, value, n).beside(baseline));
        };
        add("hold.bytes", "bytes", ours.cost.each, LANES, ("psycopg", psycopg.each));
        add("hold.base", "MB", ours.cost.base / 1e6, 1, ("psycopg", psycopg.base / 1e6));
        add("hold.cpu.idle", "s/min", ours.cpu, LANES, ("C and epoll, plain", bare_cpu));
        add("hold.open", "s", ours.opened, LANES, ("schedule", last_connect.as_secs_f64()));
    }
    Ok(figures)
}

async fn ours(port: u16, tls: TlsMode) -> Result<Held> {
    let start = |lanes| {
        let holding = Holding::new(port, USER, PASSWORD).tls(tls);
        process::probe(holding.connections(lanes).duration(HOLD), "150s")
    };
    let mut one = start(1)?;
    one.printed(CONNECTED, 1).await?;
    sleep(SETTLE).await;
    let base = one.usage().resident()?;
    drop(one);

    let mut all = start(LANES)?;
    let started = Instant::now();
    all.printed(CONNECTED, LANES).await?;
    let (_, last_lead_in) = process::schedule(LANES, HOLD);
    sleep_until(started + last_lead_in + SETTLE).await;
    let each = (all.usage().resident()? - base) / further(LANES);
    let cpu = idle(&all).await?;
    let output = all.output()?;
    let gone = output.matches(r#""outcome""#).count();
    ensure!(gone == 0, "{gone} connections ended meanwhile");
    Ok(Held { cost: Cost { base, each }, opened: opened(&output)?, cpu })
}

/// Processor seconds in an idle minute of the C holder.
async fn bare(port: u16) -> Result<f64> {
    let (port, lanes) = (port.to_string(), LANES.to_string());
    let mut holder = in_c("holder.c", &[&port, &lanes, USER, "postgres"])?;
    holder.printed("open", 1).await?;
    idle(&holder).await
}

async fn psycopg(port: u16, sslmode: &str) -> Result<Cost> {
    let mut resident = [0.0; 2];
    for (lanes, resident) in [1, PSYCOPG_LANES].into_iter().zip(&mut resident) {
        let (port, lanes) = (port.to_string(), lanes.to_string());
        let mut holder = in_python("holder.py", &[&port, &lanes, USER, PASSWORD, sslmode])?;
        holder.printed("open", 1).await?;
        sleep(SETTLE).await;
        *resident = holder.usage().resident()?;
    }
    let [base, all] = resident;
    Ok(Cost { base, each: (all - base) / further(PSYCOPG_LANES) })
}

/// Processor seconds in a minute in which nothing happens.
async fn idle(process: &Process) -> Result<f64> {
    let before = process.usage().cpu()?;
    sleep(IDLE).await;
    Ok((process.usage().cpu()? - before) * 60.0 / IDLE.as_secs_f64())
}

/// Seconds from the start of the workload until its last connection was open.
fn opened(output: &str) -> Result<f64> {
    let time = |line: Option<&str>| -> Result<Timestamp> {
        let line: Value = serde_json::from_str(line.context("no such event")?)?;
        Ok(line["time"].as_str().context("no time")?.parse()?)
    };
    let started = time(output.lines().find(|line| line.contains(r#""event":"started""#)))?;
    let last = time(output.lines().rfind(|line| line.contains(CONNECTED)))?;
    Ok(last.duration_since(started).as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn further(lanes: usize) -> f64 {
    (lanes - 1) as f64
}
