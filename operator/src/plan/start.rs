//! Whether something starts a run, and the run that it starts.

use super::{RunFacts, handled_run_id, request};
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunSpec,
    names::{
        self, MANAGED_BY, MANAGED_BY_LABEL, OVERRIDE_FINALIZER, PROBE_ANNOTATION, PROBE_LABEL,
    },
    report::Inconclusive,
    run::{MeasurementRecord, Trigger, TriggerType, Versions},
    scheduling::ConcurrencyPolicy,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, ResourceExt};
use std::collections::BTreeMap;

/// What starts a run now, if anything does; where one is `going`, only what supersedes it. `due` is the
/// time of a scheduled run that may start. The same trigger never starts two: a run records what it was
/// started under.
pub(super) fn trigger(
    probe: &ConnectionProbe,
    runs: &[RunFacts],
    due: Option<Timestamp>,
    going: bool,
) -> Option<Trigger> {
    if probe.spec.suspend == Some(true) || probe.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let replaces = probe.spec.scheduling.concurrency_policy == Some(ConcurrencyPolicy::Replace);
    let scheduled_time = due.filter(|_| !going || replaces).map(Time);
    let type_ = match edited(probe, runs) {
        Some(TriggerType::SpecChanged) | None if scheduled_time.is_some() => TriggerType::Scheduled,
        Some(type_) => type_,
        None if !going && request(probe, runs).is_some() => TriggerType::Requested,
        None => return None,
    };
    Some(Trigger {
        type_,
        token: probe.spec.run_id.clone(),
        requested_at: requested_at(probe),
        scheduled_time: scheduled_time.filter(|_| type_ == TriggerType::Scheduled),
    })
}

/// The annotation that asks for a run, whether it was answered or not.
pub(super) fn requested_at(probe: &ConnectionProbe) -> Option<String> {
    let token = probe.annotations().get(names::REQUESTED_AT_ANNOTATION)?;
    Some(token.chars().take(TOKEN_LENGTH).collect())
}

/// The schema's bound for what the status keeps of a token.
const TOKEN_LENGTH: usize = 128;

/// What a user's edit of the spec starts. With a schedule, only a new `runID` does.
fn edited(probe: &ConnectionProbe, runs: &[RunFacts]) -> Option<TriggerType> {
    let status = probe.status.as_ref();
    let scheduled = probe.spec.scheduling.schedule.is_some();
    let ran_before = !runs.is_empty() || status.is_some_and(|status| status.last_run.is_some());
    if !ran_before && !scheduled {
        return Some(TriggerType::Created);
    }
    // At first sight of a probe with a schedule, its runID is what later ones are compared with.
    if status.is_none() && scheduled && !ran_before {
        return None;
    }
    let wanted = probe.spec.run_id.as_ref();
    if wanted.is_some() && wanted != handled_run_id(probe, runs).as_ref() {
        return Some(TriggerType::RunID);
    }
    // A run that was superseded has a successor, whatever was edited in the meantime.
    let newest = runs.last().and_then(|facts| facts.run.status.as_ref());
    if newest.is_some_and(|status| status.ended_early == Some(Inconclusive::Superseded)) {
        return Some(TriggerType::SpecChanged);
    }
    if scheduled {
        return None;
    }
    // Compared only when the spec was touched: a new operator that reads an old measurement in
    // another way must start nothing.
    let touched = status.and_then(|status| status.observed_generation) != probe.metadata.generation;
    let measured = runs.last().map(|facts| &facts.run.spec.measurement.as_written);
    (touched && measured != Some(&probe.spec.measurement)).then_some(TriggerType::SpecChanged)
}

/// The highest number that a run was given: one that somebody deleted gets no namesake, whose pods would be taken for
/// those of the new one.
pub(super) fn last_number(probe: &ConnectionProbe, runs: &[RunFacts]) -> Option<i64> {
    let known = runs.last().map(|facts| facts.run.spec.number);
    let told = probe.status.as_ref().and_then(|status| {
        let last = status.last_run.as_ref().map(|run| run.number);
        let current = status.current_run.as_ref().map(|run| run.number);
        status.last_number.max(last).max(current)
    });
    known.max(told)
}

/// The run after the last one.
pub(super) fn next_run(
    probe: &ConnectionProbe,
    runs: &[RunFacts],
    trigger: Trigger,
    versions: &Versions,
) -> ConnectionProbeRun {
    let number = last_number(probe, runs).unwrap_or(0).saturating_add(1);
    let name = probe.metadata.name.clone().unwrap_or_default();
    let uid = probe.metadata.uid.clone().unwrap_or_default();
    let measurement = &probe.spec.measurement;
    let mut run = ConnectionProbeRun::new(
        &names::run_name(&name, &uid, number),
        ConnectionProbeRunSpec {
            number,
            trigger,
            measurement: MeasurementRecord {
                as_written: measurement.clone(),
                settled: measurement.settled(),
            },
            versions: Versions {
                rds_image: versions.rds_image.clone().filter(|_| measurement.rds_proxy.is_some()),
                ..versions.clone()
            },
        },
    );
    run.metadata = ObjectMeta {
        namespace: probe.metadata.namespace.clone(),
        labels: Some(BTreeMap::from([
            (MANAGED_BY_LABEL.to_owned(), MANAGED_BY.to_owned()),
            (PROBE_LABEL.to_owned(), names::probe_label(&name)),
        ])),
        annotations: Some(BTreeMap::from([(PROBE_ANNOTATION.to_owned(), name)])),
        owner_references: probe.controller_owner_ref(&()).map(|owner| vec![owner]),
        finalizers: changes_proxy(probe).then(|| vec![OVERRIDE_FINALIZER.to_owned()]),
        ..run.metadata
    };
    run
}

/// Whether runs of this probe change an RDS Proxy.
fn changes_proxy(probe: &ConnectionProbe) -> bool {
    let proxy = probe.spec.measurement.rds_proxy.as_ref();
    proxy.and_then(|it| it.timeout_override.as_ref()).is_some_and(|it| !it.is_dry())
}
