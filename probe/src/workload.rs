//! What a connection does while it is held: one file for each pattern.

use crate::{
    announcer::Announcer,
    held::{Ended, Held},
};
use api::{measurement::Client, pattern::Pattern, settings::WorkloadSettings};
use tokio::time::Instant;

mod active_transaction;
mod beat;
mod heartbeat;
mod idle;
mod idle_in_transaction;
mod idle_ladder;
mod listen;
mod pulp_task;
mod pulp_worker;
mod session_variable;
mod slow_statement;

pub use idle_ladder::silence_ms;
pub use listen::channel;

/// A harmless request: the lead-in's, and the proof at the end where there is nothing to tidy up.
pub const HARMLESS: &str = "SELECT 1";
const ROLLBACK: &str = "ROLLBACK";

/// What a lane of a workload is told.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// What to do, and in whose way of talking.
    pub workload: &'a WorkloadSettings,
    /// Name of run, workload and arm, for names of our own.
    pub name: &'a str,
    /// Notifies the connection, if it listens for it.
    pub announcer: Option<&'a Announcer>,
    /// Which lane it is.
    pub lane: usize,
    /// Until when.
    pub end: Instant,
}

/// Follows a pattern from now until its end.
///
/// # Errors
/// It ended before.
pub async fn hold(order: Order<'_>, held: &mut Held) -> Result<(), Ended> {
    let Order { workload, name, announcer, lane, end } = order;
    match &workload.pattern {
        Pattern::Idle => idle::hold(held, end, workload.client).await,
        Pattern::Heartbeat { interval_ms, statement } => {
            heartbeat::hold(held, end, *interval_ms, statement).await
        }
        Pattern::IdleInTransaction { statement } => {
            idle_in_transaction::hold(held, end, statement).await
        }
        Pattern::ActiveTransaction { interval_ms, statement } => {
            active_transaction::hold(held, end, *interval_ms, statement).await
        }
        Pattern::SessionVariable => session_variable::hold(held, end, workload.client).await,
        Pattern::Listen | Pattern::ListenNotify { .. } => listen::hold(held, end, announcer).await,
        Pattern::PulpWorker { interval_ms, table, listen } => {
            let name = listen.then_some(name);
            pulp_worker::hold(held, end, *interval_ms, table.as_deref(), name).await
        }
        Pattern::PulpTask { work_ms, in_transaction } => {
            pulp_task::hold(held, end, *work_ms, *in_transaction).await
        }
        Pattern::SlowStatement => slow_statement::hold(held, end).await,
        Pattern::IdleLadder { rungs_ms, .. } => idle_ladder::hold(held, end, rungs_ms, lane).await,
        // It has no lanes: see `crate::observe`.
        Pattern::Observe(_) => Ok(()),
    }
}

/// The last request: whether it is answered decides whether the connection survived. It tidies up
/// as well; in the clients' name it commits, as the plan does.
#[must_use]
pub fn proof(workload: &WorkloadSettings, name: &str) -> String {
    let proof = farewell(&workload.pattern, name).unwrap_or_else(|| HARMLESS.to_owned());
    match workload.client {
        Client::Psycopg | Client::Django if proof == ROLLBACK => "COMMIT".to_owned(),
        _ => proof,
    }
}

/// What tidies up behind a pattern, before the connection is closed: a pooler would otherwise
/// have to throw the server connection away, or pass it on with our leavings.
#[must_use]
pub fn farewell(pattern: &Pattern, name: &str) -> Option<String> {
    match pattern {
        Pattern::Idle
        | Pattern::Heartbeat { .. }
        | Pattern::SessionVariable
        | Pattern::PulpTask { in_transaction: false, .. }
        | Pattern::PulpWorker { listen: false, .. }
        | Pattern::SlowStatement
        | Pattern::IdleLadder { .. }
        | Pattern::Observe(_) => None,
        Pattern::IdleInTransaction { .. }
        | Pattern::ActiveTransaction { .. }
        | Pattern::PulpTask { .. } => Some(ROLLBACK.to_owned()),
        Pattern::Listen | Pattern::ListenNotify { .. } => {
            Some(format!("UNLISTEN \"{}\"", channel(name, "")))
        }
        Pattern::PulpWorker { .. } => Some("UNLISTEN *".to_owned()),
    }
}
