//! What starts a run, what ends one early, and what does neither.

use super::cluster::{Cluster, interrupted, survivors};
use api::{
    conditions,
    names::{CANCEL_ANNOTATION, REQUESTED_AT_ANNOTATION},
    report::Inconclusive,
    run::TriggerType,
    scheduling::ConcurrencyPolicy,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;

#[test]
fn run_ids_a_b_a_are_three_runs() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.edit(|spec| spec.run_id = Some("a".into()));
    cluster.finish_run();
    for id in ["b", "a"] {
        cluster.edit(|spec| spec.run_id = Some(id.into()));
        cluster.finish_run();
    }
    assert!(cluster.step().is_empty());
    assert_eq!(cluster.runs(), 3);
}

#[test]
fn a_run_id_and_a_measurement_in_one_edit_are_one_run() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.finish_run();
    cluster.edit(|spec| {
        spec.run_id = Some("x".into());
        spec.measurement.connections = Some(2);
    });
    cluster.finish_run();
    assert!(cluster.step().is_empty());
    assert_eq!(cluster.runs(), 2);
    assert_eq!(cluster.run(2).spec.trigger.type_, TriggerType::RunID);
}

#[test]
fn nothing_starts_while_suspended_and_one_run_is_made_up_for() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.edit(|spec| spec.suspend = Some(true));
    cluster.settle();
    assert_eq!((cluster.runs(), cluster.ready().as_str()), (0, "True Suspended"));
    cluster.edit(|spec| spec.measurement.connections = Some(2));
    cluster.settle();
    cluster.edit(|spec| spec.suspend = None);
    assert_eq!(cluster.step(), ["start run 1"]);
}

#[test]
fn an_edit_of_what_is_not_measured_starts_nothing() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.finish_run();
    cluster.edit(|spec| spec.history_limit = Some(3));
    assert!(cluster.step().is_empty());
}

#[test]
fn a_request_starts_a_run_and_the_same_one_never_two() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.finish_run();
    cluster.annotate(REQUESTED_AT_ANNOTATION, "monday");
    cluster.finish_run();
    assert!(cluster.step().is_empty());
    assert_eq!(cluster.runs(), 2);
    let trigger = cluster.run(2).spec.trigger;
    let token = trigger.requested_at.as_deref();
    assert_eq!((trigger.type_, token), (TriggerType::Requested, Some("monday")));
    assert_eq!(cluster.status().last_handled_request.as_deref(), Some("monday"));
    // The status is lost, as if it had never been written: the run tells.
    cluster.probe.status.as_mut().unwrap().last_handled_request = None;
    cluster.settle();
    assert_eq!(cluster.runs(), 2);
    // And the run is pruned: the status tells.
    cluster.runs.clear();
    cluster.settle();
    assert_eq!(cluster.runs(), 0);
}

#[test]
fn a_request_during_a_run_or_a_suspension_is_refused_once() {
    let mut cluster = Cluster::running("idle");
    cluster.annotate(REQUESTED_AT_ANNOTATION, "monday");
    let told = cluster.plan().announcements;
    assert_eq!((told.len(), told[0].reason.as_str(), told[0].warning), (1, "RequestRefused", true));
    assert!(told[0].note.contains("run 1 is going on"), "{}", told[0].note);
    cluster.settle();
    assert!(cluster.plan().announcements.is_empty());
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.job_finishes();
    cluster.settle();
    cluster.edit(|spec| spec.suspend = Some(true));
    cluster.annotate(REQUESTED_AT_ANNOTATION, "tuesday");
    assert!(cluster.plan().announcements[0].note.contains("suspended"));
    cluster.settle();
    cluster.edit(|spec| spec.suspend = None);
    cluster.settle();
    assert_eq!(cluster.runs(), 1);
}

