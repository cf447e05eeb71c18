//! The wall clock, read once: what is set while we ask does not part our times.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A reading of the wall clock, and when it was taken.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    wall: Timestamp,
    read: Instant,
}

impl Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of the wall clock; all else is counted from it"
    )]
    pub(crate) fn read() -> Self {
        Self { wall: Timestamp::now(), read: Instant::now() }
    }

    pub(crate) fn now(self) -> Timestamp {
        let since = SignedDuration::try_from(self.read.elapsed()).unwrap_or_default();
        self.wall.checked_add(since).unwrap_or(self.wall)
    }
}
