//! What AWS told of a proxy, small enough for a termination message.

use super::{metrics::Metrics, overriding::OverrideStatus, request::Moment};
use crate::{inventory::Setting, schema};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod fit;

/// What AWS told of the proxy in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RdsProxyStatus {
    /// While the first connections were opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Evidence>,
    /// When the last connection had ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Evidence>,
    /// Why there is nothing of one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub problem: Option<String>,
    /// What became of `rdsProxy.override`.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub timeout_override: Option<OverrideStatus>,
}

impl RdsProxyStatus {
    /// What AWS told then.
    pub fn at(&mut self, moment: Moment) -> &mut Option<Evidence> {
        match moment {
            Moment::Before => &mut self.before,
            Moment::After => &mut self.after,
        }
    }
}

/// What AWS told. What is absent was not told, and `gaps` says why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// When it was asked, by the pod's wall clock.
    #[schemars(schema_with = "schema::time")]
    pub taken_at: Timestamp,
    /// DescribeDBProxies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyFacts>,
    /// DescribeDBProxyEndpoints: those besides the default one; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub endpoints: Vec<EndpointFacts>,
    /// DescribeDBProxyTargetGroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<PoolFacts>,
    /// DescribeDBProxyTargets; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub targets: Vec<TargetFacts>,
    /// Parameters of the target database that cut connections, and are not at the engine's default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub parameters: Vec<Setting>,
    /// DescribeEvents of proxy and database in the time, the newest first; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub events: Vec<Event>,
    /// GetMetricData.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// What the proxy's own log says of connections that were cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<ProxyLog>,
    /// What could not be read, and why; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub gaps: Vec<Gap>,
    /// Entries of lists that did not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<i32>,
}

/// How a proxy is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyFacts {
    /// Such as `available` or `modifying`.
    #[schemars(length(max = 64))]
    pub status: String,
    /// IdleClientTimeout, in seconds.
    pub idle_client_timeout_seconds: i64,
    /// RequireTLS.
    pub require_tls: bool,
    /// DebugLogging: enhanced logging. It turns itself off after a day.
    pub debug_logging: bool,
    /// IAMAuth of its users: DISABLED, ENABLED or REQUIRED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub iam_auth: Option<String>,
    /// When it was changed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub updated_at: Option<Timestamp>,
    /// Which of its endpoints is measured: `default`, or a name below. Absent: `spec.target.host` is none of them, or is
    /// not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub measured_endpoint: Option<String>,
}

/// An endpoint of a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointFacts {
    /// DBProxyEndpointName.
    #[schemars(length(max = 63))]
    pub name: String,
    /// TargetRole: READ_WRITE or READ_ONLY.
    #[schemars(length(max = 24))]
    pub role: String,
    /// Such as `available`.
    #[schemars(length(max = 64))]
    pub status: String,
}

/// How a proxy's connections to the database are set: ConnectionPoolConfig of its target group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolFacts {
    /// MaxConnectionsPercent.
    pub max_connections_percent: i64,
    /// MaxIdleConnectionsPercent.
    pub max_idle_connections_percent: i64,
    /// ConnectionBorrowTimeout, in seconds.
    pub borrow_timeout_seconds: i64,
    /// SessionPinningFilters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4), inner(length(max = 48)))]
    pub pinning_filters: Vec<String>,
    /// Whether there is an InitQuery. Its text is not kept.
    pub has_init_query: bool,
}

/// A database behind a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetFacts {
    /// RDS_INSTANCE, TRACKED_CLUSTER or RDS_SERVERLESS_ENDPOINT.
    #[schemars(length(max = 32))]
    pub kind: String,
    /// READ_WRITE, READ_ONLY or UNKNOWN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub role: Option<String>,
    /// AVAILABLE, UNAVAILABLE or REGISTERING; with the reason, where there is one.
    #[schemars(length(max = 64))]
    pub health: String,
}

/// What RDS tells of a proxy or a database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// What it is about: db-proxy, db-instance or db-cluster.
    #[schemars(length(max = 24))]
    pub about: String,
    /// In AWS's words.
    #[schemars(length(max = 200))]
    pub text: String,
}

/// What a proxy's log says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProxyLog {
    /// Connections of the run that were looked for.
    pub wanted: i32,
    /// Those whose opening was found in it, by time and our port.
    pub found: i32,
    /// Ends that it tells of, with the same reason each; at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub ends: Vec<LoggedEnd>,
}

/// An end as the proxy tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedEnd {
    /// Name of the workload.
    #[schemars(length(max = 40))]
    pub workload: String,
    /// How many of its connections.
    pub n: i32,
    /// In the proxy's words, from `Reason:` on where there is one.
    #[schemars(length(max = 200))]
    pub reason: String,
    /// Its time minus ours, in milliseconds: the one that is largest. The log's is that of CloudWatch Logs.
    pub apart_ms: i64,
}

/// Something that was not told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// The permission that the call needs, such as `cloudwatch:GetMetricData`.
    #[schemars(length(max = 64))]
    pub permission: String,
    /// What was wrong, and what to do.
    #[schemars(length(max = 300))]
    pub problem: String,
}
