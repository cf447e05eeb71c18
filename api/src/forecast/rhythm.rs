//! How many statements a connection sends while nothing cuts it.

use crate::{
    measurement::Client,
    pattern::{LANES_PER_RUNG, Pattern},
    settings::WorkloadSettings,
};

/// Milliseconds between two statements of a task's work.
const WORK_INTERVAL: u64 = 1000;
/// The longest time between two statements of a ladder, in milliseconds.
const LADDER_INTERVAL: u64 = 60_000;

/// What a pattern sends: something once, and something at an interval.
struct Rhythm {
    /// Statements of the beginning, and the last of a task's work.
    once: u64,
    /// Statements of a beat.
    beat: u64,
    /// Milliseconds between two beats.
    interval_ms: u64,
    /// Milliseconds from the first statement to the end of the beats.
    length_ms: u64,
}

impl Rhythm {
    fn of(workload: &WorkloadSettings, lane: usize) -> Self {
        let length_ms = workload.duration_ms;
        let beats = |once, beat, interval: u64| Self {
            once,
            beat,
            interval_ms: interval.max(1),
            length_ms,
        };
        match &workload.pattern {
            // What a watcher sends is no lane's.
            Pattern::Idle | Pattern::Observe(_) => beats(0, 0, length_ms),
            Pattern::SessionVariable
            | Pattern::SlowStatement
            | Pattern::Listen
            | Pattern::ListenNotify { .. } => beats(1, 0, length_ms),
            Pattern::IdleInTransaction { .. } => beats(2, 0, length_ms),
            Pattern::Heartbeat { interval_ms, .. } => beats(0, 1, *interval_ms),
            Pattern::ActiveTransaction { interval_ms, .. } => beats(2, 1, *interval_ms),
            Pattern::PulpWorker { interval_ms, listen, .. } => {
                beats(if *listen { 3 } else { 0 }, 3, *interval_ms)
            }
            Pattern::PulpTask { work_ms, in_transaction } => {
                let once = if *in_transaction { 3 } else { 2 };
                Self { length_ms: *work_ms, ..beats(once, 1, WORK_INTERVAL) }
            }
            Pattern::IdleLadder { rungs_ms, .. } => {
                let rung = rungs_ms.get(lane / LANES_PER_RUNG).copied().unwrap_or_default();
                let shortest = rungs_ms.iter().min().map_or(LADDER_INTERVAL, |rung| rung / 2);
                let rhythm = beats(1, 1, LADDER_INTERVAL.min(shortest));
                Self { length_ms: length_ms.saturating_sub(rung), ..rhythm }
            }
        }
    }
}

/// Statements that a client adds at most: around each of the lead-in, and once.
fn added(workload: &WorkloadSettings) -> (u64, u64) {
    match workload.client {
        Client::Raw => (0, 0),
        // Psycopg begins a transaction, and commits those of the lead-in.
        Client::Psycopg if workload.pattern.is_autocommit() => (0, 0),
        // It prepares what it sends for the sixth time.
        Client::Psycopg => match workload.pattern {
            Pattern::Heartbeat { .. } | Pattern::ActiveTransaction { .. } => (2, 2),
            _ => (2, 1),
        },
        // Django sets the time zone, where the server has another one.
        Client::Django => (0, 1),
    }
}

/// Statements of each connection: lead-in, pattern and proof.
pub(super) fn statements(workload: &WorkloadSettings) -> impl Iterator<Item = u64> {
    let (around, once_more) = added(workload);
    (0..workload.connections).map(move |lane| {
        let Rhythm { once, beat, interval_ms, length_ms } = Rhythm::of(workload, lane);
        let schedule = workload.schedule(lane);
        let interval = schedule.lead_in_interval().as_nanos().max(1);
        let lead_in = schedule.lead_in.as_nanos().div_ceil(interval);
        // The first beat is due after one interval, and one that would be due at the end is not sent.
        let beats = length_ms.div_ceil(interval_ms).saturating_sub(1);
        let lead_in = u64::try_from(lead_in).unwrap_or(u64::MAX);
        lead_in * (1 + around) + once_more + once + beat * beats + 1
    })
}

/// Statements of all connections in a minute in which they send most, about.
pub(super) fn per_minute(workload: &WorkloadSettings) -> u64 {
    let rate = |lane| {
        let Rhythm { beat, interval_ms, .. } = Rhythm::of(workload, lane);
        let schedule = workload.schedule(lane);
        let lead_in = match schedule.lead_in.is_zero() {
            true => 0,
            false => 60_000 / schedule.lead_in_interval().as_millis().max(1),
        };
        u64::try_from(lead_in).unwrap_or(u64::MAX).max(beat * 60_000 / interval_ms)
    };
    (0..workload.connections).map(rate).sum()
}

/// NOTIFYs to the connections of one arm, at most: one for each that ends, and those at an interval.
pub(super) fn notifies(workload: &WorkloadSettings) -> u64 {
    let ends = u64::try_from(workload.connections).unwrap_or(u64::MAX);
    match &workload.pattern {
        Pattern::Listen => ends,
        Pattern::ListenNotify { interval_ms } => {
            let length = u64::try_from(workload.last_end().as_millis()).unwrap_or(u64::MAX);
            ends + length / (*interval_ms).max(1)
        }
        _ => 0,
    }
}
