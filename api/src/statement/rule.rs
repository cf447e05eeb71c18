//! Which statements pin a session of RDS Proxy, by AWS's published list.

use super::Class;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest text that does not pin, in bytes. AWS writes "16 KB".
pub const LONGEST: usize = 16_384;

/// A rule of "Conditions that cause pinning" in "Avoiding pinning an RDS Proxy" (user guides of RDS and Aurora), as it
/// stands for PostgreSQL. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum PinRule {
    /// SET.
    Set,
    /// `set_config()` for the session, and RESET.
    Parameter,
    /// LISTEN.
    Listen,
    /// Advisory locks of the session.
    Lock,
    /// PREPARE, EXECUTE, DEALLOCATE as statements. Those of the protocol do not pin.
    Prepare,
    /// DISCARD.
    Discard,
    /// Temporary tables, sequences and views.
    Temporary,
    /// Cursors.
    Cursor,
    /// `nextval()` and `setval()`.
    Sequence,
    /// LOAD.
    Load,
    /// A text of more than 16 KB.
    Length,
    /// SET that ends with the transaction. The list says "SET commands"; that SET LOCAL does not pin it says for MySQL only.
    Local,
}

impl PinRule {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Set,
        Self::Parameter,
        Self::Listen,
        Self::Lock,
        Self::Prepare,
        Self::Discard,
        Self::Temporary,
        Self::Cursor,
        Self::Sequence,
        Self::Load,
        Self::Length,
        Self::Local,
    ];

    /// Whether AWS's list leaves no doubt.
    #[must_use]
    pub fn is_settled(self) -> bool {
        self != Self::Local
    }
}

impl Class {
    /// The rule by which every statement of the class pins.
    #[must_use]
    pub fn rule(self) -> Option<PinRule> {
        Some(match self {
            Self::Set => PinRule::Set,
            Self::SetLocal => PinRule::Local,
            Self::SetConfig | Self::Reset => PinRule::Parameter,
            Self::Listen => PinRule::Listen,
            Self::SessionLock => PinRule::Lock,
            Self::Cursor => PinRule::Cursor,
            Self::TemporaryTable => PinRule::Temporary,
            Self::Prepare => PinRule::Prepare,
            Self::Discard | Self::DiscardAll => PinRule::Discard,
            Self::Sequence => PinRule::Sequence,
            Self::Load => PinRule::Load,
            Self::Select
            | Self::Insert
            | Self::Update
            | Self::Delete
            | Self::Merge
            | Self::Heartbeat
            | Self::Begin
            | Self::Commit
            | Self::Rollback
            | Self::Savepoint
            | Self::Unlisten
            | Self::Notify
            | Self::TransactionLock
            | Self::Copy
            | Self::Ddl
            | Self::Show
            | Self::Empty
            | Self::Other => return None,
        })
    }
}

/// The rule by which this statement pins. pg_stat_statements keeps a text whole, but with `$1` in place of a constant:
/// what was sent may have been longer.
#[must_use]
pub fn rule(sql: &str) -> Option<PinRule> {
    of(Class::of(sql), sql)
}

pub(super) fn of(class: Class, sql: &str) -> Option<PinRule> {
    let length = (sql.len() > LONGEST).then_some(PinRule::Length);
    class.rule().filter(|rule| rule.is_settled()).or(length).or(class.rule())
}
