//! What a probe pod gets to know: one JSON document without credentials.

use crate::{
    lanes::{self, Schedule},
    measurement::{Client, DEFAULT_CA_KEY, Measurement, Order},
    pattern::{LANES_PER_RUNG, Pattern, millis},
    report::Arm,
    target::{Auth, SecretKeys, Target, TlsMode},
    tcp::Tcp,
    workload::{DEFAULT_STATEMENT, Workload},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// All workloads of a run, and which of them a pod of this attempt holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Name of the run, for logs.
    pub run: String,
    /// Where to connect.
    pub target: TargetSettings,
    /// The path to compare with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<TargetSettings>,
    /// The workloads, in the order of the manifest.
    pub workloads: Vec<WorkloadSettings>,
    /// Completion index of the Job → position in `workloads`: a later attempt repeats only some.
    pub indexes: Vec<usize>,
}

/// A target whose absent parts come from the mounted Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetSettings {
    /// Name of the Secret: its keys are files in the folder of that name.
    pub secret_name: String,
    /// Names of keys that the user gave.
    #[serde(default)]
    pub keys: SecretKeys,
    /// Host, if the manifest has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Port, if the manifest has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Database, if the manifest has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Role, if the manifest has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// TLS mode, if the manifest has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_mode: Option<TlsMode>,
    /// The certificate authority, if the manifest names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaSource>,
    /// Name of the Secret with the client certificate, if the manifest names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_secret: Option<String>,
    /// How a login is proved.
    #[serde(default)]
    pub auth: Auth,
    /// Whether PgBouncer's SHOW CONFIG is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_pgbouncer_config: Option<bool>,
}

/// A mounted object that holds a certificate authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaSource {
    /// What it is.
    pub kind: CaKind,
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
}

/// Kinds of objects that hold a certificate authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// One workload with everything that was left open filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadSettings {
    /// Its name.
    pub name: String,
    /// What its connections do.
    pub pattern: Pattern,
    /// How long each connection follows the pattern, in milliseconds.
    pub duration_ms: u64,
    /// Lanes in each arm.
    pub connections: usize,
    /// Whose messages are sent.
    pub client: Client,
    /// TCP's timers.
    #[serde(default)]
    pub tcp: TcpSettings,
    /// What the connections call themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_name: Option<String>,
}

/// TCP's timers; absent ones are the kernel's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpSettings {
    /// TCP_KEEPIDLE in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_idle_s: Option<u32>,
    /// TCP_KEEPINTVL in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_interval_s: Option<u32>,
    /// TCP_KEEPCNT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_count: Option<u32>,
    /// TCP_USER_TIMEOUT in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_timeout_ms: Option<u32>,
}

/// A measurement that the schema let through and that still can't be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// Neither a preset nor workloads, or both.
    Workloads,
    /// A workload with no member, or with several.
    Workload(String),
    /// A duration out of bounds.
    Duration,
    /// The number of connections out of bounds.
    Connections,
    /// The port out of bounds.
    Port,
    /// A task that works for as long as it is held.
    Work(String),
    /// A ladder without a rung that is shorter than the duration.
    Rungs(String),
    /// A statement of the user's in a long transaction that was not allowed.
    LongTransaction(String),
}

impl Settings {
    /// Parses a measurement, settled or as it was written. The schema has been checked, by the API
    /// server or by [`crate::manifest`]; what would do harm is checked again.
    ///
    /// # Errors
    /// What can't be carried out.
    pub fn new(run: &str, measurement: &Measurement, indexes: Vec<usize>) -> Result<Self, Invalid> {
        if measurement.preset.is_some() != measurement.workloads.is_empty() {
            return Err(Invalid::Workloads);
        }
        let measurement = measurement.settled();
        let control = measurement.control.as_ref();
        let control = control.map(|control| control.over(&measurement.target));
        Ok(Self {
            run: run.to_owned(),
            target: TargetSettings::new(&measurement.target)?,
            control: control.as_ref().map(TargetSettings::new).transpose()?,
            workloads: measurement
                .workloads
                .iter()
                .map(|workload| WorkloadSettings::new(workload, &measurement))
                .collect::<Result<_, _>>()?,
            indexes,
        })
    }

    /// The workload that the pod with this completion index holds.
    #[must_use]
    pub fn workload(&self, index: usize) -> Option<&WorkloadSettings> {
        self.workloads.get(*self.indexes.get(index)?)
    }

    /// The arms' targets, the measured path first.
    pub fn arms(&self) -> impl Iterator<Item = (Arm, &TargetSettings)> {
        let control = self.control.iter().map(|control| (Arm::Control, control));
        std::iter::once((Arm::Target, &self.target)).chain(control)
    }

    /// When the last connection is due to end, counted from the start: of all workloads at once, or
    /// of one after the other.
    #[must_use]
    pub fn last_end(&self, order: Order) -> Duration {
        let ends = self.workloads.iter().map(WorkloadSettings::last_end);
        match order {
            Order::Parallel => ends.max().unwrap_or_default(),
            Order::Sequential => ends.sum(),
        }
    }
}

