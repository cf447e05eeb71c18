//! `ConnectionProbe`: what to measure and when. The only thing a user writes.

use crate::{
    expect::Expect, lifetime::Spread, measurement::Measurement, report::Arm,
    scheduling::Scheduling, schema,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod fit;

/// Measures how long PostgreSQL connections live on a path, and how they end. Applying one starts a
/// run; changing the measured part or `runID` starts another; a `schedule` starts them by the clock.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "probes.pulpproject.org",
    version = "v1alpha1",
    kind = "ConnectionProbe",
    namespaced,
    shortname = "cprobe",
    category = "probes",
    status = "ConnectionProbeStatus",
    derive = "Default",
    derive = "PartialEq",
    validation = Rule::new("has(self.spec.preset) != has(self.spec.workloads)")
        .message("write either preset or workloads"),
    validation = Rule::new("!has(self.spec.applicationName) || !has(self.spec.client) || self.spec.client == 'Raw'")
        .message("Psycopg and Django send no application_name, as Pulp does: remove applicationName, or write client: Raw"),
    validation = Rule::new("has(self.spec.schedule) || (!has(self.spec.timeZone) && !has(self.spec.startingDeadlineSeconds) && !has(self.spec.concurrencyPolicy))")
        .message("timeZone, startingDeadlineSeconds and concurrencyPolicy belong to a schedule: write schedule, or remove them"),
    validation = Rule::new("!has(self.spec.schedule) || !self.spec.schedule.contains('TZ')")
        .message("write the time zone as timeZone: Europe/Prague, beside the schedule"),
    validation = Rule::new("!has(self.spec.podTemplate) || !has(self.spec.podTemplate.affinity) || !has(self.spec.podTemplate.affinity.podAffinity) || (has(self.spec.placement) && self.spec.placement == 'Spread')")
        .message("placement SameNode is a podAffinity itself: write placement: Spread beside one of your own"),
    validation = Rule::new("has(self.spec.rdsProxy) || !((has(self.spec.target.auth) && self.spec.target.auth == 'AwsIam') || (has(self.spec.control) && has(self.spec.control.auth) && self.spec.control.auth == 'AwsIam'))")
        .message("auth AwsIam signs tokens in the account of rdsProxy: write rdsProxy with name, region and serviceAccountName"),
    validation = Rule::new("!has(self.spec.rdsProxy) || !has(self.spec.rdsProxy.serviceAccountName) || !has(self.spec.podTemplate) || !has(self.spec.podTemplate.serviceAccountName) || self.spec.rdsProxy.serviceAccountName == self.spec.podTemplate.serviceAccountName || !((has(self.spec.target.auth) && self.spec.target.auth == 'AwsIam') || (has(self.spec.control) && has(self.spec.control.auth) && self.spec.control.auth == 'AwsIam'))")
        .message("with auth AwsIam the probe pods run as rdsProxy.serviceAccountName: write the same in podTemplate.serviceAccountName, or remove it"),
    doc = "Measures how long PostgreSQL connections live on a path, and how they end. Applying one starts a run; changing the measured part or runID starts another; a schedule starts them by the clock.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason"
    ),
    printcolumn(name = "Result", type_ = "string", json_path = ".status.lastRun.result"),
    printcolumn(name = "First-Cut", type_ = "string", json_path = ".status.lastRun.firstCut"),
    printcolumn(name = "Finding", type_ = "string", json_path = ".status.lastRun.finding"),
    printcolumn(name = "Last-Run", type_ = "date", json_path = ".status.lastRun.endTime"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target", priority = 1),
    printcolumn(
        name = "Run",
        type_ = "integer",
        json_path = ".status.lastRun.number",
        priority = 1
    ),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextScheduleTime", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.summary", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionProbeSpec {
    /// What is measured.
    #[serde(flatten)]
    pub measurement: Measurement,

    /// A new value starts a run of an unchanged measurement. Any text; kept in Git, it repeats a
    /// test by a commit.
    #[serde(default, rename = "runID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub run_id: Option<String>,

    /// When runs start by themselves.
    #[serde(flatten)]
    pub scheduling: Scheduling,

    /// While true, nothing starts. A run that is going on goes on. At resume, one run is made up
    /// for what changed in between, or for what the schedule missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,

    /// What is expected of connections on the measured path. The condition ExpectationsMet says whether the last run
    /// met it. Editing it judges that run anew and starts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,

    /// How many runs are kept, 1 to 50: 10 when absent. Older ones are deleted with their Jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub history_limit: Option<i32>,
}

/// Runs that are kept where nothing is written.
pub const DEFAULT_HISTORY_LIMIT: i32 = 10;
/// Earlier runs that the probe's status names.
pub const RECENT_RUNS: usize = 10;

/// What the last run found, and what goes on now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionProbeStatus {
    /// The generation of the spec that this status is about.
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
    /// `spec.target.host`, or `secret/<name>` where the Secret has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 260))]
    pub target: Option<String>,
    /// The run that is going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_run: Option<CurrentRun>,
    /// The highest number that a run was given, one that was deleted since included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_number: Option<i64>,
    /// The last run that ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<LastRun>,
    /// Runs that ended, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub recent_runs: Vec<RecentRun>,
    /// For when the last scheduled run was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_schedule_time: Option<Time>,
    /// For when the next scheduled run is due. It lies in the past while a run that is due waits: for the
    /// end of another, or for the end of a suspension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_schedule_time: Option<Time>,
    /// The annotation `requestedAt` that was answered last, by a run or by a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_request: Option<String>,
    /// The `runID` that started a run last.
    #[serde(default, rename = "lastHandledRunID", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub last_handled_run_id: Option<String>,
}

