//! Requests until a silence begins that lasts until the end: so long as the lane's rung says. All
//! lanes reach the same age, and only the silence differs.

use super::{HARMLESS, heartbeat};
use crate::held::{Ended, Held};
use api::pattern::LANES_PER_RUNG;
use std::time::Duration;
use tokio::time::Instant;

/// Shorter than any idle timer that is worth looking for, and than the shortest rung.
const INTERVAL: Duration = Duration::from_secs(60);

pub(super) async fn hold(
    held: &mut Held,
    end: Instant,
    rungs_ms: &[u64],
    lane: usize,
) -> Result<(), Ended> {
    let rung =
        rungs_ms.get(lane / LANES_PER_RUNG).copied().map_or(Duration::ZERO, Duration::from_millis);
    let silent = end.checked_sub(rung).unwrap_or(end);
    let shortest = rungs_ms.iter().min().copied().map_or(INTERVAL, Duration::from_millis);
    let interval = INTERVAL.min(shortest / 2);
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    heartbeat::hold(held, silent, interval_ms, HARMLESS).await?;
    held.request(HARMLESS).await?;
    held.silence(end).await
}
