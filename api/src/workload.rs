//! What a connection does while it is held.

use crate::{measurement::Client, schema, tcp::Tcp};
use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time;

/// One way of holding connections. Exactly one member names the pattern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.idle), has(self.heartbeat), has(self.idleInTransaction), has(self.activeTransaction), has(self.sessionVariable), has(self.listen), has(self.listenNotify), has(self.pulpWorker), has(self.pulpTask), has(self.slowStatement), has(self.idleLadder), has(self.observe)].filter(x, x).size() == 1")
        .message("write exactly one of idle, heartbeat, idleInTransaction, activeTransaction, sessionVariable, listen, listenNotify, pulpWorker, pulpTask, slowStatement, idleLadder, observe; one without parameters is written with braces, as in `idle: {}`, not `idle:`"),
    validation = Rule::new("!has(self.idleLadder) || !has(self.connections)")
        .message("idleLadder holds two connections per rung: remove connections, or write fewer rungs"),
    validation = Rule::new("!has(self.observe) || !(has(self.connections) || has(self.client) || has(self.tcp))")
        .message("observe watches what others hold: remove connections, client and tcp")
)]
pub struct Workload {
    /// Name of the workload, unique in the probe: a DNS label of at most 40 characters.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// The probe's `duration`, for this workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub duration: Option<Duration>,

    /// The probe's `connections`, for this workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub connections: Option<i32>,

    /// See [`Client`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,

    /// The probe's `tcp`, for this workload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,

    /// Logs in and sends nothing. Finds idle timers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,

    /// Sends a statement at an interval. Survives idle timers; finds limits on a connection's age.
    /// Each is a transaction of its own, but with `client: Psycopg`, as in the plan's script, all are
    /// one transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,

    /// Opens a transaction (`BEGIN; SELECT 1`), then sends nothing. Finds timers on open
    /// transactions. It is READ COMMITTED and has no transaction id: it does not hold back vacuum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_in_transaction: Option<IdleInTransaction>,

    /// Opens a transaction and sends a statement in it at an interval. With `idleInTransaction`
    /// beside it, it tells a limit on a transaction's age from one on its silence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_transaction: Option<ActiveTransaction>,

    /// Sends `SET TIMEZONE TO 'UTC'`, then nothing. A pinning statement for RDS Proxy: with `idle`
    /// beside it, it tells whether pinning matters. Only TimeZone is ever set: PgBouncer restores it when
    /// it hands the server connection to someone else, while other settings would leak to strangers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_variable: Option<SessionVariable>,

    /// Sends `LISTEN` on a channel of its own, then nothing: a Pulp worker that hears nothing. At the
    /// end it is notified from elsewhere: by a fresh connection, on the path of `control` if there is
    /// one. A connection that answers but heard nothing is `Deaf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,

    /// As `listen`, and notified at an interval by a fresh connection each time: bytes from the server,
    /// none from the client. With `listen` beside it, it tells timers that count bytes from those
    /// that count requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_notify: Option<ListenNotify>,

    /// What a Pulp worker sends: three LISTENs, then a transaction every 10 s. As in the worker, the
    /// first that fails ends it. It writes a transaction id of its own (40 bytes of WAL) and nothing
    /// else, and never touches Pulp's tables, channels or locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulp_worker: Option<PulpWorker>,

    /// The connection of a Pulp task: a statement every second while it works, then silence, as while
    /// a task downloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pulp_task: Option<PulpTask>,

    /// One statement that takes the whole time (`pg_sleep`): silent and busy. Tells a timer that counts
    /// bytes from one that counts from the last completed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_statement: Option<SlowStatement>,

    /// Finds an idle timer's value in one run: two connections per rung, busy until they are silent for
    /// as long as the rung says; all reach the same age. The timer lies between the longest silence that
    /// was survived and the shortest that was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_ladder: Option<IdleLadder>,

