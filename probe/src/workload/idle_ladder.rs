//! Requests until a silence begins that lasts until the end: so long as the lane's rung says. All
//! lanes reach the same age, and only the silence differs.

use super::{HARMLESS, heartbeat};
use crate::{
    end::End,
    held::{Ended, Held},
};
use api::{
    pattern::{LANES_PER_RUNG, Pattern},
    settings::WorkloadSettings,
};
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
    let silence = rung_ms(rungs_ms, lane).map_or(Duration::ZERO, Duration::from_millis);
    let silent = end.checked_sub(silence).unwrap_or(end);
    let shortest = rungs_ms.iter().min().copied().map_or(INTERVAL, Duration::from_millis);
    let interval = INTERVAL.min(shortest / 2);
    let interval_ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
    heartbeat::hold(held, silent, interval_ms, HARMLESS).await?;
    held.request(HARMLESS).await?;
    held.silence(end).await
}

/// Which rung the end of a lane decides, by its silence in milliseconds: none if it ended before its
/// silence began. What cuts a busy connection is no idle timer.
#[must_use]
pub fn silence_ms(workload: &WorkloadSettings, lane: usize, end: &End) -> Option<u64> {
    let Pattern::IdleLadder { rungs_ms, .. } = &workload.pattern else {
        return None;
    };
    let silence = rung_ms(rungs_ms, lane)?;
    let clocks = end.clocks?;
    // The age at which the last request was answered.
    let asked = u64::try_from(clocks.connect_ms - clocks.request_ms?).ok()?;
    // Clocks are cut to whole milliseconds.
    (asked + 1 + silence >= workload.duration_ms).then_some(silence)
}

fn rung_ms(rungs_ms: &[u64], lane: usize) -> Option<u64> {
    rungs_ms.get(lane / LANES_PER_RUNG).copied()
}
