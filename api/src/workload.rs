//! What a connection does while it is held.

use crate::schema;
use kube::KubeSchema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One way of holding connections. Exactly one member names the pattern.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.idle), has(self.heartbeat), has(self.idleInTransaction), has(self.sessionVariable), has(self.listen)].filter(x, x).size() == 1")
        .message("write exactly one of idle, heartbeat, idleInTransaction, sessionVariable, listen; one without parameters is written with braces, as in `idle: {}`, not `idle:`")
)]
pub struct Workload {
    /// Name of the workload, unique in the probe: a DNS label of at most 40 characters.
    #[schemars(length(min = 1, max = 40), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,

    /// Logs in and sends nothing. Finds idle timers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<Idle>,

    /// Sends a statement at an interval, outside a transaction. Survives idle timers; finds limits
    /// on a connection's age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,

    /// Opens a transaction (`BEGIN; SELECT 1`), then sends nothing. Finds timers on open
    /// transactions. It is READ COMMITTED and has no transaction id: it does not hold back vacuum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_in_transaction: Option<IdleInTransaction>,

    /// Sends `SET TIMEZONE TO 'UTC'`, then nothing. A pinning statement for RDS Proxy: with `idle`
    /// beside it, it tells whether pinning matters. Only TimeZone is ever set: PgBouncer restores it when
    /// it hands the server connection to someone else, while other settings would leak to strangers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_variable: Option<SessionVariable>,

    /// Sends `LISTEN` on a channel of its own, then nothing: a Pulp worker that hears nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Listen>,
}

/// Parameters of `idle`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {}

/// Parameters of `heartbeat`.
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

/// Parameters of `idleInTransaction`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IdleInTransaction {}

/// Parameters of `sessionVariable`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionVariable {}

/// Parameters of `listen`: none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Listen {}
