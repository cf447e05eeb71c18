//! A SET, then nothing. Only TimeZone: PgBouncer restores it, other settings would leak to
//! strangers who get the same server connection.

use crate::held::{Ended, Held};
use api::measurement::Client;
use tokio::time::Instant;

pub(super) async fn hold(held: &mut Held, end: Instant, client: Client) -> Result<(), Ended> {
    held.request("SET TIMEZONE TO 'UTC'").await?;
    // As the plan's script does.
    if client != Client::Raw {
        held.request("SHOW TIMEZONE").await?;
    }
    held.silence(end).await
}
