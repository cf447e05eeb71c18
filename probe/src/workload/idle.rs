//! Nothing at all, but for Django, which only connects when there is something to send.

use super::HARMLESS;
use crate::held::{Ended, Held};
use api::measurement::Client;
use tokio::time::Instant;

pub(super) async fn hold(held: &mut Held, end: Instant, client: Client) -> Result<(), Ended> {
    if client == Client::Django {
        held.request(HARMLESS).await?;
    }
    held.silence(end).await
}
