//! All metrics that operator and probe pods serve: docs/metrics.md is made of this table, and both
//! build what they serve from it.

/// A metric as Prometheus sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with its unit.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Types of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises; begins anew with its process.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts in buckets.
    Histogram,
}

/// Seconds. Timers that are suspected have a bucket that begins with them: 60, 300, 350 (NLB, NAT gateway), 600, 900, 1800
/// (RDS Proxy's IdleClientTimeout), 2400, 3600, 86400 (RDS Proxy's limit for a client).
pub const LIFETIME_BUCKETS: [f64; 22] = [
    1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 350.0, 600.0, 900.0, 1200.0, 1800.0, 2100.0, 2400.0,
    2700.0, 3000.0, 3600.0, 5400.0, 7200.0, 14400.0, 28800.0, 86400.0,
];

// `probe_namespace` and `probe`, since a scrape adds a `namespace` of its own: the operator's.
const PROBE: &[&str] = &["probe_namespace", "probe"];

macro_rules! metrics {
    ($all:ident, $doc:literal: $($const:ident $name:literal $kind:ident $labels:expr, $help:literal;)+) => {
        $(#[doc = $help] pub const $const: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: $labels, help: $help };)+
        #[doc = $doc]
        pub const $all: &[Metric] = &[$($const),+];
    };
}

metrics! { ENDED_RUNS, "Of all runs that ended while the operator was there.":
    CONNECTION_LIFETIME "connectionprobe_connection_lifetime_seconds" Histogram
        &["probe_namespace", "probe", "workload", "arm"],
        "Lifetimes of connections that were cut, observed once, when their run ends. Survivors are not in it. An interval counts by its end; a connection that the report tells only as one of many, by their median.";
    CONNECTIONS_ENDED "connectionprobe_connections_ended_total" Counter
        &["probe_namespace", "probe", "workload", "arm", "outcome"],
        "Connections of ended runs, by outcome.";
    RUNS "connectionprobe_runs_total" Counter &["probe_namespace", "probe", "result"],
        "Ended runs, by result.";
    SCHEDULE_MISSED "connectionprobe_schedule_missed_total" Counter PROBE,
        "Scheduled runs that were not started in time. Absent while there was none.";
}

metrics! { LAST_RUN, "Of the last run that ended, from its status: there again after a restart.":
    LAST_RUN_CONNECTIONS "connectionprobe_last_run_connections" Gauge
        &["probe_namespace", "probe", "workload", "arm", "outcome"],
        "Connections of the last run, by outcome.";
    LAST_RUN_LIFETIME "connectionprobe_last_run_lifetime_seconds" Gauge
        &["probe_namespace", "probe", "workload", "arm", "stat"],
        "Lifetimes of its connections that were cut: min, median, max. Absent if none was.";
    LAST_RUN_SURVIVED "connectionprobe_last_run_survived_seconds" Gauge
        &["probe_namespace", "probe", "workload", "arm"],
        "Its survivors lived at least so long. Absent if there are none.";
    LAST_RUN_FIRST_CUT "connectionprobe_last_run_first_cut_seconds" Gauge
        &["probe_namespace", "probe", "arm"],
        "The shortest lifetime of a connection that was cut. Absent if none was.";
    LAST_RUN_ENDINGS "connectionprobe_last_run_endings" Gauge
        &["probe_namespace", "probe", "workload", "arm", "outcome", "form", "code"],
        "Its connections that did not survive, by how the end looked and by SQLSTATE, where there was a message.";
    LAST_RUN_SILENCE "connectionprobe_last_run_silence_seconds" Gauge
        &["probe_namespace", "probe", "workload", "arm", "rung"],
        "Of an idleLadder: the longest silence that survived, and the shortest that was cut.";
    LAST_RUN_FINDINGS "connectionprobe_last_run_findings" Gauge
        &["probe_namespace", "probe", "arm", "cause", "confidence"],
        "Connections that a finding of the last run explains, by its cause and confidence: docs/findings.md.";
    LAST_RUN_SESSIONS "connectionprobe_last_run_sessions" Gauge
        &["probe_namespace", "probe", "workload", "role", "fate"],
        "Sessions of real workers that the last run watched, by what they were and what became of them: docs/observe.md. The fate of those that went on is Alive.";
    LAST_RUN_SESSION_LIFETIME "connectionprobe_last_run_session_lifetime_seconds" Gauge
        &["probe_namespace", "probe", "workload", "role", "fate", "stat"],
        "How long they lived: min, median, max. Those whose fate is Alive, at least so long.";
    LAST_RUN_RESULT "connectionprobe_last_run_result" Gauge &["probe_namespace", "probe", "result"],
        "1 for the result of the last run: Measured, PartlyConclusive, Inconclusive, ConnectFailed, Superseded.";
    LAST_RUN_NUMBER "connectionprobe_last_run_number" Gauge PROBE, "Its number.";
    LAST_RUN_START "connectionprobe_last_run_start_timestamp_seconds" Gauge PROBE,
        "When it was started.";
    LAST_RUN_END "connectionprobe_last_run_end_timestamp_seconds" Gauge PROBE, "When it ended.";
    LAST_MEASURED "connectionprobe_last_measured_timestamp_seconds" Gauge PROBE,
        "When the last run ended that measured something.";
}

metrics! { NOW, "Of probes, from their status: there again after a restart.":
    STATE "connectionprobe_state" Gauge &["probe_namespace", "probe", "reason"],
        "1 for the reason of the condition Ready.";
    EXPECTATIONS_MET "connectionprobe_expectations_met" Gauge PROBE,
        "1 if the last run met what the probe expects, 0 if it did not. Absent if nothing is expected or it is not known.";
    STALLED "connectionprobe_stalled" Gauge PROBE, "1 if a person must do something, else 0.";
    SUSPENDED "connectionprobe_suspended" Gauge PROBE, "1 if nothing starts, else 0.";
    RUN_ACTIVE "connectionprobe_run_active" Gauge PROBE, "1 while a run is going on, else 0.";
    SCHEDULE_NEXT "connectionprobe_schedule_next_timestamp_seconds" Gauge PROBE,
        "For when the next scheduled run is due; in the past while one that is due waits. Absent without a schedule.";
    SCHEDULE_LAST "connectionprobe_schedule_last_timestamp_seconds" Gauge PROBE,
        "For when the last scheduled run was due. Absent if there was none.";
    RUN_START "connectionprobe_run_start_timestamp_seconds" Gauge PROBE,
        "When the run was started that is going on. Absent if there is none.";
    RUN_EXPECTED_END "connectionprobe_run_expected_end_timestamp_seconds" Gauge PROBE,
        "When its last connection should have ended. Absent if there is none.";
    RUN_CUT_WORKLOADS "connectionprobe_run_cut_workloads" Gauge PROBE,
        "Its workloads of which a connection was probably cut. Absent if there is none.";
}

metrics! { OPERATOR, "Of the operator itself.":
    RECONCILES "connectionprobe_operator_reconciles_total" Counter &["result"],
        "Reconciliations: success, error, or conflict (decided on an old version, and decided anew).";
    RECONCILE_ERRORS "connectionprobe_operator_reconcile_errors_total" Counter &["reason"],
        "Reconciliations that failed, by reason.";
    RECONCILE_DURATION "connectionprobe_operator_reconcile_duration_seconds" Histogram &[],
        "Time of one reconciliation.";
    API_REQUESTS "connectionprobe_operator_api_requests_total" Counter &["verb", "code"],
        "Requests to the API server, by verb and status code; the code is `error` where no answer came.";
    WATCH_RESTARTS "connectionprobe_operator_watch_restarts_total" Counter &["kind"],
        "Watches that were interrupted and taken up again.";
    PROBES "connectionprobe_operator_probes" Gauge &[], "ConnectionProbes that are known.";
    BUILD_INFO "connectionprobe_build_info" Gauge &["version"], "1; the version is the label.";
}

metrics! { POD, "Of probe pods, while a run goes on. A scrape adds which pod it was, and with the chart's PodMonitor `probe` and `run`.":
    LANES "connectionprobe_probe_lanes" Gauge &["workload", "arm", "state"],
        "Connections that are open (alive), or not opened yet (waiting).";
    LANES_ENDED "connectionprobe_probe_lanes_ended_total" Counter &["workload", "arm", "outcome"],
        "Connections that ended, by outcome.";
    CUTS "connectionprobe_probe_cuts_total" Counter &["workload", "arm", "form"],
        "Connections that were cut, by how the end looked.";
    UPTIME "connectionprobe_probe_uptime_seconds" Gauge &[], "Seconds since the probe started.";
}

/// Everything, in the order of the documentation, with what it is about.
pub const CATALOGUE: [(&str, &[Metric]); 5] = [
    ("Ended runs", ENDED_RUNS),
    ("The last run", LAST_RUN),
    ("Now", NOW),
    ("The operator", OPERATOR),
    ("Probe pods", POD),
];

impl Kind {
    /// The word that Prometheus has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}
