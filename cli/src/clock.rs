//! The one reading of the wall clock.

use jiff::Timestamp;

/// The wall clock.
#[derive(Clone, Copy)]
pub(crate) struct Clock;

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one reading of the wall clock")]
    pub(crate) fn now(self) -> Timestamp {
        Timestamp::now()
    }
}
