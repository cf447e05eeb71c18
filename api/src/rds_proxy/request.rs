//! What the pod that asks AWS gets to know: one JSON document without credentials.

use super::RdsProxy;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What to ask AWS for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Name of the run, for logs.
    pub run: String,
    /// Which proxy, where.
    pub proxy: RdsProxy,
    /// `spec.target.host`, where it is written: tells which of the proxy's endpoints is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When it is asked.
    pub moment: Moment,
    /// The first moment that metrics, events and the log are wanted of.
    pub from: Timestamp,
    /// The last one. In [`Moment::After`] metrics are waited for until they reach it, as long as
    /// [`Request::PATIENCE`].
    pub until: Timestamp,
    /// Connections of the measured path that were cut, for the proxy's log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneKey>,
}

/// When AWS is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Moment {
    /// While the first connections are opened: what is not allowed is known at once, not after an hour.
    Before,
    /// When the last connection has ended.
    After,
}

/// What finds a connection in a proxy's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaneKey {
    /// Name of the workload.
    pub workload: String,
    /// Number of the connection in it.
    pub lane: i32,
    /// Our TCP port.
    pub port: i32,
    /// When it was opened.
    pub opened: Timestamp,
    /// When its end was noticed.
    pub ended: Timestamp,
}

impl Request {
    /// Connections that are looked for in the log.
    pub const MAX_LANES: usize = 200;
    /// How long metrics are waited for. CloudWatch has those of a minute some minutes after it, and promises
    /// nothing.
    pub const PATIENCE: std::time::Duration = std::time::Duration::from_mins(8);
}

impl Moment {
    /// The word as it stands in names and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

impl std::str::FromStr for Moment {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Before, Self::After].into_iter().find(|it| it.as_str() == word).ok_or(())
    }
}
