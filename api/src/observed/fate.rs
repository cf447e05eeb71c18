//! What became of a session that ended, from what was seen around its end. Pure.
//!
//! The server does not say why a session went, and from pg_stat_activity a cut looks like a client that left. What
//! tells them apart is what a worker does besides: one that leaves in order deletes its row first (pulpcore,
//! `tasking/worker.py`), one whose row was deleted goes on until its next heartbeat finds that out, and one that is
//! cut, or killed, leaves its row behind. A task that has ended is no longer in state `running`.

use super::{Role, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What became of a session. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Fate {
    /// It went while it was idle, and its worker or task had not ended: cut, or its process was killed. Its
    /// socket tells which (`kubectl cprobe watch-workers`).
    CutIdle,
    /// The same, while it ran a statement or had a transaction open.
    CutActive,
    /// Its worker left in order: it deleted its row and went.
    Left,
    /// Its worker's row was gone before: another worker deletes that of one whose heartbeats have not come for its ttl.
    RowDeleted,
    /// Its task ended.
    TaskEnded,
    /// The server was started anew meanwhile.
    ServerRestarted,
    /// What was seen does not tell.
    Unknown,
}

/// What was seen around an end.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// What it was.
    pub role: Role,
    /// In which state it was last seen.
    pub state: State,
    /// How long it lived, in milliseconds.
    pub lived_ms: i64,
    /// How long it had been silent, in milliseconds.
    pub silence_ms: i64,
    /// The server was started anew between the looks.
    pub restarted: bool,
    /// The session lives on, and was reset by a pooler: its client has gone.
    pub reset: bool,
    /// What became of its worker's row.
    pub row: RowSeen,
    /// What became of its task.
    pub task: TaskSeen,
}

/// What was seen of a worker's row around the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSeen {
    /// No row could be read, or none belongs to this session.
    Unknown,
    /// It stayed.
    Stayed,
    /// It went, and with it or right after it the session, whose last deed that may have been.
    WentTogether,
    /// It went, and the session lived on: it had no part in it, or did something afterwards.
    WentBefore,
}

/// What was seen of a task around the end of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskSeen {
    /// No task could be read, or none belongs to this session.
    Unknown,
    /// It went on.
    Running,
    /// It had been completed.
    Completed,
    /// It had failed or been cancelled: which came first, that or the end of the session, its log tells.
    Failed,
}

/// Whoever closes a connection by himself has just used it: what was silent for longer than this, in milliseconds, did
/// not act. A task's process may open several connections, and drop one early (pulpcore 3.123 does), and so does whoever
/// dispatched the task: what lived for less is not judged.
const BRIEF_MS: i64 = 2_000;

impl Fate {
    /// Judges an end.
    #[must_use]
    pub fn of(evidence: &Evidence) -> Self {
        let Evidence { role, state, lived_ms, silence_ms, restarted, reset, row, task } = *evidence;
        let cut = match state {
            State::Idle | State::Hidden => Self::CutIdle,
            State::Active | State::InTransaction => Self::CutActive,
        };
        let is_brief = lived_ms < BRIEF_MS || silence_ms < BRIEF_MS && cut == Self::CutIdle;
        if restarted && !reset {
            return Self::ServerRestarted;
        }
        match (role, row, task) {
            (Role::Task, _, TaskSeen::Completed) => Self::TaskEnded,
            // Whether it was in use, and how long it had been silent, is not known of one that may not be seen.
            (Role::Task, _, TaskSeen::Running) if !is_brief && state != State::Hidden => cut,
            (Role::Task, _, TaskSeen::Failed) => Self::Unknown,
            (Role::Main, RowSeen::WentTogether, _) => Self::Left,
            (Role::Main, RowSeen::WentBefore, _) => Self::RowDeleted,
            (Role::Main, RowSeen::Stayed, _) => cut,
            // That a pooler has reset the session says that its client went, not who ended it.
            _ => Self::Unknown,
        }
    }

