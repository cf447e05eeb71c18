//! What a probe pod tells of its workload, small enough for a termination message.

use crate::{
    close_form::CloseForm,
    lifetime::{Lifetime, Spread},
    observed::Observed,
    schema,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod evidence;
mod fit;
mod outcome;
mod reason;

pub use evidence::{Cost, Lapses, Notifications, Reconnect, Rung, TcpInfo, TcpTimers};
pub use fit::{LIMIT, MAX_ENDINGS, shorten};
pub use outcome::{Counts, Outcome};
pub use reason::Inconclusive;

/// The report of one workload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Name of the workload.
    #[schemars(length(max = 40))]
    pub workload: String,
    /// When the probe started to open connections, by the pod's wall clock.
    #[schemars(schema_with = "schema::time")]
    pub started_at: Timestamp,
    /// When its last connection had ended. Absent: it was still going when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub ended_at: Option<Timestamp>,
    /// The arms: `Target` is the measured path, `Control` the one to compare with.
    #[schemars(length(max = 2))]
    pub arms: Vec<ArmReport>,
    /// Times when the probe itself did not look, for 5 ms or longer: its process was stopped, the
    /// processor busy, or the machine suspended. What ended meanwhile is known as an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalls: Option<Lapses>,
    /// Times when the machine's wall clock was set, by 10 ms or more, and by how much at most. All
    /// times here go on as before, so later ones differ from those of other logs by the steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_steps: Option<Lapses>,
    /// What was seen of sessions that others hold, by `observe`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Box<Observed>>,
    /// Why nothing could be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The connections of one arm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArmReport {
    /// Which path.
    pub arm: Arm,
    /// How many connections are or were to be held.
    pub connections: i32,
    /// How many have ended in which way.
    pub counts: Counts,
    /// Lifetimes of the connections that were cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_lifetime: Option<Spread>,
    /// Ends that looked alike, the earliest first; at most 12.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    pub endings: Vec<Ending>,
    /// What the server told at login, of the first connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
    /// TCP's timers, of the first connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpTimers>,
    /// What the server was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// What came of connecting anew after cuts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconnect: Option<Reconnect>,
    /// What was sent to connections that listen, and what they heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<Notifications>,
    /// What became of each rung of a ladder, the shortest silence first: of connections that ended in
    /// their silence or after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub ladder: Vec<Rung>,
}

/// A path under test.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Arm {
    /// The measured path: `spec.target`.
    #[default]
    Target,
    /// The path to compare with: `spec.control`.
    Control,
}

/// In which part of its life a connection ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Phase {
    /// While it was opened.
    Connect,
    /// While it sent its lead-in requests.
    LeadIn,
    /// While it followed the workload's pattern.
    Hold,
    /// At the request at the end.
    Proof,
}

/// Connections whose ends looked alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// How they ended.
    pub outcome: Outcome,
    /// Why nothing can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Inconclusive>,
    /// What their ends looked like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<CloseForm>,
    /// What went wrong, where it was not the end of a connection: a failed login, a failed name
    /// lookup, a notification that could not be sent. At most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub detail: Option<String>,
    /// How many.
    pub n: i32,
    /// Their lifetimes. For survivors these are lower bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Spread>,
    /// Single connections, the earliest end first: as many as fit, `n` in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub lanes: Vec<LaneEnd>,
}

/// The end of one connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LaneEnd {
    /// Number of the connection in its workload, from 0.
    pub lane: i32,
    /// In which part of its life.
    pub phase: Phase,
    /// When it was noticed, by the pod's wall clock, to the millisecond.
    #[schemars(schema_with = "schema::time")]
    pub at: Timestamp,
    /// How long the connection lived. Absent if it was never established.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// What the clocks showed when the end was noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clocks: Option<Clocks>,
    /// Requests that had been answered since the login: the next one is the one that met the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<i32>,
    /// What the kernel knew of a connection that was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_info: Option<TcpInfo>,
    /// Our TCP port, for joining with logs of the server or proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_port: Option<i32>,
    /// Address and port of the peer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub peer: Option<String>,
}

/// Milliseconds since each event, at the moment an end was noticed. Absent: it never happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Clocks {
    /// Since the connection was established.
    pub connect_ms: i64,
    /// Since our last byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_byte_ms: Option<i64>,
    /// Since the peer's last byte before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_byte_ms: Option<i64>,
    /// Since the last request that was answered in full; login counts as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_ms: Option<i64>,
    /// Since BEGIN was answered, if the transaction was still open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_ms: Option<i64>,
    /// Since SET was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_ms: Option<i64>,
    /// Since LISTEN was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_ms: Option<i64>,
}

