//! Advances one run that is going on.

use super::{
    Action,
    overriding::{self, Overriding},
    proxy::{Asking, ask},
    sooner,
    workload::{CUT_SHOWS, Progress, lost, patience, progress},
};
use crate::facts::{PodFacts, PodPhase, RunFacts};
use api::{
    ConnectionProbeRunStatus, Settings,
    conditions::{State, Waiting},
    diagnosis::diagnose,
    measurement::{Measurement, Order, Placement},
    names::PROBE_ANNOTATION,
    report::Inconclusive,
    run::{WorkloadResult, WorkloadState},
    text,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

/// Where a run stands now, and what it needs.
pub(super) struct Step {
    pub(super) actions: Vec<Action>,
    pub(super) status: ConnectionProbeRunStatus,
    pub(super) state: State,
    pub(super) wake: Option<Timestamp>,
}

/// Reports that arrive one by one are written together.
const BATCH: SignedDuration = SignedDuration::from_secs(30);

/// Advances a run, towards its end if somebody is `ending` it: a newer run, or a person. A newer run that
/// comes after a person's order is what counts: it must not be forgotten.
pub(super) fn advance(facts: &RunFacts, ending: Option<Inconclusive>, now: Timestamp) -> Step {
    let mut status = begin(facts, now);
    status.ended_early = match (status.ended_early, ending) {
        (Some(Inconclusive::Cancelled) | None, Some(ending)) => Some(ending),
        (before, _) => before,
    };
    let judged: Vec<Progress> = status
        .workloads
        .iter()
        .enumerate()
        .map(|(position, before)| progress(facts, position, before, now))
        .collect();
    for (workload, progress) in status.workloads.iter_mut().zip(&judged) {
        if let Progress::Final(result) = progress {
            let again = result.again().filter(|_| status.ended_early.is_none());
            *workload = again.unwrap_or_else(|| result.as_ref().clone());
        }
    }
    let jobs = facts.jobs.iter().map(|job| job.attempt).max();
    status.attempt = status.attempt.max(jobs.unwrap_or(0));
    let is_over = |workload: &WorkloadResult| workload.state != WorkloadState::Running;
    let wanted = status.ended_early.is_none() && !status.workloads.iter().all(is_over);
    let change = overriding::oversee(facts, &mut status, wanted, now);
    let mut step = Step { actions: Vec::new(), status, state: State::Progressing, wake: None };
    let is_ready = !wanted || matches!(change, Overriding::Over | Overriding::InForce);
    if let Some(reason) = step.status.ended_early {
        step.wind_up(facts, reason);
    } else if is_ready || step.status.attempt > 0 {
        step.go_on(facts, &judged, now);
    }
    let measured = step.status.workloads.iter().all(is_over) && step.actions.is_empty();
    let asking = ask(facts, &mut step.status, measured, now);
    let is_as_it_was = matches!(change, Overriding::Over);
    match change {
        Overriding::Act(action) => step.actions.push(action),
        Overriding::Wait(until) => sooner(&mut step.wake, until),
        Overriding::Over | Overriding::InForce => {}
    }
    if measured && is_as_it_was && matches!(asking, Asking::Over) {
        step.end(facts, now);
        return step;
    }
    match asking {
        Asking::Over => {}
        Asking::Ask(action) => step.actions.push(action),
        Asking::Wait(until) => sooner(&mut step.wake, until),
    }
    step.describe(facts, measured, is_as_it_was, now);
    step
}

/// The status to start from: the one that was written last, or that of a run just claimed.
fn begin(facts: &RunFacts, now: Timestamp) -> ConnectionProbeRunStatus {
    let mut status = facts.run.status.clone().unwrap_or_default();
    let measurement = &facts.run.spec.measurement.settled;
    if status.workloads.is_empty() {
        let workloads = measurement.workloads.iter();
        let workloads = workloads.map(|workload| WorkloadResult::new(workload.name.clone()));
        status.workloads = workloads.collect();
    }
    // A later attempt is known from its Job before any status says so.
    for (position, workload) in status.workloads.iter_mut().enumerate() {
        let interrupted = workload.interrupted.as_ref().map_or(0, |earlier| earlier.attempt);
        let newer = facts.jobs.iter().filter(|job| job.attempt > interrupted);
        let jobs = newer.filter(|job| job.workloads.contains(&position));
        workload.attempt = workload.attempt.max(jobs.map(|job| job.attempt).max().unwrap_or(0));
    }
    let taken = facts.pods.iter().filter(|pod| pod.inventory.is_some());
    if let Some(pod) = taken.max_by_key(|pod| pod.attempt) {
        status.inventory = pod.inventory.as_deref().cloned();
    }
    status.observed_generation = facts.run.metadata.generation;
    let made = facts.run.metadata.creation_timestamp.clone().unwrap_or(Time(now));
    status.start_time.get_or_insert(made);
    status
}

/// When the last connection should have ended, counted from the newest Job: an earlier one may have waited
/// for its Secret for an hour. Workloads that are still to come after it are counted in.
fn expected_end(facts: &RunFacts, status: &ConnectionProbeRunStatus) -> Option<Timestamp> {
    let measurement = &facts.run.spec.measurement.settled;
    let job = facts.jobs.iter().max_by_key(|job| job.attempt)?;
    let is_to_come = |position: usize| {
        let workload = status.workloads.get(position);
        workload.is_some_and(|w| w.state == WorkloadState::Running && w.attempt == 0)
    };
    let in_job = length(measurement, |position| job.workloads.contains(&position))?;
    job.created_at.checked_add(in_job + length(measurement, is_to_come)?).ok()
}

/// How long these workloads take, by their positions.
pub(super) fn length(
    measurement: &Measurement,
    wanted: impl Fn(usize) -> bool,
) -> Option<SignedDuration> {
    let settings = Settings::new("", measurement, Vec::new()).ok()?;
    let all = settings.workloads.iter().enumerate();
    let ends = all.filter(|(position, _)| wanted(*position)).map(|(_, w)| w.last_end());
    let whole = match measurement.order.unwrap_or_default() {
        Order::Parallel => ends.max().unwrap_or_default(),
        Order::Sequential => ends.sum(),
    };
    // In whole seconds, as it is stored: what comes back must be what was written, or it is written for ever.
    Some(SignedDuration::from_secs(SignedDuration::try_from(whole).ok()?.as_secs() + 1))
}

/// The node where connections of this run were held last.
fn node(facts: &RunFacts) -> Option<String> {
    let held = facts.pods.iter().filter(|pod| match &pod.phase {
        PodPhase::Running { .. } => true,
        PodPhase::Ended(end) => end.report.as_ref().is_some_and(|report| report.problem.is_none()),
        PodPhase::Starting | PodPhase::Stuck { .. } => false,
    });
    held.max_by_key(|pod| pod.attempt)?.node.clone()
}

/// Minutes until another attempt, after so many.
fn backoff(attempts: i32) -> SignedDuration {
    SignedDuration::from_mins(match attempts {
        ..=1 => 1,
        2 => 2,
        3 => 5,
        _ => 10,
    })
}

impl Step {
    /// Deletes the Jobs and waits for the pods' last words.
    fn wind_up(&mut self, facts: &RunFacts, reason: Inconclusive) {
        let going = facts.jobs.iter().filter_map(|job| {
            let name = job.name.clone();
            if facts.waits_in_vain(job) {
                Some(Action::DropJob { name })
            } else {
                (!job.deleting).then_some(Action::DeleteJob { name })
            }
        });
        self.actions.extend(going);
        for workload in &mut self.status.workloads {
            // What the deletion did to it is not a finding of its own.
            if workload.state == WorkloadState::Inconclusive {
                *workload = lost(workload, reason, "", workload.report.clone());
            }
        }
        let silent =
            |pod: &PodFacts| pod.gone || pod.is_lost() || matches!(pod.phase, PodPhase::Ended(_));
        if facts.jobs.is_empty() && facts.pods.iter().all(silent) {
            for workload in &mut self.status.workloads {
                if workload.state == WorkloadState::Running {
                    *workload = lost(workload, reason, "", None);
                }
            }
        }
    }

    /// Starts the first Job, or another one for the workloads whose turn it is, or that could not start.
    fn go_on(&mut self, facts: &RunFacts, judged: &[Progress], now: Timestamp) {
        let replaced = self.replaced(facts);
        self.actions.extend(replaced);
        if !self.actions.is_empty() {
            return;
        }
        let queued: Vec<usize> =
            (0..judged.len()).filter(|&w| judged[w] == Progress::Queued).collect();
        let is_under_way = |p: &Progress| !matches!(p, Progress::Queued | Progress::Final(_));
        let all_finished = facts.jobs.iter().all(|job| job.finished_at.is_some());
        if !queued.is_empty() && !judged.iter().any(is_under_way) {
            let lost = facts.jobs.iter().filter(|job| !job.deleting && facts.waits_in_vain(job));
            self.actions.extend(lost.map(|job| Action::DropJob { name: job.name.clone() }));
            if all_finished {
                self.start_job(facts, queued);
            }
            if !self.actions.is_empty() {
                return;
            }
        }
        let waits = judged.iter().filter_map(|progress| progress.wake(facts));
        self.wake = waits.filter(|at| *at > now).min();
        let mut blocked = Vec::new();
        let mut waiting = None;
        for (position, progress) in judged.iter().enumerate() {
            let name = &self.status.workloads[position].workload;
            match progress {
                Progress::Blocked { reason, seen, at } => {
                    let retry = at.checked_add(backoff(self.status.attempt)).unwrap_or(now);
                    blocked.push((position, retry));
                    let message = format!(
                        "{} {}",
                        text::waiting(*reason, name, seen),
                        text::next_attempt(retry)
                    );
                    waiting.get_or_insert((*reason, true, message));
                }
                Progress::Waiting { reason, seen, since } => {
                    let long = now.duration_since(*since) >= patience(*reason);
                    waiting.get_or_insert((*reason, long, text::waiting(*reason, name, seen)));
                }
                Progress::Holding { unready_since: Some(at), since, heard }
                    if now.duration_since((*at).max(*heard)) >= CUT_SHOWS =>
                {
                    self.saw_a_cut(position, *at, *since);
                }
                Progress::Holding { .. }
                | Progress::Starting
                | Progress::Queued
                | Progress::Final(_) => {}
            }
        }
        if let Some((reason, needs_a_person, message)) = waiting {
            self.state = State::Waiting(Waiting { reason, needs_a_person });
            self.status.summary = Some(message);
        }
        let retry = blocked.iter().map(|(_, retry)| *retry).max();
        if let Some(retry) = retry.filter(|_| all_finished) {
            if retry <= now {
                let workloads = blocked.iter().map(|(position, _)| *position).collect();
                self.start_job(facts, workloads);
            } else {
                sooner(&mut self.wake, retry);
            }
        }
    }

    /// Jobs of attempts that later ones have replaced tell nothing any more: a Secret may be missed for a week, and each
    /// ten minutes brings another one. The last two stay for whoever looks into them.
    fn replaced(&self, facts: &RunFacts) -> Vec<Action> {
        let newest = facts.jobs.iter().map(|job| job.attempt).max().unwrap_or(0);
        let is_of_no_use = |attempt: i32| {
            attempt + 1 < newest && self.status.workloads.iter().all(|it| it.attempt != attempt)
        };
        let replaced = facts.jobs.iter().filter(|job| job.finished_at.is_some() && !job.deleting);
        let replaced = replaced.filter(|job| is_of_no_use(job.attempt));
        replaced.map(|job| Action::DropJob { name: job.name.clone() }).collect()
    }

    /// Starts a Job for these workloads. Where pods that follow each other are to share a node, the first
    /// shows which: it goes alone, and the others follow it. What was interrupted goes wherever there is room:
    /// its node may be gone.
    fn start_job(&mut self, facts: &RunFacts, mut workloads: Vec<usize>) {
        let attempt = self.status.attempt + 1;
        let measurement = &facts.run.spec.measurement.settled;
        let shared = measurement.placement.unwrap_or_default() == Placement::SameNode;
        let again = workloads.iter().any(|w| self.status.workloads[*w].interrupted.is_some());
        let node = node(facts).filter(|_| shared && !again);
        if shared && node.is_none() && measurement.order == Some(Order::Sequential) {
            workloads.truncate(1);
        }
        for position in &workloads {
            self.status.workloads[*position].attempt = attempt;
        }
        self.status.attempt = attempt;
        self.actions.push(Action::StartJob { run: facts.run.clone(), attempt, workloads, node });
    }

    fn saw_a_cut(&mut self, position: usize, at: Timestamp, since: Timestamp) {
        let workload = self.status.workloads[position].workload.clone();
        let first = self.status.first_cut_seen_time.get_or_insert(Time(at));
        *first = Time(first.0.min(at));
        let after = first.0.duration_since(since).as_millis();
        if !self.status.workloads_cut.contains(&workload) {
            self.status.workloads_cut.push(workload);
        }
        let after = i64::try_from(after).unwrap_or(0);
        self.status.summary = Some(text::probably_cut(&self.status.workloads_cut, after));
    }

    fn end(&mut self, facts: &RunFacts, now: Timestamp) {
        let verdict = self.status.verdict();
        let number = facts.run.spec.number;
        self.state = State::Ended(verdict);
        let start = self.status.start_time.as_ref().map_or(now, |start| start.0);
        let took = i64::try_from(now.duration_since(start).as_millis()).unwrap_or(0);
        self.status.end_time = Some(Time(now));
        self.status.expected_end_time = None;
        self.status.duration = Some(text::duration(took));
        let probe = facts.run.annotations().get(PROBE_ANNOTATION).cloned().unwrap_or_default();
        self.status.findings = diagnose(&probe, &facts.run.spec.measurement, &self.status);
        self.status.result = Some(text::result(&self.status, verdict));
        self.status.summary = Some(text::summary(number, &self.status, verdict));
        self.set_conditions(facts, now);
    }

    fn describe(&mut self, facts: &RunFacts, measured: bool, is_as_it_was: bool, now: Timestamp) {
        let waits = measured || matches!(self.state, State::Waiting(_));
        let until = expected_end(facts, &self.status).filter(|_| !waits);
        self.status.expected_end_time = until.map(Time);
        let ends = !is_as_it_was && (measured || self.status.ended_early.is_some());
        if let Some((summary, trouble)) = overriding::describe(facts, &self.status, ends) {
            self.status.summary = Some(summary);
            let waiting = |reason| State::Waiting(Waiting { reason, needs_a_person: true });
            self.state = trouble.map_or(self.state.clone(), waiting);
        } else if measured {
            self.status.summary = Some(text::asks_aws(facts.run.spec.number));
        } else if self.state == State::Progressing && self.status.workloads_cut.is_empty() {
            let until = self.status.expected_end_time.as_ref().map(|end| end.0);
            self.status.summary = Some(text::progressing(facts.run.spec.number, until));
        }
        self.set_conditions(facts, now);
    }

    fn set_conditions(&mut self, facts: &RunFacts, now: Timestamp) {
        let message = self.status.summary.clone().unwrap_or_default();
        let generation = facts.run.metadata.generation;
        self.status.conditions =
            self.state.conditions(&message, generation, &self.status.conditions, &Time(now));
    }
}

/// Whether a status is to be written now. A report waits for others, for half a minute at most,
/// unless its pod may be gone by then; an inventory waits for whatever is written next; everything
/// else is written at once.
pub(super) fn worth_writing(
    facts: &RunFacts,
    status: &ConnectionProbeRunStatus,
    now: Timestamp,
    wake: &mut Option<Timestamp>,
) -> bool {
    let Some(before) = &facts.run.status else {
        return true;
    };
    let without_inventory =
        ConnectionProbeRunStatus { inventory: before.inventory.clone(), ..status.clone() };
    if *before == without_inventory {
        return false;
    }
    let without_reports =
        ConnectionProbeRunStatus { workloads: before.workloads.clone(), ..without_inventory };
    let lost = |workload: &WorkloadResult| {
        workload.state == WorkloadState::Inconclusive || workload.interrupted.is_some()
    };
    let known = before.workloads.iter().filter(|workload| lost(workload)).count();
    let newly_lost = status.workloads.iter().filter(|workload| lost(workload)).count() > known;
    if *before != without_reports || newly_lost {
        return true;
    }
    let unwritten = facts.pods.iter().filter_map(|pod| match &pod.phase {
        PodPhase::Ended(end)
            if status.workloads.get(pod.workload) != before.workloads.get(pod.workload) =>
        {
            Some(if pod.deleting || pod.gone { now } else { end.at.checked_add(BATCH).ok()? })
        }
        _ => None,
    });
    let due = unwritten.min().unwrap_or(now);
    if due > now {
        sooner(wake, due);
    }
    due <= now
}
