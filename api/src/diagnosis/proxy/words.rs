//! Every sentence that AWS's evidence adds to a finding.

use super::{closed::Closed, pinning::Pinning, pressure::Pressure};
use crate::{
    diagnosis::{span::Span, words::time},
    rds_proxy::{evidence::Event, facts::Fact},
    text,
};

/// What the proxy's log says of `n` ends, so many milliseconds apart from ours at most.
pub(super) fn logged(n: i32, apart: u64, reason: &str) -> String {
    let apart = time(i64::try_from(apart).unwrap_or(i64::MAX));
    format!("The proxy's own log on {n} of these ends, at most {apart} apart from ours: {reason}")
}

/// What RDS told, and how much more there is of the same time.
pub(super) fn event(event: &Event, more: usize) -> String {
    let more = if more > 0 { format!(" ({more} more events then)") } else { String::new() };
    let (at, about) = (text::clock(event.at), &event.about);
    format!("RDS tells of {about} at {at}, within a minute of a cut{more}: {}", event.text)
}

/// What of the proxy's configuration became another one.
pub(super) fn changed(facts: &[Fact]) -> Option<String> {
    let changed: Vec<_> = facts.iter().filter_map(change).collect();
    (!changed.is_empty())
        .then(|| format!("The proxy was changed while the run went on: {}.", changed.join("; ")))
}

fn change(fact: &Fact) -> Option<String> {
    let after = fact.afterwards.as_ref()?;
    Some(format!("{} was {}, then {after}", fact.name, fact.value))
}

/// Whose connections were closed.
pub(super) fn closed(closed: Closed) -> Option<String> {
    let Closed { all, ours, passing, usual } = closed;
    let minutes = "in the minutes of these cuts the proxy closed";
    if closed.are_others_too() {
        Some(format!(
            "Others were cut, too: {minutes} {all} client connections, {ours} of them ours, where no more than {usual} \
             are closed in such a time otherwise, and {passing} of ours may have come and gone."
        ))
    } else if closed.are_ours_alone() {
        Some(format!(
            "Only ours were cut: {minutes} {all} client connections. {ours} of ours ended then, and no more than \
             {passing} others of ours came and went."
        ))
    } else {
        None
    }
}

/// Why clients had to wait.
pub(super) fn pressure(pressure: &Pressure) -> String {
    match *pressure {
        Pressure::Borrowed(borrowed, allowed) => format!(
            "When that was said, or in the minute before, {borrowed} of the {allowed} database connections that the \
             proxy may have were borrowed."
        ),
        Pressure::Waited(longest, usual) => format!(
            "When that was said, or in the minute before, clients waited {} for a database connection; half of the \
             time it was no more than {}.",
            text::micros(longest),
            text::micros(usual),
        ),
    }
}

/// Whether sessions were pinned.
pub(super) fn pinning(n: i32, pinning: Pinning) -> String {
    let who = format!("{n} connections with SET or LISTEN");
    match pinning {
        Pinning::Confirmed(by) => format!(
            "Pinning is confirmed: with {who} the proxy's pinned sessions rose by {}, and fell back after them.",
            number(by)
        ),
        Pinning::Rose(by) => format!(
            "With {who} the proxy's pinned sessions rose by {}. CloudWatch has nothing from after them, so nobody \
             knows whether they fell back.",
            number(by)
        ),
        Pinning::Absent(by) => format!(
            "With {who} the proxy's pinned sessions rose by {}: against the published rule they were not pinned.",
            number(by)
        ),
        Pinning::Differs(by) => format!(
            "With {who} the proxy's pinned sessions rose by {}, which is neither all of them nor none. Others may have \
             come or gone: a proxy of its own for the probe tells.",
            number(by)
        ),
        Pinning::Busy(by) => format!(
            "Whether {who} were pinned can't be told on a busy proxy: the pinned sessions of others moved by {by}. \
             There is no such count per endpoint: a proxy of its own for the probe tells."
        ),
        Pinning::Unknown => format!(
            "Whether {who} were pinned is not known: CloudWatch has no minute from before them, or none in which all \
             of them were held."
        ),
    }
}

fn number(by: Span) -> String {
    match by.low == by.high {
        true => format!("{:+}", by.low),
        false => format!("{:+} to {:+}", by.low, by.high),
    }
}