/// What the server told of itself at login, and how the connection was secured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// server_version as the peer announced it; a pooler announces what it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// TLS version and how far the certificate was checked, such as `TLSv1.3, VerifyFull`; absent
    /// on a plain connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub tls: Option<String>,
    /// How the login was done: `ScramSha256Plus` (with channel binding), `ScramSha256`, `Md5`,
    /// `Cleartext`, `AwsIam`, `Trust`, `Certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub auth: Option<String>,
}

/// Why nothing could be measured at all: the probe exits by code 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// One word.
    pub reason: ProblemReason,
    /// What was seen, what was wanted and what to do. Never a value of a Secret.
    #[schemars(length(max = 600))]
    pub message: String,
}

/// One word for a problem. More may be added: clients must tolerate unknown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProblemReason {
    /// The Secret is not there, or it is empty.
    SecretNotFound,
    /// The Secret has no key for something that is needed.
    SecretKeyMissing,
    /// The ConfigMap or Secret with the CA is not there, or lacks the key, or has no certificate.
    CaNotFound,
    /// Nobody hands out the tokens of AWS IAM that are to prove a login.
    TokenServiceNotFound,
    /// A value can't be used: a port that is no number, an unknown sslmode, a refused setting.
    InvalidValue,
}

impl ProblemReason {
    /// The word as it stands in conditions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::CaNotFound => "CaNotFound",
            Self::TokenServiceNotFound => "TokenServiceNotFound",
            Self::InvalidValue => "InvalidValue",
        }
    }
}

impl Arm {
    /// The word as it stands in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Target => "Target",
            Self::Control => "Control",
        }
    }
}

impl Report {
    /// A report without a single connection.
    #[must_use]
    pub fn of_problem(workload: &str, started_at: Timestamp, problem: Problem) -> Self {
        Self {
            workload: workload.to_owned(),
            started_at,
            ended_at: Some(started_at),
            problem: Some(problem),
            ..Self::default()
        }
    }

    /// Whether every arm has a connection that says something about its path, or something was observed.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        match &self.observed {
            Some(observed) => observed.is_conclusive(),
            None => {
                !self.arms.is_empty() && self.arms.iter().all(|arm| arm.counts.conclusive() > 0)
            }
        }
    }

    /// What was measured on one path.
    #[must_use]
    pub fn arm(&self, arm: Arm) -> Option<&ArmReport> {
        self.arms.iter().find(|report| report.arm == arm)
    }

    /// Reads a termination message, and makes sure that it can be kept: who may make pods may write one
    /// that no probe would.
    ///
    /// # Errors
    /// It is not a report: the process died before it wrote one, or somebody else wrote it.
    pub fn parse(message: &str) -> Result<Self, serde_json::Error> {
        let mut report: Self = serde_json::from_str(message)?;
        report.fit();
        Ok(report)
    }
}

impl Clocks {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// All of them, each with the event that it counts from.
    #[must_use]
    pub fn all(&self) -> [(&'static str, Option<i64>); Self::COUNT] {
        [
            ("connect", Some(self.connect_ms)),
            ("our last byte", self.client_byte_ms),
            ("the peer's last byte", self.server_byte_ms),
            ("the last answered request", self.request_ms),
            ("BEGIN", self.begin_ms),
            ("SET", self.set_ms),
            ("LISTEN", self.listen_ms),
        ]
    }
}

impl Ending {
    /// Whether these ends are known to so many milliseconds, as far as they are told one by one. The form alone does not
    /// say: a reset may answer a keepalive, and a stall of the probe's widens any end.
    #[must_use]
    pub fn is_known_within(&self, ms: i64) -> bool {
        let is_known = |lane: &LaneEnd| {
            let width = lane.lifetime.and_then(|it| Some(it.max_ms?.saturating_sub(it.min_ms)));
            width.is_some_and(|width| width <= ms)
        };
        self.form.as_ref().is_some_and(CloseForm::is_exact)
            && !self.lanes.is_empty()
            && self.lanes.iter().all(is_known)
    }
}

impl ArmReport {
    /// The ending that tells most: the earliest cut, else the first ending.
    #[must_use]
    pub fn leading(&self) -> Option<&Ending> {
        let earliest = |ending: &&Ending| ending.lifetime.map_or(i64::MAX, |l| l.min_ms);
        self.endings
            .iter()
            .filter(|ending| ending.outcome == Outcome::Disconnected)
            .min_by_key(earliest)
            .or_else(|| self.endings.iter().find(|e| e.outcome != Outcome::Survived))
            .or_else(|| self.endings.first())
    }
}
