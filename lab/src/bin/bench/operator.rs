//! What the operator costs, how soon it acts, and whether anything that happens to it or around it
//! turns into a false finding: on the lab's cluster.

use crate::{
    figure::Figure,
    usage::{Usage, tell_whether_quiet},
};
use anyhow::{Context, Result, ensure};
use lab::{
    audit::{self, Call, Mark},
    cluster::{Namespace, eventually, in_namespace, kubectl},
    leaks,
};
use std::time::Duration;

mod blow;
mod calls;
mod kill;
mod objects;
mod size;
mod start;

const PARTS: [&str; 5] = ["start", "calls", "size", "kill", "leaks"];

/// All figures, or those of one part.
pub(crate) async fn figures(part: Option<&str>) -> Result<Vec<Figure>> {
    ensure!(part.is_none_or(|part| PARTS.contains(&part)), "the parts are {}", PARTS.join(", "));
    let mut figures = Vec::new();
    for name in PARTS.into_iter().filter(|name| part.is_none_or(|part| part == *name)) {
        tell_whether_quiet(&format!("operator.{name}")).await?;
        figures.extend(match name {
            "start" => start::figures().await?,
            "calls" => calls::figures().await?,
            "size" => size::figures().await?,
            "kill" => kill::figures().await?,
            _ => leaked().await?,
        });
    }
    Ok(figures)
}

async fn leaked() -> Result<Vec<Figure>> {
    let search = alone(async |ns| Ok(leaks::search(ns).await)).await?;
    search.leaks.iter().for_each(|leak| println!("LEAK {leak}"));
    Ok(vec![Figure::count("secret.leaks", "leaks", search.leaks.len(), search.values)])
}

/// Measures in a namespace of its own, and waits until nothing of it is left that could disturb what
/// is measured next.
async fn alone<T>(measure: impl AsyncFnOnce(&Namespace) -> Result<T>) -> Result<T> {
    let (name, measured) = in_namespace(async |ns| (ns.name.clone(), measure(&ns).await)).await;
    eventually("the end of the namespace", Duration::from_secs(600), async || {
        let there = kubectl(&["get", "namespace", &name, "--ignore-not-found", "-o", "name"]);
        (there.ok && there.text.trim().is_empty()).then_some(())
    })
    .await;
    measured
}

/// The operator's process.
fn usage() -> Result<Usage> {
    let pid = lab::operator::pid().context("the operator does not run")?;
    Ok(Usage { pid: pid.try_into()? })
}

/// What was called in a namespace since.
fn calls_in(ns: &Namespace, mark: Mark) -> Vec<Call> {
    audit::since(mark).into_iter().filter(|call| call.namespace == ns.name).collect()
}

/// Whether it is the creation of a Job.
fn makes_a_job(call: &Call) -> bool {
    call.verb == "create" && call.resource == "batch/jobs"
}

/// Waits until so many Jobs have been made in a namespace since, and returns all calls there.
async fn jobs_made(ns: &Namespace, mark: Mark, jobs: usize) -> Vec<Call> {
    eventually(&format!("{jobs} Jobs"), Duration::from_secs(120), async || {
        let calls = calls_in(ns, mark);
        (calls.iter().filter(|call| makes_a_job(call) && call.ok()).count() >= jobs)
            .then_some(calls)
    })
    .await
}