    /// Holds nothing: watches the sessions of real workers in `pg_stat_activity`, for as long as the other
    /// workloads take: when each was born, its rhythm, its silences, and how it ended. It asks over the path of
    /// `control` if there is one. Behind a proxy a session is the proxy's, and its life is not a client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Observe>,
}

/// Parameters of `idle`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {
    /// Idle time and interval of TCP keepalive, before `tcp`: a connection that devices on the way
    /// (load balancer, NAT, firewall) see as alive, while server and pooler see it idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub keepalive: Option<Duration>,
}

/// Parameters of `heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Time between two statements, 1s to 24h: 60s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub interval: Option<Duration>,

    /// What is sent: `SELECT 1` when absent. One of your own is refused with `client: Psycopg`,
    /// where all are one long transaction: write `activeTransaction` for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub statement: Option<String>,
}

/// Parameters of `idleInTransaction`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.statement) || self.statement == 'SELECT 1' || (has(self.allowLongTransactions) && self.allowLongTransactions)")
        .message("a statement of your own may hold locks, or vacuum back, for the whole time: write allowLongTransactions: true beside it if that is meant")
)]
pub struct IdleInTransaction {
    /// What is sent after BEGIN: `SELECT 1` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub statement: Option<String>,

    /// Allows a statement of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_long_transactions: Option<bool>,
}

/// Parameters of `activeTransaction`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.statement) || self.statement == 'SELECT 1' || (has(self.allowLongTransactions) && self.allowLongTransactions)")
        .message("a statement of your own may hold locks, or vacuum back, for the whole time: write allowLongTransactions: true beside it if that is meant")
)]
pub struct ActiveTransaction {
    /// Time between two statements, 1s to 24h: 120s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub interval: Option<Duration>,

    /// What is sent: `SELECT 1` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub statement: Option<String>,

    /// Allows a statement of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_long_transactions: Option<bool>,
}

/// Parameters of `sessionVariable`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionVariable {}

/// Parameters of `listen`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listen {}

/// Parameters of `listenNotify`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenNotify {
    /// Time between two notifications, 1s to 24h: 120s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub interval: Option<Duration>,
}

/// Parameters of `pulpWorker`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PulpWorker {
    /// Time between two heartbeats, 1s to 24h: 10s when absent, as in a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub interval: Option<Duration>,

    /// A table of your own with a column `last_heartbeat timestamptz`, in which each heartbeat does an
    /// UPDATE: then `default_transaction_read_only` is seen too, and not only that a server became a
    /// standby. Never one of Pulp's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 127), regex(pattern = r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$"))]
    pub table: Option<String>,

    /// False leaves the LISTENs out, as a worker with WORKER_TYPE=redis does: beside one with them,
    /// it tells whether LISTEN is the price. True when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<bool>,
}

/// Parameters of `pulpTask`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PulpTask {
    /// How long it sends statements before it falls silent, 1s to 24h and shorter than the duration.
    /// When absent: 60s, or half of the duration if that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub work: Option<Duration>,

    /// Whether all of it, the silence too, is one transaction. False when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_transaction: Option<bool>,
}

/// Parameters of `slowStatement`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SlowStatement {}

/// Parameters of `idleLadder`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdleLadder {
    /// Lengths of silence, 1 to 32 of them. When absent: 2m, 4m30s, 6m30s, 9m, 11m, 14m, 16m, 29m, 31m,
    /// 39m, 42m, 46m, which bracket the known timers and never equal one. Those that are as long as
    /// the duration or longer are left out, and the result names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::rungs")]
    pub rungs: Vec<Duration>,
}

