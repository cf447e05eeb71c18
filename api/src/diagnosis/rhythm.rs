//! For how long each clock runs while a pattern is followed.

use super::Clock;
use crate::{
    lifetime::ms,
    measurement::Client,
    pattern::{LANES_PER_RUNG, Pattern},
    report::ArmReport,
    settings::WorkloadSettings,
};
use std::collections::BTreeMap;

/// The rhythm of one lane, in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Rhythm {
    hold: i64,
    lead_in: i64,
    lead_in_interval: i64,
    request: Stretches,
    byte: Stretches,
    /// Silence after which our kernel sends keepalives.
    pub(super) keepalive_ms: i64,
    /// Whether one transaction lasts for all of the pattern.
    pub(super) in_transaction: bool,
    /// Whether it has sent SET or LISTEN.
    pub(super) pins: bool,
    sets: bool,
    listens: bool,
    /// Whether one statement is under way all the time.
    pub(super) is_busy: bool,
}

/// Silences of one kind.
#[derive(Clone, Copy, Debug)]
struct Stretches {
    /// That come again and again.
    beat: i64,
    /// The longest, of a lane that lives to the end.
    longest: i64,
}

/// Of the kernel.
const DEFAULT_KEEPALIVE_S: i32 = 7200;
/// Of a ladder before its silence, and of a task at work, at most.
const BUSY_MS: u64 = 60_000;

impl Rhythm {
    /// Of a lane, if it is known which: else of one without a lead-in.
    pub(super) fn new(settings: &WorkloadSettings, arm: &ArmReport, lane: Option<usize>) -> Self {
        let schedule = settings.schedule(lane.unwrap_or(0));
        let hold = whole(settings.duration_ms);
        let silent = Stretches { beat: 0, longest: hold };
        let heard = arm.notifications.is_some_and(|told| told.received > 0);
        let (request, byte) = match &settings.pattern {
            Pattern::Idle
            | Pattern::SessionVariable
            | Pattern::Listen
            | Pattern::IdleInTransaction { .. }
            | Pattern::SlowStatement
            | Pattern::Observe(_) => (silent, silent),
            Pattern::Heartbeat { interval_ms, .. }
            | Pattern::ActiveTransaction { interval_ms, .. }
            | Pattern::PulpWorker { interval_ms, .. } => {
                let beats = Stretches { beat: whole(*interval_ms), longest: whole(*interval_ms) };
                (beats, beats)
            }
            Pattern::ListenNotify { interval_ms } if heard => {
                let beats = Stretches { beat: whole(*interval_ms), longest: whole(*interval_ms) };
                (silent, beats)
            }
            Pattern::ListenNotify { .. } => (silent, silent),
            Pattern::PulpTask { work_ms, .. } => {
                let longest = whole(settings.duration_ms.saturating_sub(*work_ms));
                let task = Stretches { beat: 0, longest };
                (task, task)
            }
            Pattern::IdleLadder { rungs_ms, .. } => {
                let rung = |lane: usize| rungs_ms.get(lane / LANES_PER_RUNG).copied().map(whole);
                let survived = arm.ladder.iter().filter(|rung| rung.survived > 0);
                let some = || survived.map(|rung| rung.silence_ms.clamp(0, hold)).max();
                let shortest = rungs_ms.iter().min().copied().unwrap_or(0);
                let beat = whole(BUSY_MS.min(shortest / 2));
                let longest = lane.and_then(rung).or_else(some).unwrap_or(beat);
                let rung = Stretches { beat, longest };
                (rung, rung)
            }
        };
        let sets = settings.pattern == Pattern::SessionVariable;
        let listens = matches!(
            settings.pattern,
            Pattern::Listen
                | Pattern::ListenNotify { .. }
                | Pattern::PulpWorker { listen: true, .. }
        );
        let in_transaction = match &settings.pattern {
            Pattern::IdleInTransaction { .. }
            | Pattern::ActiveTransaction { .. }
            | Pattern::PulpTask { in_transaction: true, .. } => true,
            // Nothing is sent, so nothing is begun.
            Pattern::Idle => false,
            other => settings.client == Client::Psycopg && !other.is_autocommit(),
        };
        let keepalive = arm.tcp.map_or(DEFAULT_KEEPALIVE_S, |tcp| tcp.keepalive_idle_seconds);
        Self {
            hold,
            lead_in: ms(schedule.lead_in),
            lead_in_interval: ms(schedule.lead_in_interval()),
            request,
            byte,
            keepalive_ms: i64::from(keepalive) * 1000,
            in_transaction,
            pins: sets || listens,
            sets,
            listens,
            is_busy: settings.pattern == Pattern::SlowStatement,
        }
    }

    /// What each clock had shown at most in a lane that was alive at this age. `to_the_end`: no cut ended
    /// the stretch that it was in; of one that a cut ended, the clocks at the end tell.
    pub(super) fn harmless(&self, age: i64, to_the_end: bool) -> BTreeMap<Clock, i64> {
        let held = (age - self.lead_in).clamp(0, self.hold);
        let lead_in = self.lead_in_interval.min(self.lead_in).min(age);
        let longest = |silence: Stretches| match to_the_end {
            // The longest silence is the last one: it has lasted only since it began.
            true => (held - (self.hold - silence.longest).max(0)).max(silence.beat.min(held)),
            false if held > silence.beat => silence.beat,
            false => 0,
        };
        let all = if to_the_end { held } else { 0 };
        let request = if self.is_busy { 0 } else { longest(self.request) }.max(lead_in);
        let byte = longest(self.byte).max(lead_in);
        let shown = [
            (Clock::Age, Some(age)),
            (Clock::Request, Some(request)),
            (Clock::Byte, Some(byte)),
            (Clock::Packet, Some(byte.min(self.keepalive_ms))),
            (Clock::Begin, self.in_transaction.then_some(all)),
            (Clock::Statement, self.is_busy.then_some(all)),
            (Clock::Set, self.sets.then_some(all)),
            (Clock::Listen, self.listens.then_some(all)),
        ];
        shown.into_iter().filter_map(|(clock, ms)| Some((clock, ms?))).collect()
    }
}

fn whole(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 60_000;

    /// What a lane of the rung of 16 minutes, held for 50, has shown if it was let go at this age.
    fn ladder(age: i64) -> i64 {
        let silence = Stretches { beat: MIN, longest: 16 * MIN };
        let rhythm = Rhythm {
            hold: 50 * MIN,
            lead_in: 0,
            lead_in_interval: 0,
            request: silence,
            byte: silence,
            keepalive_ms: 7_200_000,
            in_transaction: false,
            pins: false,
            sets: false,
            listens: false,
            is_busy: false,
        };
        rhythm.harmless(age, true)[&Clock::Request]
    }

    #[test]
    fn a_lane_that_was_let_go_has_not_lived_through_a_silence_to_come() {
        assert_eq!(ladder(50 * MIN), 16 * MIN);
        assert_eq!(ladder(40 * MIN), 6 * MIN);
        assert_eq!(ladder(30 * MIN), MIN, "it sent a request each minute until then");
        assert_eq!(ladder(MIN / 2), MIN / 2);
    }
}
