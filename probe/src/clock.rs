//! The wall clock, read once and carried on by the monotonic one: a step of the system's clock
//! can't bend a measurement.

use jiff::Timestamp;
use tokio::time::Instant;

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
