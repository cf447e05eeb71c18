//! Decides. What comes in: a probe, its runs as they were observed, and the time. What goes out: what
//! to do, what to write, when to look again. Never a client, a clock, or a failure: same facts, same
//! plan.

use crate::facts::RunFacts;
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunStatus, ConnectionProbeStatus, Settings,
    conditions::{State, Waiting, WaitingReason},
    names,
    probe::DEFAULT_HISTORY_LIMIT,
    rds_proxy::{
        overriding::{Order, Role},
        request::Request,
    },
    report::Inconclusive,
    run::Versions,
    text,
};
use jiff::Timestamp;
use kube::ResourceExt;
use schedule::{Schedule, Slots};
use std::sync::Arc;

mod announce;
mod overriding;
mod proxy;
mod run;
mod schedule;
mod start;
mod status;
#[cfg(test)]
mod tests;
mod workload;

pub(crate) use announce::Announcement;

/// What to do about a probe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// To be carried out in this order, before anything is written. Each is harmless when repeated.
    pub(crate) actions: Vec<Action>,
    /// New statuses of runs, whole: only those that changed.
    pub(crate) run_statuses: Vec<(String, ConnectionProbeRunStatus)>,
    /// The probe's status, whole.
    pub(crate) status: ConnectionProbeStatus,
    /// What to tell as events, once the statuses are written.
    pub(crate) announcements: Vec<Announcement>,
    /// Scheduled runs that were not started in time, since the status that stands.
    pub(crate) missed: usize,
    /// When to look again if nothing happens.
    pub(crate) wake: Option<Timestamp>,
}

/// Something to do in the cluster.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Claim a run: whoever creates the object has started it.
    StartRun(Box<ConnectionProbeRun>),
    /// Create the Job of an attempt, for these workloads; on this node, if one is named.
    StartJob {
        run: Arc<ConnectionProbeRun>,
        attempt: i32,
        workloads: Vec<usize>,
        node: Option<String>,
    },
    /// Create the Job that asks AWS about the run's RDS Proxy.
    AskAws { run: Arc<ConnectionProbeRun>, request: Box<Request> },
    /// Create the Job that changes the run's RDS Proxy, or that puts it back.
    Override { run: Arc<ConnectionProbeRun>, order: Box<Order>, role: Role },
    /// Let whoever deletes the probe, or one of its runs, have it: no proxy is changed for it any more.
    Release { run: Option<Arc<ConnectionProbeRun>> },
    /// Delete a Job and wait for its pods to go: their last words are the reports.
    DeleteJob { name: String },
    /// Delete a Job whose pods are lost, and wait for nothing.
    DropJob { name: String },
    /// Delete a run that history has no room for; its Jobs go with it.
    DeleteRun { name: String },
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StartRun(run) => write!(f, "start run {}", run.spec.number),
            Self::StartJob { attempt, workloads, node, .. } => {
                write!(f, "start attempt {attempt} of {} workloads", workloads.len())?;
                node.iter().try_for_each(|node| write!(f, " on {node}"))
            }
            Self::AskAws { request, .. } => {
                write!(f, "ask AWS {} the run", request.moment.as_str())
            }
            Self::Override { role: Role::Guard, .. } => write!(f, "have the RDS Proxy changed"),
            Self::Override { role: Role::Restore, .. } => write!(f, "have the RDS Proxy put back"),
            Self::Release { run: Some(run) } => write!(f, "release run {}", run.spec.number),
            Self::Release { run: None } => write!(f, "release the probe"),
            Self::DeleteJob { name } => write!(f, "delete Job {name}"),
            Self::DropJob { name } => write!(f, "drop Job {name}"),
            Self::DeleteRun { name } => write!(f, "delete run {name}"),
        }
    }
}

impl Plan {
    /// Whether pods go by an action, and with them what they reported and nobody wrote down.
    pub(crate) fn takes_pods_along(&self) -> bool {
        let takes = |a: &Action| matches!(a, Action::DeleteJob { .. } | Action::DropJob { .. });
        self.actions.iter().any(takes)
    }

    /// Whether a proxy is to be put back.
    pub(crate) fn protects(&self) -> bool {
        let restores = |a: &Action| matches!(a, Action::Override { role: Role::Restore, .. });
        self.actions.iter().any(restores)
    }
}

