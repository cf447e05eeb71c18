//! Beats at an interval. One that waits for its answer delays no other: they keep to the same beat,
//! and those that fell due meanwhile are left out.

use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Beat {
    next: Instant,
    interval: Duration,
}

impl Beat {
    /// The first beat is due one interval from now.
    pub(super) fn new(interval_ms: u64) -> Self {
        let interval = Duration::from_millis(interval_ms.max(1));
        Self { next: Instant::now() + interval, interval }
    }

    /// When the next beat is due, if that is before `end`: one that is due at the end is the proof's.
    pub(super) fn next(&mut self, end: Instant) -> Option<Instant> {
        while self.next <= Instant::now() {
            self.next += self.interval;
        }
        Some(self.next).filter(|next| *next < end)
    }
}
