//! The controller: observe, plan, act, record, announce, wake.

use crate::{
    act::{self, Acted},
    announce,
    error::Error,
    facts::RunFacts,
    failing::Failing,
    metrics::Reconciled,
    observe::{Scope, World},
    plan::{self, Announcement, Plan},
};
use api::{ConnectionProbe, ConnectionProbeRunStatus, run::Versions};
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use kube::{
    ResourceExt,
    runtime::{
        Controller, WatchStreamExt,
        controller::{Action, Config},
        events::Recorder,
        reflector, watcher,
    },
};
use std::{sync::Arc, time::Duration};

/// What every reconciliation needs.
pub(crate) struct Context {
    /// Where the probes are.
    pub(crate) scope: Scope,
    /// What is known.
    pub(crate) world: Arc<World>,
    /// Events.
    pub(crate) recorder: Recorder,
    /// What a run is stamped with.
    pub(crate) versions: Versions,
    /// When what failed is tried again.
    pub(crate) failing: Failing,
}

/// Probes that are looked at at the same time. After a start that is each of them, and each write under
/// way has a connection of its own.
const AT_ONCE: u16 = 32;
/// A plan comes to rest after a few steps: claim, Job, nothing.
const STEPS: usize = 8;
/// While a namespace that is being deleted keeps a proxy from being put back.
const TERMINATING_RETRY: SignedDuration = SignedDuration::from_mins(1);
/// While a name is taken by something that is not ours.
const CONFLICT_RETRY: Duration = Duration::from_mins(1);

/// Runs until `stop`.
pub(crate) async fn run(
    context: Arc<Context>,
    stop: impl Future<Output = ()> + Send + Sync + 'static,
) {
    let changes = context.world.watch(&context.scope).await;
    let (known, writer) = reflector::store();
    let failing = context.clone();
    let probes = context.scope.events(watcher::Config::default()).inspect_ok(move |event| {
        if let watcher::Event::Delete(probe) = event {
            failing.failing.forget(probe);
        }
    });
    context.scope.metrics.tell_of(known.clone(), context.world.clone());
    Controller::for_stream(probes.reflect(writer).applied_objects(), known)
        .with_config(Config::default().concurrency(AT_ONCE))
        .reconcile_on(changes)
        .graceful_shutdown_on(stop)
        .run(reconcile, on_error, context)
        .for_each(|result| {
            // A child whose probe is gone is being collected.
            result.err().into_iter().for_each(|error| tracing::debug!(%error, "not reconciled"));
            std::future::ready(())
        })
        .await;
}

async fn reconcile(probe: Arc<ConnectionProbe>, context: Arc<Context>) -> Result<Action, Error> {
    let metrics = &context.scope.metrics;
    let timer = metrics.reconciling();
    let result = carry_through(probe.clone(), &context, now).await;
    timer.observe_duration();
    metrics.reconciled(match &result {
        Ok(_) => {
            context.failing.forget(&probe);
            Reconciled::Success
        }
        Err(error) if error.is_conflict() => Reconciled::Conflict,
        Err(_) => Reconciled::Error,
    });
    result
}

async fn carry_through(
    probe: Arc<ConnectionProbe>,
    context: &Context,
    now: impl Fn() -> Timestamp,
) -> Result<Action, Error> {
    let namespace = probe.namespace().unwrap_or_default();
    let probe = context.world.probes.newest(probe);
    for _ in 0..STEPS {
        let now = now();
        let runs = context.world.runs_of(&probe);
        let plan = plan::plan(&probe, &runs, &context.versions, now);
        if plan.actions.is_empty() {
            let wake = plan.wake;
            record(context, &probe, &runs, plan).await?;
            return Ok(look_again(wake, now));
        }
        // An end is written before what follows from it: the next run must find it.
        let is_first = |status: &ConnectionProbeRunStatus| {
            plan.takes_pods_along() || status.ended_early.is_some() || status.has_ended()
        };
        record_runs(context, &probe, &runs, &plan, is_first).await?;
        for action in &plan.actions {
            tracing::info!(probe = %probe.name_any(), %namespace, action = %action, "acting");
            match act::act(context, &probe, action).await? {
                Acted::Done => {}
                Acted::Terminating if plan.protects() => {
                    // No Job of ours puts the proxy back: a person reads in the statuses what does.
                    let wake = plan.wake;
                    record(context, &probe, &runs, plan).await?;
                    let retry = now.checked_add(TERMINATING_RETRY).ok();
                    return Ok(look_again(wake.into_iter().chain(retry).min(), now));
                }
                Acted::Terminating => return Ok(Action::await_change()),
                Acted::Foreign(object) => {
                    record(context, &probe, &runs, plan::name_conflict(&probe, &object, now))
                        .await?;
                    return Ok(Action::requeue(CONFLICT_RETRY));
                }
            }
        }
    }
    Err(Error::Restless)
}

async fn record(
    context: &Context,
    probe: &ConnectionProbe,
    runs: &[RunFacts],
    plan: Plan,
) -> Result<(), Error> {
    record_runs(context, probe, runs, &plan, |_| true).await?;
    let changed = probe.status.as_ref() != Some(&plan.status);
    if changed && !act::record_probe(context, probe, plan.status).await? {
        return Ok(());
    }
    context.scope.metrics.schedule_missed(probe, plan.missed);
    let of_probe = plan.announcements.into_iter().filter(|told| told.run.is_none());
    announce::announce(&context.recorder, probe, of_probe.collect()).await;
    Ok(())
}

/// Writes the statuses of runs that are wanted, and tells what changed at once: nobody would find it again.
async fn record_runs(
    context: &Context,
    probe: &ConnectionProbe,
    runs: &[RunFacts],
    plan: &Plan,
    wanted: impl Fn(&ConnectionProbeRunStatus) -> bool,
) -> Result<(), Error> {
    for (name, status) in plan.run_statuses.iter().filter(|(_, status)| wanted(status)) {
        let Some(facts) = runs.iter().find(|facts| facts.run.name_any() == *name) else { continue };
        if !act::record_run(context, &facts.run, status.clone()).await? {
            continue;
        }
        // Whatever of it the event is about.
        let of_run = |told: &&Announcement| {
            told.run.as_ref().is_some_and(|run| run.name.as_ref() == Some(name))
        };
        let told = plan.announcements.iter().filter(of_run);
        announce::announce(&context.recorder, probe, told.cloned().collect()).await;
    }
    Ok(())
}

/// An hour at the latest: whatever was missed is repaired then.
fn look_again(wake: Option<Timestamp>, now: Timestamp) -> Action {
    let hour = Duration::from_hours(1);
    let until = wake.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
    Action::requeue(until.unwrap_or(hour).clamp(Duration::from_millis(100), hour))
}

#[expect(clippy::needless_pass_by_value, reason = "the signature that Controller asks for")]
fn on_error(probe: Arc<ConnectionProbe>, error: &Error, context: Arc<Context>) -> Action {
    context.scope.metrics.failed(error.reason());
    // After a conflict the newer version is on its way, and with it the next reconciliation.
    if error.is_conflict() {
        tracing::debug!(probe = %probe.name_any(), "decided on an old version, deciding anew");
    } else {
        let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        tracing::warn!(probe = %probe.name_any(), %error, cause, "reconciliation failed");
    }
    Action::requeue(context.failing.failed(&probe))
}

/// The operator's only reading of the clock.
#[expect(clippy::disallowed_methods, reason = "the one clock: everything else is handed the time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests;
