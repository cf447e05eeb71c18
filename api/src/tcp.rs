//! TCP's own timers.

use crate::schema;
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TCP's timers on our side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tcp {
    /// Silence before the first keepalive packet, in whole seconds (TCP_KEEPIDLE).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub keepalive_idle: Option<Duration>,

    /// Time between two keepalive packets that were not answered, in whole seconds (TCP_KEEPINTVL).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub keepalive_interval: Option<Duration>,

    /// Keepalive packets that may go unanswered, 1 to 127 (TCP_KEEPCNT).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 127))]
    pub keepalive_count: Option<i32>,

    /// How long what was sent may go unacknowledged (TCP_USER_TIMEOUT, RFC 5482). Absent: the kernel
    /// gives up after some 15 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub user_timeout: Option<Duration>,
}
