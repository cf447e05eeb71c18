//! The wall clock, read once and carried on by the monotonic one: a step of the system's clock
//! can't bend a measurement. Steps are watched for all the same, because logs that the report is
//! compared with follow them.

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tokio::time::Instant;

/// A smaller step is none: NTP slews a clock by 0.05 ms in 100 ms, and readings differ by as much as
/// passes between them.
const STEP_MS: i64 = 10;

/// Converts moments of the monotonic clock into wall-clock time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    start: Instant,
}

impl Clock {
    /// A clock for which it was `wall` at `start`.
    #[must_use]
    pub fn new(wall: Timestamp, start: Instant) -> Self {
        Self { wall, start }
    }

    /// When this clock was read.
    #[must_use]
    pub fn start(&self) -> Instant {
        self.start
    }

    /// The wall-clock time of `moment`, in whole milliseconds: what a report promises.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Timestamp {
        let wall = self.wall(moment);
        Timestamp::from_millisecond(wall.as_millisecond()).unwrap_or(wall)
    }

    /// The wall-clock time of `moment`, in whole microseconds: for whoever asks how well the
    /// milliseconds are kept.
    #[must_use]
    pub fn fine(&self, moment: Instant) -> Timestamp {
        let wall = self.wall(moment);
        Timestamp::from_microsecond(wall.as_microsecond()).unwrap_or(wall)
    }

    fn wall(&self, moment: Instant) -> Timestamp {
        let elapsed = moment.saturating_duration_since(self.start);
        self.wall.checked_add(elapsed).unwrap_or(self.wall)
    }
}

/// What the system's clocks show at the same time, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// CLOCK_REALTIME, the wall clock.
    real: i64,
    /// CLOCK_BOOTTIME, which goes on while the machine is suspended.
    boot: i64,
    /// CLOCK_MONOTONIC, which does not.
    monotonic: i64,
}

impl Reading {
    /// Reads them, one right after the other; some 0.1 µs.
    #[must_use]
    pub fn now() -> Self {
        let reading = Self::read();
        // Whoever was interrupted in between has read three different moments.
        match nanos(ClockId::Monotonic) - reading.monotonic {
            0..1_000_000 => reading,
            _ => Self::read(),
        }
    }

    fn read() -> Self {
        Self {
            monotonic: nanos(ClockId::Monotonic),
            boot: nanos(ClockId::Boottime),
            real: nanos(ClockId::Realtime),
        }
    }

    /// For how long the machine was suspended since it was started.
    #[must_use]
    pub fn suspended_ms(&self) -> i64 {
        (self.boot - self.monotonic) / 1_000_000
    }

    /// For how long it was suspended since `before`.
    #[must_use]
    pub fn suspended_since(&self, before: &Self) -> Duration {
        let ms = self.suspended_ms() - before.suspended_ms();
        Duration::from_millis(ms.try_into().unwrap_or_default())
    }

    /// By how many milliseconds the wall clock was set forward (or back, if negative) since
    /// `before`, if it was.
    #[must_use]
    pub fn step_since(&self, before: &Self) -> Option<i64> {
        let ms = ((self.real - self.boot) - (before.real - before.boot)) / 1_000_000;
        (ms.abs() >= STEP_MS).then_some(ms)
    }
}

fn nanos(clock: ClockId) -> i64 {
    let time = clock_gettime(clock);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_is_told_apart_from_a_suspended_machine() {
        let before = Reading { real: 1_700_000_000_000_000_000, boot: 9_000, monotonic: 5_000 };
        let later = |real: i64, boot: i64, monotonic: i64| {
            let ms = 1_000_000;
            let Reading { real: r, boot: b, monotonic: m } = before;
            Reading { real: r + real * ms, boot: b + boot * ms, monotonic: m + monotonic * ms }
        };
        // (real, boot, monotonic) went on by so many ms: step, suspended.
        for ((real, boot, monotonic), step, suspended) in [
            ((100, 100, 100), None, 0),
            ((109, 100, 100), None, 0),
            ((110, 100, 100), Some(10), 0),
            ((-3_599_900, 100, 100), Some(-3_600_000), 0),
            ((60_100, 60_100, 100), None, 60_000),
            ((100, 60_100, 100), Some(-60_000), 60_000),
        ] {
            let now = later(real, boot, monotonic);
            assert_eq!((now.step_since(&before), now.suspended_ms()), (step, suspended));
        }
    }

    #[test]
    fn the_system_has_these_clocks() {
        let reading = Reading::now();
        assert!(reading.monotonic > 0 && reading.boot >= reading.monotonic);
        assert_eq!(Reading::now().step_since(&reading), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_is_the_start_plus_what_elapsed() {
        let start = Instant::now();
        let clock = Clock::new("2026-03-01T12:00:00.0005Z".parse().unwrap(), start);
        let later = start + Duration::from_micros(1_500_700);
        assert_eq!(clock.at(later).to_string(), "2026-03-01T12:00:01.501Z");
        assert_eq!(clock.at(start).to_string(), "2026-03-01T12:00:00Z");
        let later = start + Duration::from_nanos(1_500_700_900);
        assert_eq!(clock.fine(later).to_string(), "2026-03-01T12:00:01.5012Z");
    }
}
