//! `ConnectionProbeRun`: one execution of a probe. Made by the operator, kept for reading.

use crate::{
    Inventory,
    conditions::Verdict,
    diagnosis::Finding,
    measurement::Measurement,
    observed::Observed,
    rds_proxy::RdsProxyStatus,
    report::{Arm, ArmReport, Counts, Inconclusive, Outcome, Report},
    schema,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One execution of a ConnectionProbe, with every single cut. The operator makes it; it is owned by
/// its probe and owns its Jobs.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "probes.pulpproject.org",
    version = "v1alpha1",
    kind = "ConnectionProbeRun",
    namespaced,
    shortname = "cproberun",
    category = "probes",
    status = "ConnectionProbeRunStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "One execution of a ConnectionProbe, with every single cut. The operator makes it; it is owned by its probe and owns its Jobs.",
    printcolumn(name = "Probe", type_ = "string", json_path = ".metadata.ownerReferences[0].name"),
    printcolumn(name = "Number", type_ = "integer", json_path = ".spec.number"),
    printcolumn(name = "Trigger", type_ = "string", json_path = ".spec.trigger.type"),
    printcolumn(name = "Result", type_ = "string", json_path = ".status.result"),
    printcolumn(name = "Started", type_ = "date", json_path = ".status.startTime"),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.summary", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self == oldSelf").message("a run can't be changed: change the ConnectionProbe, or give it a new runID"))]
pub struct ConnectionProbeRunSpec {
    /// Number of the run in its probe, from 1.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// What started it.
    pub trigger: Trigger,
    /// What is measured.
    pub measurement: MeasurementRecord,
    /// Who measured.
    pub versions: Versions,
}

/// What started a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trigger {
    /// The kind of trigger.
    #[serde(rename = "type")]
    pub type_: TriggerType,
    /// The probe's `runID` when the run was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub token: Option<String>,
    /// The probe's annotation `requestedAt` when the run was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub requested_at: Option<String>,
    /// For when the schedule wanted the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled_time: Option<Time>,
}

/// Kinds of triggers. More may be added: clients must tolerate unknown values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TriggerType {
    /// The probe was made.
    #[default]
    Created,
    /// Its measured part was changed.
    SpecChanged,
    /// It got a new `runID`.
    RunID,
    /// It got a new annotation `requestedAt`.
    Requested,
    /// Its schedule wanted it.
    Scheduled,
}

/// A measurement as the user wrote it, and with everything filled in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MeasurementRecord {
    /// As written: compared with the probe, to see whether it changed.
    #[schemars(schema_with = "schema::recorded_measurement")]
    pub as_written: Measurement,
    /// As carried out.
    #[schemars(schema_with = "schema::recorded_measurement")]
    pub settled: Measurement,
}

/// Who measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// Version of the operator.
    #[schemars(length(max = 64))]
    pub operator: String,
    /// Image of the probe pods.
    #[schemars(length(max = 512))]
    pub image: String,
    /// Image of the pods that ask AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub rds_image: Option<String>,
}

/// How far the run is, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionProbeRunStatus {
    /// The generation that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready and Succeeded always; Reconciling and Stalled only while True.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// One sentence: what was found, or what is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub summary: Option<String>,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Time>,
    /// When its last connection should have ended, as far as its pods were started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_end_time: Option<Time>,
    /// How long it took, such as `57m36s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub duration: Option<String>,
    /// Such as `9 of 45 cut`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub result: Option<String>,
    /// When a cut was first seen, through a pod that became unready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_cut_seen_time: Option<Time>,
    /// Workloads of which a connection was probably cut, while no report tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12), inner(length(max = 40)))]
    pub workloads_cut: Vec<String>,
    /// Why the run was ended before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_early: Option<Inconclusive>,
    /// The newest attempt (Job) of the run, from 1; 0 before the first.
    #[serde(default)]
    pub attempt: i32,
    /// The workloads, in the order of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12))]
    pub workloads: Vec<WorkloadResult>,
    /// Why connections were cut, what explains most first; at most 8. There once the run has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub findings: Vec<Finding>,
    /// The timers that can cut a connection, as the probe's role saw them when the run began. It comes
    /// with the first status that is written after the pods have started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inventory: Option<Inventory>,
    /// What AWS told of the RDS Proxy, where the probe has `rdsProxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rds_proxy: Option<RdsProxyStatus>,
}