/// Plans for one probe. `runs` are its runs in the order of their numbers.
pub(crate) fn plan(
    probe: &ConnectionProbe,
    runs: &[RunFacts],
    versions: &Versions,
    now: Timestamp,
) -> Plan {
    let mut plan = Plan::default();
    let settings = Settings::new("", &probe.spec.measurement, Vec::new());
    let invalid = settings.err().map(|invalid| text::refusal(&invalid));
    let (slots, invalid) = match (slots(probe, runs, now), invalid) {
        (Ok(slots), invalid) => (slots, invalid),
        (Err(schedule), invalid) => (Slots::default(), invalid.or(Some(schedule))),
    };
    let going = runs.iter().find(|facts| !has_ended(facts));
    let trigger = match invalid {
        Some(_) => None,
        None => start::trigger(probe, runs, slots.due, going.is_some()),
    };

    let request = request(probe, runs);
    let is_suspended = probe.spec.suspend == Some(true);
    let is_refused = trigger.is_none() && invalid.is_none() && (is_suspended || going.is_some());
    let refused = request.clone().filter(|_| is_refused);

    let mut going_status = None;
    if let Some(facts) = going {
        let is_cancelled = is_cancelled(probe, &facts.run) || is_deleted(probe, facts);
        let ending = match (&trigger, is_cancelled) {
            (Some(_), _) => Some(Inconclusive::Superseded),
            (None, true) => Some(Inconclusive::Cancelled),
            (None, false) => None,
        };
        let step = run::advance(facts, ending, now);
        plan.actions.extend(step.actions);
        plan.wake = step.wake;
        plan.announcements.extend(announce::of_run(&facts.run, &step.status));
        let is_due = run::worth_writing(facts, &step.status, now, &mut plan.wake);
        if is_due || plan.takes_pods_along() && facts.run.status.as_ref() != Some(&step.status) {
            plan.run_statuses.push((name(&facts.run), step.status.clone()));
        }
        going_status = Some((facts, step.status, step.state));
    }
    let still_going = going_status.as_ref().filter(|(_, status, _)| !status.has_ended());

    if still_going.is_none()
        && let Some(trigger) = trigger
    {
        let run = start::next_run(probe, runs, trigger, versions);
        plan.actions.push(Action::StartRun(Box::new(run)));
    }
    let starts = plan.actions.iter().any(|action| matches!(action, Action::StartRun(_)));
    plan.actions.extend(release(probe, runs, starts));
    plan.actions.extend(prune(probe, runs));

    let state = match (&invalid, still_going) {
        (Some(_), _) => State::Invalid,
        (None, Some((_, _, state))) => status::state_of_going(probe, runs, state),
        (None, None) => status::state_at_rest(probe, runs, going_status.as_ref().map(|s| &s.1)),
    };
    let message =
        invalid.or_else(|| going_status.as_ref().and_then(|(_, status, _)| status.summary.clone()));
    let current = going_status.as_ref().map(|(facts, status, _)| (facts.run.as_ref(), status));
    let waits = request.is_some() && refused.is_none();
    let refused = refused.map(|token| (token, going.map(|facts| facts.run.spec.number)));
    plan.announcements.extend(announce::of_probe(refused, &slots));
    plan.missed = slots.missed;
    if !is_suspended && let Some(next) = slots.next.filter(|next| *next > now) {
        sooner(&mut plan.wake, next);
    }
    plan.status = status::of_probe(probe, runs, current, &state, message, &slots, waits, now);
    plan.announcements.extend(announce::of_trouble(probe, &plan.status));
    plan
}

/// Looks again by then, if not before.
fn sooner(wake: &mut Option<Timestamp>, at: Timestamp) {
    *wake = Some(wake.map_or(at, |wake| wake.min(at)));
}

/// What the schedule says now; nothing without one.
fn slots(probe: &ConnectionProbe, runs: &[RunFacts], now: Timestamp) -> Result<Slots, String> {
    let Some(schedule) = Schedule::new(&probe.spec.scheduling)? else {
        return Ok(Slots::default());
    };
    let status = probe.status.as_ref();
    let next = status.and_then(|status| Some(status.next_schedule_time.as_ref()?.0));
    if probe.spec.suspend == Some(true) {
        return Ok(Slots { next, ..Slots::default() });
    }
    Ok(schedule.slots(next, last_schedule_time(probe, runs), now))
}

