//! The part of a probe that is measured: a change to it starts a run.

use crate::{pod_template::PodTemplate, schema, target::Target, workload::Workload};
use kube::core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time;

/// What to measure. The fields have no defaults in the schema: a run keeps them as they were
/// written and as they were settled, so that a new version of the operator with other defaults
/// starts nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measurement {
    /// The endpoint to measure, and the credentials.
    pub target: Target,

    /// 1 to 12 ways of holding connections. Each runs in a pod of its own.
    #[schemars(length(min = 1, max = 12), extend(
        "x-kubernetes-list-type" = "map",
        "x-kubernetes-list-map-keys" = ["name"]
    ))]
    pub workloads: Vec<Workload>,

    /// How long each connection follows its pattern, 1s to 24h: 50m when absent. A timer that is
    /// longer than this can't be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::duration")]
    pub duration: Option<Duration>,

    /// Connections (lanes) per workload, 1 to 10000: 5 when absent. They start at different times,
    /// so that age, silence and wall clock can be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub connections: Option<i32>,

    /// See [`Client`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,

    /// See [`Order`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,

    /// Additions to the probe pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

/// Which client's way of talking is reproduced, message by message: Raw when absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Client {
    /// The least that PostgreSQL's protocol needs: user and database at start-up, simple queries,
    /// no transaction that was not asked for.
    #[default]
    Raw,
}

/// In which order the workloads run: Parallel (all at once) when absent, or Sequential (one after the
/// other).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Order {
    /// All at once.
    #[default]
    Parallel,
    /// One after the other.
    Sequential,
}

/// How long connections are held where nothing is written.
pub const DEFAULT_DURATION: time::Duration = time::Duration::from_secs(50 * 60);
/// Lanes per workload where nothing is written.
pub const DEFAULT_CONNECTIONS: i32 = 5;
/// Interval of `heartbeat` where nothing is written.
pub const DEFAULT_HEARTBEAT: time::Duration = time::Duration::from_secs(60);
/// Statement of `heartbeat` where nothing is written.
pub const DEFAULT_STATEMENT: &str = "SELECT 1";
/// Key of a certificate authority where nothing is written.
pub const DEFAULT_CA_KEY: &str = "ca.crt";

impl Measurement {
    /// Fills in what was not written. Settling twice changes nothing.
    #[must_use]
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        settled.duration.get_or_insert(DEFAULT_DURATION.into());
        settled.connections.get_or_insert(DEFAULT_CONNECTIONS);
        settled.client.get_or_insert_default();
        settled.order.get_or_insert_default();
        if let Some(tls) = &mut settled.target.tls
            && (tls.ca_config_map_name.is_some() || tls.ca_secret_name.is_some())
        {
            tls.ca_key.get_or_insert_with(|| DEFAULT_CA_KEY.to_owned());
        }
        for workload in &mut settled.workloads {
            if let Some(heartbeat) = &mut workload.heartbeat {
                heartbeat.interval.get_or_insert(DEFAULT_HEARTBEAT.into());
                heartbeat.statement.get_or_insert_with(|| DEFAULT_STATEMENT.to_owned());
            }
        }
        settled
    }
}
