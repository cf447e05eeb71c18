//! A SET, then nothing. Only TimeZone: PgBouncer restores it, other settings would leak to
//! strangers who get the same server connection.

use crate::held::{Ended, Held};
use tokio::time::Instant;

pub(super) async fn hold(held: &mut Held, end: Instant) -> Result<(), Ended> {
    held.request("SET TIMEZONE TO 'UTC'").await?;
    held.silence(end).await
}