#[test]
fn a_request_beside_an_edit_is_one_run() {
    let mut cluster = Cluster::running("idle");
    cluster.edit(|spec| spec.measurement.connections = Some(7));
    cluster.annotate(REQUESTED_AT_ANNOTATION, "monday");
    cluster.settle();
    assert!(cluster.plan().announcements.iter().all(|told| told.reason != "RequestRefused"));
    cluster.is_interrupted(0, interrupted("idle", 0));
    cluster.job_goes();
    cluster.finish_run();
    assert!(cluster.step().is_empty());
    assert_eq!(cluster.runs(), 2);
    assert_eq!(cluster.run(2).spec.trigger.type_, TriggerType::SpecChanged);
}

#[test]
fn a_cancelled_run_keeps_what_it_measured_and_others_are_left_alone() {
    let mut cluster = Cluster::running("idle");
    for other in ["2", "first", ""] {
        cluster.annotate(CANCEL_ANNOTATION, other);
        assert!(cluster.step().is_empty(), "{other}");
    }
    cluster.annotate(CANCEL_ANNOTATION, "1");
    assert_eq!(cluster.step(), ["delete Job t-abcde-1-1"]);
    cluster.is_interrupted(0, interrupted("idle", 1));
    cluster.job_goes();
    cluster.settle();
    assert_eq!(cluster.ready(), "False Cancelled");
    assert!(cluster.has(conditions::STALLED));
    let last = cluster.status().last_run.unwrap();
    assert_eq!((last.result.as_str(), last.first_cut.as_deref()), ("1 of 5 cut", Some("0:09")));
    assert_eq!(cluster.run(1).status.unwrap().workloads[0].reason, Some(Inconclusive::Cancelled));
    cluster.edit(|spec| spec.run_id = Some("again".into()));
    cluster.finish_run();
    assert_eq!(cluster.ready(), "True Measured");
}

#[test]
fn an_edit_while_a_cancelled_run_ends_is_not_forgotten() {
    let mut cluster = Cluster::running("idle");
    cluster.annotate(CANCEL_ANNOTATION, "1");
    assert_eq!(cluster.step(), ["delete Job t-abcde-1-1"]);
    cluster.edit(|spec| spec.measurement.connections = Some(7));
    cluster.settle();
    cluster.is_interrupted(0, interrupted("idle", 0));
    cluster.job_goes();
    cluster.settle();
    assert_eq!(cluster.runs(), 2);
}

#[test]
fn an_operator_with_other_defaults_starts_nothing() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.finish_run();
    // What an older operator had made of the same manifest, and what it read in it.
    let run = Arc::make_mut(&mut cluster.runs[0].run);
    run.spec.versions.operator = "0.0.1".into();
    run.spec.measurement.settled.connections = Some(3);
    run.spec.measurement.as_written.connections = Some(3);
    cluster.settle();
    assert_eq!(cluster.runs(), 1);
}

/// The cluster's clock begins on 2027-01-15 at 08:00:00 UTC.
fn scheduled(schedule: &str) -> Cluster {
    let mut cluster = Cluster::with_probe("idle");
    cluster.edit(|spec| spec.scheduling.schedule = Some(schedule.into()));
    cluster.settle();
    cluster
}

fn next(cluster: &Cluster) -> Timestamp {
    cluster.status().next_schedule_time.unwrap().0
}

#[test]
fn a_schedule_starts_runs_and_creation_and_edits_start_none() {
    let mut cluster = scheduled("*/10 * * * *");
    assert_eq!((cluster.runs(), cluster.ready().as_str()), (0, "True Scheduled"));
    assert_eq!(cluster.summary(), "The first run is due on 2027-01-15 08:10:00 UTC.");
    cluster.edit(|spec| spec.measurement.connections = Some(2));
    cluster.settle();
    assert_eq!(cluster.runs(), 0);
    assert_eq!(cluster.plan().wake, Some(cluster.at(600)));
    cluster.wait(600);
    assert_eq!(cluster.step(), ["start run 1"]);
    let trigger = cluster.run(1).spec.trigger;
    assert_eq!(
        (trigger.type_, trigger.scheduled_time),
        (TriggerType::Scheduled, Some(Time(cluster.at(600))))
    );
    cluster.finish_run();
    assert_eq!((cluster.runs(), cluster.ready().as_str()), (1, "True Scheduled"));
    assert_eq!(next(&cluster), cluster.at(1200));
    assert_eq!(cluster.status().last_schedule_time, Some(Time(cluster.at(600))));
    assert!(!cluster.has(conditions::RECONCILING) && !cluster.has(conditions::STALLED));
}