impl TargetSettings {
    fn new(target: &Target) -> Result<Self, Invalid> {
        let port = target.port.map(|port| u16::try_from(port).ok().filter(|port| *port > 0));
        let ca = target.tls.as_ref().and_then(|tls| {
            let (kind, name) = match (&tls.ca_config_map_name, &tls.ca_secret_name) {
                (Some(name), _) => (CaKind::ConfigMap, name),
                (None, Some(name)) => (CaKind::Secret, name),
                (None, None) => return None,
            };
            let key = tls.ca_key.clone().unwrap_or_else(|| DEFAULT_CA_KEY.to_owned());
            Some(CaSource { kind, name: name.clone(), key })
        });
        Ok(Self {
            secret_name: target.secret_name.clone(),
            keys: target.keys.clone().unwrap_or_default(),
            host: target.host.clone(),
            port: port.map(|port| port.ok_or(Invalid::Port)).transpose()?,
            database: target.database.clone(),
            user: target.user.clone(),
            tls_mode: target.tls.as_ref().and_then(|tls| tls.mode),
            ca,
            certificate_secret: target
                .tls
                .as_ref()
                .and_then(|tls| tls.certificate_secret_name.clone()),
            auth: target.auth.unwrap_or_default(),
            read_pgbouncer_config: target.read_pgbouncer_config,
        })
    }
}

impl WorkloadSettings {
    fn new(workload: &Workload, measurement: &Measurement) -> Result<Self, Invalid> {
        let name = workload.name.clone();
        let held = workload.duration.or(measurement.duration).filter(|d| !d.is_negative());
        let duration_ms = millis(held);
        if !(1000..=86_400_000).contains(&duration_ms) {
            return Err(Invalid::Duration);
        }
        let client = workload.client.or(measurement.client).unwrap_or_default();
        if is_unallowed(workload, client) {
            return Err(Invalid::LongTransaction(name));
        }
        let pattern = Pattern::new(workload, duration_ms)?;
        let connections = match &pattern {
            Pattern::IdleLadder { rungs_ms, .. } => rungs_ms.len() * LANES_PER_RUNG,
            Pattern::Observe(_) => 0,
            _ => workload
                .connections
                .or(measurement.connections)
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| (1..=10_000).contains(n))
                .ok_or(Invalid::Connections)?,
        };
        let mut tcp = TcpSettings::new(workload.tcp.as_ref().or(measurement.tcp.as_ref()));
        if let Some(keepalive) = workload.idle.as_ref().and_then(|idle| idle.keepalive) {
            tcp.keepalive_idle_s = Some(seconds(keepalive));
            tcp.keepalive_interval_s = tcp.keepalive_idle_s;
        }
        let application_name =
            measurement.application_name.clone().filter(|_| client == Client::Raw);
        Ok(Self { name, pattern, duration_ms, connections, client, tcp, application_name })
    }

    /// How long each connection follows the pattern.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }

    /// See [`Pattern::pins`]; psycopg's heartbeat is one transaction.
    #[must_use]
    pub fn pins(&self) -> Option<bool> {
        match (self.client, &self.pattern) {
            (Client::Psycopg, Pattern::Heartbeat { .. }) => None,
            (_, pattern) => pattern.pins(),
        }
    }

    /// The moments of a lane. All lanes of a ladder reach the same age at the same moment: only
    /// their silence differs.
    #[must_use]
    pub fn schedule(&self, lane: usize) -> Schedule {
        match self.pattern {
            Pattern::IdleLadder { .. } => Schedule::at_once(self.duration()),
            _ => Schedule::new(lane, self.duration()),
        }
    }

    /// When the last lane is due to end, or a watcher, who has none and watches those of others to their ends.
    #[must_use]
    pub fn last_end(&self) -> Duration {
        if let Pattern::Observe(_) = self.pattern {
            return lanes::longest(self.duration());
        }
        let ends = (0..self.connections).map(|lane| self.schedule(lane).end());
        ends.max().unwrap_or_default()
    }
}

impl TcpSettings {
    fn new(tcp: Option<&Tcp>) -> Self {
        let Some(tcp) = tcp else { return Self::default() };
        Self {
            keepalive_idle_s: tcp.keepalive_idle.map(seconds),
            keepalive_interval_s: tcp.keepalive_interval.map(seconds),
            keepalive_count: tcp.keepalive_count.and_then(|count| u32::try_from(count).ok()),
            user_timeout_ms: tcp
                .user_timeout
                .map(|timeout| u32::try_from(millis(Some(timeout))).unwrap_or(u32::MAX)),
        }
    }
}

/// Whether a statement of the user's would stand in a long transaction that was not allowed.
fn is_unallowed(workload: &Workload, client: Client) -> bool {
    let own = |statement: &Option<String>| statement.as_deref() != Some(DEFAULT_STATEMENT);
    let transactions = [
        workload
            .idle_in_transaction
            .as_ref()
            .map(|idle| own(&idle.statement) && idle.allow_long_transactions != Some(true)),
        workload
            .active_transaction
            .as_ref()
            .map(|active| own(&active.statement) && active.allow_long_transactions != Some(true)),
        workload
            .heartbeat
            .as_ref()
            .map(|heartbeat| own(&heartbeat.statement) && client == Client::Psycopg),
    ];
    transactions.contains(&Some(true))
}

/// Whole seconds, at least one: what keepalive counts in.
fn seconds(duration: kube::core::Duration) -> u32 {
    u32::try_from(millis(Some(duration)) / 1000).unwrap_or(u32::MAX).max(1)
}
