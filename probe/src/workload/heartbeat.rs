//! A statement at an interval.

use super::beat::Beat;
use crate::held::{Ended, Held};
use tokio::time::Instant;

pub(super) async fn hold(
    held: &mut Held,
    end: Instant,
    interval_ms: u64,
    statement: &str,
) -> Result<(), Ended> {
    let mut beat = Beat::new(interval_ms);
    while let Some(next) = beat.next(end) {
        held.silence(next).await?;
        held.request(statement).await?;
    }
    held.silence(end).await
}
