//! What the operator does, told as stories over plain facts, and what holds for any facts.

mod cluster;
mod overriding;
mod properties;
mod proxy;
mod triggers;

use crate::facts::{PodEnd, PodPhase, Stuck};
use api::{
    conditions,
    measurement::Order,
    names,
    report::{Arm, Inconclusive, ProblemReason},
};
use cluster::{Cluster, report, survivors};
use std::time::Duration;

#[test]
fn a_new_probe_claims_a_run_then_starts_its_job_then_waits() {
    let mut cluster = Cluster::with_probe("idle, beat");
    assert_eq!(cluster.step(), ["start run 1"]);
    assert_eq!(cluster.step(), ["start attempt 1 of 2 workloads"]);
    assert!(cluster.step().is_empty());
    assert_eq!(cluster.ready(), "False Progressing");
    assert!(cluster.summary().starts_with("Run 1 is measuring, until about"));
}

#[test]
fn what_is_stored_is_not_written_again() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.edit(|spec| spec.measurement.duration = Some(Duration::from_secs(61).into()));
    cluster.settle();
    let run = cluster.run(1).status.unwrap();
    assert!(run.expected_end_time.is_some(), "its lanes end between two seconds");
}

#[test]
fn a_cut_is_told_when_a_pod_turns_unready_and_the_report_decides() {
    let mut cluster = Cluster::running("idle, beat");
    cluster.pod(0, PodPhase::Running { unready_since: Some(cluster.at(20)), since: cluster.at(0) });
    cluster.wait(23);
    cluster.settle();
    assert_eq!(
        cluster.summary(),
        "A connection of idle was probably cut, the first at about 0:20; the report will tell."
    );
    cluster.ends(0, report("idle", 3, 20_300));
    cluster.ends(1, survivors("beat", 5, 60_000));
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
    assert_eq!(
        cluster.summary(),
        "Run 1: 3 of 10 cut, the first after 0:20 (idle: FATAL 08P01 client_idle_timeout)."
    );
    let last = cluster.status().last_run.unwrap();
    assert_eq!((last.result.as_str(), last.first_cut.as_deref()), ("3 of 10 cut", Some("0:20")));
}

#[test]
fn each_finding_is_told_by_its_cause() {
    let mut cluster = Cluster::running("idle");
    cluster.ends(0, report("idle", 3, 20_300));
    let told = cluster.plan().announcements;
    let told: Vec<_> = told.iter().map(|it| (it.reason.as_str(), it.warning)).collect();
    assert_eq!(told, [("RunEnded", false), ("PoolerIdleTimeout", true)]);
    cluster.settle();
    assert!(cluster.plan().announcements.is_empty(), "told once");
}

#[test]
fn what_cut_the_control_is_never_told_as_the_targets() {
    let mut cluster = Cluster::running("idle");
    let mut both = report("idle", 1, 20_300);
    let mut earlier = report("idle", 2, 9_000).arms.remove(0);
    earlier.arm = Arm::Control;
    both.arms.push(earlier);
    cluster.ends(0, both);
    cluster.settle();
    let last = cluster.status().last_run.unwrap();
    assert_eq!(last.result, "1 of 5 cut, control 2 of 5");
    assert_eq!(last.first_cut.as_deref(), Some("0:20"));
    let arms: Vec<_> = last.workloads.iter().map(|line| (line.arm, line.cut)).collect();
    assert_eq!(arms, [(Some(Arm::Target), 1), (Some(Arm::Control), 2)]);
}

#[test]
fn an_inventory_comes_with_the_next_status_and_causes_none() {
    let mut cluster = Cluster::running("idle, beat");
    cluster.takes_inventory("seen");
    assert!(cluster.plan().run_statuses.is_empty());
    cluster.ends(1, survivors("beat", 5, 60_000));
    cluster.wait(30);
    cluster.settle();
    cluster.forget_pods();
    let inventory = cluster.run(1).status.unwrap().inventory.unwrap();
    assert_eq!(inventory.problem.as_deref(), Some("seen"));
}

#[test]
fn an_exit_that_was_heard_of_late_and_by_halves_is_no_cut() {
    let mut cluster = Cluster::running("idle");
    cluster.wait(60);
    cluster.pod(0, PodPhase::Running { unready_since: Some(cluster.at(50)), since: cluster.at(0) });
    cluster.hears_now(0);
    cluster.settle();
    assert!(cluster.run(1).status.unwrap().first_cut_seen_time.is_none(), "its end is on the way");
    cluster.wait(3);
    cluster.settle();
    assert!(cluster.run(1).status.unwrap().first_cut_seen_time.is_some(), "it still runs");
}

