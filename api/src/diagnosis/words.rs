//! Every sentence of a finding: what was observed, what it means, what to do next.

use super::{
    Cause, Clock, Confidence, Finding,
    path::Successor,
    span::{APART, Span, tolerance},
    verdict::{Remark, Rival},
    workers,
};
use crate::{
    lifetime::Spread,
    render::document::printable,
    text::{clock as time_of_day, mmss},
};
use jiff::Timestamp;

mod cause;

pub(super) use cause::{meaning, next_step};

/// A length of time: minutes and seconds from a minute on.
pub(super) fn time(ms: i64) -> String {
    match ms {
        ..60_000 if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ..60_000 => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
        _ => mmss(ms),
    }
}

/// Two lengths of time, or one if they read the same.
pub(super) fn times(span: Span) -> String {
    let (low, high) = (time(span.low), time(span.high));
    if low == high { low } else { format!("{low} to {high}") }
}

/// What a clock counts from, after a length of time.
#[must_use]
pub fn since(clock: Clock) -> &'static str {
    match clock {
        Clock::Age => "after opening",
        Clock::Request => "after the last request was answered",
        Clock::Byte => "after the last byte in either direction",
        Clock::Packet => "after the last packet in either direction",
        Clock::Begin => "after BEGIN",
        Clock::Statement => "after the statement was sent",
        Clock::Set => "after SET",
        Clock::Listen => "after LISTEN",
    }
}

/// Many names say nothing in a sentence.
fn names(workloads: &[String]) -> String {
    match workloads.len() {
        ..=5 => workloads.join(", "),
        n => format!("{n} workloads"),
    }
}

/// What was observed, such as `5 of 5 connections of idle: FATAL …, 10:00 after the last request was answered.`
pub(super) fn observed(
    (n, of): (i32, i32),
    workloads: &[String],
    how: &str,
    when: Option<String>,
) -> String {
    let when = when.map_or_else(String::new, |when| format!(", {when}"));
    format!("{n} of {of} connections of {}: {how}{when}.", names(workloads))
}

/// Nothing was cut. `bound`: the share of cuts that so many survivors leave room for, in percent.
pub(super) fn survived(n: i32, at_least_ms: i64, bound: f64) -> String {
    format!(
        "{n} of {n} connections answered at the end, after {} at least. That excludes, with 95 % confidence, only \
         causes that cut more than {bound:.1} % of connections in that time.",
        time(at_least_ms)
    )
}

/// What a confidence means.
pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Stated => "whoever closed said why",
        Confidence::Strong => {
            "at least three connections agree, and all else that is known to look like it is contradicted by this run"
        }
        Confidence::Likely => "it explains what was seen, and so may what is not excluded",
        Confidence::Open => "nothing that is known explains it, or too much does",
    }
}

/// What a cause is, as something that is not excluded.
fn rival(rival: Rival) -> String {
    let cause = match rival {
        Rival::Cause(cause) => cause,
        Rival::Few => return "Chance: too few connections agree.".to_owned(),
        Rival::Nodes => {
            return "A difference between nodes: with placement Spread the workloads may have been on different ones."
                .to_owned();
        }
        Rival::Between => {
            return "Somebody between client and proxy: the proxy's log says that the client asked for the end, and \
                    the probe did not."
                .to_owned();
        }
    };
    let what = match cause {
        Cause::MaxLifetime => "a limit on the age of connections",
        Cause::RequestIdleTimer => "a timer that counts requests",
        Cause::ByteIdleTimer => "a timer that counts bytes",
        Cause::FlowForgotten => "a device that forgets silent connections",
        Cause::IdleInTransactionTimeout => "a timer on silence in transactions",
        Cause::TransactionTimeout => "a limit on the age of transactions",
        Cause::StatementTimeout => "a limit on the time of statements",
        Cause::PinnedTimer => "a timer on sessions with SET or LISTEN",
        Cause::OneMoment => "something that happened at one moment",
        Cause::SessionTerminated => "somebody who ended the sessions",
        Cause::ServerRestart => "a server that was shut down",
        other => other.as_str(),
    };
    let tells = match cause {
        Cause::OneMoment => "a second run would not show it at the same age",
        Cause::ServerRestart | Cause::SessionTerminated => "the server's log tells",
        Cause::MaxLifetime => "a heartbeat beside it tells",
        Cause::RequestIdleTimer | Cause::ByteIdleTimer => "listen beside listenNotify tells",
        Cause::FlowForgotten => "idle with a keepalive beside it tells",
        _ => "the experiment tells",
    };
    format!("Also possible: {what}; {tells}.")
}

/// What is not excluded.
pub(super) fn rivals<'a>(rivals: impl Iterator<Item = &'a Rival>) -> Vec<String> {
    rivals.map(|it| rival(*it)).collect()
}

/// A line of evidence.
pub(super) fn remark(remark: &Remark) -> String {
    let day = |ms: i64| Timestamp::from_millisecond(ms).map(time_of_day).unwrap_or_default();
    match remark {
        Remark::Moment { at, spared: 0 } => {
            format!(
                "It was at {}, and all connections that were open then are among them.",
                day(*at)
            )
        }
        Remark::Moment { at, spared } => {
            format!("It was at {}; {spared} others that were open then lived on.", day(*at))
        }
        Remark::Host(host) => {
            format!("All of them led to {host}, and those that lived on to other addresses.")
        }
        Remark::Successor(Successor::Same) => {
            "The same server answered afterwards, and it had not been restarted.".to_owned()
        }
        Remark::Successor(Successor::Restarted(at)) => {
            format!("The server that answered afterwards had been started at {}.", day(*at))
        }
        Remark::Successor(Successor::Another) => "Another server answered afterwards.".to_owned(),
        Remark::Unlisted(n) => {
            format!("{n} more ended alike; the report had no room to tell of each.")
        }
        Remark::Silent(n) => format!("{n} of them were cut at the same moment without a message."),
        Remark::Said(said) => format!("What was said: {said}"),
        Remark::Varies => "The ages vary by more than a fixed limit's would.".to_owned(),
        Remark::Period(ms) => format!("They were cut at multiples of {}.", time(*ms)),
    }
}

