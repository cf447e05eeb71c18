//! One JSON line on standard output for each thing that happens: never for a heartbeat.

use crate::{connect::Phases, observe::watch::Happened};
use api::{
    close_form::CloseForm,
    observed::{Life, Worker},
    report::{Arm, Inconclusive, LaneEnd, Outcome, Problem, Report, Server},
};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    io::{self, Write},
    net::SocketAddr,
};

/// A line.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// When it happened or was noticed, by the pod's wall clock, to the microsecond.
    pub time: Timestamp,
    /// In which workload.
    pub workload: &'a str,
    /// What.
    #[serde(flatten)]
    pub event: Event<'a>,
}

/// What happened.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event<'a> {
    /// The workload begins.
    Started {
        /// Name of the run.
        run: &'a str,
        /// How many connections it holds.
        connections: usize,
        /// For how long, in milliseconds.
        duration_ms: u64,
    },
    /// Something in the configuration is missing that may still come.
    Waiting {
        /// What.
        problem: &'a Problem,
    },
    /// A connection was opened.
    Connected {
        /// On which path.
        arm: Arm,
        /// Which one.
        lane: usize,
        /// Our TCP port.
        local_port: Option<u16>,
        /// The peer's address and port.
        peer: Option<SocketAddr>,
        /// How long each phase took.
        #[serde(flatten)]
        phases: Phases,
        /// What the server told.
        server: &'a Server,
    },
    /// A NOTIFY was committed, or given up.
    Announced {
        /// To the connections of which path.
        arm: Arm,
        /// Which one, from 1.
        number: usize,
        /// How long it took from connect to COMMIT, in milliseconds.
        ms: i64,
        /// Whether its own sender was notified.
        heard: bool,
        /// Why it was given up.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<&'a str>,
    },
    /// A connection was cut.
    Cut(Story<'a>),
    /// A connection ended in another way.
    Ended(Story<'a>),
    /// A new connection was tried after a cut.
    Reconnect {
        /// On which path.
        arm: Arm,
        /// Milliseconds from when the cut was noticed until it was over.
        after_ms: i64,
        /// Whether it answered a SELECT.
        answered: bool,
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        failure: Option<&'a str>,
    },
    /// The probe's own process was stopped or starved.
    Stalled {
        /// For how long, in milliseconds.
        ms: i64,
        /// How much of it the whole machine was suspended.
        #[serde(skip_serializing_if = "Option::is_none")]
        suspended_ms: Option<i64>,
    },
    /// The machine's wall clock was set. Our own times go on as before.
    ClockStepped {
        /// By how many milliseconds, back if negative.
        ms: i64,
    },
    /// A session that is watched came.
    SessionBorn {
        /// What is known of it.
        life: &'a Life,
    },
    /// A session that is watched ended.
    SessionEnded {
        /// All of its life.
        life: &'a Life,
    },
    /// A worker's row went.
    WorkerGone {
        /// The row.
        worker: &'a Worker,
    },
    /// The server of the watched sessions was started anew.
    ServerRestarted,
    /// The workload has ended.
    Report {
        /// The whole of it.
        report: &'a Report,
    },
}

/// The end of one connection.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Story<'a> {
    /// On which path.
    pub arm: Arm,
    /// How it ended.
    pub outcome: Outcome,
    /// Why nothing can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Inconclusive>,
    /// What the end looked like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<&'a CloseForm>,
    /// In words, where it was not the end of a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    /// The rest.
    #[serde(flatten)]
    pub end: &'a LaneEnd,
}

impl<'a> Event<'a> {
    /// What happened to a session that is watched.
    #[must_use]
    pub fn of(happened: &'a Happened) -> Self {
        match happened {
            Happened::Born(life) => Self::SessionBorn { life },
            Happened::Ended(life) => Self::SessionEnded { life },
            Happened::WorkerGone(worker) => Self::WorkerGone { worker },
            Happened::Restarted => Self::ServerRestarted,
        }
    }
}

impl Line<'_> {
    /// Prints the line. That nobody reads is no reason to stop measuring.
    pub fn print(&self) {
        if let Ok(mut line) = serde_json::to_vec(self) {
            line.push(b'\n');
            let mut out = io::stdout().lock();
            let _ = out.write_all(&line).and_then(|()| out.flush());
        }
    }
}
