//! What one look tells: rows of the server's, parsed. Times are milliseconds of the Unix epoch by the server's clock,
//! those of workers and tasks by their own.

use super::questions::Readable;
use crate::wire::{Row, field};
use api::observed::State;

/// One look.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// When the server answered.
    pub at_ms: i64,
    /// Since when the server has been running.
    pub since: Since,
    /// The sessions that were chosen.
    pub sessions: Vec<Session>,
    /// The workers' rows, where they may be read.
    pub workers: Option<Vec<WorkerRow>>,
    /// When these had been read, at the latest.
    pub rows_ms: i64,
    /// Tasks that are running, where they may be read.
    pub running: Option<Vec<Task>>,
    /// Tasks that are no longer running, each with whether it was completed.
    pub ended: Vec<(String, bool)>,
}

/// Since when a server has been running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Since {
    /// When its first process was started.
    pub started_ms: i64,
    /// When its checkpointer was: after the crash of one of its processes the first one stays, and all others are
    /// started anew. Absent where it may not be seen.
    pub recovered_ms: Option<i64>,
}

/// A session.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// Process id of the server's process.
    pub pid: i32,
    /// When it was opened, in microseconds: with the pid it says which session it is. 0 where it is hidden.
    pub opened_us: i64,
    /// When its last statement began.
    pub query_ms: Option<i64>,
    /// When its state last changed.
    pub changed_ms: Option<i64>,
    /// When its transaction began, if one is open.
    pub transaction_ms: Option<i64>,
    /// Its state.
    pub state: State,
    /// What it waits for.
    pub wait: Option<String>,
    /// Its client's address.
    pub address: Option<String>,
    /// The beginning of its last statement.
    pub query: String,
}

/// A worker's row.
#[derive(Clone, Debug, Default)]
pub struct WorkerRow {
    /// Its key.
    pub id: String,
    /// `pid@host`.
    pub name: String,
    /// When it was made: when the worker started.
    pub created_ms: Option<i64>,
    /// Its last heartbeat.
    pub beat_ms: i64,
    /// How long it lives without one, in milliseconds.
    pub ttl_ms: Option<i64>,
    /// The version of pulpcore that it runs.
    pub version: Option<String>,
}

/// A running task.
#[derive(Clone, Debug, Default)]
pub struct Task {
    /// Its key.
    pub id: String,
    /// When it was started.
    pub started_ms: Option<i64>,
    /// The key of the worker that runs it (pulpcore 3.89 and later).
    pub worker: Option<String>,
}

impl Look {
    /// The sessions of a look. The first row has the server's times even where there is no session.
    #[must_use]
    pub fn of(rows: &[Row]) -> Option<Self> {
        let first = rows.first()?;
        let at_ms = number(first, 0)?;
        let opened_us = |row| number(row, 3).filter(|us| *us > 0);
        Some(Self {
            at_ms,
            rows_ms: at_ms,
            since: Since {
                started_ms: number(first, 1)?,
                recovered_ms: rows
                    .iter()
                    .find(is_checkpointer)
                    .and_then(opened_us)
                    .map(|us| us / 1000),
            },
            sessions: rows.iter().filter_map(Session::of).collect(),
            ..Self::default()
        })
    }
}

impl Since {
    /// Whether all of its sessions have ended since then.
    #[must_use]
    pub fn is_after(self, before: Self) -> bool {
        let recovered = self.recovered_ms.zip(before.recovered_ms);
        self.started_ms != before.started_ms || recovered.is_some_and(|(now, then)| now != then)
    }

    /// When it was started last.
    #[must_use]
    pub fn latest_ms(self) -> i64 {
        self.started_ms.max(self.recovered_ms.unwrap_or_default())
    }
}

fn is_checkpointer(row: &&Row) -> bool {
    field(row, 11) == Some("checkpointer")
}

impl Session {
    fn of(row: &Row) -> Option<Self> {
        if is_checkpointer(&row) {
            return None;
        }
        Some(Self {
            pid: i32::try_from(number(row, 2)?).ok()?,
            opened_us: number(row, 3).unwrap_or_default(),
            query_ms: number(row, 4),
            changed_ms: number(row, 5),
            transaction_ms: number(row, 6),
            state: State::of(field(row, 7)),
            wait: field(row, 8).map(str::to_owned),
            address: field(row, 9).map(str::to_owned),
            query: field(row, 10).unwrap_or_default().to_owned(),
        })
    }
}

impl WorkerRow {
    pub(super) fn of(row: &Row) -> Option<Self> {
        Some(Self {
            id: field(row, 0)?.to_owned(),
            name: field(row, 1)?.to_owned(),
            beat_ms: number(row, 2)?,
            ttl_ms: number(row, 3),
            version: field(row, 4).and_then(version),
            created_ms: number(row, 5),
        })
    }
}

impl Task {
    pub(super) fn of(row: &Row) -> Option<Self> {
        let id = field(row, 0)?.to_owned();
        Some(Self { id, started_ms: number(row, 1), worker: field(row, 2).map(str::to_owned) })
    }
}

impl Readable {
    /// Which columns may be read: rows of table and column.
    pub(super) fn of(rows: &[Row]) -> Self {
        let column = |row: &Row| Some((field(row, 0)?.to_owned(), field(row, 1)?.to_owned()));
        Self(rows.iter().filter_map(column).collect())
    }
}

/// The version of pulpcore in an hstore of versions, as text: `"core"=>"3.123.1", …`.
fn version(text: &str) -> Option<String> {
    let (_, after) = text.split_once("\"core\"=>\"")?;
    after.split_once('"').map(|(version, _)| version.to_owned())
}

pub(super) fn number(row: &Row, column: usize) -> Option<i64> {
    field(row, column)?.parse().ok()
}