/// What clocks showed that were moved apart, so that they are not what counts.
pub(super) fn rejected(clock: Clock, span: Span) -> String {
    let what = match clock {
        Clock::Age => "age",
        Clock::Request => "time since the last request",
        Clock::Byte => "time since the last byte",
        Clock::Packet => "time since the last packet",
        Clock::Begin => "time since BEGIN",
        Clock::Statement => "time of the statement",
        Clock::Set => "time since SET",
        Clock::Listen => "time since LISTEN",
    };
    format!("Their {what} differed, from {}: that is not what counts.", times(span))
}

/// Workloads of which nothing was cut.
pub(super) fn spared(workloads: &[String], n: i32) -> String {
    format!("Nothing was cut of {} ({n} connections).", names(workloads))
}

/// What became of the same workloads on the other path.
pub(super) fn beside(cut: i32, of: i32) -> String {
    format!("On the other path {cut} of {of} connections of the same workloads were cut.")
}

/// Whether something that is set explains the value.
pub(super) fn near(finding: &Finding, read: usize) -> Option<String> {
    let timer = finding.timer.as_ref()?;
    let value = Span { low: timer.at_least_ms, high: timer.at_most_ms };
    let known = value.width() <= APART * tolerance(value.high);
    let fits: Vec<String> = timer
        .near
        .iter()
        .filter(|near| near.fits)
        .map(|near| format!("{} = {}", near.name, time(near.value_ms)))
        .collect();
    Some(match fits.len() {
        0 => format!("No timer that is known here has that value ({read} were read)."),
        _ if known => format!("That is the value of {}.", fits.join(", ")),
        _ => format!("Timers with a value in between: {}.", fits.join(", ")),
    })
}

/// A finding as a paragraph.
#[must_use]
pub fn told(finding: &Finding) -> String {
    let Finding { cause, confidence, arm, observed, meaning, next_step, page, .. } = finding;
    let lines = finding.evidence.iter().chain(&finding.not_excluded);
    let lines: String = lines.map(|line| format!("  - {}\n", printable(line))).collect();
    format!(
        "{} ({}, {}): {}\n{lines}  {meaning}\n  {next_step} See {page}\n",
        cause.as_str(),
        confidence.as_str(),
        arm.as_str(),
        printable(observed),
    )
}

/// Tasks' sessions went while they were silent.
pub(super) fn task_cut(n: i32, of: i32, silence: &Spread) -> String {
    let were = if n == 1 { "was" } else { "were" };
    format!(
        "{n} of {of} sessions of tasks that ended {were} cut while idle, after {} of silence.",
        workers::silences(silence)
    )
}

/// Workers' own sessions lived on.
pub(super) fn workers_spared(n: i32) -> String {
    format!("0 of {n} workers' own sessions, which have a heartbeat, were cut while idle.")
}

/// They did not.
pub(super) fn workers_too(n: i32) -> String {
    format!("{n} workers' own sessions went too: so it is not silence alone.")
}

/// Workers that left by themselves, and those whose row had gone before.
pub(super) fn workers_left(left: i32, deleted: i32) -> String {
    let workers = |n| if n == 1 { "worker" } else { "workers" };
    let in_order = format!("{left} {} left in order", workers(left));
    let after = format!("{deleted} {} went whose heartbeat row had been deleted", workers(deleted));
    match (left, deleted) {
        (_, 0) => format!("{in_order}."),
        (0, _) => format!("{after}."),
        _ => format!("{in_order}, {after}."),
    }
}

/// Why a row may have been deleted.
pub(super) fn heartbeats_lost() -> &'static str {
    "Also possible where a row was deleted: the worker's path or node was lost, so that its heartbeats no longer came."
}

/// Workers' own sessions went.
pub(super) fn workers_cut(n: i32, of: i32, lived_ms: i64) -> String {
    format!(
        "{n} of {of} workers' own sessions that ended went while the worker's row stayed, the youngest after {}.",
        crate::text::mmss(lived_ms)
    )
}

/// A process that was killed.
pub(super) fn killed() -> &'static str {
    "Also possible: its process was killed, which the server can't tell from a cut; kubectl cprobe watch-workers can."
}

/// A session that is not a task's.
pub(super) fn of_the_api() -> &'static str {
    "Also possible: it is one that Pulp's API opened as the task began, and let go after CONN_MAX_AGE. Its address tells."
}

/// What the probe's own connections went through meanwhile.
pub(super) fn held_beside(cut: i32, all: i32) -> String {
    format!(
        "Of the probe's own connections on the measured path, {cut} of {all} were cut meanwhile."
    )
}

/// A finding in a few words, for tables.
#[must_use]
pub fn short(finding: &Finding) -> String {
    let value = match &finding.timer {
        Some(timer) => {
            format!(" {}", times(Span { low: timer.at_least_ms, high: timer.at_most_ms }))
        }
        None => String::new(),
    };
    let unsure = match finding.confidence {
        Confidence::Stated | Confidence::Strong => "",
        Confidence::Likely => "likely ",
        Confidence::Open if finding.cause == Cause::Unknown => "",
        Confidence::Open => "perhaps ",
    };
    format!("{unsure}{}{value} ({} of {})", finding.cause.as_str(), finding.n, finding.of)
}