#[test]
fn a_process_that_has_just_exited_is_no_cut() {
    let mut cluster = Cluster::running("idle");
    cluster.wait(60);
    let (unready, since) = (cluster.at(60), cluster.at(0));
    cluster.pod(0, PodPhase::Running { unready_since: Some(unready), since });
    cluster.settle();
    assert_eq!(cluster.plan().wake, Some(cluster.at(63)));
    cluster.wait(1);
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.settle();
    assert_eq!(cluster.run(1).status.unwrap().first_cut_seen_time, None);
}

#[test]
fn an_evicted_workload_is_measured_once_more_and_its_evidence_is_kept() {
    let mut cluster = Cluster::running("idle, beat");
    cluster.evict(0, cluster::interrupted("idle", 1));
    let told = cluster.plan().announcements;
    assert_eq!((told[0].reason.as_str(), told[0].warning), ("Evicted", false));
    let about = told[0].run.as_ref().and_then(|run| run.field_path.as_deref());
    assert_eq!(about, Some("status.workloads{idle}"), "no repetition of another workload's");
    cluster.settle();
    assert!(cluster.plan().announcements.is_empty(), "each fact once");
    assert_eq!(cluster.ready(), "False Progressing");
    let idle = cluster.run(1).status.unwrap().workloads[0].clone();
    let interrupted = idle.interrupted.unwrap();
    assert_eq!((interrupted.attempt, interrupted.reason), (1, Inconclusive::Evicted));
    let arm = &interrupted.arms[0];
    assert_eq!((arm.counts.disconnected, arm.first_cut_ms), (1, Some(9_000)));
    assert!(cluster.step().is_empty(), "beat is still held");
    cluster.ends(1, survivors("beat", 5, 60_000));
    cluster.job_finishes();
    assert_eq!(cluster.step(), ["start attempt 2 of 1 workloads"], "on whichever node");
    cluster.ends_in(2, 0, survivors("idle", 5, 60_000));
    cluster.job_finishes();
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
    let summary = cluster.summary();
    assert!(summary.ends_with("idle took a second attempt (Evicted)."), "{summary}");
}

#[test]
fn the_pods_of_a_lost_node_are_not_waited_for() {
    let mut cluster = Cluster::running("idle");
    cluster.loses_node(0);
    assert!(cluster.step().is_empty(), "first it is written down");
    assert_eq!(cluster.step(), ["drop Job t-abcde-1-1"]);
    assert_eq!(cluster.step(), ["start attempt 2 of 1 workloads"]);
    cluster.settle();
    let run = cluster.run(1).status.unwrap();
    assert_eq!(run.workloads[0].interrupted.as_ref().unwrap().reason, Inconclusive::NodeLost);
    assert_eq!(run.attempt, 2, "its Job was dropped, and another one started");
}

#[test]
fn a_run_on_a_lost_node_can_be_cancelled() {
    let mut cluster = Cluster::running("idle");
    cluster.annotate(names::CANCEL_ANNOTATION, "1");
    assert_eq!(cluster.step(), ["delete Job t-abcde-1-1"]);
    assert!(cluster.step().is_empty(), "its pod does not go");
    cluster.loses_node(0);
    assert_eq!(cluster.step(), ["drop Job t-abcde-1-1"]);
    cluster.settle();
    assert_eq!(cluster.ready(), "False Cancelled");
}

#[test]
fn a_job_deleted_by_hand_is_made_once_more() {
    let mut cluster = Cluster::running("idle");
    cluster.job_goes();
    cluster.is_interrupted(0, cluster::interrupted("idle", 0));
    assert_eq!(cluster.step(), [] as [&str; 0]);
    assert_eq!(cluster.step(), ["start attempt 2 of 1 workloads"]);
    let idle = cluster.run(1).status.unwrap().workloads[0].clone();
    assert_eq!(idle.interrupted.unwrap().reason, Inconclusive::JobDeleted);
}

#[test]
fn a_second_eviction_is_inconclusive_and_keeps_what_was_measured() {
    let mut cluster = Cluster::running("idle, beat");
    for attempt in 1..=2 {
        cluster.evict(0, cluster::interrupted("idle", 0));
        cluster.evict(1, cluster::interrupted("beat", 1));
        cluster.job_finishes();
        cluster.settle();
        assert_eq!(cluster.run(1).status.unwrap().attempt, 2, "after attempt {attempt}");
    }
    assert_eq!(cluster.ready(), "True PartlyConclusive");
    let workloads = cluster.run(1).status.unwrap().workloads;
    assert!(workloads.iter().all(|w| w.reason == Some(Inconclusive::Evicted)));
    assert_eq!(workloads[1].report.as_ref().unwrap().arms[0].counts.disconnected, 1);
    let summary = cluster.summary();
    assert!(
        summary.ends_with("Nothing is known of idle (Evicted). beat ended early (Evicted)."),
        "{summary}"
    );
}

