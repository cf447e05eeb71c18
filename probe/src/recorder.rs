//! What has happened in a workload, and the report of it. Pure: it reads no clock.

use crate::{clock::Clock, end::End, heard::Fate, meter::Meter, reconnect::Attempt};
use api::{
    lifetime::ms,
    observed::Observed,
    report::{Arm, Counts, LaneEnd, Lapses, Report, Server, TcpTimers},
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

mod arm;

pub use arm::ArmRecord;

/// The record of one workload.
#[derive(Clone, Debug)]
pub struct Recorder {
    workload: String,
    clock: Clock,
    started_at: Timestamp,
    arms: Vec<ArmRecord>,
    stalls: Option<Lapses>,
    clock_steps: Option<Lapses>,
    observed: Option<Box<Observed>>,
    /// When the last lane of those that have ended did.
    last_end: Option<Instant>,
}

impl Recorder {
    /// A workload of so many connections in each arm that starts now.
    #[must_use]
    pub fn new(
        workload: &str,
        arms: &[Arm],
        connections: usize,
        clock: Clock,
        now: Instant,
    ) -> Self {
        Self {
            workload: workload.to_owned(),
            clock,
            started_at: clock.at(now),
            arms: arms.iter().map(|arm| ArmRecord::new(*arm, connections)).collect(),
            stalls: None,
            clock_steps: None,
            observed: None,
            last_end: None,
        }
    }

    /// It starts only now: another one went before.
    pub fn started(&mut self, now: Instant) {
        self.started_at = self.clock.at(now);
    }

    /// Name of the workload.
    #[must_use]
    pub fn workload(&self) -> &str {
        &self.workload
    }

    /// The arms.
    #[must_use]
    pub fn arms(&self) -> &[ArmRecord] {
        &self.arms
    }

    /// How many ended in which way, over all arms.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.arms.iter().fold(Counts::default(), |sum, arm| sum + arm.counts())
    }

    /// Whether no connection ended otherwise than `Survived`.
    #[must_use]
    pub fn is_unharmed(&self) -> bool {
        self.counts().ended() == self.counts().survived
    }

    /// Counts what the connections of an arm cost.
    #[must_use]
    pub fn meter(&mut self, arm: Arm) -> Arc<Meter> {
        self.arm(arm).map(|record| record.meter()).unwrap_or_default()
    }

    /// A connection was opened, to this server and with these timers.
    pub fn connected(&mut self, arm: Arm, server: &Server, tcp: Option<TcpTimers>) {
        if let Some(record) = self.arm(arm) {
            record.connected(server, tcp);
        }
    }

    /// The probe's attention lapsed for so long.
    pub fn stalled(&mut self, length: Duration) {
        Lapses::add(&mut self.stalls, ms(length));
    }

    /// A new connection was tried after a cut.
    pub fn reconnected(&mut self, arm: Arm, attempt: Attempt) {
        if let Some(record) = self.arm(arm) {
            record.reconnected(attempt);
        }
    }

    /// A NOTIFY was sent to the connections of this arm, or not.
    pub fn announced(&mut self, arm: Arm, fate: &Fate) {
        if let Some(record) = self.arm(arm) {
            record.announced(fate);
        }
    }

    /// The wall clock was set by so many milliseconds.
    pub fn clock_stepped(&mut self, ms: i64) {
        Lapses::add(&mut self.clock_steps, ms.abs());
    }

    /// What a watcher has seen so far.
    pub fn observed(&mut self, observed: Observed) {
        self.observed = Some(Box::new(observed));
    }

    /// A lane ended. Returns what is told of it alone.
    pub fn ended(&mut self, arm: Arm, lane: usize, end: End) -> LaneEnd {
        let told = arm::told(self.clock, lane, &end);
        self.last_end = self.last_end.max(Some(end.at));
        if let Some(record) = self.arm(arm) {
            record.ended(told.clone(), end);
        }
        told
    }

    fn arm(&mut self, arm: Arm) -> Option<&mut ArmRecord> {
        self.arms.iter_mut().find(|record| record.arm() == arm)
    }

    /// When the last lane ended; `now` if there was none.
    #[must_use]
    pub fn last_end(&self, now: Instant) -> Instant {
        self.last_end.unwrap_or(now)
    }

    /// The report, as far as things have come; `ended_at` when the last lane has ended.
    #[must_use]
    pub fn report(&self, ended_at: Option<Instant>) -> Report {
        Report {
            workload: self.workload.clone(),
            started_at: self.started_at,
            ended_at: ended_at.map(|at| self.clock.at(at)),
            arms: self.arms.iter().map(ArmRecord::report).collect(),
            stalls: self.stalls,
            clock_steps: self.clock_steps,
            observed: self.observed.clone(),
            problem: None,
        }
    }
}

#[cfg(test)]
mod tests;
