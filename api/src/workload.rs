//! What a connection does while it is held.

use crate::schema;
use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of `listen`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.idle), has(self.heartbeat), has(self.idleInTransaction), has(self.sessionVariable), has(self.listen)].filter(x, x).size() == 1")
        .message("write exactly one of idle, heartbeat, idleInTransaction, sessionVariable, listen; one without parameters is written with braces, as in `idle: {}`, not `idle:`")
)]
pub struct Workload {
    /// Name of the workload, unique in the probe: a DNS label of at most 40 characters.
    #[schemars(
        length(min = 1, max = 40),
        regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,

    /// One way of holding connections. Exactly one member names the pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,

    /// Parameters of `idle`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,

    /// Parameters of `heartbeat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_in_transaction: Option<IdleInTransaction>,

    /// Parameters of `idleInTransaction`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_variable: Option<SessionVariable>,

    /// Parameters of `sessionVariable`: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
}

/// Logs in and sends nothing. Finds idle timers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {}

/// Sends a statement at an interval, outside a transaction. Survives idle timers; finds limits
/// on a connection's age.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    /// Time between two statements, 1s to 24h: 60s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub interval: Option<Duration>,

    /// What is sent, as one simple query: `SELECT 1` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub statement: Option<String>,
}

/// Opens a transaction (`BEGIN; SELECT 1`), then sends nothing. Finds timers on open
/// transactions. It is READ COMMITTED and has no transaction id: it does not hold back vacuum.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdleInTransaction {}

/// Sends `SET TIMEZONE TO 'UTC'`, then nothing. A pinning statement for RDS Proxy: with `idle`
/// beside it, it tells whether pinning matters. Only TimeZone is ever set: PgBouncer restores it when
/// it hands the server connection to someone else, while other settings would leak to strangers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionVariable {}

/// Sends `LISTEN` on a channel of its own, then nothing: a Pulp worker that hears nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listen {}
