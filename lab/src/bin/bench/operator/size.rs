//! What the operator takes while nothing happens: without probes, with thousands of them, and with
//! thousands of objects that are no concern of it.

use super::{
    alone,
    objects::{create, job, names, pod, probe, secret},
    usage,
};
use crate::figure::Figure;
use anyhow::{Context, Result};
use api::{ConnectionProbe, ConnectionProbeRun, names::run_name};
use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use lab::{
    audit,
    cluster::Namespace,
    operator::{away, back, metrics},
};
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const PROBES: [usize; 2] = [1_000, 10_000];
const FOREIGN_JOBS: usize = 10_000;
const FOREIGN_OTHERS: usize = 2_000;
/// How long it is left alone before its memory is read, and how long its processor time is taken.
const IDLE: Duration = Duration::from_secs(60);
/// It has settled when it takes less than a hundredth of this.
const STEP: Duration = Duration::from_secs(3);

pub(super) async fn figures() -> Result<Vec<Figure>> {
    let mut figures = restarted("0").await?;
    figures.extend(alone(foreign).await?);
    for probes in PROBES {
        figures.extend(alone(async |ns| with_probes(ns, probes).await).await?);
    }
    Ok(figures)
}

/// Its share after a start, with whatever is there.
async fn restarted(name: &str) -> Result<Vec<Figure>> {
    away().await;
    let mark = audit::mark();
    let started = Instant::now();
    back();
    settle().await?;
    let seconds = (started.elapsed() - STEP).as_secs_f64();
    let cpu = usage()?.cpu()?;
    sleep(IDLE).await;
    let per_minute = (usage()?.cpu()? - cpu) * 60.0 / IDLE.as_secs_f64();
    let resident = usage()?.resident()?;
    // As Prometheus does it, twice a minute.
    let scraped = Instant::now();
    metrics();
    let scrape = scraped.elapsed().as_secs_f64();
    sleep(Duration::from_secs(1)).await;
    let calls = audit::since(mark);
    let watches = audit::watches(calls.iter().filter(|call| call.by_operator()));
    let value = |figure: &str, unit, value| {
        Figure::value(&format!("operator.{figure}.{name}"), unit, value, 1)
    };
    Ok(vec![
        value("rss", "MiB", mib(resident)),
        value("rss.scraped", "MiB", mib(usage()?.resident()?)),
        value("peak", "MiB", mib(usage()?.peak()?)),
        value("cpu", "s/min", per_minute),
        value("start", "s", seconds),
        value("scrape", "s", scrape),
        Figure::count(&format!("operator.watches.{name}"), "watches", watches, 1),
    ])
}

fn mib(bytes: f64) -> f64 {
    bytes / 1_048_576.0
}

/// Waits until it has nothing left to do.
async fn settle() -> Result<()> {
    loop {
        let before = usage()?.cpu()?;
        sleep(STEP).await;
        if usage()?.cpu()? - before < STEP.as_secs_f64() / 100.0 {
            return Ok(());
        }
    }
}

async fn foreign(ns: &Namespace) -> Result<Vec<Figure>> {
    create(ns, names("job-", FOREIGN_JOBS).map(job)).await?;
    create(ns, names("pod-", FOREIGN_OTHERS).map(pod)).await?;
    create(ns, names("secret-", FOREIGN_OTHERS).map(secret)).await?;
    sleep(IDLE).await;
    let while_it_ran =
        Figure::value("operator.rss.foreign.running", "MiB", mib(usage()?.resident()?), 1);
    let mut figures = restarted("foreign").await?;
    figures.push(while_it_ran);
    Ok(figures)
}

/// Suspended probes, each with a run that ended: a real one's copy.
async fn with_probes(ns: &Namespace, count: usize) -> Result<Vec<Figure>> {
    let spec = json!({ "duration": "2s" });
    create(ns, [probe("t".to_owned(), spec.clone())].into_iter()).await?;
    let run = ns.ended(1, Duration::from_secs(60)).await;
    away().await;
    let mut suspended = spec;
    suspended["suspend"] = true.into();
    let probes = create(ns, names("p", count).map(|name| probe(name, suspended.clone()))).await?;
    let runs = create(ns, probes.iter().map(|probe| ended(probe, &run))).await?;
    let api = ns.api::<ConnectionProbeRun>();
    let statuses = stream::iter(runs).map(|made| {
        let (api, status) = (api.clone(), run.status.clone());
        let made = ConnectionProbeRun { status, ..made };
        async move { api.replace_status(&made.name_any(), &PostParams::default(), &made).await }
    });
    statuses.buffer_unordered(super::objects::CLIENTS).try_collect::<Vec<_>>().await?;
    let figures = restarted(&count.to_string()).await?;
    let last = ns.api::<ConnectionProbe>().get(&format!("p{}", count - 1)).await?;
    let status = last.status.context("a status")?;
    anyhow::ensure!(status.last_run.is_some(), "the operator has seen them all");
    Ok(figures)
}

fn ended(probe: &ConnectionProbe, run: &ConnectionProbeRun) -> ConnectionProbeRun {
    let uid = probe.uid().unwrap_or_default();
    let metadata = ObjectMeta {
        name: Some(run_name(&probe.name_any(), &uid, run.spec.number)),
        labels: run.metadata.labels.clone(),
        annotations: Some([(api::names::PROBE_ANNOTATION.to_owned(), probe.name_any())].into()),
        owner_references: probe.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    ConnectionProbeRun { metadata, spec: run.spec.clone(), status: None }
}