#[test]
fn a_run_that_is_due_during_another_waits_for_its_end_or_replaces_it() {
    let mut cluster = scheduled("*/10 * * * *");
    cluster.wait(600);
    cluster.settle();
    assert_eq!(cluster.ready(), "True Scheduled", "also while it runs");
    cluster.wait(1260);
    cluster.settle();
    assert_eq!((cluster.runs(), next(&cluster)), (1, cluster.at(1200)), "Forbid: it waits");
    cluster.edit(|spec| spec.scheduling.concurrency_policy = Some(ConcurrencyPolicy::Replace));
    assert_eq!(cluster.step(), ["delete Job t-abcde-1-1"]);
    cluster.settle();
    cluster.is_interrupted(0, interrupted("idle", 1));
    cluster.job_goes();
    assert_eq!(cluster.step(), ["start run 2"]);
    let trigger = cluster.run(2).spec.trigger;
    let due = Some(Time(cluster.at(1800)));
    assert_eq!((trigger.type_, trigger.scheduled_time), (TriggerType::Scheduled, due));
    let plan = cluster.plan();
    assert_eq!((plan.missed, plan.status.next_schedule_time), (1, Some(Time(cluster.at(2400)))));
    assert!(plan.announcements.iter().any(|told| told.reason == "ScheduleMissed"));
    cluster.settle();
    assert_eq!(cluster.plan().missed, 0, "each is counted once");
}

#[test]
fn a_suspended_schedule_makes_up_for_the_latest_run_only() {
    let mut cluster = scheduled("*/10 * * * *");
    cluster.edit(|spec| spec.suspend = Some(true));
    cluster.settle();
    cluster.wait(3700);
    cluster.settle();
    assert_eq!((cluster.runs(), cluster.ready().as_str()), (0, "True Suspended"));
    cluster.edit(|spec| spec.suspend = None);
    cluster.finish_run();
    assert_eq!(cluster.runs(), 1);
    assert_eq!(cluster.run(1).spec.trigger.scheduled_time, Some(Time(cluster.at(3600))));
}

#[test]
fn a_run_id_and_a_request_start_a_run_of_a_scheduled_probe_too() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.edit(|spec| {
        spec.scheduling.schedule = Some("0 3 * * *".into());
        spec.run_id = Some("a".into());
    });
    cluster.settle();
    assert_eq!(cluster.runs(), 0, "the runID of a new probe is no change");
    cluster.edit(|spec| spec.run_id = Some("b".into()));
    cluster.finish_run();
    cluster.annotate(REQUESTED_AT_ANNOTATION, "now");
    cluster.finish_run();
    let triggers: Vec<_> = (1..=2).map(|n| cluster.run(n).spec.trigger.type_).collect();
    assert_eq!(triggers, [TriggerType::RunID, TriggerType::Requested]);
    // Without the schedule it is a probe like any other, which has run before.
    cluster.edit(|spec| spec.scheduling.schedule = None);
    cluster.settle();
    assert_eq!((cluster.runs(), cluster.ready().as_str()), (2, "True Measured"));
}

#[test]
fn a_schedule_that_can_not_be_read_needs_a_person() {
    let cluster = scheduled("every night");
    assert_eq!(cluster.ready(), "False Invalid");
    assert!(cluster.summary().starts_with("schedule can't be read"), "{}", cluster.summary());
}

#[test]
fn a_number_that_nobody_would_write_panics_nothing() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.finish_run();
    Arc::make_mut(&mut cluster.runs[0].run).spec.number = i64::MAX;
    cluster.edit(|spec| spec.run_id = Some("b".into()));
    assert_eq!(cluster.plan().actions.len(), 1);
}
