//! What an idle Pulp worker sends: LISTENs, then a small transaction at an interval. The first that
//! fails ends it, as it ends the worker.

use super::{beat::Beat, listen};
use crate::held::{Ended, Held};
use tokio::time::Instant;

/// The worker's channels, as ours: it listens on three.
const CHANNELS: [&str; 3] = ["cancel", "metrics", "wakeup"];

pub(super) async fn hold(
    held: &mut Held,
    end: Instant,
    interval_ms: u64,
    table: Option<&str>,
    name: Option<&str>,
) -> Result<(), Ended> {
    for channel in CHANNELS {
        if let Some(name) = name {
            held.request(&format!("LISTEN \"{}\"", listen::channel(name, channel))).await?;
        }
    }
    // A real write: assigning a transaction id makes COMMIT write WAL, without a table, a right
    // or a lock. A standby refuses it; default_transaction_read_only only refuses the UPDATE. The
    // older name of pg_current_xact_id() works from 8.3 to 18 at least.
    let update = table.map_or_else(
        || "SELECT txid_current()".to_owned(),
        |table| format!("UPDATE {} SET last_heartbeat = now()", quoted(table)),
    );
    let mut beat = Beat::new(interval_ms);
    while let Some(next) = beat.next(end) {
        held.silence(next).await?;
        held.begin().await?;
        held.request(&update).await?;
        held.commit().await?;
        if held.refused().is_some() {
            return Err(Ended::Refused);
        }
    }
    held.silence(end).await
}

/// `"schema"."table"`: the manifest's pattern lets nothing through that would need escaping.
fn quoted(table: &str) -> String {
    let parts: Vec<String> =
        table.split('.').map(|part| format!("\"{}\"", part.replace('"', ""))).collect();
    parts.join(".")
}
