//! What a connection does while it is held, as a probe pod gets it.

use crate::{
    settings::Invalid,
    workload::{Observe, StatementDetail, Workload},
};
use kube::core::Duration;
use serde::{Deserialize, Serialize};

/// What a connection does while it is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Pattern {
    /// Nothing.
    Idle,
    /// A statement at an interval.
    Heartbeat {
        /// Milliseconds between two statements.
        interval_ms: u64,
        /// The statement.
        statement: String,
    },
    /// BEGIN and a statement, then nothing.
    IdleInTransaction {
        /// The statement.
        statement: String,
    },
    /// BEGIN, and a statement at an interval.
    ActiveTransaction {
        /// Milliseconds between two statements.
        interval_ms: u64,
        /// The statement.
        statement: String,
    },
    /// `SET TIMEZONE`, then nothing.
    SessionVariable,
    /// `LISTEN`, then nothing.
    Listen,
    /// `LISTEN`, and notifications from elsewhere at an interval.
    ListenNotify {
        /// Milliseconds between two notifications.
        interval_ms: u64,
    },
    /// LISTENs, and a small transaction at an interval.
    PulpWorker {
        /// Milliseconds between two transactions.
        interval_ms: u64,
        /// A table to update in each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<String>,
        /// Whether it listens.
        listen: bool,
    },
    /// StatementDetail, then nothing.
    PulpTask {
        /// Milliseconds of work.
        work_ms: u64,
        /// Whether all of it is one transaction.
        in_transaction: bool,
    },
    /// One statement that takes the whole time.
    SlowStatement,
    /// StatementDetail, then a silence whose length depends on the lane.
    IdleLadder {
        /// Milliseconds of silence; two lanes each, in this order.
        rungs_ms: Vec<u64>,
        /// Rungs that do not fit into the duration.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        left_out_ms: Vec<u64>,
    },
    /// Holds nothing, and watches sessions of others.
    Observe(Watched),
}

/// Which sessions are watched, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watched {
    /// Their role.
    pub user: String,
    /// Their database; absent: the watcher's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Their application_name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_name: Option<String>,
    /// Their address or network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Milliseconds from one look to the next.
    pub interval_ms: u64,
    /// What is kept of their statements.
    #[serde(default)]
    pub statements: StatementDetail,
    /// Where Pulp's settings are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<String>,
}

/// Connections that each rung of a ladder holds.
pub const LANES_PER_RUNG: usize = 2;

impl Pattern {
    /// The pattern of a settled workload whose connections are held for so many milliseconds.
    ///
    /// # Errors
    /// It has no member or several, or one that does not fit.
    pub(crate) fn new(workload: &Workload, held_ms: u64) -> Result<Self, Invalid> {
        let Workload {
            name,
            duration: _,
            connections: _,
            client: _,
            tcp: _,
            idle,
            heartbeat,
            idle_in_transaction,
            active_transaction,
            session_variable,
            listen,
            listen_notify,
            pulp_worker,
            pulp_task,
            slow_statement,
            idle_ladder,
            observe,
        } = workload;
        let text = |statement: &Option<String>| statement.clone().unwrap_or_default();
        let mut patterns = [
            idle.as_ref().map(|_| Self::Idle),
            heartbeat.as_ref().map(|heartbeat| Self::Heartbeat {
                interval_ms: millis(heartbeat.interval),
                statement: text(&heartbeat.statement),
            }),
            idle_in_transaction
                .as_ref()
                .map(|idle| Self::IdleInTransaction { statement: text(&idle.statement) }),
            active_transaction.as_ref().map(|active| Self::ActiveTransaction {
                interval_ms: millis(active.interval),
                statement: text(&active.statement),
            }),
            session_variable.as_ref().map(|_| Self::SessionVariable),
            listen.as_ref().map(|_| Self::Listen),
            listen_notify
                .as_ref()
                .map(|listen| Self::ListenNotify { interval_ms: millis(listen.interval) }),
            pulp_worker.as_ref().map(|worker| Self::PulpWorker {
                interval_ms: millis(worker.interval),
                table: worker.table.clone(),
                listen: worker.listen.unwrap_or(true),
            }),
            pulp_task.as_ref().map(|task| Self::PulpTask {
                work_ms: millis(task.work),
                in_transaction: task.in_transaction.unwrap_or_default(),
            }),
            slow_statement.as_ref().map(|_| Self::SlowStatement),
            idle_ladder.as_ref().map(|ladder| {
                let rungs = ladder.rungs.iter().map(|rung| millis(Some(*rung)));
                let (rungs_ms, left_out_ms) = rungs.partition(|rung| *rung < held_ms);
                Self::IdleLadder { rungs_ms, left_out_ms }
            }),
            observe.as_ref().map(|observe| Self::Observe(Watched::new(observe))),
        ]
        .into_iter()
        .flatten();
        match (patterns.next(), patterns.next()) {
            (Some(pattern), None) => pattern.fitting(name, held_ms),
            _ => Err(Invalid::Workload(name.clone())),
        }
    }

