//! What was observed of a probe's runs: facts, not Kubernetes objects.

use api::{
    ConnectionProbeRun, Inventory, Report,
    rds_proxy::{
        Evidence,
        overriding::{OverrideStatus, Role},
        request::Moment,
    },
    report::Inconclusive,
};
use jiff::Timestamp;
use std::sync::Arc;

/// A run with the Jobs and pods that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct RunFacts {
    /// The run.
    pub(crate) run: Arc<ConnectionProbeRun>,
    /// Its Jobs that exist.
    pub(crate) jobs: Vec<JobFacts>,
    /// Its pods, also those that are gone and whose last words were heard.
    pub(crate) pods: Vec<PodFacts>,
    /// Its Jobs that ask AWS, with what came of them.
    pub(crate) asked: Vec<AskFacts>,
    /// Its Jobs that change the proxy or put it back, also those that are gone and whose pods' last words were heard.
    pub(crate) overriding: Vec<OverrideFacts>,
}

impl RunFacts {
    /// Whether a Job waits for a pod that will never say that it has ended, since its node is lost.
    pub(crate) fn waits_in_vain(&self, job: &JobFacts) -> bool {
        let of_job = self.pods.iter().filter(|pod| pod.attempt == job.attempt);
        job.finished_at.is_none() && of_job.into_iter().any(PodFacts::is_lost)
    }
}

impl PodFacts {
    /// Whether the pod is to go and its node does not answer: nobody will confirm its end, and its
    /// report does not come.
    pub(crate) fn is_lost(&self) -> bool {
        let ended = matches!(self.phase, PodPhase::Ended(_));
        self.disruption == Some(Inconclusive::NodeLost) && self.deleting && !self.gone && !ended
    }
}

/// A Job of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobFacts {
    /// Its name.
    pub(crate) name: String,
    /// Which attempt of the run it is, from 1.
    pub(crate) attempt: i32,
    /// Which workloads it holds, as positions in the manifest.
    pub(crate) workloads: Vec<usize>,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was complete or failed.
    pub(crate) finished_at: Option<Timestamp>,
    /// Whether it is being deleted.
    pub(crate) deleting: bool,
}

/// A Job that asks AWS about the proxy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AskFacts {
    /// When in the run it asks.
    pub(crate) moment: Moment,
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was complete or failed.
    pub(crate) finished_at: Option<Timestamp>,
    /// What its newest pod says; nothing before there is one.
    pub(crate) answer: Option<Answer<Evidence>>,
}

/// A Job that changes the proxy, or puts it back.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OverrideFacts {
    /// Which of the two.
    pub(crate) role: Role,
    /// The Job, while it exists.
    pub(crate) job: Option<OverrideJob>,
    /// What its newest pod says; nothing before there is one.
    pub(crate) answer: Option<Answer<OverrideStatus>>,
    /// What the guard found before it changed anything, once it has looked.
    pub(crate) found: Option<Box<OverrideStatus>>,
}

/// The Job itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OverrideJob {
    /// When it was made.
    pub(crate) created_at: Timestamp,
    /// When it was complete or failed.
    pub(crate) finished_at: Option<Timestamp>,
    /// Since when it is being deleted.
    pub(crate) deleting_since: Option<Timestamp>,
}

/// How far a pod is that talks to AWS.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer<T> {
    /// It has not started, and this is why, if that is known.
    Starting(Option<String>),
    /// It works.
    Working {
        /// Since when it has been ready, if it is: of a guard, that the change is in force.
        ready_since: Option<Timestamp>,
    },
    /// It has ended with this.
    Told(Box<T>),
    /// It has ended without: what it or the kubelet said.
    Silent(String),
}

/// A pod of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PodFacts {
    /// Which attempt it belongs to.
    pub(crate) attempt: i32,
    /// Which workload it holds, as a position in the manifest.
    pub(crate) workload: usize,
    /// How far it is.
    pub(crate) phase: PodPhase,
    /// When that was heard: after an outage long after it came about, and before what came after it.
    pub(crate) heard: Timestamp,
    /// Its node, if it has one.
    pub(crate) node: Option<String>,
    /// The inventory that it took.
    pub(crate) inventory: Option<Box<Inventory>>,
    /// Why the cluster ended it, if it did.
    pub(crate) disruption: Option<Inconclusive>,
    /// Whether it is being deleted: its last words are still to come.
    pub(crate) deleting: bool,
    /// Whether the object is gone.
    pub(crate) gone: bool,
}

/// How far a pod is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum PodPhase {
    /// It has not started, and nothing is known to be wrong.
    Starting,
    /// It has not started, and this is why.
    Stuck {
        /// What holds it up.
        cause: Stuck,
        /// What Kubernetes says of it.
        seen: String,
        /// Since when.
        since: Timestamp,
    },
    /// Its connections are held.
    Running {
        /// Since when it has been unready after it was ready: a connection was cut, or the process has
        /// just exited and the kubelet has not noticed yet.
        unready_since: Option<Timestamp>,
        /// When the container started.
        since: Timestamp,
    },
    /// It ended.
    Ended(PodEnd),
}

/// What holds a pod up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stuck {
    /// No node takes it.
    Unschedulable,
    /// Its image can't be pulled or started.
    Image,
}

/// How a pod ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PodEnd {
    /// When.
    pub(crate) at: Timestamp,
    /// The container's exit code; absent if it never started.
    pub(crate) exit_code: Option<i32>,
    /// The kubelet's word for it, such as OOMKilled or DeadlineExceeded.
    pub(crate) reason: String,
    /// What the kubelet or the container said, where it is not a report.
    pub(crate) seen: String,
    /// The probe's report, complete or not.
    pub(crate) report: Option<Box<Report>>,
}
