//! What a probe pod gets to know: one JSON document without credentials.

use crate::{
    measurement::{Client, DEFAULT_CA_KEY, DEFAULT_HEARTBEAT, DEFAULT_STATEMENT, Measurement},
    target::{SecretKeys, TlsMode},
    workload::Workload,
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
    /// How long each connection follows its pattern, in milliseconds.
    pub duration_ms: u64,
    /// Lanes per workload.
    pub connections: usize,
    /// Whose messages are sent.
    pub client: Client,
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
}

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
    /// `BEGIN; SELECT 1`, then nothing.
    IdleInTransaction,
    /// `SET TIMEZONE`, then nothing.
    SessionVariable,
    /// `LISTEN`, then nothing.
    Listen,
}

/// A measurement that the schema let through and that still can't be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// A workload with no member, or with several.
    Workload(String),
    /// A duration out of bounds.
    Duration,
    /// The number of connections out of bounds.
    Connections,
    /// The port out of bounds.
    Port,
}

impl Settings {
    /// Parses a measurement, settled or as it was written. Everything that the API server's schema
    /// guards is checked again: the probe also runs outside a cluster.
    ///
    /// # Errors
    /// What can't be carried out.
    pub fn new(run: &str, measurement: &Measurement, indexes: Vec<usize>) -> Result<Self, Invalid> {
        let measurement = measurement.settled();
        let duration: Duration =
            measurement.duration.filter(|d| !d.is_negative()).ok_or(Invalid::Duration)?.into();
        if !(Duration::from_secs(1)..=Duration::from_secs(86_400)).contains(&duration) {
            return Err(Invalid::Duration);
        }
        let connections = measurement
            .connections
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| (1..=10_000).contains(n))
            .ok_or(Invalid::Connections)?;
        Ok(Self {
            run: run.to_owned(),
            target: TargetSettings::new(&measurement)?,
            duration_ms: millis(duration),
            connections,
            client: measurement.client.unwrap_or_default(),
            workloads: measurement
                .workloads
                .iter()
                .map(WorkloadSettings::new)
                .collect::<Result<_, _>>()?,
            indexes,
        })
    }

    /// How long each connection follows its pattern.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_millis(self.duration_ms)
    }

    /// The workload that the pod with this completion index holds.
    #[must_use]
    pub fn workload(&self, index: usize) -> Option<&WorkloadSettings> {
        self.workloads.get(*self.indexes.get(index)?)
    }
}

impl TargetSettings {
    fn new(measurement: &Measurement) -> Result<Self, Invalid> {
        let target = &measurement.target;
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
        })
    }
}

impl WorkloadSettings {
    fn new(workload: &Workload) -> Result<Self, Invalid> {
        let Workload { name, idle, heartbeat, idle_in_transaction, session_variable, listen } =
            workload;
        let mut patterns = [
            idle.as_ref().map(|_| Pattern::Idle),
            heartbeat.as_ref().map(|heartbeat| Pattern::Heartbeat {
                interval_ms: millis(heartbeat.interval.map_or(DEFAULT_HEARTBEAT, Into::into)),
                statement: heartbeat.statement.clone().unwrap_or_else(|| DEFAULT_STATEMENT.into()),
            }),
            idle_in_transaction.as_ref().map(|_| Pattern::IdleInTransaction),
            session_variable.as_ref().map(|_| Pattern::SessionVariable),
            listen.as_ref().map(|_| Pattern::Listen),
        ]
        .into_iter()
        .flatten();
        match (patterns.next(), patterns.next()) {
            (Some(pattern), None) => Ok(Self { name: name.clone(), pattern }),
            _ => Err(Invalid::Workload(name.clone())),
        }
    }
}

impl Pattern {
    /// Whether RDS Proxy's published rules say that its statements pin the session (RDS user
    /// guide, "Avoiding pinning an RDS Proxy": SET and LISTEN do). `None` for one that holds a
    /// server connection for another reason: an open transaction.
    #[must_use]
    pub fn pins(&self) -> Option<bool> {
        match self {
            Self::Idle | Self::Heartbeat { .. } => Some(false),
            Self::SessionVariable | Self::Listen => Some(true),
            Self::IdleInTransaction => None,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
