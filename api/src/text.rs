//! Every sentence that a user reads in a status, an event or a table: what was observed, what it
//! means, what to do next, in that order. Full stops, but none right after an identifier.

use crate::{
    close_form::{CloseForm, CloseWord},
    diagnosis::{Finding, short},
    lifetime::Lifetime,
    report::{Arm, ArmReport, Ending, Inconclusive, Notifications, Outcome},
    settings::Invalid,
};
use jiff::Timestamp;

mod expectations;
mod ladder;
mod observed;
mod rds_proxy;
mod run;
mod sockets;
mod statement;
mod waiting;
mod watch_workers;

pub use expectations::*;
pub use ladder::{ladder, left_out};
pub use observed::*;
pub use rds_proxy::*;
pub use run::{result, summary};
pub use sockets::*;
pub use statement::{aws_says, instead, pinning_statements, pins};
pub use waiting::*;
pub use watch_workers::*;

/// Minutes and seconds, as in `46:41`; hours are minutes, as in the tickets that this is for.
#[must_use]
pub fn mmss(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// The same to the millisecond, as in `46:41.208`.
#[must_use]
pub fn precisely(ms: i64) -> String {
    format!("{}.{:03}", mmss(ms), ms.max(0) % 1000)
}

/// Microseconds, for people: `0.35 ms`, `12 ms`, `3.2 s`.
#[must_use]
pub fn micros(us: i64) -> String {
    match us.max(0) {
        us @ ..10_000 => format!("{}.{:02} ms", us / 1000, us % 1000 / 10),
        us @ ..1_000_000 => format!("{} ms", us / 1000),
        us => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// A length of time in the manner of Go, in whole seconds: `57m36s`.
#[must_use]
pub fn duration(ms: i64) -> String {
    let seconds = ms.max(0) / 1000;
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (h, m) {
        (0, 0) => format!("{s}s"),
        (0, _) => format!("{m}m{s}s"),
        _ => format!("{h}h{m}m{s}s"),
    }
}

/// A moment of the day in UTC.
#[must_use]
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S UTC").to_string()
}

/// A moment in UTC, with its day.
#[must_use]
pub fn date(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A lifetime for a table: exact, an interval, or a lower bound.
#[must_use]
pub fn lifetime(lifetime: &Lifetime) -> String {
    match lifetime.max_ms {
        None => format!(">= {}", mmss(lifetime.min_ms)),
        Some(max) if lifetime.is_exact() => mmss(max),
        Some(max) => format!("{}–{}", mmss(lifetime.min_ms), mmss(max)),
    }
}

/// How an end looked, on one line: the first message, or the close form in a word.
#[must_use]
pub fn form(form: &CloseForm) -> String {
    match form.messages.first() {
        Some(message) => format!("{} {} {}", message.severity, message.code, message.text),
        None => match form.word {
            CloseWord::Message | CloseWord::Fin => "closed without a message (FIN)".to_owned(),
            CloseWord::Rst => "reset while idle (RST)".to_owned(),
            CloseWord::RstOnWrite => "reset on the next write (RST)".to_owned(),
            CloseWord::TlsAlert => "closed by a TLS alert".to_owned(),
            CloseWord::Truncated => "closed without TLS close_notify (FIN)".to_owned(),
            CloseWord::TimedOut => "no answer (timed out)".to_owned(),
        },
    }
}

/// How some connections ended, on one line: without lifetimes.
#[must_use]
pub fn ending(ending: &Ending) -> String {
    let seen = ending.form.as_ref().map(form).or_else(|| ending.detail.clone());
    match (ending.outcome, ending.reason) {
        (Outcome::Survived, _) => {
            seen.map_or_else(|| "survived".to_owned(), |seen| format!("survived; {seen}"))
        }
        (Outcome::Inconclusive, Some(reason)) => {
            seen.map_or_else(|| reason.as_str().to_owned(), |s| format!("{}: {s}", reason.as_str()))
        }
        (_, _) => seen.unwrap_or_else(|| "various".to_owned()),
    }
}

/// What became of one connection, told when it ends.
#[must_use]
pub fn lane_ended(
    lane: i32,
    arm: Arm,
    outcome: Outcome,
    lifetime: Option<&Lifetime>,
    seen: &str,
) -> String {
    let lane = format!("connection {lane}{}", beside(arm));
    match outcome {
        Outcome::Disconnected => {
            let lived = lifetime.map(self::lifetime).unwrap_or_default();
            format!("{lane} was cut after {lived}: {seen}")
        }
        other => format!("{lane}: {}: {seen}", other.as_str()),
    }
}

/// What was seen of an end: its form, or else the detail, or else the reason.
#[must_use]
pub fn seen(
    form: Option<&CloseForm>,
    detail: Option<&str>,
    reason: Option<Inconclusive>,
) -> String {
    let seen = form.map(self::form).or_else(|| detail.map(str::to_owned));
    seen.or_else(|| reason.map(|reason| reason.as_str().to_owned()))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// What follows a name on the path beside the measured one.
#[must_use]
pub fn beside(arm: Arm) -> &'static str {
    match arm {
        Arm::Target => "",
        Arm::Control => " (control)",
    }
}

/// How many notifications came through.
#[must_use]
pub fn notifications(told: &Notifications) -> String {
    let Notifications { sent, send_failed, heard_by_sender, expected, received } = told;
    let unsent = match send_failed {
        0 => String::new(),
        n => format!(", and {n} more could not be"),
    };
    format!(
        "heard {received} of {expected} notifications ({sent} were sent{unsent}; the sender itself \
         heard {heard_by_sender})"
    )
}

/// A finding, as an event tells it.
#[must_use]
pub fn found(finding: &Finding) -> String {
    let Finding { observed, meaning, page, .. } = finding;
    format!("{page}: {}. {observed} {meaning}", short(finding))
}

/// A run that is going on.
#[must_use]
pub fn progressing(number: i64, until: Option<Timestamp>) -> String {
    match until {
        Some(until) => format!("Run {number} is measuring, until about {}.", clock(until)),
        None => format!("Run {number} is measuring."),
    }
}

/// A workload is measured once more.
#[must_use]
pub fn again(workload: &str, reason: Inconclusive) -> String {
    format!("{workload}: {} It is measured once more.", lost(reason, ""))
}

/// A pod became unready: the report decides later.
#[must_use]
pub fn probably_cut(workloads: &[String], after_ms: i64) -> String {
    let connection = if workloads.len() == 1 { "A connection" } else { "Connections" };
    let verb = if workloads.len() == 1 { "was" } else { "were" };
    format!(
        "{connection} of {} {verb} probably cut, the first at about {}; the report will tell.",
        workloads.join(", "),
        mmss(after_ms),
    )
}

/// The shortest life of a survivor, in milliseconds.
#[must_use]
pub fn survivors(arm: &ArmReport) -> Option<i64> {
    let survived = arm.endings.iter().filter(|ending| ending.outcome == Outcome::Survived);
    survived.filter_map(|ending| ending.lifetime).map(|lifetime| lifetime.min_ms).min()
}

/// What happened to a workload without a complete report.
#[must_use]
pub fn lost(reason: Inconclusive, seen: &str) -> String {
    let what = match reason {
        Inconclusive::Evicted => "The pod was evicted before its time",
        Inconclusive::Preempted => "The pod made way for one of higher priority",
        Inconclusive::NodeLost => "The node of the pod stopped answering",
        Inconclusive::OOMKilled => "The probe ran out of memory: raise spec.podTemplate.resources",
        Inconclusive::DeadlineExceeded => "The pod took longer than it may",
        Inconclusive::JobDeleted => "The Job was deleted",
        Inconclusive::Superseded => "A newer run took over",
        Inconclusive::Cancelled => "The run was cancelled",
        Inconclusive::OverrideEnded => "The RDS Proxy was not changed for the whole run",
        Inconclusive::Interrupted => "The probe was told to stop",
        Inconclusive::Misconfigured => "The probe was configured wrongly",
        Inconclusive::NoReport
        | Inconclusive::ImageUnavailable
        | Inconclusive::Unschedulable
        | Inconclusive::QuotaExceeded
        | Inconclusive::NamespaceTerminating
        | Inconclusive::ProbeStalled
        | Inconclusive::LocalLimit
        | Inconclusive::PoolExhausted => "The pod ended and left no complete report",
    };
    if seen.is_empty() { format!("{what}.") } else { format!("{what} ({seen}).") }
}

/// No scheduled run has ended yet.
#[must_use]
pub fn scheduled(next: Option<Timestamp>) -> String {
    match next {
        Some(next) => format!("The first run is due on {}.", date(next)),
        None => "The schedule has no run in the years to come.".to_owned(),
    }
}

/// Scheduled runs that were not started.
#[must_use]
pub fn missed(count: usize, latest: Timestamp) -> String {
    let (runs, was) = if count == 1 { ("run", "was") } else { ("runs", "were") };
    format!(
        "{count} scheduled {runs} {was} not started in time, the latest due on {}. Only the latest \
         can be made up for, within startingDeadlineSeconds.",
        date(latest)
    )
}

/// A schedule that can't be read.
#[must_use]
pub fn bad_schedule(why: &str) -> String {
    format!(
        "schedule can't be read: {why}. Write five fields (minute, hour, day of month, month, day of \
         week) such as 0 3 * * *, or a word such as @daily."
    )
}

/// A time zone that does not exist.
#[must_use]
pub fn bad_time_zone(name: &str) -> String {
    format!(
        "timeZone {name} is not known. Write a name of the IANA database, such as Europe/Prague."
    )
}

/// Why the annotation requestedAt starts nothing.
#[must_use]
pub fn request_refused(token: &str, going: Option<i64>) -> String {
    match going {
        Some(number) => format!(
            "requestedAt {token} starts nothing, since run {number} is going on. Wait for its end or \
             cancel it, then set another value."
        ),
        None => format!(
            "requestedAt {token} starts nothing, since the probe is suspended. Set spec.suspend to \
             false, then set another value."
        ),
    }
}

/// The probe is suspended.
#[must_use]
pub fn suspended() -> String {
    "Suspended: nothing starts. Set spec.suspend to false to go on.".to_owned()
}

/// A spec that the schema let through.
#[must_use]
pub fn refusal(invalid: &Invalid) -> String {
    match invalid {
        Invalid::Workloads => "Write either preset or workloads.".to_owned(),
        Invalid::Workload(name) => {
            format!("Workload {name} must have exactly one member that names its pattern.")
        }
        Invalid::Work(name) => {
            format!("Workload {name}: pulpTask.work must be shorter than the duration.")
        }
        Invalid::Rungs(name) => format!(
            "Workload {name}: no rung of idleLadder is shorter than the duration; write a longer \
             duration, or shorter rungs."
        ),
        Invalid::LongTransaction(name) => format!(
            "Workload {name}: a statement of your own would stand in a transaction that is open for \
             the whole time. Write allowLongTransactions: true beside it if that is meant; with \
             client Psycopg a heartbeat is one transaction: write activeTransaction."
        ),
        Invalid::Duration => "duration must lie between 1s and 24h.".to_owned(),
        Invalid::Connections => "connections must lie between 1 and 10000.".to_owned(),
        Invalid::Port => "target.port must lie between 1 and 65535.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::WaitingReason;

    #[test]
    fn times_are_written_as_in_the_tickets() {
        assert_eq!(mmss(2_449_999), "40:49");
        assert_eq!(mmss(5_400_000), "90:00");
        assert_eq!(precisely(2_449_029), "40:49.029");
        assert_eq!(duration(3_456_000), "57m36s");
        assert_eq!([350, 12_345, 3_249_999].map(micros), ["0.35 ms", "12 ms", "3.2 s"]);
        assert_eq!(lifetime(&Lifetime { min_ms: 3_000_000, max_ms: None }), ">= 50:00");
        assert_eq!(lifetime(&Lifetime { min_ms: 60_000, max_ms: Some(120_000) }), "1:00–2:00");
    }

    #[test]
    fn what_was_heard_and_what_nobody_knows_is_said() {
        let told = Notifications {
            sent: 26,
            send_failed: 2,
            heard_by_sender: 26,
            expected: 78,
            received: 75,
        };
        assert_eq!(
            notifications(&told),
            "heard 75 of 78 notifications (26 were sent, and 2 more could not be; the sender itself \
             heard 26)"
        );
        let survived = Ending {
            outcome: Outcome::Survived,
            reason: None,
            form: None,
            detail: Some("nobody knows whether it hears".into()),
            n: 1,
            lifetime: None,
            lanes: Vec::new(),
        };
        assert_eq!(ending(&survived), "survived; nobody knows whether it hears");
    }

    #[test]
    fn what_is_waited_for_ends_in_what_to_do() {
        let all = [
            WaitingReason::ImageUnavailable,
            WaitingReason::Unschedulable,
            WaitingReason::PodRefused,
            WaitingReason::NameConflict,
        ]
        .map(|reason| waiting(reason, "idle", "what the cluster said."));
        insta::assert_snapshot!(all.join("\n"));
    }
}
