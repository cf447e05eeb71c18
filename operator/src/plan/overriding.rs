//! Has a run's RDS Proxy changed before the first connection is opened, and put back after the last one's end. Whoever
//! changed it or might have is asked until one says how it is.

use super::{Action, workload::LAST_WORDS};
use crate::facts::{Answer, OverrideFacts, OverrideJob, RunFacts};
use api::{
    ConnectionProbeRunStatus,
    conditions::WaitingReason,
    names::{OVERRIDE_FINALIZER, override_job_name},
    rds_proxy::overriding::{Order, Outcome, OverrideStatus, Role},
    report::Inconclusive,
    text,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// A pod is waited for so long until it is made, until it runs, and until the change is in force.
const MADE: SignedDuration = SignedDuration::from_secs(30);
const STARTS: SignedDuration = SignedDuration::from_mins(5);
const IN_FORCE: SignedDuration = SignedDuration::from_mins(20);
/// A pod that is to put the proxy back ends within so long: it tries for 9 min and is killed after 10.
const ENDS: SignedDuration = SignedDuration::from_mins(12);
/// A pod that could not is followed by another one so long afterwards.
const AGAIN: SignedDuration = SignedDuration::from_mins(1);
/// Whoever deletes a run waits for so long at most.
const LET_GO: SignedDuration = SignedDuration::from_mins(15);

/// How a change stands.
pub(super) enum Overriding {
    /// Nothing is to be changed, or nothing is changed any more.
    Over,
    /// It holds, or there is none to wait for: connections may be opened.
    InForce,
    /// It is on the way, there or back; this is needed for it.
    Act(Action),
    /// It is waited for, and looked at again by then.
    Wait(Timestamp),
}

/// What is to be done about the proxy: `wanted` says whether connections are still to be held under the other value. Where
/// that does not hold as long, the run ends early.
pub(super) fn oversee(
    facts: &RunFacts,
    status: &mut ConnectionProbeRunStatus,
    wanted: bool,
    now: Timestamp,
) -> Overriding {
    let settled = &facts.run.spec.measurement.settled;
    let Some(asked) = settled.rds_proxy.as_ref().and_then(|it| it.timeout_override.as_ref()) else {
        return Overriding::Over;
    };
    let told = status.rds_proxy.get_or_insert_default().timeout_override.get_or_insert_default();
    told.seconds = asked.seconds();
    take_in(facts, told);
    if told.outcome == Some(Outcome::DryRun) {
        return if wanted { Overriding::InForce } else { Overriding::Over };
    }
    if wanted {
        match change(facts, told, status.attempt > 0, now) {
            Ok(change) => return change,
            Err(problem) => {
                told.problem.get_or_insert(problem);
                status.ended_early = Some(Inconclusive::OverrideEnded);
            }
        }
    }
    put_back(facts, told, now)
}

/// What is known by now. What puts back comes after what changed.
fn take_in(facts: &RunFacts, told: &mut OverrideStatus) {
    for role in [Role::Guard, Role::Restore] {
        for job in facts.overriding.iter().filter(|it| it.role == role) {
            if let Some(found) = &job.found {
                told.original_seconds = told.original_seconds.or(found.original_seconds);
            }
            match &job.answer {
                Some(Answer::Working { ready_since: Some(since) }) if role == Role::Guard => {
                    told.in_force_at = Some(*since);
                }
                // One that could do nothing does not undo what another did.
                Some(Answer::Told(new)) if new.is_over() || !told.is_over() => {
                    let before = std::mem::take(told);
                    // What could not be put back then is put back now.
                    let is_stale = new.is_over() && before.outcome == Some(Outcome::NotRestored);
                    *told = OverrideStatus {
                        original_seconds: new.original_seconds.or(before.original_seconds),
                        in_force_at: new.in_force_at.or(before.in_force_at),
                        until: before.until.or(new.until),
                        seconds: before.seconds,
                        problem: new.problem.clone().or(before.problem.filter(|_| !is_stale)),
                        ..(**new).clone()
                    };
                }
                _ => {}
            }
        }
    }
}

fn of(facts: &RunFacts, role: Role) -> Option<&OverrideFacts> {
    let mut of_role = facts.overriding.iter().filter(|it| it.role == role);
    // That of a Job that is there comes before those that are remembered.
    let newest = of_role.clone().find(|it| it.job.is_some());
    newest.or_else(|| of_role.next())
}

/// Orders a pod.
fn ordered(facts: &RunFacts, role: Role, order: Order) -> Overriding {
    Overriding::Act(Action::Override { run: facts.run.clone(), order: Box::new(order), role })
}

fn later(since: Timestamp, wait: SignedDuration) -> Timestamp {
    since.checked_add(wait).unwrap_or(since)
}

/// Towards the change, and while it is to hold.
///
/// # Errors
/// It does not hold, and why.
fn change(
    facts: &RunFacts,
    told: &OverrideStatus,
    begun: bool,
    now: Timestamp,
) -> Result<Overriding, String> {
    let guard = match of(facts, Role::Guard) {
        Some(guard) => guard,
        None if begun => return Err(text::GUARD_DELETED.to_owned()),
        None => return Ok(ordered(facts, Role::Guard, order(facts, now))),
    };
    let since = guard.job.as_ref().map_or(now, |job| job.created_at);
    let by = |wait| later(since, wait);
    match (&guard.answer, &guard.job) {
        (Some(Answer::Told(_)), _) => {
            let problem = told.problem.clone();
            Err(problem.unwrap_or_else(|| text::GUARD_ENDED.to_owned()))
        }
        (Some(Answer::Silent(seen)), _) => Err(text::guard_failed(seen)),
        (_, None) => Err(text::GUARD_DELETED.to_owned()),
        (_, Some(job)) if job.deleting_since.is_some() => Err(text::GUARD_DELETED.to_owned()),
        // It was there while the operator was away; its last words may still come.
        (None, Some(OverrideJob { finished_at: Some(at), .. })) => {
            let by = later(*at, LAST_WORDS);
            if now < by { Ok(Overriding::Wait(by)) } else { Err(text::guard_failed(text::NO_WORD)) }
        }
        (Some(Answer::Working { ready_since: Some(_) }), _) => Ok(Overriding::InForce),
        // It turned unready after it was ready: its end is on the way.
        (Some(Answer::Working { ready_since: None }), _) if begun => {
            Ok(Overriding::Wait(later(now, AGAIN)))
        }
        (Some(Answer::Working { ready_since: None }), _) if now >= by(IN_FORCE) => {
            Err(text::guard_failed(text::NOT_IN_FORCE))
        }
        (Some(Answer::Working { .. }), _) => Ok(Overriding::Wait(by(IN_FORCE))),
        (None | Some(Answer::Starting(_)), _) if now < by(STARTS) => {
            Ok(Overriding::Wait(by(STARTS)))
        }
        (Some(Answer::Starting(Some(seen))), _) => Err(text::guard_failed(seen)),
        (Some(Answer::Starting(None)), _) => {
            Err(text::guard_failed(text::without_answer(Some(false))))
        }
        (None, _) => Err(text::guard_failed(text::without_answer(None))),
    }
}

/// Back to what it was: by the guard, and where that can't any more, by another pod.
fn put_back(facts: &RunFacts, told: &mut OverrideStatus, now: Timestamp) -> Overriding {
    if let Some(ending) = end_guard(facts, told, now) {
        return ending;
    }
    if told.is_over() {
        return Overriding::Over;
    }
    if let_go(facts).is_some_and(|until| now >= until) {
        told.outcome = Some(Outcome::NotRestored);
        told.problem = Some(by_hand(facts, told));
        return Overriding::Over;
    }
    match (restore(facts, told, now), let_go(facts)) {
        (Overriding::Wait(at), Some(until)) => Overriding::Wait(at.min(until)),
        (other, _) => other,
    }
}

/// What the guard's end needs, until it has said how the proxy is or can't any more.
fn end_guard(facts: &RunFacts, told: &mut OverrideStatus, now: Timestamp) -> Option<Overriding> {
    let guard = of(facts, Role::Guard)?;
    let job = guard.job.as_ref()?;
    if matches!(guard.answer, Some(Answer::Told(_) | Answer::Silent(_))) {
        return None;
    }
    let name = override_job_name(&facts.run.name_any(), Role::Guard);
    let until = match (job.deleting_since, job.finished_at) {
        // What never had a pod has changed nothing. One is made within seconds, or not at all.
        (None, None) if guard.answer.is_none() && now < later(job.created_at, MADE) => {
            return Some(Overriding::Wait(later(job.created_at, MADE)));
        }
        (None, None) => {
            if guard.answer.is_none() {
                told.outcome = Some(Outcome::NotChanged);
            }
            return Some(Overriding::Act(Action::DeleteJob { name }));
        }
        (Some(since), _) => later(since, ENDS),
        (None, Some(at)) => later(at, AGAIN),
    };
    match told.is_over() {
        true => None,
        false if now < until => Some(Overriding::Wait(until)),
        false => Some(Overriding::Act(Action::DropJob { name })),
    }
}

/// Another pod puts it back; one after the other, until one has.
fn restore(facts: &RunFacts, told: &OverrideStatus, now: Timestamp) -> Overriding {
    let Some(OverrideFacts { job: Some(job), answer, .. }) = of(facts, Role::Restore) else {
        let original_seconds = told.in_force_at.and(told.original_seconds);
        let order = Order { original_seconds, ..order(facts, now) };
        return ordered(facts, Role::Restore, order);
    };
    let ended = matches!(answer, Some(Answer::Told(_) | Answer::Silent(_)));
    let until = match job.finished_at {
        Some(at) => later(at, AGAIN),
        None if ended => later(now, AGAIN),
        None => later(job.created_at, ENDS + STARTS),
    };
    if now < until {
        return Overriding::Wait(until);
    }
    let name = override_job_name(&facts.run.name_any(), Role::Restore);
    Overriding::Act(Action::DropJob { name })
}

/// What goes on, where that is about the proxy; and what needs a person. `ends` says that it is to be put back.
pub(super) fn describe(
    facts: &RunFacts,
    status: &ConnectionProbeRunStatus,
    ends: bool,
) -> Option<(String, Option<WaitingReason>)> {
    let told = status.rds_proxy.as_ref()?.timeout_override.as_ref()?;
    let number = facts.run.spec.number;
    if told.outcome == Some(Outcome::DryRun) || !ends && status.attempt > 0 {
        return None;
    }
    if !ends {
        let waits = status.ended_early.is_none();
        return waits.then(|| (text::changing(number, told.seconds), None));
    }
    let trouble =
        (told.outcome == Some(Outcome::NotRestored)).then_some(WaitingReason::ProxyNotRestored);
    let summary = match (trouble, let_go(facts), &told.problem) {
        (Some(reason), None, Some(problem)) => text::waiting(reason, "", problem),
        (_, until, _) => {
            text::putting_back(number, told.original_seconds, &by_hand(facts, told), until)
        }
    };
    Some((summary, trouble))
}

/// When a run that somebody deletes is let go, whether its proxy is as it was or not.
fn let_go(facts: &RunFacts) -> Option<Timestamp> {
    let deleted = facts.run.metadata.deletion_timestamp.as_ref()?;
    deleted.0.checked_add(LET_GO).ok()
}

/// What puts the proxy back by hand.
fn by_hand(facts: &RunFacts, told: &OverrideStatus) -> String {
    let proxy = facts.run.spec.measurement.settled.rds_proxy.clone().unwrap_or_default();
    text::restore_by_hand(&proxy.name, &proxy.region, told.original_seconds)
}

/// Whether a proxy is, or may be, changed for this run.
pub(super) fn is_guarded(facts: &RunFacts) -> bool {
    facts.run.finalizers().iter().any(|it| it == OVERRIDE_FINALIZER)
}

fn order(facts: &RunFacts, now: Timestamp) -> Order {
    let settled = &facts.run.spec.measurement.settled;
    // Twice the run, as each workload may be measured twice, and an hour for all that is slow.
    let long = super::run::length(settled, |_| true).unwrap_or_default() * 2
        + SignedDuration::from_hours(1);
    Order {
        run: format!("{}/{}", facts.run.namespace().unwrap_or_default(), facts.run.name_any()),
        id: facts.run.uid().unwrap_or_default(),
        proxy: settled.rds_proxy.clone().unwrap_or_default(),
        until: now.checked_add(long).unwrap_or(now),
        original_seconds: None,
    }
}