    fn fitting(self, name: &str, held_ms: u64) -> Result<Self, Invalid> {
        match &self {
            Self::PulpTask { work_ms, .. } if *work_ms >= held_ms => {
                Err(Invalid::Work(name.to_owned()))
            }
            Self::IdleLadder { rungs_ms, .. } if rungs_ms.is_empty() => {
                Err(Invalid::Rungs(name.to_owned()))
            }
            _ => Ok(self),
        }
    }

    /// Whether psycopg is used in autocommit: the plan sets `conn.autocommit = True` where it listens,
    /// and nowhere else. What is not the plan's is no transaction unless it says so.
    #[must_use]
    pub fn is_autocommit(&self) -> bool {
        match self {
            Self::Idle
            | Self::Heartbeat { .. }
            | Self::IdleInTransaction { .. }
            | Self::ActiveTransaction { .. }
            | Self::SessionVariable => false,
            Self::Listen
            | Self::ListenNotify { .. }
            | Self::PulpWorker { .. }
            | Self::PulpTask { .. }
            | Self::SlowStatement
            | Self::IdleLadder { .. }
            | Self::Observe(_) => true,
        }
    }

    /// Whether RDS Proxy's published rules say that its statements pin the session (RDS user
    /// guide, "Avoiding pinning an RDS Proxy": SET and LISTEN do). `None` for one that holds a
    /// server connection for another reason: an open transaction, a running statement.
    #[must_use]
    pub fn pins(&self) -> Option<bool> {
        match self {
            Self::Idle
            | Self::Heartbeat { .. }
            | Self::PulpWorker { listen: false, .. }
            | Self::PulpTask { in_transaction: false, .. }
            | Self::IdleLadder { .. } => Some(false),
            Self::SessionVariable
            | Self::Listen
            | Self::ListenNotify { .. }
            | Self::PulpWorker { listen: true, .. } => Some(true),
            Self::IdleInTransaction { .. }
            | Self::ActiveTransaction { .. }
            | Self::PulpTask { in_transaction: true, .. }
            | Self::SlowStatement
            | Self::Observe(_) => None,
        }
    }
}

impl Watched {
    fn new(observe: &Observe) -> Self {
        let Observe {
            user,
            database,
            application_name,
            address,
            interval,
            statements,
            config_map_name,
        } = observe.clone();
        Self {
            user,
            database,
            application_name,
            address,
            interval_ms: millis(interval).max(100),
            statements: statements.unwrap_or_default(),
            config_map: config_map_name,
        }
    }
}

/// Milliseconds of a duration that is there once a workload is settled.
pub(crate) fn millis(duration: Option<Duration>) -> u64 {
    let duration = duration.map_or(std::time::Duration::ZERO, Into::into);
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
