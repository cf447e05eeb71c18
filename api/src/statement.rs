//! What a statement does, and whether it pins a session of RDS Proxy: read from its text alone, as it stands in
//! pg_stat_statements, in pg_stat_activity, or on the wire.
//!
//! The hand-written plan looks for pinning by `query ILIKE '%SET %'`. That finds every `UPDATE … SET …`, a worker's beat
//! above all, and every string with these letters in it; and it does not find `SELECT set_config(…)`, which is what Django
//! sends. So here the text is split into tokens, and only its own words count, never those in strings, in quoted names or
//! in comments.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod classify;
mod count;
mod normalise;
mod rule;
#[cfg(test)]
mod tests;
mod token;

pub use count::{MOST, Seen, StatementCount, Statements, ranked};
pub use normalise::normalise;
pub use rule::{LONGEST, PinRule, rule};

/// What a statement does. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Class {
    /// SELECT, VALUES, TABLE; a WITH of which one is the main part.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE that is no beat.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// A Pulp worker's beat: `UPDATE "core_appstatus" SET "last_heartbeat" …`, before pulpcore 3.90 of `"core_worker"`.
    Heartbeat,
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
    /// SAVEPOINT, RELEASE, ROLLBACK TO.
    Savepoint,
    /// SET for the session: SESSION CHARACTERISTICS, ROLE, TIME ZONE and so on included.
    Set,
    /// Settings that end with the transaction: SET LOCAL, SET TRANSACTION, SET CONSTRAINTS, `set_config(…, true)`.
    SetLocal,
    /// `set_config(…)` whose third argument is not written as true. In pg_stat_statements it is `$3`, whatever it was.
    SetConfig,
    /// RESET.
    Reset,
    /// LISTEN.
    Listen,
    /// UNLISTEN.
    Unlisten,
    /// NOTIFY, `pg_notify()`.
    Notify,
    /// Advisory locks of the session: `pg_advisory_lock()`, `pg_try_advisory_lock()`, their shared forms and unlocking.
    SessionLock,
    /// Advisory locks of the transaction: `pg_advisory_xact_lock()`, `pg_try_advisory_xact_lock()` and their shared forms.
    TransactionLock,
    /// DECLARE, FETCH, MOVE, CLOSE.
    Cursor,
    /// A temporary table, sequence or view is made: CREATE TEMP, SELECT INTO TEMP.
    TemporaryTable,
    /// PREPARE, EXECUTE, DEALLOCATE. pg_stat_statements counts each EXECUTE as its PREPARE, and DEALLOCATE from 17 on.
    Prepare,
    /// DISCARD of a part.
    Discard,
    /// DISCARD ALL: what a pool sends when a client has gone.
    DiscardAll,
    /// `nextval()` or `setval()` in the text itself. What a column's default does is not in it.
    Sequence,
    /// LOAD.
    Load,
    /// COPY.
    Copy,
    /// CREATE, ALTER, DROP and the like.
    Ddl,
    /// SHOW.
    Show,
    /// Nothing but white space and comments.
    Empty,
    /// What is none of these.
    Other,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Select,
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Merge,
        Self::Heartbeat,
        Self::Begin,
        Self::Commit,
        Self::Rollback,
        Self::Savepoint,
        Self::Set,
        Self::SetLocal,
        Self::SetConfig,
        Self::Reset,
        Self::Listen,
        Self::Unlisten,
        Self::Notify,
        Self::SessionLock,
        Self::TransactionLock,
        Self::Cursor,
        Self::TemporaryTable,
        Self::Prepare,
        Self::Discard,
        Self::DiscardAll,
        Self::Sequence,
        Self::Load,
        Self::Copy,
        Self::Ddl,
        Self::Show,
        Self::Empty,
        Self::Other,
    ];

    /// What the statement does: of several in one text the first. Takes time in proportion to its length.
    #[must_use]
    pub fn of(sql: &str) -> Self {
        classify::class(sql)
    }

    /// The word as it stands in tables and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "Select",
            Self::Insert => "Insert",
            Self::Update => "Update",
            Self::Delete => "Delete",
            Self::Merge => "Merge",
            Self::Heartbeat => "Heartbeat",
            Self::Begin => "Begin",
            Self::Commit => "Commit",
            Self::Rollback => "Rollback",
            Self::Savepoint => "Savepoint",
            Self::Set => "Set",
            Self::SetLocal => "SetLocal",
            Self::SetConfig => "SetConfig",
            Self::Reset => "Reset",
            Self::Listen => "Listen",
            Self::Unlisten => "Unlisten",
            Self::Notify => "Notify",
            Self::SessionLock => "SessionLock",
            Self::TransactionLock => "TransactionLock",
            Self::Cursor => "Cursor",
            Self::TemporaryTable => "TemporaryTable",
            Self::Prepare => "Prepare",
            Self::Discard => "Discard",
            Self::DiscardAll => "DiscardAll",
            Self::Sequence => "Sequence",
            Self::Load => "Load",
            Self::Copy => "Copy",
            Self::Ddl => "Ddl",
            Self::Show => "Show",
            Self::Empty => "Empty",
            Self::Other => "Other",
        }
    }
}
