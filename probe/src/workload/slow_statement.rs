//! One statement that takes the whole time: silent and busy.

use crate::held::{Ended, Held};
use tokio::time::Instant;

pub(super) async fn hold(held: &mut Held, end: Instant) -> Result<(), Ended> {
    let length = end.saturating_duration_since(Instant::now());
    let statement = format!("SELECT pg_sleep({:.3})", length.as_secs_f64());
    held.request_of(&statement, length).await
}
