//! How soon a probe's Job is there: of one probe at a time, after a quiet time, and of 200 at once.

use super::{
    alone, calls_in, jobs_made, makes_a_job,
    objects::{create, cron_job, job, names, probe_for_nowhere},
};
use crate::figure::{Baseline, Figure};
use anyhow::{Context, Result, ensure};
use api::{
    ConnectionProbe,
    names::{job_name, run_name},
};
use kube::ResourceExt;
use lab::{
    audit::{self, Call},
    cluster::Namespace,
    holding::now,
};
use std::time::Duration;
use tokio::time::sleep;

/// Probes that are made one after the other, each beside a plain Job.
const ROUNDS: usize = 100;
const GAP: Duration = Duration::from_millis(250);
/// After this long without work, connections of a client that sleeps are at their coldest.
const QUIET: Duration = Duration::from_secs(90);
const QUIET_ROUNDS: usize = 5;
/// CronJobs that are due while the operator is left alone.
const CRON_JOBS: usize = 10;
/// Probes at once, so often.
const BURST: usize = 200;
const BURSTS: usize = 3;
const MINUTE_MS: f64 = 60_000.0;

pub(super) async fn figures() -> Result<Vec<Figure>> {
    let mut figures = alone(one_at_a_time).await?;
    figures.extend(alone(after_quiet).await?);
    let (mut bursts, mut floor) = (Vec::new(), Vec::new());
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..BURSTS {
        let burst = alone(burst).await?;
        bursts.push(burst.seconds);
        sent += burst.sent;
        refused += burst.refused;
        floor.push(alone(burst_of_jobs).await?);
    }
    let cron_jobs = Baseline::value("200 CronJobs", alone(burst_of_cron_jobs).await?);
    figures.extend([
        Figure::spread("run.burst200", "s", bursts).beside(cron_jobs),
        Figure::spread("run.burst200.floor", "s", floor),
        Figure::count("run.burst200.refused", "creates", refused, sent),
    ]);
    Ok(figures)
}

async fn one_at_a_time(ns: &Namespace) -> Result<Vec<Figure>> {
    let mark = audit::mark();
    let mut probes = Vec::new();
    for n in 0..ROUNDS {
        probes.extend(create(ns, [probe_for_nowhere(format!("p{n}"))].into_iter()).await?);
        sleep(GAP).await;
        create(ns, [job(format!("floor{n}"))].into_iter()).await?;
        sleep(GAP).await;
    }
    let calls = jobs_made(ns, mark, ROUNDS * 2).await;
    let floor = calls.iter().filter(|call| makes_a_job(call) && call.name.starts_with("floor"));
    let floor = floor.map(|call| call.done_ms - call.began_ms).collect();
    let ours = Figure::spread("run.cr_to_jobs", "ms", latencies(&calls, &probes)?);
    Ok(vec![ours.beside(Baseline::spread("plain Job", floor))])
}

/// The CronJob controller works meanwhile: its Jobs are no concern of the operator, which selects by
/// label.
async fn after_quiet(ns: &Namespace) -> Result<Vec<Figure>> {
    let mark = audit::mark();
    create(ns, names("cron", CRON_JOBS).map(cron_job)).await?;
    let mut probes = Vec::new();
    for n in 0..QUIET_ROUNDS {
        sleep(QUIET).await;
        probes.extend(create(ns, [probe_for_nowhere(format!("p{n}"))].into_iter()).await?);
    }
    sleep(GAP).await;
    let calls = jobs_made(ns, mark, QUIET_ROUNDS).await;
    let scheduled = calls.iter().filter(|call| makes_a_job(call) && call.name.starts_with("cron"));
    let late: Vec<f64> = scheduled.map(|call| call.done_ms % MINUTE_MS).collect();
    let ours = Figure::spread("run.cr_to_jobs.quiet", "ms", latencies(&calls, &probes)?);
    let all = audit::since(mark);
    let lists = all.iter().filter(|call| call.by_operator() && call.verb == "list").count();
    Ok(vec![
        ours.beside(Baseline::spread("10 CronJobs", late)),
        Figure::count("run.api_lists", "calls", lists, QUIET_ROUNDS),
    ])
}

