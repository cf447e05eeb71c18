//! Symptoms in, a verdict out: how a connection ended, and how well its time is known.
//!
//! - A packet that announced the end is exact: a message, a TLS alert or close_notify, a FIN, an
//!   unprompted reset. An idle socket with a FIN is exact however long ago the last answer was.
//! - A reset or FIN that meets a request of ours, a time-out and silence tell only that the end
//!   lies between the last sign of life and now: the last proof, or a later acknowledgement. One
//!   that may answer the request itself is no such sign: a proxy acknowledges for a server that is
//!   gone. Unless it is our kernel that gave up: then the path worked until the last one.
//!   A FIN during a long statement meets no request, it interrupts one.
//! - So does a reset that answers a keepalive packet of ours: it was not the peer's idea.
//! - A stall of our own makes exact times intervals, and beyond the tolerance it makes them
//!   worthless.

use crate::{life::Life, session::ANSWER_TIMEOUT, stall::Moment, tcp_info::Sample};
use api::{
    close_form::{CloseForm, CloseWord, MessageKind, ServerMessage, TcpEnd, TlsEnd},
    lifetime::Lifetime,
    report::{Clocks, Inconclusive, Outcome, TcpInfo},
};
use std::{io, time::Duration};
use tokio::time::Instant;

/// After an announcement the socket is read for so long, so that a second message, a
/// close_notify and the FIN or reset are seen. A message that came longer before the end
/// of TCP than this did not announce it, unless it was FATAL.
pub const LINGER: Duration = Duration::from_secs(2);
/// Messages that a report keeps.
pub const MAX_MESSAGES: usize = 4;

/// A message from the server, and when it came.
#[derive(Clone, Debug)]
pub struct Said {
    /// When.
    pub moment: Moment,
    /// What.
    pub message: ServerMessage,
}

/// What was seen of an end.
#[derive(Clone, Debug)]
pub struct Symptoms {
    /// Messages that no answer has followed, in the order of arrival.
    pub said: Vec<Said>,
    /// When something other than a message first told of the end.
    pub sign: Moment,
    /// How TLS ended; absent on a plain connection.
    pub tls: Option<TlsEnd>,
    /// How TCP ended.
    pub tcp: TcpEnd,
    /// Whether a request of ours was unanswered.
    pub on_write: bool,
    /// The clocks.
    pub life: Life,
    /// What the kernel knew.
    pub sample: Option<Sample>,
}

/// What follows from them.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// `Disconnected`, or `Inconclusive`.
    pub outcome: Outcome,
    /// Why it is inconclusive.
    pub reason: Option<Inconclusive>,
    /// What the end looked like.
    pub form: CloseForm,
    /// When it was noticed.
    pub noticed: Instant,
    /// How long the connection lived.
    pub lifetime: Lifetime,
    /// What the clocks showed.
    pub clocks: Clocks,
    /// Requests that had been answered.
    pub requests: u32,
    /// What the kernel knew.
    pub tcp_info: Option<TcpInfo>,
}

/// Judges an end.
#[must_use]
pub fn classify(symptoms: Symptoms) -> Verdict {
    let Symptoms { said, sign, tls, tcp, on_write, mut life, sample } = symptoms;
    let (said, before): (Vec<_>, Vec<_>) =
        said.into_iter().partition(|said| announces(said, &sign));
    // A notice that announced nothing was a byte like any other.
    let last_word = before.last().map(|said| said.moment.at);
    life.server_byte = life.server_byte.max(last_word);

    let noticed = said
        .iter()
        .map(|said| said.moment)
        .fold(sign, |first, moment| if moment.at < first.at { moment } else { first });
    let messages: Vec<_> = said.into_iter().map(|said| said.message).collect();
    let exhausted = messages.iter().any(is_exhausted);
    let form = CloseForm::new(messages, tls, tcp, on_write);

    let age = |at: Instant| at.saturating_duration_since(life.established);
    let by_keepalive =
        form.word == CloseWord::Rst && sample.is_some_and(|sample| sample.info.probes > 0);
    let announced = form.is_exact() || (tcp == TcpEnd::Fin && is_carried_out(&life, noticed.at));
    let lifetime = if by_keepalive || !announced {
        let by_kernel = by_keepalive || matches!(tcp, TcpEnd::TimedOut | TcpEnd::Errno(_));
        Lifetime::between(age(last_sign(&life, sample, by_kernel)), age(noticed.at))
    } else if noticed.is_exact() {
        Lifetime::exact(age(noticed.at))
    } else {
        Lifetime::between(age(noticed.earliest.max(life.proof)), age(noticed.at))
    };
    let reason = if exhausted {
        Some(Inconclusive::PoolExhausted)
    } else if noticed.is_worthless() {
        Some(Inconclusive::ProbeStalled)
    } else {
        None
    };
    Verdict {
        outcome: match reason {
            Some(_) => Outcome::Inconclusive,
            None => Outcome::Disconnected,
        },
        reason,
        form,
        noticed: noticed.at,
        lifetime,
        clocks: life.clocks(noticed.at),
        requests: life.requests,
        tcp_info: sample.map(|sample| sample.info),
    }
}

/// Whether the last request has been unanswered for longer than whoever can't serve it lets it wait.
fn is_carried_out(life: &Life, now: Instant) -> bool {
    life.client_byte.is_some_and(|asked| now.saturating_duration_since(asked) > ANSWER_TIMEOUT)
}

/// The last sign of life of a connection whose end nothing announced. Whether packets of our
/// kernel's own brought it to light.
fn last_sign(life: &Life, sample: Option<Sample>, by_kernel: bool) -> Instant {
    let Some((earliest, latest)) = sample.and_then(|sample| sample.last_ack()) else {
        return life.proof;
    };
    let before_asking = life.client_byte.is_some_and(|asked| latest < asked);
    if by_kernel || before_asking { life.proof.max(earliest) } else { life.proof }
}

/// Whether a message belongs to the end that `sign` showed.
fn announces(said: &Said, sign: &Moment) -> bool {
    is_fatal(&said.message) || sign.at.saturating_duration_since(said.moment.at) <= LINGER
}

/// Whether the session is over by this message alone.
#[must_use]
pub fn is_fatal(message: &ServerMessage) -> bool {
    message.kind == MessageKind::Error && matches!(message.severity.as_str(), "FATAL" | "PANIC")
}

/// Whether connections ran out: `too_many_connections` of PostgreSQL, `query_wait_timeout` of
/// PgBouncer, the borrow time-out of RDS Proxy. Our own connections may be why, so it is never
/// a finding.
#[must_use]
pub fn is_exhausted(message: &ServerMessage) -> bool {
    message.code == "53300"
        || message.text.contains("query_wait_timeout")
        || message.text.contains("imed-out waiting to acquire database connection")
}

/// How TCP ended, by an errno.
#[must_use]
pub fn tcp_end(error: &io::Error) -> TcpEnd {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => TcpEnd::Rst,
        io::ErrorKind::TimedOut => TcpEnd::TimedOut,
        _ => TcpEnd::Errno(error.raw_os_error().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests;
