//! The part of a probe that is measured: a change to it starts a run.

use crate::{
    control::Control, pod_template::PodTemplate, preset::Preset, rds_proxy::RdsProxy, schema,
    target::Target, tcp::Tcp, workload::Workload,
};
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

    /// A second path to compare with, usually straight to the database: every workload holds the same
    /// connections there, from the same pod. What is not written is taken from `target`; with a Secret of
    /// its own, neither `keys` nor `host` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,

    /// The RDS Proxy on the measured path, to ask AWS about. Absent: AWS is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rds_proxy: Option<RdsProxy>,

    /// See [`Preset`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,

    /// 1 to 12 ways of holding connections, in place of a preset. Each runs in a pod of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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

    /// Connections (lanes) per workload and path, 1 to 10000: 5 when absent. They start at different times,
    /// so that age, silence and wall clock can be told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10000))]
    pub connections: Option<i32>,

    /// See [`Client`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,

    /// TCP's timers on our side. Absent members are the kernel's: keepalive is on, after two hours as a
    /// rule, which is what libpq does. The result tells the values that were in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Tcp>,

    /// The application_name that `Raw` connections send: none when absent, because poolers treat it
    /// as session state. Psycopg and Django send none, as Pulp does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), regex(pattern = r"^[ -~]*$"))]
    pub application_name: Option<String>,

    /// See [`Order`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,

    /// See [`Placement`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,

    /// Additions to the probe pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

/// Which client's way of talking is reproduced, message by message: Raw when absent, Psycopg or Django.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Client {
    /// The least that PostgreSQL's protocol needs: user and database at start-up, simple queries,
    /// no transaction that was not asked for.
    #[default]
    Raw,
    /// psycopg 3 as the plan's scripts use it: a transaction around everything, and statements that are
    /// prepared when they come for the sixth time.
    Psycopg,
    /// Django 4.2 and 5.2 as Pulp uses them: `client_encoding` at start-up, the time zone set where
    /// the server has another one, simple queries without a transaction.
    Django,
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

/// On which nodes the pods of a run are: SameNode when absent, so that a difference between workloads is
/// none between nodes; or Spread, over as many nodes as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Placement {
    /// All on one.
    #[default]
    SameNode,
    /// On different ones where possible.
    Spread,
}

/// How long connections are held where nothing is written.
pub const DEFAULT_DURATION: time::Duration = time::Duration::from_mins(50);
/// Lanes per workload where nothing is written.
pub const DEFAULT_CONNECTIONS: i32 = 5;
/// Key of a certificate authority where nothing is written.
pub const DEFAULT_CA_KEY: &str = "ca.crt";

impl Measurement {
    /// Fills in what was not written. Settling twice changes nothing.
    #[must_use]
    pub fn settled(&self) -> Self {
        let mut settled = self.clone();
        if let Some(preset) = settled.preset.take() {
            settled.workloads = preset.workloads();
        }
        settled.duration.get_or_insert(DEFAULT_DURATION.into());
        settled.connections.get_or_insert(DEFAULT_CONNECTIONS);
        settled.client.get_or_insert_default();
        settled.order.get_or_insert_default();
        settled.placement.get_or_insert_default();
        if let Some(control) = &mut settled.control {
            *control = Control::of(control.over(&settled.target));
        }
        let control = settled.control.iter_mut().filter_map(|control| control.tls.as_mut());
        for tls in settled.target.tls.iter_mut().chain(control) {
            if tls.ca_config_map_name.is_some() || tls.ca_secret_name.is_some() {
                tls.ca_key.get_or_insert_with(|| DEFAULT_CA_KEY.to_owned());
            }
        }
        let held = settled.duration.map_or(DEFAULT_DURATION, Into::into);
        settled.workloads.iter_mut().for_each(|workload| workload.settle(held));
        settled
    }
}
