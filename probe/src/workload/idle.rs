//! Nothing at all.

use crate::held::{Ended, Held};
use tokio::time::Instant;

pub(super) async fn hold(held: &mut Held, end: Instant) -> Result<(), Ended> {
    held.silence(end).await
}
