//! The connection of a Pulp task: statements while it works, then nothing.

use super::{HARMLESS, heartbeat};
use crate::held::{Ended, Held};
use std::time::Duration;
use tokio::time::Instant;

/// Time between two statements of the work.
const INTERVAL_MS: u64 = 1000;

pub(super) async fn hold(
    held: &mut Held,
    end: Instant,
    work_ms: u64,
    in_transaction: bool,
) -> Result<(), Ended> {
    let worked = Instant::now() + Duration::from_millis(work_ms);
    if in_transaction {
        held.begin().await?;
    }
    held.request(HARMLESS).await?;
    heartbeat::hold(held, worked, INTERVAL_MS, HARMLESS).await?;
    // The last one exactly at the end of the work: from there the silence counts.
    held.request(HARMLESS).await?;
    held.silence(end).await
}