#[test]
fn a_missing_secret_needs_a_person_and_is_tried_again() {
    let mut cluster = Cluster::running("idle");
    cluster.fails_with_problem(0, ProblemReason::SecretNotFound, "Secret pulp-db is not there.");
    cluster.settle();
    assert_eq!(cluster.ready(), "False SecretNotFound");
    assert!(cluster.has(conditions::STALLED));
    assert!(cluster.summary().starts_with("Secret pulp-db is not there. The next attempt is at"));
    cluster.wait(61);
    assert_eq!(cluster.step(), ["start attempt 2 of 1 workloads"]);
    cluster.pod_of(2, 0, PodPhase::Running { unready_since: None, since: cluster.at(61) });
    cluster.settle();
    assert_eq!(cluster.ready(), "False Progressing");
    assert!(!cluster.has(conditions::STALLED));
}

#[test]
fn what_is_tried_for_days_leaves_two_jobs() {
    let mut cluster = Cluster::running("idle");
    for attempt in 1..=9 {
        cluster.fails_in(attempt, 0, ProblemReason::SecretNotFound, "Secret pulp-db is not there.");
        cluster.settle();
        assert_eq!(cluster.jobs(), attempt.clamp(1, 2), "the last ones stay to be looked into");
        cluster.wait(3600);
        assert_eq!(cluster.step(), [format!("start attempt {} of 1 workloads", attempt + 1)]);
    }
}

#[test]
fn pods_that_are_refused_in_a_later_attempt_need_a_person_too() {
    let mut cluster = Cluster::running("idle");
    cluster.evict(0, cluster::interrupted("idle", 0));
    cluster.job_finishes();
    cluster.settle();
    assert_eq!(cluster.run(1).status.unwrap().attempt, 2);
    cluster.wait(31);
    cluster.settle();
    assert_eq!(cluster.ready(), "False PodRefused");
}

#[test]
fn a_run_that_is_deleted_gets_no_namesake() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.finish_run();
    cluster.edit(|spec| spec.run_id = Some("again".into()));
    cluster.settle();
    assert_eq!(cluster.status().last_number, Some(2));
    cluster.runs.pop();
    cluster.settle();
    cluster.edit(|spec| spec.run_id = Some("and again".into()));
    assert_eq!(cluster.step(), ["start run 3"]);
}

#[test]
fn whoever_deletes_all_runs_leaves_what_is_known() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.finish_run();
    let summary = cluster.summary();
    cluster.runs.clear();
    cluster.settle();
    assert_eq!((cluster.ready(), cluster.summary()), ("True Measured".to_owned(), summary));
    assert!(!cluster.has(conditions::RECONCILING));
}

#[test]
fn workloads_one_after_the_other_follow_the_first_to_its_node() {
    let mut cluster = Cluster::with_probe("idle, beat, quiet");
    cluster.edit(|spec| spec.measurement.order = Some(Order::Sequential));
    assert_eq!(cluster.step(), ["start run 1"]);
    assert_eq!(cluster.step(), ["start attempt 1 of 1 workloads"]);
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.settle();
    assert_eq!(cluster.ready(), "False Progressing");
    cluster.job_finishes();
    assert_eq!(cluster.step(), ["start attempt 2 of 2 workloads on node-7"]);
    cluster.ends_in(2, 1, survivors("beat", 5, 60_000));
    cluster.settle();
    assert_eq!(cluster.ready(), "False Progressing");
    cluster.ends_in(2, 2, survivors("quiet", 5, 60_000));
    cluster.job_finishes();
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
}

#[test]
fn an_image_that_does_not_come_needs_a_person_after_two_minutes() {
    let mut cluster = Cluster::running("idle");
    let since = cluster.at(0);
    let seen = "ErrImagePull no such image".to_owned();
    cluster.pod(0, PodPhase::Stuck { cause: Stuck::Image, seen, since });
    cluster.settle();
    assert_eq!(cluster.ready(), "False ImageUnavailable");
    assert!(cluster.has(conditions::RECONCILING));
    cluster.wait(119);
    assert!(cluster.plan().announcements.is_empty(), "nobody needs to look yet");
    cluster.wait(1);
    let told = cluster.plan().announcements;
    assert_eq!((told[0].reason.as_str(), told[0].warning), ("ImageUnavailable", true));
    cluster.settle();
    assert!(cluster.has(conditions::STALLED));
    assert!(cluster.plan().announcements.is_empty(), "told once");
}

