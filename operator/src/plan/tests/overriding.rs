//! A proxy is changed before the first connection is opened, and put back whatever happens.

use super::{
    super::Action,
    cluster::{Cluster, survivors},
};
use crate::facts::Answer;
use api::{
    names,
    rds_proxy::{
        Evidence, Override, RdsProxy,
        overriding::{Outcome, OverrideStatus, Role},
        request::Moment,
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use std::{sync::Arc, time::Duration};

fn overriding(dry_run: bool) -> Cluster {
    let mut cluster = Cluster::with_probe("idle");
    let timeout_override = Override {
        idle_client_timeout: Duration::from_secs(3600).into(),
        allow_modify: Some(true),
        dry_run: Some(dry_run),
    };
    cluster.probe.spec.measurement.rds_proxy = Some(RdsProxy {
        name: "pulp".into(),
        region: "us-east-1".into(),
        service_account_name: Some("pulp-rds".into()),
        timeout_override: Some(timeout_override),
        ..RdsProxy::default()
    });
    cluster
}

fn told(outcome: Outcome) -> Answer<OverrideStatus> {
    Answer::Told(Box::new(OverrideStatus {
        seconds: 3600,
        original_seconds: Some(1800),
        outcome: Some(outcome),
        ..OverrideStatus::default()
    }))
}

fn silent() -> Answer<OverrideStatus> {
    Answer::Silent("OOMKilled".into())
}

/// A run whose connections are held while the change is in force.
fn held() -> Cluster {
    let mut cluster = overriding(false);
    cluster.settle();
    let ready_since = Some(cluster.at(20));
    cluster.overrides(Role::Guard, Answer::Working { ready_since });
    cluster.wait(21);
    cluster.settle();
    cluster.aws(Moment::Before, &Answer::Told(Box::new(Evidence::default())));
    cluster.settle();
    cluster
}

/// The same when all connections have ended.
fn measured() -> Cluster {
    let mut cluster = held();
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.job_finishes();
    cluster.settle();
    cluster.aws(Moment::After, &Answer::Told(Box::new(Evidence::default())));
    cluster.settle();
    cluster
}

fn status(cluster: &Cluster) -> OverrideStatus {
    cluster.run(1).status.unwrap().rds_proxy.unwrap().timeout_override.unwrap()
}

/// Whatever is deleted waits for nothing any more.
fn assert_released(cluster: &Cluster) {
    assert!(cluster.run(1).finalizers().is_empty() && cluster.probe.finalizers().is_empty());
}

#[test]
fn connections_wait_for_the_change_and_the_run_for_its_end() {
    let mut cluster = overriding(false);
    assert_eq!(cluster.step(), ["start run 1"]);
    assert_eq!(cluster.step(), ["have the RDS Proxy changed"]);
    cluster.settle();
    insta::assert_snapshot!(cluster.summary(), @"Run 1 waits until the proxy's IdleClientTimeout is 3600 s; its connections are opened then.");
    cluster.overrides(Role::Guard, Answer::Working { ready_since: None });
    assert!(cluster.step().is_empty(), "it is on the way");
    let ready_since = Some(cluster.at(20));
    cluster.overrides(Role::Guard, Answer::Working { ready_since });
    assert_eq!(cluster.step(), ["start attempt 1 of 1 workloads", "ask AWS before the run"]);

    let mut cluster = measured();
    insta::assert_snapshot!(cluster.summary(), @"The proxy's IdleClientTimeout is put back after run 1.");
    assert_eq!(cluster.ready(), "False Progressing");
    assert_eq!(status(&cluster).in_force_at, Some(cluster.at(20)));
    cluster.overrides(Role::Guard, told(Outcome::Restored));
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
    let told = status(&cluster);
    assert_eq!((told.original_seconds, told.in_force_at), (Some(1800), Some(cluster.at(20))));
    assert_released(&cluster);
}

#[test]
fn another_pod_puts_back_what_a_silent_guard_left_until_one_says_it_is() {
    let mut cluster = measured();
    cluster.overrides(Role::Guard, silent());
    assert_eq!(cluster.step(), ["have the RDS Proxy put back"]);
    cluster.overrides(Role::Restore, told(Outcome::NotRestored));
    cluster.settle();
    assert_eq!(cluster.ready(), "False ProxyNotRestored", "a person should look");
    cluster.wait(60);
    assert_eq!(cluster.step(), ["drop Job t-abcde-1-restore"]);
    assert_eq!(cluster.step(), ["have the RDS Proxy put back"]);
    cluster.overrides(Role::Restore, told(Outcome::LeftToOthers));
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
    assert_eq!(status(&cluster).outcome, Some(Outcome::LeftToOthers));
    assert_released(&cluster);
}

#[test]
fn what_could_not_be_put_back_and_is_then_needs_nobody_any_more() {
    let mut cluster = measured();
    let Answer::Told(mut not_yet) = told(Outcome::NotRestored) else { return };
    not_yet.problem = Some("Put it back by hand.".into());
    cluster.overrides(Role::Guard, Answer::Told(not_yet));
    cluster.settle();
    assert_eq!(status(&cluster).problem.unwrap(), "Put it back by hand.");
    let plan = cluster.plan();
    assert!(plan.actions.is_empty(), "{:?}", plan.actions);
    cluster.overrides(Role::Restore, told(Outcome::Restored));
    cluster.settle();
    assert_eq!(
        (status(&cluster).outcome, status(&cluster).problem),
        (Some(Outcome::Restored), None)
    );
    assert!(!cluster.summary().contains("by hand"), "{}", cluster.summary());
}

#[test]
fn whoever_puts_it_back_knows_what_was_there_should_the_tag_be_gone() {
    let mut cluster = measured();
    let found = OverrideStatus { original_seconds: Some(1800), ..OverrideStatus::default() };
    cluster.runs[0].overriding[0].found = Some(Box::new(found));
    cluster.overrides(Role::Guard, silent());
    let plan = cluster.plan();
    let [Action::Override { order, role: Role::Restore, .. }] = &plan.actions[..] else {
        panic!("{:?}", plan.actions)
    };
    assert_eq!(order.original_seconds, Some(1800));
}

#[test]
fn a_refused_change_opens_no_connection() {
    let mut cluster = overriding(false);
    cluster.settle();
    let problem = "The proxy is overridden by ns/other-1.";
    let refused = OverrideStatus {
        outcome: Some(Outcome::NotChanged),
        problem: Some(problem.into()),
        ..OverrideStatus::default()
    };
    cluster.overrides(Role::Guard, Answer::Told(Box::new(refused)));
    cluster.settle();
    assert_eq!(cluster.ready(), "False Inconclusive");
    assert!(cluster.runs[0].jobs.is_empty(), "nothing was started");
    assert_eq!(status(&cluster).problem.as_deref(), Some(problem));
    assert!(cluster.summary().contains(problem), "{}", cluster.summary());
    assert_released(&cluster);
}

#[test]
fn a_guard_that_is_lost_ends_the_run_and_keeps_what_was_measured() {
    for gone in [silent(), told(Outcome::Restored)] {
        let mut cluster = held();
        cluster.overrides(Role::Guard, gone.clone());
        cluster.settle();
        assert!(cluster.runs[0].jobs.iter().all(|job| job.deleting), "connections are let go");
        cluster.is_interrupted(0, crate::reports::interrupted("idle", 0));
        cluster.job_goes();
        cluster.settle();
        if gone == silent() {
            assert_eq!(cluster.ready(), "False Progressing", "the proxy is not back");
            cluster.overrides(Role::Restore, told(Outcome::Restored));
            cluster.settle();
        }
        assert_eq!(cluster.ready(), "False Inconclusive");
        let run = cluster.run(1).status.unwrap();
        assert!(run.workloads[0].report.is_some(), "{run:?}");
        assert_released(&cluster);
    }
}

#[test]
fn a_run_that_is_cancelled_before_its_guard_spoke_is_put_back_all_the_same() {
    let mut cluster = overriding(false);
    cluster.settle();
    cluster.annotate(names::CANCEL_ANNOTATION, "1");
    cluster.settle();
    cluster.overrides(Role::Guard, Answer::Silent("its pod is gone and left no word".into()));
    cluster.settle();
    cluster.overrides(Role::Restore, told(Outcome::Restored));
    cluster.settle();
    assert_eq!(cluster.ready(), "False Cancelled");
    assert_released(&cluster);
}

#[test]
fn a_deleted_probe_is_let_go_when_the_proxy_is_back_or_after_a_bound_with_the_command() {
    let delete = |cluster: &mut Cluster| {
        cluster.probe.metadata.deletion_timestamp = Some(Time(cluster.now));
        let run = &mut cluster.runs[0].run;
        Arc::make_mut(run).metadata.deletion_timestamp = Some(Time(cluster.now));
        cluster.settle();
        cluster.job_goes();
        cluster.settle();
    };
    let mut cluster = held();
    delete(&mut cluster);
    cluster.overrides(Role::Guard, told(Outcome::Restored));
    cluster.settle();
    assert_released(&cluster);

    let mut cluster = held();
    cluster.runs[0].overriding[0].found = match told(Outcome::DryRun) {
        Answer::Told(found) => Some(found),
        _ => None,
    };
    delete(&mut cluster);
    cluster.overrides(Role::Guard, silent());
    // A namespace that is being deleted takes no Job.
    cluster.settle();
    cluster.overrides(Role::Restore, Answer::Starting(None));
    cluster.settle();
    let summary = cluster.run(1).status.unwrap().summary.unwrap();
    let command = "aws rds modify-db-proxy --db-proxy-name pulp --region us-east-1 --idle-client-timeout 1800";
    assert!(summary.contains(command), "{summary}");
    cluster.wait(15 * 60);
    cluster.settle();
    let told = status(&cluster);
    assert_eq!(told.outcome, Some(Outcome::NotRestored));
    assert!(told.problem.unwrap().contains(command));
    assert_released(&cluster);
}

#[test]
fn a_dry_run_measures_the_proxy_as_it_is() {
    let mut cluster = overriding(true);
    cluster.settle();
    assert!(cluster.run(1).finalizers().is_empty());
    cluster.overrides(Role::Guard, told(Outcome::DryRun));
    cluster.settle();
    cluster.aws(Moment::Before, &Answer::Told(Box::new(Evidence::default())));
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.job_finishes();
    cluster.settle();
    cluster.aws(Moment::After, &Answer::Told(Box::new(Evidence::default())));
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
    assert_eq!(status(&cluster).outcome, Some(Outcome::DryRun));
}

#[test]
fn a_guard_that_ended_while_the_operator_was_away_is_lost_after_its_last_words_could_have_come() {
    let mut cluster = held();
    let (now, guard) = (cluster.now, &mut cluster.runs[0].overriding[0]);
    guard.answer = None;
    guard.job.as_mut().unwrap().finished_at = Some(now);
    cluster.settle();
    assert_eq!(cluster.ready(), "False Progressing");
    cluster.wait(5);
    cluster.settle();
    assert!(cluster.runs[0].jobs.iter().all(|job| job.deleting), "connections are let go");
}

#[test]
fn a_guard_that_never_starts_is_waited_for_five_minutes() {
    let mut cluster = overriding(false);
    cluster.settle();
    cluster.overrides(Role::Guard, Answer::Starting(Some("ErrImagePull rds:1".into())));
    cluster.wait(299);
    assert!(cluster.step().is_empty());
    cluster.wait(1);
    cluster.settle();
    assert!(status(&cluster).problem.unwrap().contains("ErrImagePull rds:1"));
}
