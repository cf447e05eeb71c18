//! An open transaction, then nothing. At READ COMMITTED it has neither a transaction id nor a
//! snapshot between statements: it holds no vacuum back.

use crate::held::{Ended, Held};
use tokio::time::Instant;

pub(super) async fn hold(held: &mut Held, end: Instant, statement: &str) -> Result<(), Ended> {
    held.request("BEGIN").await?;
    held.request(statement).await?;
    held.silence(end).await
}
