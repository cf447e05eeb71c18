//! What is said of asking AWS about an RDS Proxy.

use crate::{
    rds_proxy::{
        RdsProxyStatus,
        overriding::{Outcome, OverrideStatus},
        request::Moment,
    },
    report::shorten,
};
use jiff::Timestamp;

/// A pod ended unseen.
pub const NO_WORD: &str = "its pod is gone and left no word";
/// The guard was told to stop, or its time was over, before the run's.
pub const GUARD_ENDED: &str =
    "The proxy's IdleClientTimeout was put back before the run had ended.";
/// The guard's Job is gone before its time.
pub const GUARD_DELETED: &str = "The Job that holds the proxy's IdleClientTimeout was deleted.";
/// What is seen of a guard that changes, and changes.
pub const NOT_IN_FORCE: &str = "the new value was not in force in time";

/// The connections have ended, and CloudWatch's metrics are still to come.
#[must_use]
pub fn asks_aws(number: i64) -> String {
    format!(
        "All connections of run {number} have ended; AWS is asked about the proxy, whose metrics come minutes late."
    )
}

/// Why AWS told nothing of the proxy.
#[must_use]
pub fn aws_not_asked(moment: Moment, seen: &str) -> String {
    let when = match moment {
        Moment::Before => "at the beginning of",
        Moment::After => "after",
    };
    let mut problem =
        format!("AWS could not be asked {when} the run: {}.", seen.trim_end_matches('.'));
    shorten(&mut problem, 300);
    problem
}

/// What was seen of a pod that asks AWS, where Kubernetes says nothing of it.
#[must_use]
pub fn without_answer(started: Option<bool>) -> &'static str {
    match started {
        None => {
            "its pod was not made: the service account of spec.rdsProxy is missing, or a quota or policy refuses it; \
             see kubectl describe job"
        }
        Some(false) => "its pod did not start in time",
        Some(true) => "its pod did not end in time",
    }
}

/// What AWS did not tell of an RDS Proxy, for a run's summary.
#[must_use]
pub fn rds_gaps(told: &RdsProxyStatus) -> Option<String> {
    let permissions: Vec<_> = told.gaps().into_iter().map(|gap| gap.permission.as_str()).collect();
    match (&told.problem, &permissions[..]) {
        (Some(problem), _) => Some(problem.clone()),
        (None, []) => None,
        (None, some) => Some(format!(
            "AWS did not tell all of the RDS Proxy, see the report: {}.",
            some.join(", ")
        )),
    }
}

/// The proxy is being changed for a run.
#[must_use]
pub fn changing(number: i64, seconds: i64) -> String {
    format!(
        "Run {number} waits until the proxy's IdleClientTimeout is {seconds} s; its connections are opened then."
    )
}

/// The proxy is being put back. `by_hand` is the command for it, `until` when a deleted run is let go.
#[must_use]
pub fn putting_back(
    number: i64,
    original: Option<i64>,
    by_hand: &str,
    until: Option<Timestamp>,
) -> String {
    let to = original.map_or(String::new(), |seconds| format!(" to {seconds} s"));
    let mut text = format!("The proxy's IdleClientTimeout is put back{to} after run {number}.");
    if let Some(until) = until {
        text += &format!(" If that does not succeed by {until:.0}, the run is let go. {by_hand}");
    }
    text
}

/// The guard ended, or did not begin, without a word of its own.
#[must_use]
pub fn guard_failed(seen: &str) -> String {
    let seen = seen.trim_end_matches('.');
    let mut text = format!("The pod that holds the proxy's IdleClientTimeout failed: {seen}.");
    shorten(&mut text, 300);
    text
}

/// What a person can do where no pod of ours puts the proxy back.
#[must_use]
pub fn restore_by_hand(name: &str, region: &str, original: Option<i64>) -> String {
    match original {
        Some(seconds) => format!(
            "By hand: aws rds modify-db-proxy --db-proxy-name {name} --region {region} --idle-client-timeout {seconds}"
        ),
        None => format!("By hand: connection-probe-rds restore --proxy {name} --region {region}"),
    }
}

/// What a person should know of a change that did not go as it was meant to.
#[must_use]
pub fn override_trouble(told: &OverrideStatus) -> Option<String> {
    let problem = told.problem.as_deref().unwrap_or_default();
    match (told.outcome, told.found_seconds) {
        (Some(Outcome::NotRestored), _) => {
            Some(format!("The proxy's IdleClientTimeout was not put back. {problem}"))
        }
        (Some(Outcome::LeftToOthers), Some(seconds)) => Some(format!(
            "Somebody else set the proxy's IdleClientTimeout to {seconds} s during the run; it was left so."
        )),
        _ => told.problem.clone(),
    }
}

/// What was done to the proxy, for an event: the reason, whether a person should look, and a sentence.
#[must_use]
pub fn override_told(told: &OverrideStatus) -> Option<(&'static str, bool, String)> {
    let original = told.original_seconds.map_or("not known".to_owned(), |it| format!("{it} s"));
    match told.outcome {
        None if told.in_force_at.is_some() => Some((
            "RdsProxyChanged",
            false,
            format!("IdleClientTimeout is {} s for this run; it was {original}.", told.seconds),
        )),
        Some(Outcome::Restored) if told.until.is_some() => Some((
            "RdsProxyRestored",
            false,
            format!("IdleClientTimeout is as it was: {original}."),
        )),
        Some(Outcome::NotRestored | Outcome::LeftToOthers) => {
            Some(("RdsProxyNotRestored", true, override_trouble(told)?))
        }
        _ => None,
    }
}