/// Milliseconds from the moment that a probe was stored to the one that its Job was.
fn latencies(calls: &[Call], probes: &[ConnectionProbe]) -> Result<Vec<f64>> {
    let stored = |resource: &str, name: &str| -> Result<f64> {
        let mut made = calls.iter().filter(|call| call.verb == "create" && call.ok());
        let made = made.find(|call| call.resource == resource && call.name == name);
        Ok(made.with_context(|| format!("no creation of {resource} {name}"))?.done_ms)
    };
    let latency = |probe: &ConnectionProbe| -> Result<f64> {
        let (name, uid) = (probe.name_any(), probe.uid().context("a uid")?);
        let job = job_name(&run_name(&name, &uid, 1), 1);
        let probe = stored("probes.pulpproject.org/connectionprobes", &name)?;
        Ok(stored("batch/jobs", &job)? - probe)
    };
    probes.iter().map(latency).collect()
}

struct Burst {
    /// From the first probe's arrival until the last Job was stored.
    seconds: f64,
    /// Creations that the operator sent, events apart.
    sent: usize,
    /// Those among them of what was there already.
    refused: usize,
}

async fn burst(ns: &Namespace) -> Result<Burst> {
    let mark = audit::mark();
    create(ns, names("p", BURST).map(probe_for_nowhere)).await?;
    jobs_made(ns, mark, BURST).await;
    // What was sent twice may be refused after the last Job.
    sleep(Duration::from_secs(5)).await;
    let calls = calls_in(ns, mark);
    let sent: Vec<_> = calls
        .iter()
        .filter(|call| call.by_operator() && call.verb == "create")
        .filter(|call| call.resource != "events.k8s.io/events")
        .collect();
    let refused = sent.iter().filter(|call| call.code == 409).count();
    Ok(Burst {
        seconds: span(&calls, "probes.pulpproject.org/connectionprobes")?,
        sent: sent.len(),
        refused,
    })
}

/// As many plain Jobs by the same client.
async fn burst_of_jobs(ns: &Namespace) -> Result<f64> {
    let mark = audit::mark();
    create(ns, names("floor", BURST).map(job)).await?;
    span(&jobs_made(ns, mark, BURST).await, "batch/jobs")
}

/// Seconds from the first creation of a resource until the last of a Job.
fn span(calls: &[Call], resource: &str) -> Result<f64> {
    let made = calls.iter().filter(|call| call.verb == "create" && call.resource == resource);
    let first =
        made.map(|call| call.began_ms).min_by(f64::total_cmp).context("nothing was made")?;
    Ok((last_job(calls)? - first) / 1000.0)
}

fn last_job(calls: &[Call]) -> Result<f64> {
    let jobs = calls.iter().filter(|call| makes_a_job(call) && call.ok());
    jobs.map(|call| call.done_ms).max_by(f64::total_cmp).context("no Job")
}

/// As many CronJobs that are due at the same minute: seconds from then until the last Job.
async fn burst_of_cron_jobs(ns: &Namespace) -> Result<f64> {
    let second = |ms: i64| ms % 60_000 / 1000;
    while second(now().as_millisecond()) > 30 {
        sleep(Duration::from_secs(1)).await;
    }
    let mark = audit::mark();
    create(ns, names("cron", BURST).map(cron_job)).await?;
    ensure!(second(now().as_millisecond()) < 55, "they were made too slowly");
    let calls = jobs_made(ns, mark, BURST).await;
    let jobs = calls.iter().filter(|call| makes_a_job(call));
    ensure!(jobs.count() == BURST, "more than one minute's Jobs");
    Ok(last_job(&calls)? % MINUTE_MS / 1000.0)
}
