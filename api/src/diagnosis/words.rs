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

/// What a cause means.
pub(super) fn meaning(cause: Cause) -> &'static str {
    match cause {
        Cause::IdleSessionTimeout => {
            "PostgreSQL's idle_session_timeout ended sessions that sent nothing outside a transaction. LISTEN counts \
             as idle, and a notification that is delivered does not reset it. Behind a pooler it ends the pooler's \
             own connections, and only clients that hold one feel it."
        }
        Cause::IdleInTransactionTimeout => {
            "A timer of the server or of a pooler ended sessions that were silent in an open transaction. Whoever \
             said so is whose timer it is: PostgreSQL 25P03, PgBouncer 08P01."
        }
        Cause::TransactionTimeout => {
            "A limit on the age of transactions ended them, busy or idle: PostgreSQL's transaction_timeout (25P04), \
             or a pooler's (08P01)."
        }
        Cause::StatementTimeout => {
            "A limit on the time of a statement ended it. PostgreSQL's statement_timeout cancels the statement and \
             keeps the session; a pooler's query_timeout closes the connection."
        }
        Cause::PoolerIdleTimeout => {
            "A pooler's timer closed clients that had no server connection and sent nothing. PgBouncer in session \
             mode spares clients that have sent their first query."
        }
        Cause::SessionTerminated => {
            "Somebody ended the sessions, by pg_terminate_backend or DROP DATABASE … FORCE: a person, a job, an \
             operator. It is no timer of PostgreSQL's own."
        }
        Cause::ServerRestart => {
            "The database server was shut down or restarted, and all its sessions ended with it."
        }
        Cause::ServerCrash => {
            "A process of the database server died, out of memory or by a bug, and the server ended all sessions to \
             recover. The session of the process itself ends without a word."
        }
        Cause::Failover => {
            "Another server answers now: a failover, a switch-over, or a name that was pointed elsewhere."
        }
        Cause::RecoveryConflict => {
            "A standby ended sessions whose snapshot or lock stood in the way of what it replays."
        }
        Cause::PoolerShutdown => {
            "A pooler closed its clients on purpose: it was stopped, told to KILL a database, or given a new \
             configuration without it."
        }
        Cause::PoolerLostServer => {
            "A pooler's own connection to the server ended, and the client that held it with it. What ended it lies \
             between pooler and server, or in the server."
        }
        Cause::ReadOnlyServer => {
            "The server answers and takes no writes: it became a standby, or is set to read only. The connection \
             lives; a Pulp worker ends at its next heartbeat."
        }
        Cause::ConnectionRefused => {
            "New connections could not be opened. Those that were open are not concerned."
        }
        Cause::OtherMessage => {
            "The peer gave a reason that is not known here. It is quoted as it came."
        }
        Cause::RequestIdleTimer => {
            "Whoever closed knows PostgreSQL's protocol: it counts from the last request, and bytes that the server \
             sends do not reset it. RDS Proxy's IdleClientTimeout is described so; what it looks like on the wire \
             was never tried here."
        }
        Cause::ByteIdleTimer => {
            "Whoever closed only sees bytes: a proxy in TCP mode, such as HAProxy, Envoy or a mesh sidecar. Any byte \
             in either direction resets it, TCP keepalives do not."
        }
        Cause::IdleTimer => {
            "A timer on silence closed the connections, without saying so. Whether it counts requests (RDS Proxy, a \
             pooler) or bytes (HAProxy, Envoy) is not known."
        }
        Cause::FlowForgotten => {
            "A device on the way (load balancer, NAT, firewall) had forgotten the connection while it was silent, and \
             reset it at the next packet. Whoever only listens does not learn of it."
        }
        Cause::SilentDrop => {
            "Packets of these connections disappeared and nobody said so: a device forgot them and drops what comes, \
             or the path or the peer's host was gone. Whoever only listens does not learn of it."
        }
        Cause::MaxLifetime => {
            "Connections were ended at an age, busy or idle: a limit on the lifetime of clients."
        }
        Cause::PinnedTimer => {
            "Only sessions with a SET or LISTEN were closed, without a word: a timer that sees them otherwise than \
             others, as one behind a multiplexing proxy does, which they are pinned to."
        }
        Cause::OneMoment => {
            "Something happened at that moment that ended connections of any age: a restart, a deployment, a scale-in, \
             a network change."
        }
        Cause::OneHost => {
            "One of the hosts behind the name went away or was restarted; connections to the others lived on."
        }
        Cause::Sweep => {
            "Something comes by at regular moments and ends connections: a job, a reload, a health check."
        }
        Cause::OwnNode => {
            "The pod's own node destroyed the sockets (ECONNABORTED): a service proxy that removed an endpoint, or \
             somebody with ss --kill. The path is not to blame."
        }
        Cause::NotificationsLost => {
            "The connections answer and no longer hear: the pooler gave their server connection to somebody else, and \
             LISTEN stayed behind. A Pulp worker would wait for its next poll without an error."
        }
        Cause::IdleTaskCut => {
            "A task's connection is silent for as long as the task sends nothing: downloads take longer than many idle \
             timers. The worker's own connection has a heartbeat, which keeps it alive."
        }
        Cause::WorkerCut => {
            "Workers' own connections went while their rows stayed: something cut them, or killed their processes. A \
             worker that leaves in order deletes its row first."
        }
        Cause::WorkerLeft => {
            "Nothing cut these: the workers went by themselves, in order, or because a heartbeat found its row \
             deleted, which another worker does to one that is silent for longer than WORKER_TTL."
        }
        Cause::NoCut => {
            "On this path nothing ends connections that behave like these within that time. If Pulp's own end \
             earlier, look at what they do otherwise, and at the worker itself: a worker whose heartbeat row is \
             deleted ends, too."
        }
        Cause::Unknown => {
            "Nothing that is known here explains these cuts alone. It may be chance, a person, or several causes of \
             which each cut too few."
        }
    }
}

