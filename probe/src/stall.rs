//! Watches the probe's own attention: what came while the process was stopped was noticed late.
//!
//! A tick is due every 100 ms. A tick that comes late shows that nothing was looked at since
//! the last one that came in time; whatever is noticed then is known only to have happened in
//! between. So it is with a machine that was suspended, whose time does not go on: the interval is
//! the longer for it. A stall that fits between two ticks stays unseen, so a moment that passes for exact
//! is late by less than 105 ms at worst; it is late by less than a millisecond as a rule.

use crate::clock::Reading;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Time between two ticks. Each costs some 60 µs of processor time: at 20 ms they would be most of
/// what holding ten thousand idle connections costs.
pub const TICK: Duration = Duration::from_millis(100);
/// How late a tick may come: the timer's own resolution and a busy neighbour on the processor.
pub const GRACE: Duration = Duration::from_millis(5);
/// A moment that is known less well than this says nothing about the path under test: a stall
/// of ten seconds is of the order of the timers and sweeps that are to be told apart.
pub const TOLERANCE: Duration = Duration::from_secs(10);

/// When something was noticed, and how well that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When it was noticed.
    pub at: Instant,
    /// Since when it may have been there unnoticed; equal to `at` unless the process stalled. Time
    /// that the machine was suspended counts.
    pub earliest: Instant,
}

/// The process's attention.
#[derive(Debug)]
pub struct Attention(Mutex<Ticks>);

#[derive(Clone, Copy, Debug)]
struct Ticks {
    /// The last tick that came in time.
    good: Instant,
    /// When the next one is due.
    due: Instant,
    /// Whether the last one came late.
    late: bool,
    /// For how long the machine had been suspended at the last tick, and at the last one that came
    /// in time.
    suspended_ms: i64,
    good_suspended_ms: i64,
}

impl Attention {
    /// Attention from `now` on.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self(Mutex::new(Ticks::new(now, Reading::now().suspended_ms())))
    }

    /// Takes a tick and returns when the next one is due.
    pub fn tick(&self, now: Instant, reading: &Reading) -> Instant {
        let mut ticks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.tick(now, reading.suspended_ms());
        ticks.due
    }

    /// What is known of something noticed at `now`.
    pub fn moment(&self, now: Instant) -> Moment {
        let ticks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ticks.moment(now, Reading::now().suspended_ms())
    }
}

impl Moment {
    /// A moment without a stall.
    #[must_use]
    pub fn exact(at: Instant) -> Self {
        Self { at, earliest: at }
    }

    /// Whether the process was attentive.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.at == self.earliest
    }

    /// Whether the process was stopped for so long that the moment is worthless.
    #[must_use]
    pub fn is_worthless(&self) -> bool {
        self.at.saturating_duration_since(self.earliest) > TOLERANCE
    }
}

impl Ticks {
    fn new(now: Instant, suspended_ms: i64) -> Self {
        let due = now + TICK;
        Self { good: now, due, late: false, suspended_ms, good_suspended_ms: suspended_ms }
    }

    fn tick(&mut self, now: Instant, suspended_ms: i64) {
        self.late = self.is_late(now, suspended_ms);
        if !self.late {
            self.good = now;
            self.good_suspended_ms = suspended_ms;
        }
        self.due = now + TICK;
        self.suspended_ms = suspended_ms;
    }

    fn is_late(&self, now: Instant, suspended_ms: i64) -> bool {
        let asleep = millis(suspended_ms - self.suspended_ms);
        now > self.due + GRACE || asleep > GRACE
    }

    /// After a late tick doubt lasts until one comes in time: of what piled up meanwhile, some
    /// is only looked at after that tick.
    fn moment(&self, now: Instant, suspended_ms: i64) -> Moment {
        let stalled = self.late || self.is_late(now, suspended_ms);
        let asleep = millis(suspended_ms - self.good_suspended_ms);
        let good = self.good.min(now);
        let earliest = if stalled { good.checked_sub(asleep).unwrap_or(good) } else { now };
        Moment { at: now, earliest }
    }
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(ms.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn an_attentive_process_knows_moments_exactly() {
        let start = Instant::now();
        let mut ticks = Ticks::new(start, 0);
        ticks.tick(start + ms(101), 0);
        assert!(ticks.moment(start + ms(101), 0).is_exact());
        assert!(ticks.moment(start + ms(205), 0).is_exact());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_noticed_after_a_stall_lies_between_the_last_good_tick_and_now() {
        let start = Instant::now();
        let mut ticks = Ticks::new(start, 0);
        ticks.tick(start + ms(100), 0);
        // The process is stopped; a lane wakes before the tick does, and another one after it.
        let (before, after) = (start + ms(900), start + ms(901));
        assert_eq!(ticks.moment(before, 0).earliest, start + ms(100));
        ticks.tick(after, 0);
        assert_eq!(ticks.moment(after, 0).earliest, start + ms(100));
        // The next tick comes in time: attention is back.
        ticks.tick(start + ms(1002), 0);
        assert!(ticks.moment(start + ms(1003), 0).is_exact());
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_beyond_the_tolerance_makes_a_moment_worthless() {
        let start = Instant::now();
        let ticks = Ticks::new(start, 0);
        assert!(!ticks.moment(start + TOLERANCE, 0).is_worthless());
        assert!(ticks.moment(start + TOLERANCE + ms(1), 0).is_worthless());
    }

    #[tokio::test(start_paused = true)]
    async fn a_suspended_machine_counts_as_a_stall_though_its_clock_stood_still() {
        let start = Instant::now();
        let mut ticks = Ticks::new(start, 700);
        ticks.tick(start + ms(100), 700);
        let woken = start + ms(150);
        assert_eq!(woken - ticks.moment(woken, 60_700).earliest, ms(60_050));
        assert!(ticks.moment(woken, 60_700).is_worthless());
        ticks.tick(start + ms(200), 60_700);
        assert_eq!(ticks.moment(woken, 60_700).earliest, start + ms(100) - ms(60_000));
        ticks.tick(start + ms(300), 60_700);
        assert!(ticks.moment(start + ms(301), 60_700).is_exact());
    }
}