/// A run that is going on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CurrentRun {
    /// Name of its ConnectionProbeRun.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its number.
    pub number: i64,
    /// When it was started.
    pub start_time: Time,
    /// When its last connection should have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_end_time: Option<Time>,
    /// When a cut was first seen, through a pod that became unready. The report decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_cut_seen_time: Option<Time>,
    /// Workloads of which a connection was probably cut.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12), inner(length(max = 40)))]
    pub workloads_cut: Vec<String>,
}

/// A run that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastRun {
    /// Name of its ConnectionProbeRun, which has every single cut.
    #[schemars(length(max = 63))]
    pub name: String,
    /// Its number.
    pub number: i64,
    /// When it was started.
    pub start_time: Time,
    /// When it ended.
    pub end_time: Time,
    /// Such as `9 of 45 cut`.
    #[schemars(length(max = 64))]
    pub result: String,
    /// The shortest lifetime of a connection that was cut, in minutes and seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub first_cut: Option<String>,
    /// The first finding in a few words, such as `PoolerIdleTimeout 30:00 (5 of 5)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 120))]
    pub finding: Option<String>,
    /// One line per workload and arm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub workloads: Vec<WorkloadLine>,
}

/// A workload's result on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadLine {
    /// Name of the workload.
    #[schemars(length(max = 40))]
    pub workload: String,
    /// Which path; absent if nothing was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
    /// Connections that were held.
    pub n: i32,
    /// Connections that were cut.
    pub cut: i32,
    /// Lifetimes of those that were cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Spread>,
    /// Survivors lived at least so long, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least_ms: Option<i64>,
    /// The close form in a word, or why nothing can be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub form: Option<String>,
    /// What the server said, or what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 120))]
    pub text: Option<String>,
}

/// An earlier run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecentRun {
    /// Its number.
    pub number: i64,
    /// When it ended.
    pub end_time: Time,
    /// Such as `9 of 45 cut`.
    #[schemars(length(max = 64))]
    pub result: String,
    /// The shortest lifetime of a connection that was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub first_cut: Option<String>,
}