/// For when the newest scheduled run was due.
fn last_schedule_time(probe: &ConnectionProbe, runs: &[RunFacts]) -> Option<Timestamp> {
    let of_run = |facts: &RunFacts| facts.run.spec.trigger.scheduled_time.as_ref().map(|t| t.0);
    let written =
        probe.status.as_ref().and_then(|status| Some(status.last_schedule_time.as_ref()?.0));
    runs.iter().filter_map(of_run).max().max(written)
}

/// Whether somebody deletes the probe or this run, while a proxy is changed for it.
fn is_deleted(probe: &ConnectionProbe, facts: &RunFacts) -> bool {
    let deleted = [&probe.metadata, &facts.run.metadata];
    overriding::is_guarded(facts) && deleted.iter().any(|it| it.deletion_timestamp.is_some())
}

/// Lets go what is held for a proxy that is as it was, unless another run `starts`.
fn release(probe: &ConnectionProbe, runs: &[RunFacts], starts: bool) -> Vec<Action> {
    let guarded = runs.iter().filter(|facts| overriding::is_guarded(facts));
    let (ended, going): (Vec<_>, Vec<_>) = guarded.partition(|facts| has_ended(facts));
    let run = |facts: &RunFacts| Action::Release { run: Some(facts.run.clone()) };
    let mut released: Vec<_> = ended.into_iter().map(run).collect();
    let is_held = probe.finalizers().iter().any(|it| it == names::OVERRIDE_FINALIZER);
    if is_held && !starts && going.is_empty() && released.is_empty() {
        released.push(Action::Release { run: None });
    }
    released
}

/// Whether a person ends this run.
fn is_cancelled(probe: &ConnectionProbe, run: &ConnectionProbeRun) -> bool {
    let number = probe.annotations().get(names::CANCEL_ANNOTATION);
    number.and_then(|number| number.trim().parse().ok()) == Some(run.spec.number)
}

/// The annotation `requestedAt`, if no run and no refusal has answered it.
fn request(probe: &ConnectionProbe, runs: &[RunFacts]) -> Option<String> {
    let token = start::requested_at(probe);
    let ran = runs.last().and_then(|facts| facts.run.spec.trigger.requested_at.as_ref());
    let written = probe.status.as_ref().and_then(|status| status.last_handled_request.as_ref());
    token.filter(|token| Some(token) != ran && Some(token) != written)
}

/// The plan when a child's name is taken by something that is not ours: leave it alone, say so.
pub(crate) fn name_conflict(probe: &ConnectionProbe, object: &str, now: Timestamp) -> Plan {
    let mut status = probe.status.clone().unwrap_or_default();
    let message = text::waiting(WaitingReason::NameConflict, "", object);
    let waiting = Waiting { reason: WaitingReason::NameConflict, needs_a_person: true };
    let time = k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now);
    status.conditions = State::Waiting(waiting).conditions(
        &message,
        probe.metadata.generation,
        &status.conditions,
        &time,
    );
    status.summary = Some(message);
    let status = status.fitting();
    let announcements = announce::of_trouble(probe, &status).into_iter().collect();
    Plan { status, announcements, ..Plan::default() }
}

/// The oldest ended runs beyond the history limit. The newest stays in any case: the probe's status tells of
/// it, and may not have been written.
fn prune(probe: &ConnectionProbe, runs: &[RunFacts]) -> Vec<Action> {
    let limit = probe.spec.history_limit.unwrap_or(DEFAULT_HISTORY_LIMIT);
    let keep = usize::try_from(limit).unwrap_or(1).max(1);
    let old = runs.iter().filter(|facts| has_ended(facts)).rev().skip(keep);
    old.filter(|facts| facts.run.metadata.deletion_timestamp.is_none())
        .map(|facts| Action::DeleteRun { name: name(&facts.run) })
        .collect()
}

fn has_ended(facts: &RunFacts) -> bool {
    facts.run.status.as_ref().is_some_and(ConnectionProbeRunStatus::has_ended)
}

fn name(run: &ConnectionProbeRun) -> String {
    run.metadata.name.clone().unwrap_or_default()
}

/// The runID that the newest run was started under: what was handled, even if the status that says
/// so was never written.
fn handled_run_id(probe: &ConnectionProbe, runs: &[RunFacts]) -> Option<String> {
    let newest = runs.last().and_then(|facts| facts.run.spec.trigger.token.clone());
    newest.or_else(|| probe.status.as_ref()?.last_handled_run_id.clone())
}
