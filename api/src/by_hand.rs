//! A run that no operator made, as the same resource: whatever reads runs reads it too.

use crate::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunSpec, ConnectionProbeRunStatus,
    Inventory, Report,
    conditions::State,
    diagnosis::diagnose,
    names::PROBE_ANNOTATION,
    report::Inconclusive,
    run::{MeasurementRecord, Trigger, TriggerType, Versions, WorkloadResult, WorkloadState},
    text,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::collections::BTreeMap;

/// The run `name` of a probe, with the reports of its workloads. `interrupted`: it was told to stop.
#[must_use]
pub fn run(
    name: &str,
    probe: &ConnectionProbe,
    reports: Vec<Report>,
    inventory: Option<Inventory>,
    (start, end): (Timestamp, Timestamp),
    interrupted: bool,
) -> ConnectionProbeRun {
    let measurement = &probe.spec.measurement;
    let spec = ConnectionProbeRunSpec {
        number: 1,
        trigger: Trigger { token: probe.spec.run_id.clone(), ..Trigger::new(TriggerType::Created) },
        measurement: MeasurementRecord {
            as_written: measurement.clone(),
            settled: measurement.settled(),
        },
        versions: Versions {
            operator: env!("CARGO_PKG_VERSION").to_owned(),
            image: "none: run by hand".to_owned(),
            rds_image: None,
        },
    };
    let mut run = ConnectionProbeRun::new(name, spec);
    let probe = probe.metadata.name.clone().unwrap_or_default();
    let annotation = (PROBE_ANNOTATION.to_owned(), probe.clone());
    run.metadata.annotations = Some(BTreeMap::from([annotation]));
    let mut status = ConnectionProbeRunStatus {
        start_time: Some(Time(start)),
        end_time: Some(Time(end)),
        duration: Some(text::duration(end.as_millisecond() - start.as_millisecond())),
        ended_early: interrupted.then_some(Inconclusive::Interrupted),
        attempt: 1,
        workloads: reports.into_iter().map(result).collect(),
        inventory,
        ..ConnectionProbeRunStatus::default()
    };
    status.findings = diagnose(&probe, &run.spec.measurement, &status);
    let verdict = status.verdict();
    let summary = text::summary(1, &status, verdict);
    status.result = Some(text::result(&status, verdict));
    status.conditions = State::Ended(verdict).conditions(&summary, None, &[], &Time(end));
    status.summary = Some(summary);
    run.status = Some(status);
    run
}

/// A report needs no room in a termination message here, but it stays within the schema.
fn result(mut report: Report) -> WorkloadResult {
    report.bound();
    let workload = report.workload.clone();
    let mut endings = report.arms.iter().flat_map(|arm| &arm.endings);
    let interrupted = endings.any(|ending| ending.reason == Some(Inconclusive::Interrupted));
    WorkloadResult {
        attempt: 1,
        state: WorkloadState::Reported,
        reason: interrupted.then_some(Inconclusive::Interrupted),
        report: Some(report),
        ..WorkloadResult::new(workload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        manifest,
        render::{self, Format},
        report::{Arm, ArmReport, Counts, Ending, Outcome},
    };

    fn report(workload: &str, outcome: Outcome, reason: Option<Inconclusive>) -> Report {
        let mut counts = Counts::default();
        counts.count(outcome, 5);
        let ending = Ending {
            outcome,
            reason,
            form: None,
            detail: None,
            n: 5,
            lifetime: None,
            lanes: Vec::new(),
        };
        let arm = ArmReport {
            arm: Arm::Target,
            connections: 5,
            counts,
            endings: vec![ending],
            ..ArmReport::default()
        };
        let at = Timestamp::UNIX_EPOCH;
        Report {
            workload: workload.into(),
            started_at: at,
            ended_at: Some(at),
            arms: vec![arm],
            ..Report::default()
        }
    }

    #[test]
    fn an_interrupted_run_says_of_what_nothing_is_known_and_table_reads_it() {
        let probe = manifest::parse(
            "{ apiVersion: probes.pulpproject.org/v1alpha1, kind: ConnectionProbe, metadata: { name: p }, \
             spec: { target: { secretName: s }, workloads: [{ name: a, idle: {} }, { name: b, listen: {} }] } }",
        );
        let reports = vec![
            report("a", Outcome::Disconnected, None),
            report("b", Outcome::Inconclusive, Some(Inconclusive::Interrupted)),
        ];
        let times = (Timestamp::UNIX_EPOCH, Timestamp::constant(61, 0));
        let run = run("p-1", &probe.unwrap(), reports, None, times, true);
        let read: ConnectionProbeRun =
            serde_json::from_value(serde_json::to_value(&run).unwrap()).unwrap();
        assert_eq!(read, run);
        let status = read.status.as_ref().unwrap();
        let summary = "Run 1: 5 of 10 cut. Nothing is known of b (Interrupted).";
        assert_eq!(status.summary.as_deref(), Some(summary));
        assert_eq!(status.conditions[1].reason, "PartlyConclusive");
        assert!(
            render::run(&read, None, Format::Table).contains("| a    | 50:00    | yes (5 of 5) |")
        );
    }
}
