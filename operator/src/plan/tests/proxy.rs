//! AWS is asked beside the run, and holds nothing up for long.

use super::cluster::{Cluster, report, survivors};
use crate::facts::Answer;
use api::{
    rds_proxy::{
        Evidence, RdsProxy,
        evidence::{Gap, ProxyFacts},
        request::Moment,
    },
    report::LaneEnd,
};

fn behind_a_proxy() -> Cluster {
    let mut cluster = Cluster::with_probe("idle");
    cluster.probe.spec.measurement.rds_proxy = Some(RdsProxy {
        name: "pulp".into(),
        region: "us-east-1".into(),
        service_account_name: Some("pulp-rds".into()),
        ..RdsProxy::default()
    });
    cluster
}

fn told(idle_client_timeout_seconds: i64) -> Answer<Evidence> {
    let proxy = ProxyFacts { idle_client_timeout_seconds, ..ProxyFacts::default() };
    Answer::Told(Box::new(Evidence { proxy: Some(proxy), ..Evidence::default() }))
}

/// A run whose connections have all ended.
fn measured() -> Cluster {
    let mut cluster = behind_a_proxy();
    cluster.settle();
    cluster.aws(Moment::Before, &told(1800));
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.job_finishes();
    cluster.settle();
    cluster
}

#[test]
fn aws_is_asked_when_the_first_job_is_made_and_when_the_last_connection_has_ended() {
    let mut cluster = behind_a_proxy();
    let mut steps = Vec::new();
    while !cluster.plan().actions.is_empty() {
        steps.extend(cluster.step());
    }
    assert_eq!(steps, ["start run 1", "start attempt 1 of 1 workloads", "ask AWS before the run"]);
    cluster.aws(Moment::Before, &told(1800));
    cluster.ends(0, survivors("idle", 5, 60_000));
    cluster.job_finishes();
    assert_eq!(cluster.step(), ["ask AWS after the run"]);
    cluster.settle();
    assert_eq!(cluster.ready(), "False Progressing");
    insta::assert_snapshot!(cluster.summary(), @"All connections of run 1 have ended; AWS is asked about the proxy, whose metrics come minutes late.");
    cluster.aws(Moment::After, &told(1800));
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
    let told = cluster.run(1).status.unwrap().rds_proxy.unwrap();
    assert!(told.before.is_some() && told.after.is_some() && told.problem.is_none(), "{told:?}");
}

#[test]
fn the_request_has_the_ports_of_connections_that_were_cut() {
    let mut cluster = behind_a_proxy();
    cluster.settle();
    let mut cut = report("idle", 1, 20_000);
    let clocks = api::report::Clocks { connect_ms: 20_000, ..Default::default() };
    cut.arms[0].endings[0].lanes = vec![LaneEnd {
        lane: 3,
        phase: api::report::Phase::Hold,
        at: cluster.at(25),
        lifetime: None,
        clocks: Some(clocks),
        requests: None,
        tcp_info: None,
        local_port: Some(40_001),
        peer: None,
    }];
    cluster.ends(0, cut);
    cluster.job_finishes();
    let super::super::Action::AskAws { request, .. } = &cluster.plan().actions[0] else {
        panic!("it asks")
    };
    let [lane] = &request.lanes[..] else { panic!("one was cut") };
    assert_eq!((lane.lane, lane.port, lane.opened), (3, 40_001, cluster.at(5)));
    assert!(request.from < cluster.at(0) && request.until > cluster.now);
}

#[test]
fn a_pod_that_never_starts_is_waited_for_three_minutes() {
    let mut cluster = measured();
    cluster.aws(Moment::After, &Answer::Starting(Some("ErrImagePull rds:1".into())));
    cluster.wait(179);
    cluster.settle();
    assert_eq!(cluster.ready(), "False Progressing");
    cluster.wait(1);
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
    let problem = cluster.run(1).status.unwrap().rds_proxy.unwrap().problem.unwrap();
    insta::assert_snapshot!(problem, @"AWS could not be asked after the run: ErrImagePull rds:1.");
}

#[test]
fn what_aws_does_not_tell_is_an_event_as_soon_as_it_is_known() {
    let mut cluster = behind_a_proxy();
    cluster.settle();
    let gap = Gap {
        permission: "cloudwatch:GetMetricData".into(),
        problem: "The role may not call it.".into(),
    };
    let evidence = Evidence { gaps: vec![gap], ..Evidence::default() };
    cluster.aws(Moment::Before, &Answer::Told(Box::new(evidence)));
    let told = cluster.plan().announcements;
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!((told.reason.as_str(), told.warning), ("RdsProxyNotRead", true));
    assert!(told.note.contains("cloudwatch:GetMetricData"), "{}", told.note);
    cluster.settle();
    assert!(cluster.plan().announcements.is_empty(), "told once");
}

#[test]
fn a_pod_that_is_not_made_or_says_nothing_is_not_waited_for() {
    let mut cluster = measured();
    cluster.wait(30);
    cluster.settle();
    let problem = cluster.run(1).status.unwrap().rds_proxy.unwrap().problem.unwrap();
    insta::assert_snapshot!(problem, @"AWS could not be asked after the run: its pod was not made: the service account of spec.rdsProxy is missing, or a quota or policy refuses it; see kubectl describe job.");

    let mut cluster = measured();
    cluster.aws(Moment::After, &Answer::Silent("OOMKilled".into()));
    cluster.settle();
    assert_eq!(cluster.ready(), "True Measured");
}

#[test]
fn a_run_that_is_cancelled_asks_nobody() {
    let mut cluster = behind_a_proxy();
    cluster.settle();
    cluster.annotate(api::names::CANCEL_ANNOTATION, "1");
    cluster.settle();
    cluster.job_goes();
    cluster.settle();
    assert_eq!(cluster.ready(), "False Cancelled");
}

#[test]
fn the_image_is_recorded_where_it_is_used() {
    let image = |cluster: &Cluster| cluster.run(1).spec.versions.rds_image;
    assert_eq!(image(&measured()).as_deref(), Some("rds:1"));
    let mut cluster = Cluster::with_probe("idle");
    cluster.settle();
    assert_eq!(image(&cluster), None);
}