    /// Whether it was cut, as far as that is known.
    #[must_use]
    pub fn is_cut(self) -> bool {
        matches!(self, Self::CutIdle | Self::CutActive)
    }

    /// The word as it stands in statuses and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CutIdle => "CutIdle",
            Self::CutActive => "CutActive",
            Self::Left => "Left",
            Self::RowDeleted => "RowDeleted",
            Self::TaskEnded => "TaskEnded",
            Self::ServerRestarted => "ServerRestarted",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIN: Evidence = Evidence {
        role: Role::Main,
        state: State::Idle,
        lived_ms: 70_000,
        silence_ms: 60_000,
        restarted: false,
        reset: false,
        row: RowSeen::Unknown,
        task: TaskSeen::Unknown,
    };

    #[test]
    fn a_worker_that_is_cut_leaves_its_row_and_one_that_leaves_takes_it_along() {
        let fate = |row| Fate::of(&Evidence { row, ..MAIN });
        assert_eq!(fate(RowSeen::Stayed), Fate::CutIdle);
        assert_eq!(fate(RowSeen::WentTogether), Fate::Left);
        assert_eq!(fate(RowSeen::WentBefore), Fate::RowDeleted);
        assert_eq!(fate(RowSeen::Unknown), Fate::Unknown, "a guess is no fate");
        let busy = Evidence { row: RowSeen::Stayed, state: State::InTransaction, ..MAIN };
        assert_eq!(Fate::of(&busy), Fate::CutActive);
    }

    #[test]
    fn a_pooler_that_resets_a_session_saw_its_client_go_and_the_row_tells_whether_by_itself() {
        let reset = Evidence { reset: true, ..MAIN };
        assert_eq!(Fate::of(&reset), Fate::Unknown, "the pooler itself may have cut it");
        assert_eq!(Fate::of(&Evidence { row: RowSeen::Stayed, ..reset }), Fate::CutIdle);
        // The server was restarted earlier, and this session is a new one.
        let left = Evidence { restarted: true, row: RowSeen::WentTogether, ..reset };
        assert_eq!(Fate::of(&left), Fate::Left);
    }

    #[test]
    fn a_task_that_goes_on_was_cut_and_one_that_failed_at_the_same_moment_is_not_judged() {
        let task = Evidence { role: Role::Task, row: RowSeen::Stayed, ..MAIN };
        let fate = |seen| Fate::of(&Evidence { task: seen, ..task });
        assert_eq!(fate(TaskSeen::Running), Fate::CutIdle);
        let brief = Evidence { task: TaskSeen::Running, silence_ms: 200, ..task };
        assert_eq!(Fate::of(&brief), Fate::Unknown, "it may have closed it itself");
        let busy = Evidence { state: State::InTransaction, ..brief };
        assert_eq!(Fate::of(&busy), Fate::CutActive);
        let brief = Evidence { lived_ms: 220, ..busy };
        assert_eq!(
            Fate::of(&brief),
            Fate::Unknown,
            "it may have committed and left since the last look"
        );
        let hidden = Evidence { state: State::Hidden, task: TaskSeen::Running, ..task };
        assert_eq!(Fate::of(&hidden), Fate::Unknown);
        assert_eq!(fate(TaskSeen::Completed), Fate::TaskEnded);
        assert_eq!(fate(TaskSeen::Failed), Fate::Unknown);
        assert_eq!(fate(TaskSeen::Unknown), Fate::Unknown);
    }

    #[test]
    fn a_restart_of_the_server_explains_every_end() {
        for (role, row) in [(Role::Main, RowSeen::Stayed), (Role::Task, RowSeen::Unknown)] {
            let evidence = Evidence { restarted: true, role, row, ..MAIN };
            assert_eq!(Fate::of(&evidence), Fate::ServerRestarted);
        }
    }
}
