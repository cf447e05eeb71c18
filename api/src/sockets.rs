//! The TCP connections of a pod to its database, as its kernel saw them: no statement was sent, and nothing of
//! what they carry was read.
//!
//! `connection-probe watch-sockets` fills a [`SocketsReport`], and tells what happens by a [`Line`] each. What
//! became of a connection is its [`Fate`]; what many of them say of a hypothesis is in [`judge`].

use crate::{beats::Rhythm, schema};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

mod fate;
mod file;
mod heard;
pub mod judge;
mod line;

pub use fate::{ACTIVE_MS, Fate};
pub use file::{read, read_all};
pub use heard::Heard;
pub use line::{Event, Line};

/// What was seen in the network namespace of one pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketsReport {
    /// Name of the pod. Absent: whoever watched did not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// From when it was watched, by the pod's wall clock.
    pub started_at: Timestamp,
    /// Until when.
    pub ended_at: Timestamp,
    /// From one look to the next, in milliseconds.
    pub interval_ms: i64,
    /// How the end of a connection was noticed.
    pub noticed: Noticed,
    /// The peers' ports that were watched.
    pub ports: Vec<u16>,
    /// The connections, in the order in which they were met.
    pub sockets: Vec<SocketLife>,
    /// Connections that ended and are not told, since there were so many.
    #[serde(default, skip_serializing_if = "schema::is_zero")]
    pub untold: i64,
    /// Looks that came more than twice the interval after the one before, and the longest such gap in
    /// milliseconds: the watcher itself was starved or stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late: Option<Late>,
    /// Processor time that watching took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<i64>,
}

/// Looks that came late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Late {
    /// How many.
    pub looks: i64,
    /// The longest gap between two looks, in milliseconds.
    pub longest_ms: i64,
}

/// How the end of a connection is noticed. More may be added: clients must tolerate unknown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Noticed {
    /// The kernel tells when a socket is destroyed, with its last figures (sock_diag(7), `SKNLGRP_*_TCP_DESTROY`).
    Events,
    /// By looking: one that is not there any more has ended, and often nobody can tell how.
    Looks,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketLife {
    /// Its port in the pod.
    pub local_port: u16,
    /// The peer's address and port.
    pub peer: SocketAddr,
    /// Whose connection it is, by its rhythm and those beside it.
    pub role: Role,
    /// What its activity looks like: when the process sent something.
    pub rhythm: Rhythm,
    /// Its steady interval in milliseconds, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat_ms: Option<i64>,
    /// When it was opened. Absent: it was there already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub born: Option<Window>,
    /// How long it was seen to live, in milliseconds; until its end, or until nobody watched any more. It lived longer
    /// if it was there already.
    pub lived_ms: i64,
    /// The longest time in which the process sent nothing, in milliseconds.
    pub longest_silence_ms: i64,
    /// Bytes that the process sent, as often as it sent them once.
    pub sent_bytes: i64,
    /// Bytes that came.
    pub received_bytes: i64,
    /// Segments that were sent more than once, in all its life.
    pub retransmits: i64,
    /// How it ended. Absent: it was still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SocketEnd>,
}

/// When something happened: later than `after`, and not later than `before`; by the pod's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// It had not happened then.
    pub after: Timestamp,
    /// It had.
    pub before: Timestamp,
}

/// Whose connection it is. More may be added: clients must tolerate unknown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// It beats: a worker's main connection, which LISTENs and keeps up the heartbeat.
    Main,
    /// It does not, and one beside it does: a task's.
    Task,
    /// None of the pod's connections beats.
    Unknown,
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEnd {
    /// When the first side closed it.
    #[serde(flatten)]
    pub at: Window,
    /// Which side that was.
    pub closed_by: ClosedBy,
    /// How.
    pub form: Form,
    /// Bytes that came with the end: an ErrorResponse, TLS's close_notify; 0 for a bare FIN. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_words_bytes: Option<i64>,
    /// How long the process had sent nothing by `before`, in milliseconds.
    pub silence_ms: i64,
    /// How long nothing had come or gone by `before`, apart from the last words, in milliseconds.
    pub quiet_ms: i64,
    /// Segments that were on their way and not acknowledged when it was last seen open.
    pub unacked: i64,
    /// How long after `before` the process let go of it, in milliseconds. Absent: it had not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub let_go_ms: Option<i64>,
}

/// Which side closed a connection first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClosedBy {
    /// The database, or what stands before it.
    Peer,
    /// The pod: the process let go, ended or was killed.
    Own,
    /// It can't be told.
    Unknown,
}

/// How a connection was closed. More may be added: clients must tolerate unknown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// In order.
    Fin,
    /// By a reset.
    Rst,
    /// Nobody closed it: the own kernel gave up, since nothing was acknowledged.
    TimedOut,
    /// It can't be told.
    Unknown,
}