#[test]
fn a_changed_measurement_supersedes_and_two_runs_never_overlap() {
    let mut cluster = Cluster::running("idle");
    cluster.edit(|spec| spec.measurement.connections = Some(7));
    assert_eq!(cluster.step(), ["delete Job t-abcde-1-1"]);
    assert!(cluster.step().is_empty(), "the pod has not said its last words");
    cluster.is_interrupted(0, cluster::interrupted("idle", 1));
    cluster.job_goes();
    assert_eq!(cluster.step(), ["start run 2"]);
    let first = cluster.run(1).status.unwrap();
    assert_eq!(first.ended_early, Some(Inconclusive::Superseded));
    assert_eq!(first.workloads[0].reason, Some(Inconclusive::Superseded));
    assert_eq!(first.workloads[0].report.as_ref().unwrap().arms[0].counts.disconnected, 1);
    assert_eq!(cluster.run(2).spec.trigger.type_, api::run::TriggerType::SpecChanged);
}

#[test]
fn the_children_of_a_probe_with_the_longest_name_have_legal_names() {
    let mut cluster = Cluster::with_probe("idle");
    let name = format!("{}c", "a.b-".repeat(63));
    assert_eq!(name.len(), 253);
    cluster.probe.metadata.name = Some(name);
    cluster.settle();
    let run = cluster.run(1);
    let job = crate::job::job(&run, 1, &[0], None).unwrap();
    let pod = job.spec.unwrap().template.metadata.unwrap();
    let label = |text: &str| {
        let part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        text.len() <= 63 && text.chars().all(part) && !text.ends_with(['-', '.'])
    };
    // The name of a pod of an Indexed Job, with its index, becomes a host name.
    let host = format!("{}-11", job.metadata.name.unwrap());
    assert!(label(&host) && !host.contains('.'), "{host}");
    for labels in [run.metadata.labels, job.metadata.labels, pod.labels] {
        let labels = labels.unwrap();
        assert!(labels.values().all(|value| label(value)), "{labels:?}");
    }
}

#[test]
fn history_keeps_the_newest() {
    let mut cluster = Cluster::with_probe("idle");
    cluster.edit(|spec| spec.history_limit = Some(1));
    cluster.finish_run();
    cluster.edit(|spec| spec.run_id = Some("again".into()));
    cluster.finish_run();
    assert_eq!(cluster.runs(), 1);
    assert_eq!(cluster.status().last_run.unwrap().number, 2);
    cluster.edit(|spec| spec.run_id = Some("and again".into()));
    assert_eq!(cluster.step(), ["start run 3"]);
}

#[test]
fn a_pod_that_ended_while_the_operator_was_away_is_no_drop() {
    let mut cluster = Cluster::running("idle");
    cluster.forget_pods();
    cluster.job_finishes();
    assert!(cluster.step().is_empty());
    assert_eq!(cluster.run(1).status.unwrap().attempt, 1, "its last words may still come");
    cluster.wait(5);
    cluster.settle();
    let workload = cluster.run(1).status.unwrap().workloads[0].clone();
    assert_eq!(workload.interrupted.unwrap().reason, Inconclusive::NoReport);
    cluster.job_finishes();
    cluster.wait(5);
    cluster.settle();
    assert_eq!(cluster.ready(), "False Inconclusive");
    let workload = cluster.run(1).status.unwrap().workloads[0].clone();
    assert_eq!(workload.reason, Some(Inconclusive::NoReport));
}

#[test]
fn a_complete_report_stands_even_if_the_pod_is_evicted_afterwards() {
    let mut cluster = Cluster::running("idle");
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.evict_ended(0);
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
}

#[test]
fn wrong_passwords_everywhere_are_a_failed_connect() {
    let mut cluster = Cluster::running("idle");
    cluster.ends(0, cluster::no_login("idle", 5));
    cluster.settle();
    assert_eq!(cluster.ready(), "False ConnectFailed");
    assert_eq!(
        cluster.summary(),
        "Run 1 could not open a single connection: FATAL 28P01 password authentication failed."
    );
}

#[test]
fn a_container_that_ran_out_of_memory_is_no_drop() {
    let mut cluster = Cluster::running("idle");
    cluster.pod(
        0,
        PodPhase::Ended(PodEnd {
            at: cluster.at(9),
            exit_code: Some(137),
            reason: "OOMKilled".into(),
            seen: String::new(),
            report: None,
        }),
    );
    cluster.settle();
    let workload = cluster.run(1).status.unwrap().workloads[0].clone();
    assert_eq!(workload.reason, Some(Inconclusive::OOMKilled));
}

#[test]
fn reports_are_written_together_unless_their_pods_may_vanish() {
    let mut cluster = Cluster::running("idle, beat");
    cluster.ends(0, report("idle", 3, 20_300));
    cluster.settle();
    assert!(cluster.run(1).status.unwrap().workloads[0].report.is_none(), "waits for the other");
    cluster.wait(30);
    cluster.settle();
    assert!(cluster.run(1).status.unwrap().workloads[0].report.is_some());
}
