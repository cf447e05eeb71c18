//! A run, beside what was to be done in it.

use crate::{
    ConnectionProbeRun, ConnectionProbeRunStatus, Settings,
    expect::{Expect, Judged, judge_each},
    names::PROBE_ANNOTATION,
    report::{Arm, ArmReport},
    run::WorkloadResult,
    settings::WorkloadSettings,
    sockets::SocketsReport,
    text,
};
use std::borrow::Cow;

/// A run, beside what was to be done in it.
pub(super) struct Story<'a> {
    pub(super) run: &'a ConnectionProbeRun,
    pub(super) status: Cow<'a, ConnectionProbeRunStatus>,
    /// Absent if this version can't parse the measurement.
    pub(super) settings: Option<Settings>,
    /// What was expected, each judged by itself.
    pub(super) expected: Vec<Judged>,
    /// What was seen of workers' sockets meanwhile.
    pub(super) sockets: &'a [SocketsReport],
}

impl<'a> Story<'a> {
    pub(super) fn of(run: &'a ConnectionProbeRun, expect: Option<&Expect>) -> Self {
        let status = run.status.as_ref().map(Cow::Borrowed).unwrap_or_default();
        let settings = Settings::new("", &run.spec.measurement.settled, Vec::new()).ok();
        let expected = expect.map(|expect| judge_each(expect, &status)).unwrap_or_default();
        Self { run, status, settings, expected, sockets: &[] }
    }

    /// Name of the probe.
    pub(super) fn probe(&self) -> &str {
        let metadata = &self.run.metadata;
        let whole = metadata.annotations.as_ref().and_then(|all| all.get(PROBE_ANNOTATION));
        whole.or(metadata.name.as_ref()).map_or("", String::as_str)
    }

    /// The workloads in the order of the manifest, each with what it was to do.
    pub(super) fn workloads(
        &self,
    ) -> impl Iterator<Item = (&WorkloadResult, Option<&WorkloadSettings>)> {
        self.status.workloads.iter().map(|result| {
            let mut all = self.settings.iter().flat_map(|settings| &settings.workloads);
            (result, all.find(|settings| settings.name == result.workload))
        })
    }

    /// What was measured, with names for tables.
    pub(super) fn arms(&self) -> impl Iterator<Item = (String, &ArmReport)> {
        self.status
            .reports()
            .flat_map(|report| report.arms.iter().map(|arm| (name(&report.workload, arm.arm), arm)))
    }
}

/// A workload on a path.
pub(crate) fn name(workload: &str, arm: Arm) -> String {
    format!("{workload}{}", text::beside(arm))
}
