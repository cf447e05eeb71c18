//! One client's time on a session.

use super::Fate;
use crate::{beats::Rhythm, report::shorten, schema, statement::Class};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One client's time on a session, as far as the server tells. Times are the server's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Life {
    /// Process id of the server's process that serves it.
    pub pid: i32,
    /// What it is.
    pub role: Role,
    /// What its activity looks like.
    pub rhythm: Rhythm,
    /// When it began: the session was opened, or its last client left.
    #[schemars(schema_with = "schema::time")]
    pub born: Timestamp,
    /// It was there when the watcher first looked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub before_us: bool,
    /// Milliseconds from there to the first statement that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_query_ms: Option<i64>,
    /// Its steady interval, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat_ms: Option<i64>,
    /// How often it was seen to have done something since the look before: it may have done more.
    pub active: i64,
    /// Transactions that were seen: short ones are between two looks.
    #[serde(default, skip_serializing_if = "schema::is_zero")]
    pub transactions: i64,
    /// The longest of them, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_transaction_ms: Option<i64>,
    /// Its longest silence, in milliseconds.
    pub longest_silence_ms: i64,
    /// In which state it was last seen: idle when absent.
    #[serde(default, skip_serializing_if = "State::is_idle")]
    pub state: State,
    /// What kind of statement it sent last.
    pub last: Class,
    /// The statement, with every literal replaced, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 120))]
    pub statement: Option<String>,
    /// What it waited for when it was last seen, while it ran a statement, such as `Lock/tuple` (PostgreSQL docs, "Wait Events").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub wait: Option<String>,
    /// The worker that it belongs to, by its heartbeats or its task: `pid@host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 80))]
    pub worker: Option<String>,
    /// From where, as the server sees it. Absent where all come from one address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45))]
    pub address: Option<String>,
    /// How it ended. Absent: it went on when the watcher last looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<LifeEnd>,
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LifeEnd {
    /// It was last seen here.
    #[schemars(schema_with = "schema::time")]
    pub after: Timestamp,
    /// It was missed first here.
    #[schemars(schema_with = "schema::time")]
    pub before: Timestamp,
    /// Milliseconds from its birth, at most.
    pub lived_ms: i64,
    /// Milliseconds for which it had been silent, at most: 0 for one that was busy.
    pub silence_ms: i64,
    /// What became of it.
    pub fate: Fate,
}

/// What a session of a worker is. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Role {
    /// The worker's own: it has a heartbeat.
    Main,
    /// A task's, in a child process: no heartbeat, and silent for as long as the task sends nothing.
    Task,
    /// Neither was seen: too short, or another program.
    Other,
}

/// In which state a session was (`pg_stat_activity.state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// Waits for its client.
    #[default]
    Idle,
    /// Runs a statement.
    Active,
    /// Waits for its client, in a transaction.
    InTransaction,
    /// Not to be seen: the watcher's role may not.
    Hidden,
}

impl Role {
    /// The word as it stands in statuses and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Main => "Main",
            Self::Task => "Task",
            Self::Other => "Other",
        }
    }
}

impl State {
    /// PostgreSQL's word for it; NULL where it may not be seen, `disabled` without `track_activities`.
    #[must_use]
    pub fn of(word: Option<&str>) -> Self {
        match word {
            None | Some("disabled") => Self::Hidden,
            Some("active" | "fastpath function call") => Self::Active,
            Some(state) if state.starts_with("idle in transaction") => Self::InTransaction,
            Some(_) => Self::Idle,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_idle(&self) -> bool {
        *self == Self::Idle
    }

    /// The word, for a person.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Active => "active",
            Self::InTransaction => "idle in transaction",
            Self::Hidden => "not seen",
        }
    }
}

impl Life {
    pub(super) fn bound(&mut self) {
        let texts = [
            (&mut self.statement, 120),
            (&mut self.wait, 64),
            (&mut self.worker, 80),
            (&mut self.address, 45),
        ];
        for (text, length) in texts {
            text.iter_mut().for_each(|text| shorten(text, length));
        }
    }

    /// Those first that tell most: the others give way where there is no room for all.
    pub fn sort(lives: &mut [Self]) {
        lives.sort_by_key(Self::rank);
    }

    /// What it is worth to keep a life: the smaller, the more.
    fn rank(&self) -> (u8, std::cmp::Reverse<i64>) {
        let rank = match self.end.map(|end| end.fate) {
            Some(Fate::CutIdle | Fate::CutActive | Fate::RowDeleted | Fate::ServerRestarted) => 0,
            Some(Fate::Left | Fate::Unknown) if self.role == Role::Main => 1,
            None if self.role == Role::Main => 2,
            Some(Fate::TaskEnded) => 3,
            None => 4,
            Some(Fate::Left | Fate::Unknown) => 5,
        };
        (rank, std::cmp::Reverse(self.longest_silence_ms))
    }
}
