//! A run that changes its RDS Proxy's IdleClientTimeout: from pods, on a real cluster, and put back whatever becomes of it.
//! AWS's stand-in tells of the proxy, and a relay ends clients by the value that it tells.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbe,
    compare::{self, Verdict},
    names::OVERRIDE_FINALIZER,
    rds_proxy::overriding::{Mark, Outcome, OverrideStatus},
    render::{self, Format},
    run::ConnectionProbeRun,
};
use kube::ResourceExt;
use lab::{
    aws::Aws,
    cluster::{Namespace, eventually, in_namespace, kubectl},
    overridden::{CHANGED, LIMIT, ORIGINAL, PROXY, apply, held, path, put_back, tag},
};
use serde_json::json;
use std::process::Command;

fn overridden(run: &ConnectionProbeRun) -> OverrideStatus {
    run.status.clone().unwrap().rds_proxy.unwrap().timeout_override.unwrap()
}

async fn ended(ns: &Namespace, probe: &str) -> ConnectionProbeRun {
    let run = eventually("the end of a run", LIMIT, async || {
        let runs = ns.runs().await.into_iter();
        runs.rev().find(|run| {
            run.name_any().starts_with(probe) && run.status.as_ref().is_some_and(|s| s.has_ended())
        })
    })
    .await;
    eventually("nothing to be held any more", LIMIT, async || {
        let probe = ns.api::<ConnectionProbe>().get(probe).await.unwrap();
        let run = ns.runs().await.into_iter().find(|it| it.uid() == run.uid()).unwrap();
        let held = |names: &[String]| names.iter().any(|it| it == OVERRIDE_FINALIZER);
        (!held(probe.finalizers()) && !held(run.finalizers())).then_some(())
    })
    .await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn test_8_moves_the_cut_and_ends_as_it_began() {
    let region = Aws::region_for_pods("sa-east-1");
    let path = path(region).await;
    in_namespace(async |ns| {
        apply(&ns, "before", region, &path, 20, false);
        let before = ended(&ns, "before").await;
        apply(&ns, "changed", region, &path, 20, true);
        let changed = ended(&ns, "changed").await;
        put_back(region).await;
        let told = overridden(&changed);
        assert_eq!(told.outcome, Some(Outcome::Restored), "{told:?}");
        assert_eq!((told.original_seconds, told.seconds), (Some(ORIGINAL), CHANGED));
        let cut =
            |run: &ConnectionProbeRun| run.status.as_ref().unwrap().first_cut().map(|it| it.0);
        let cuts = (cut(&before).unwrap() / 1000, cut(&changed).unwrap() / 1000);
        assert!((ORIGINAL..ORIGINAL + 3).contains(&cuts.0), "{cuts:?}");
        assert!((CHANGED..CHANGED + 3).contains(&cuts.1), "{cuts:?}");
        let report = render::run(&changed, None, Format::Markdown);
        assert!(report.contains("lived under 16 s from first to last"), "{report}");
        let comparison = compare::runs(&before, &changed, &[]);
        let timer = "RDS Proxy's IdleClientTimeout".to_owned();
        assert_eq!(comparison.moves[0].verdict, Verdict::Confirmed { timer }, "{comparison:?}");
        assert!(comparison.unlike.is_empty(), "{comparison:?}");
        let said = compare::markdown(&comparison);
        let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
        std::fs::write(format!("{target}/test-8.md"), format!("{said}\n{report}")).unwrap();
        for secret in ["AKIAIOSFODNN7EXAMPLE", "s3cret-of-the-test"] {
            let told = ns.kubectl(&["get", "cprobe,cproberun,job,pod,event", "-o", "yaml"]).text;
            assert!(!told.contains(secret), "{secret}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_is_killed_ends_the_run_and_another_pod_puts_back() {
    let region = Aws::region_for_pods("ap-east-1");
    let path = path(region).await;
    in_namespace(async |ns| {
        held(&ns, region, &path).await;
        let guard = guard(&ns).await;
        let said = ns.kubectl(&["delete", "pod", &guard, "--force", "--grace-period=0"]);
        assert!(said.ok, "{}", said.text);
        let run = ended(&ns, "t").await;
        put_back(region).await;
        assert_eq!(overridden(&run).outcome, Some(Outcome::Restored));
        let reason = run.status.unwrap().ended_early.unwrap();
        assert_eq!(reason.as_str(), "OverrideEnded");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_that_is_deleted_goes_when_the_proxy_is_as_it_was() {
    let region = Aws::region_for_pods("ap-south-1");
    let path = path(region).await;
    in_namespace(async |ns| {
        held(&ns, region, &path).await;
        let said = ns.kubectl(&["delete", "cprobe", "t", "--timeout=100s"]);
        assert!(said.ok, "{}", said.text);
        assert!(tag(region).is_none(), "put back before it went");
        put_back(region).await;
        eventually("the run to go", LIMIT, async || ns.runs().await.is_empty().then_some(())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_deleted_by_hand_is_put_back_too() {
    let region = Aws::region_for_pods("ap-southeast-1");
    let path = path(region).await;
    in_namespace(async |ns| {
        held(&ns, region, &path).await;
        let run = ns.runs().await.remove(0).name_any();
        let said = ns.kubectl(&["delete", "cproberun", &run, "--timeout=100s"]);
        assert!(said.ok, "{}", said.text);
        put_back(region).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_is_deleted_goes_when_the_proxy_is_as_it_was() {
    let region = Aws::region_for_pods("ap-northeast-1");
    let path = path(region).await;
    in_namespace(async |ns| {
        held(&ns, region, &path).await;
        let said = kubectl(&["delete", "namespace", &ns.name, "--timeout=110s"]);
        assert!(said.ok, "{}", said.text);
        put_back(region).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_another_run_has_left_changed_is_left_alone_and_put_back_by_hand() {
    let region = Aws::region_for_pods("ca-central-1");
    let path = path(region).await;
    let other = "IdleClientTimeout from=8 to=9 until=2999-01-01T00:00:00Z run=theirs/other-1";
    let tags = json!({ format!("{}their-uid", Mark::KEY): other });
    region.set_by_others(PROXY, &json!({ "idleClientTimeout": 9, "tags": tags }));
    in_namespace(async |ns| {
        apply(&ns, "t", region, &path, 12, true);
        let run = ended(&ns, "t").await;
        let told = overridden(&run);
        assert_eq!(told.outcome, Some(Outcome::NotChanged));
        assert!(told.problem.unwrap().contains("theirs/other-1"));
        assert_eq!(region.proxy(PROXY)["idleClientTimeout"], 9);
        assert!(tag(region).is_some(), "theirs is still there");

        let cprobe = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../target/x86_64-unknown-linux-gnu/release/kubectl-cprobe"
        );
        let restore = Command::new(cprobe).args(["restore", "t", "-n", &ns.name]).output().unwrap();
        let said = String::from_utf8_lossy(&restore.stdout);
        assert!(restore.status.success(), "{said} {}", String::from_utf8_lossy(&restore.stderr));
        assert!(said.contains("theirs/other-1"), "{said}");
        put_back(region).await;
    })
    .await;
}

async fn guard(ns: &Namespace) -> String {
    let pods = ns.pods().await;
    let guard = pods.iter().map(ResourceExt::name_any).find(|name| name.contains("-guard-"));
    guard.expect("a guard")
}
