//! Why nothing can be said of a connection or a workload.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A reason that lies with the cluster, the probe or the user, never with the path under test. More
/// may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Inconclusive {
    /// The pod was evicted.
    Evicted,
    /// The pod made way for one of higher priority.
    Preempted,
    /// The node stopped answering.
    NodeLost,
    /// The container ran out of memory.
    OOMKilled,
    /// The pod took longer than it may.
    DeadlineExceeded,
    /// The Job was deleted.
    JobDeleted,
    /// The pod ended and no report was seen.
    NoReport,
    /// The image could not be started.
    ImageUnavailable,
    /// No node takes the pod.
    Unschedulable,
    /// The namespace's quota or a policy refuses the pod.
    QuotaExceeded,
    /// The namespace is being deleted.
    NamespaceTerminating,
    /// The probe was told to stop.
    Interrupted,
    /// A newer run took over.
    Superseded,
    /// A person ended the run.
    Cancelled,
    /// The RDS Proxy was not, or no longer, changed as `rdsProxy.override` asks: see `status.rdsProxy.override`.
    OverrideEnded,
    /// The probe process was stopped for too long to tell when a connection ended.
    ProbeStalled,
    /// Our own side ran out of ports or descriptors.
    LocalLimit,
    /// A pool was exhausted by our own load.
    PoolExhausted,
    /// The probe was configured wrongly: see `problem`.
    Misconfigured,
}

impl Inconclusive {
    /// Whether a workload that was lost for this reason is measured once more: nobody asked for its end,
    /// and another attempt may do better.
    #[must_use]
    pub fn is_repeated(self) -> bool {
        matches!(
            self,
            Self::Evicted | Self::Preempted | Self::NodeLost | Self::NoReport | Self::JobDeleted
        )
    }

    /// The word as it stands in conditions, tables and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evicted => "Evicted",
            Self::Preempted => "Preempted",
            Self::NodeLost => "NodeLost",
            Self::OOMKilled => "OOMKilled",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::JobDeleted => "JobDeleted",
            Self::NoReport => "NoReport",
            Self::ImageUnavailable => "ImageUnavailable",
            Self::Unschedulable => "Unschedulable",
            Self::QuotaExceeded => "QuotaExceeded",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::Interrupted => "Interrupted",
            Self::Superseded => "Superseded",
            Self::Cancelled => "Cancelled",
            Self::OverrideEnded => "OverrideEnded",
            Self::ProbeStalled => "ProbeStalled",
            Self::LocalLimit => "LocalLimit",
            Self::PoolExhausted => "PoolExhausted",
            Self::Misconfigured => "Misconfigured",
        }
    }
}