/// What is known of one workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadResult {
    /// Name of the workload.
    #[schemars(length(max = 40))]
    pub workload: String,
    /// The attempt that this is about.
    pub attempt: i32,
    /// How far it is.
    pub state: WorkloadState,
    /// Why nothing can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Inconclusive>,
    /// What happened, in a sentence, where there is no report that says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,
    /// The report as the probe delivered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// An earlier attempt that the cluster ended. It is repeated once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted: Option<Interruption>,
}

/// What an attempt had seen when the cluster ended it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interruption {
    /// The attempt.
    pub attempt: i32,
    /// What ended it.
    pub reason: Inconclusive,
    /// What was known by then; nothing where no report was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub arms: Vec<InterruptedArm>,
}

/// One path of an attempt that was ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InterruptedArm {
    /// Which path.
    pub arm: Arm,
    /// Its connections.
    pub connections: i32,
    /// How they had ended.
    pub counts: Counts,
    /// The shortest lifetime of one that was cut, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_cut_ms: Option<i64>,
}

/// How far a workload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadState {
    /// Its pod has not ended.
    Running,
    /// Its report is complete.
    Reported,
    /// Its pod ended without a complete report.
    Inconclusive,
}

impl ConnectionProbeRunStatus {
    /// Whether the run has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.end_time.is_some()
    }

    /// What was measured on one path, with the workload's name.
    pub fn arms(&self, arm: Arm) -> impl Iterator<Item = (&str, &ArmReport)> {
        self.reports().filter_map(move |report| Some((report.workload.as_str(), report.arm(arm)?)))
    }

    /// The earliest cut on the measured path: after how many milliseconds, in which workload.
    #[must_use]
    pub fn first_cut(&self) -> Option<(i64, &str, &ArmReport)> {
        self.arms(Arm::Target)
            .filter_map(|(workload, arm)| Some((arm.cut_lifetime?.min_ms, workload, arm)))
            .min_by_key(|(ms, ..)| *ms)
    }

    /// The reports that are there.
    pub fn reports(&self) -> impl Iterator<Item = &Report> {
        self.workloads.iter().filter_map(|workload| workload.report.as_ref())
    }

    /// What was seen of sessions that others hold.
    pub fn observed(&self) -> impl Iterator<Item = &Observed> {
        self.reports().filter_map(|report| report.observed.as_deref())
    }

    /// What the run amounts to if nothing more will come.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.ended_early {
            Some(Inconclusive::Superseded) => return Verdict::Superseded,
            Some(Inconclusive::Cancelled) => return Verdict::Cancelled,
            _ => {}
        }
        let conclusive = self.reports().filter(|report| report.is_conclusive()).count();
        match conclusive {
            0 if self.reports().any(could_not_connect) => Verdict::ConnectFailed,
            0 => Verdict::Inconclusive,
            n if n == self.workloads.len() => Verdict::Measured,
            _ => Verdict::PartlyConclusive,
        }
    }
}

impl Trigger {
    /// A trigger of this type, with nothing said beside it.
    #[must_use]
    pub fn new(type_: TriggerType) -> Self {
        Self { type_, token: None, requested_at: None, scheduled_time: None }
    }
}

impl WorkloadResult {
    /// A workload that waits for its first attempt.
    #[must_use]
    pub fn new(workload: String) -> Self {
        Self {
            workload,
            attempt: 0,
            state: WorkloadState::Running,
            reason: None,
            message: None,
            report: None,
            interrupted: None,
        }
    }

    /// The workload as it waits for another attempt, if the cluster and nothing else ended this one, for
    /// the first time.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let reason = self.reason.filter(|reason| reason.is_repeated())?;
        if self.interrupted.is_some() {
            return None;
        }
        let arms = self.report.iter().flat_map(|report| &report.arms);
        let arms = arms.map(|arm| InterruptedArm {
            arm: arm.arm,
            connections: arm.connections,
            counts: arm.counts,
            first_cut_ms: arm.cut_lifetime.map(|lifetime| lifetime.min_ms),
        });
        let interrupted = Interruption { attempt: self.attempt, reason, arms: arms.collect() };
        Some(Self { interrupted: Some(interrupted), ..Self::new(self.workload.clone()) })
    }
}

fn could_not_connect(report: &Report) -> bool {
    let mut endings = report.arms.iter().flat_map(|arm| &arm.endings);
    endings.any(|ending| ending.outcome == Outcome::ConnectFailed)
}
