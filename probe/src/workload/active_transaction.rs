//! An open transaction with a statement at an interval.

use super::{HARMLESS, heartbeat};
use crate::held::{Ended, Held};
use tokio::time::Instant;

pub(super) async fn hold(
    held: &mut Held,
    end: Instant,
    interval_ms: u64,
    statement: &str,
) -> Result<(), Ended> {
    held.request("BEGIN").await?;
    held.request(HARMLESS).await?;
    heartbeat::hold(held, end, interval_ms, statement).await
}