/// Parameters of `observe`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observe {
    /// The role whose sessions are watched: that of Pulp's workers. Give the probe one of its own, or its
    /// connections are watched too: a member of pg_monitor (or pg_read_all_stats), or the same role, which
    /// sees no others.
    #[schemars(length(min = 1, max = 63))]
    pub user: String,

    /// Only sessions in this database. Absent: in the one that the probe connects to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub database: Option<String>,

    /// Only sessions with this application_name; `\"\"` chooses those without one, as Pulp's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub application_name: Option<String>,

    /// Only sessions from this address or network, as the server sees it: 10.1.2.3, 10.0.0.0/8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 43), regex(pattern = r"^[0-9a-fA-F.:]+(/[0-9]{1,3})?$"))]
    pub address: Option<String>,

    /// Time from one look to the next, 100ms to 1m: 1s when absent. An end is known to lie between two looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::look_interval")]
    pub interval: Option<Duration>,

    /// See [`StatementDetail`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statements: Option<StatementDetail>,

    /// A ConfigMap of the namespace with Pulp's settings (settings.py, or PULP_… variables). Of it, only the
    /// values of a few settings are read that matter here, such as WORKER_TTL and CONN_MAX_AGE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::object_name")]
    pub config_map_name: Option<String>,
}

/// What is kept of statements: Classes when absent (what kind each is, such as Set, Listen, Begin), or Normalised
/// (their text too, with every literal replaced).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StatementDetail {
    /// Of what kind each is.
    #[default]
    Classes,
    /// Its text, with every literal replaced.
    Normalised,
}

/// What is sent where nothing is written.
pub(crate) const DEFAULT_STATEMENT: &str = "SELECT 1";
const DEFAULT_HEARTBEAT: time::Duration = time::Duration::from_secs(60);
/// Of `activeTransaction` and `listenNotify`, as in the plan.
const DEFAULT_ACTIVITY: time::Duration = time::Duration::from_secs(120);
/// A third of Pulp's WORKER_TTL of 30 s.
const DEFAULT_WORKER: time::Duration = time::Duration::from_secs(10);
/// Of `observe`.
const DEFAULT_LOOK: time::Duration = time::Duration::from_secs(1);
const DEFAULT_WORK: time::Duration = time::Duration::from_secs(60);
/// Seconds. They lie between the timers that are known: 4 min (Azure), 5 min, 350 s (NLB, NAT gateway,
/// Network Firewall), 10, 15 and 30 min, 40 min, 45 min.
const DEFAULT_RUNGS: [u64; 12] = [120, 270, 390, 540, 660, 840, 960, 1740, 1860, 2340, 2520, 2760];

impl Workload {
    /// Fills in what was not written, for connections that are held for `held`.
    pub(crate) fn settle(&mut self, held: time::Duration) {
        let held = self.duration.map_or(held, Into::into);
        let statement = || DEFAULT_STATEMENT.to_owned();
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.interval.get_or_insert(DEFAULT_HEARTBEAT.into());
            heartbeat.statement.get_or_insert_with(statement);
        }
        if let Some(idle) = &mut self.idle_in_transaction {
            idle.statement.get_or_insert_with(statement);
        }
        if let Some(active) = &mut self.active_transaction {
            active.interval.get_or_insert(DEFAULT_ACTIVITY.into());
            active.statement.get_or_insert_with(statement);
        }
        if let Some(listen) = &mut self.listen_notify {
            listen.interval.get_or_insert(DEFAULT_ACTIVITY.into());
        }
        if let Some(worker) = &mut self.pulp_worker {
            worker.interval.get_or_insert(DEFAULT_WORKER.into());
            worker.listen.get_or_insert(true);
        }
        if let Some(task) = &mut self.pulp_task {
            task.work.get_or_insert(DEFAULT_WORK.min(held / 2).into());
            task.in_transaction.get_or_insert(false);
        }
        if let Some(observe) = &mut self.observe {
            observe.interval.get_or_insert(DEFAULT_LOOK.into());
            observe.statements.get_or_insert_default();
        }
        if let Some(ladder) = &mut self.idle_ladder
            && ladder.rungs.is_empty()
        {
            ladder.rungs = DEFAULT_RUNGS.map(|s| time::Duration::from_secs(s).into()).to_vec();
        }
    }
}
