//! What a connection does while it is held: one file for each pattern.

use crate::held::{Ended, Held};
use api::settings::Pattern;
use tokio::time::Instant;

mod heartbeat;
mod idle;
mod idle_in_transaction;
mod listen;
mod session_variable;

/// A harmless request: the lead-in's, and the proof at the end.
pub const HARMLESS: &str = "SELECT 1";

/// Follows a pattern from now until `end`. `run` names the run, for names of our own.
///
/// # Errors
/// It ended before.
pub async fn hold(
    pattern: &Pattern,
    run: &str,
    held: &mut Held,
    end: Instant,
) -> Result<(), Ended> {
    match pattern {
        Pattern::Idle => idle::hold(held, end).await,
        Pattern::Heartbeat { interval_ms, statement } => {
            heartbeat::hold(held, end, *interval_ms, statement).await
        }
        Pattern::IdleInTransaction => idle_in_transaction::hold(held, end).await,
        Pattern::SessionVariable => session_variable::hold(held, end).await,
        Pattern::Listen => listen::hold(held, end, run).await,
    }
}

/// What tidies up behind a pattern, before the connection is closed: a pooler would otherwise
/// have to throw the server connection away, or pass it on with our leavings.
#[must_use]
pub fn farewell(pattern: &Pattern, run: &str) -> Option<String> {
    match pattern {
        Pattern::Idle | Pattern::Heartbeat { .. } | Pattern::SessionVariable => None,
        Pattern::IdleInTransaction => Some("ROLLBACK".to_owned()),
        Pattern::Listen => Some(listen::farewell(run)),
    }
}