impl Role {
    /// The word as it stands in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "Main",
            Self::Task => "Task",
            Self::Unknown => "Unknown",
        }
    }
}

impl Form {
    /// The word as it stands in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::TimedOut => "timed out",
            Self::Unknown => "unknown form",
        }
    }
}

impl Window {
    /// How wide it is, in milliseconds.
    #[must_use]
    pub fn width_ms(&self) -> i64 {
        (self.before.as_millisecond() - self.after.as_millisecond()).max(0)
    }
}

impl SocketEnd {
    /// How long the process had sent nothing when it was closed: at least and at most, in milliseconds.
    #[must_use]
    pub fn silence(&self) -> (i64, i64) {
        ((self.silence_ms - self.at.width_ms()).max(0), self.silence_ms)
    }
}

/// Says whose each connection of a pod is: one that beats is a worker's own, and the others beside it are tasks'.
pub fn assign_roles(sockets: &mut [SocketLife]) {
    let beats = |life: &SocketLife| life.rhythm == Rhythm::Beating;
    let has_main = sockets.iter().any(beats);
    for life in sockets {
        life.role = match (beats(life), has_main) {
            (true, _) => Role::Main,
            (false, true) => Role::Task,
            (false, false) => Role::Unknown,
        };
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A moment so many milliseconds after an hour.
    pub(crate) fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_790_000_000_000 + ms).unwrap()
    }

    /// A connection that was opened at 0 s and lived for so long.
    pub(crate) fn life(rhythm: Rhythm, lived_ms: i64) -> SocketLife {
        SocketLife {
            local_port: 40_000,
            peer: "10.0.0.7:5432".parse().unwrap(),
            role: Role::Unknown,
            rhythm,
            beat_ms: (rhythm == Rhythm::Beating).then_some(10_010),
            born: Some(Window { after: at(-250), before: at(0) }),
            lived_ms,
            longest_silence_ms: if rhythm == Rhythm::Beating { 10_040 } else { lived_ms },
            sent_bytes: 900,
            received_bytes: 4_000,
            retransmits: 0,
            end: None,
        }
    }

    /// The same, closed by the peer after this silence, give or take 100 ms.
    pub(crate) fn cut(rhythm: Rhythm, lived_ms: i64, silence_ms: i64) -> SocketLife {
        let end = SocketEnd {
            at: Window { after: at(lived_ms - 100), before: at(lived_ms) },
            closed_by: ClosedBy::Peer,
            form: Form::Fin,
            last_words_bytes: Some(121),
            silence_ms,
            quiet_ms: silence_ms - 1,
            unacked: 0,
            let_go_ms: Some(1),
        };
        SocketLife { end: Some(end), ..life(rhythm, lived_ms) }
    }

    /// The same, left by its own process.
    pub(crate) fn left(rhythm: Rhythm, lived_ms: i64, silence_ms: i64) -> SocketLife {
        let mut life = cut(rhythm, lived_ms, silence_ms);
        life.end = life.end.map(|end| SocketEnd {
            closed_by: ClosedBy::Own,
            last_words_bytes: None,
            let_go_ms: Some(0),
            ..end
        });
        life
    }

    /// What was seen in a pod.
    pub(crate) fn report(pod: &str, mut sockets: Vec<SocketLife>) -> SocketsReport {
        assign_roles(&mut sockets);
        SocketsReport {
            pod: Some(pod.into()),
            started_at: at(-5_000),
            ended_at: at(3_600_000),
            interval_ms: 250,
            noticed: Noticed::Events,
            ports: vec![5432, 6432],
            sockets,
            untold: 0,
            late: None,
            cpu_ms: Some(120),
        }
    }

    #[test]
    fn beside_one_that_beats_the_others_are_tasks() {
        let mut sockets =
            [life(Rhythm::Silent, 9), life(Rhythm::Beating, 9), life(Rhythm::Working, 9)];
        assign_roles(&mut sockets);
        assert_eq!(sockets.map(|life| life.role), [Role::Task, Role::Main, Role::Task]);
        let mut alone = [life(Rhythm::Silent, 9)];
        assign_roles(&mut alone);
        assert_eq!(alone[0].role, Role::Unknown);
    }

    #[test]
    fn a_report_comes_back_from_its_json() {
        let told = report("worker-0", vec![cut(Rhythm::Silent, 60_000, 59_000)]);
        let json = serde_json::to_string(&told).unwrap();
        assert!(json.contains(r#""closedBy":"Peer""#) && json.contains(r#""lastWordsBytes":121"#));
        assert_eq!(serde_json::from_str::<SocketsReport>(&json).unwrap(), told);
        assert_eq!(told.sockets[0].end.unwrap().silence(), (58_900, 59_000));
    }
}
