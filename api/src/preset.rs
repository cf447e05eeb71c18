//! Workloads by one word.

use crate::workload::{
    ActiveTransaction, Heartbeat, Idle, IdleInTransaction, Listen, ListenNotify, PulpWorker,
    SessionVariable, Workload,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Workloads by one word, in place of `workloads`: PulpPlan is the seven tests of the plan (idle,
/// heartbeat, idle-in-transaction, active-transaction, session-variable, listen, listen-notify),
/// pulp-worker, and idle-keepalive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Preset {
    /// The plan's seven tests, a Pulp worker, and idle connections with a TCP keepalive of 30 s.
    PulpPlan,
}

/// Below 60 s, the shortest idle time of the load balancers and gateways that are known.
const KEEPALIVE: Duration = Duration::from_secs(30);

impl Preset {
    /// Its workloads.
    #[must_use]
    pub fn workloads(self) -> Vec<Workload> {
        let Self::PulpPlan = self;
        let named = |name: &str| Workload { name: name.to_owned(), ..Workload::default() };
        vec![
            Workload { idle: Some(Idle::default()), ..named("idle") },
            Workload { heartbeat: Some(Heartbeat::default()), ..named("heartbeat") },
            Workload {
                idle_in_transaction: Some(IdleInTransaction::default()),
                ..named("idle-in-transaction")
            },
            Workload {
                active_transaction: Some(ActiveTransaction::default()),
                ..named("active-transaction")
            },
            Workload { session_variable: Some(SessionVariable {}), ..named("session-variable") },
            Workload { listen: Some(Listen {}), ..named("listen") },
            Workload { listen_notify: Some(ListenNotify::default()), ..named("listen-notify") },
            Workload { pulp_worker: Some(PulpWorker::default()), ..named("pulp-worker") },
            Workload {
                idle: Some(Idle { keepalive: Some(KEEPALIVE.into()) }),
                ..named("idle-keepalive")
            },
        ]
    }
}