/// What to do about it.
pub(super) fn next_step(cause: Cause) -> &'static str {
    match cause {
        Cause::IdleSessionTimeout => {
            "Raise idle_session_timeout for the role, or have the client send something more often."
        }
        Cause::IdleInTransactionTimeout => {
            "Commit before waiting; raise the timer only if transactions must be left open."
        }
        Cause::TransactionTimeout => "Make transactions shorter, or raise the limit for the role.",
        Cause::StatementTimeout => "Raise the limit for the role, or make the statement shorter.",
        Cause::PoolerIdleTimeout => {
            "Raise client_idle_timeout, or have the client send something more often."
        }
        Cause::SessionTerminated => {
            "Look into the server's log at these moments for who called pg_terminate_backend, and stop or tame it."
        }
        Cause::ServerRestart => {
            "Look into the server's log and the provider's events for the reason; have clients connect anew."
        }
        Cause::ServerCrash => {
            "Look into the server's log for which process died and why, most often for want of memory."
        }
        Cause::Failover => {
            "Look into the provider's events for the reason; have clients connect anew."
        }
        Cause::RecoveryConflict => {
            "Send long sessions to the primary, or raise max_standby_streaming_delay."
        }
        Cause::PoolerShutdown => {
            "Look into the pooler's log and deployments at that moment; have clients connect anew."
        }
        Cause::PoolerLostServer => {
            "Look into the server's log at these moments; compare with a control straight to the server."
        }
        Cause::ReadOnlyServer => "Point the path at the primary, and find out why it was moved.",
        Cause::ConnectionRefused => {
            "See what was said: credentials, limits, certificates or the address."
        }
        Cause::OtherMessage => {
            "Look the message up in the documentation of whoever is on the path; its log at that moment has more."
        }
        Cause::RequestIdleTimer => {
            "Raise the timer of the proxy, or have the client send a request more often than it."
        }
        Cause::ByteIdleTimer => {
            "Raise the proxy's idle timers, or have something sent more often than them; keepalives do not help."
        }
        Cause::IdleTimer => {
            "Run the experiment, which tells requests from bytes; a request more often than the timer helps in any case."
        }
        Cause::FlowForgotten => {
            "Set TCP keepalives on client and server to less than the time, or raise the device's idle time-out."
        }
        Cause::SilentDrop => {
            "Set TCP keepalives and TCP_USER_TIMEOUT on the client, which prevent it where a device forgets and show it early where a path breaks."
        }
        Cause::MaxLifetime => {
            "Have the client renew its connections before that age, or raise the limit where that is possible."
        }
        Cause::PinnedTimer => {
            "Avoid SET and LISTEN on that path, or raise the server's timers that see pinned sessions."
        }
        Cause::OneMoment => {
            "Look into logs and events of everything on the path at that moment; run the probe again to see whether it comes back."
        }
        Cause::OneHost => "Look into that host's events at that moment; have clients connect anew.",
        Cause::Sweep => "Look for a job with that period on server, pooler and nodes.",
        Cause::OwnNode => "Look into the node's service proxy and its log at that moment.",
        Cause::NotificationsLost => {
            "LISTEN through a session pool or straight to the server; a transaction pool can't keep it."
        }
        Cause::IdleTaskCut => {
            "Run idleLadder on the same path for the timer's value. Then raise it, or have TCP keepalives sent if it \
             counts packets."
        }
        Cause::WorkerCut => {
            "kubectl cprobe watch-workers tells who closed the socket; kubectl describe pod, whether the process was \
             killed."
        }
        Cause::WorkerLeft => {
            "Read the worker's log at that moment. If rows are deleted, look for what stalls a worker for longer than \
             WORKER_TTL: CPU limits, a full database, a suspended node."
        }
        Cause::NoCut => {
            "Run longer, or closer to what Pulp does: client Django, pulpWorker, pulpTask."
        }
        Cause::Unknown => "Run the experiment: more connections and more ways of holding them.",
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

/// Workers that left by themselves; of so many more the row had gone before.
pub(super) fn workers_left(left: i32, deleted: i32) -> String {
    let all = left + deleted;
    let workers = if all == 1 { "worker" } else { "workers" };
    match deleted {
        0 => format!("{all} {workers} left by themselves, in order."),
        n => format!(
            "{all} {workers} left by themselves, {n} of them because the heartbeat row had been deleted."
        ),
    }
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
