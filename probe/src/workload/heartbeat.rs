//! A statement at an interval. A beat that waits for its answer delays no other: they keep to
//! the same beat, and those that fell due meanwhile are left out.

use crate::held::{Ended, Held};
use std::time::Duration;
use tokio::time::Instant;

pub(super) async fn hold(
    held: &mut Held,
    end: Instant,
    interval_ms: u64,
    statement: &str,
) -> Result<(), Ended> {
    let interval = Duration::from_millis(interval_ms.max(1));
    let mut next = Instant::now() + interval;
    // A beat that is due at the end is the proof's.
    while next < end {
        held.silence(next).await?;
        held.request(statement).await?;
        while next <= Instant::now() {
            next += interval;
        }
    }
    held.silence(end).await
}
