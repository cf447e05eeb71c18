//! A run that asks AWS beside it, from pods, under restricted Pod Security. PgBouncer is the proxy, and AWS's stand-in
//! tells of it what AWS would of an RDS Proxy with the same timer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    rds_proxy::{evidence::ProxyFacts, metrics::Metric},
    render::{self, Format},
};
use jiff::{SignedDuration, Timestamp};
use lab::{
    aws::{Aws, Region},
    cluster::{Namespace, in_namespace},
    holding::now,
};
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);
/// Written in lab/aws: whoever asks as somebody else is nobody.
const KEY: &str = "AKIDLABPROXY";
const SECRET: &str = "a-secret-that-stays-secret";

/// Two workloads through PgBouncer, which ends who is silent for 20 s.
fn measure(ns: &Namespace, region: &Region, account: &str) {
    ns.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: pulp-aws }}\n\
         stringData: {{ aws_access_key_id: {KEY}, aws_secret_access_key: {SECRET} }}\n"
    ));
    ns.apply_probe(&format!(
        "  rdsProxy: {{ name: pulp, region: {}, {account}, endpointURL: '{}' }}\n\
         \x20 duration: 25s\n  connections: 3\n  workloads:\n\
         \x20 - {{ name: set, sessionVariable: {{}} }}\n\
         \x20 - {{ name: beat, heartbeat: {{ interval: 5s }} }}\n",
        region.name,
        region.url()
    ));
}

/// A value for each minute from a quarter of an hour ago to a few minutes ahead.
fn minutes(metric: Metric, value: impl Fn(i64) -> i64) -> Vec<serde_json::Value> {
    let this = now().as_second() / 60;
    (this - 15..this + 5)
        .map(|minute| {
            let at = Timestamp::from_second(minute * 60).unwrap();
            json!({ "name": metric.as_str(), "at": at, "value": value(minute - this) })
        })
        .collect()
}

#[tokio::test]
async fn what_aws_knows_of_the_proxy_is_part_of_the_runs_evidence() {
    let region = Aws::region_for_pods("us-east-1");
    let this_run = |minute: i64| (0..=1).contains(&minute);
    let pinned = |minute| if this_run(minute) { 3 } else { 0 };
    let clients = |minute| if this_run(minute) { 6 } else { 0 };
    let mut metrics = minutes(Metric::DatabaseConnectionsCurrentlySessionPinned, pinned);
    metrics.extend(minutes(Metric::ClientConnections, clients));
    metrics.extend(minutes(Metric::DatabaseConnectionsBorrowLatency, |_| 450));
    let earlier = now().checked_sub(SignedDuration::from_secs(5)).unwrap();
    region.seed(&json!({
        "proxy": { "name": "pulp", "idleClientTimeout": 20 },
        "events": [{ "at": earlier, "type": "db-proxy", "source": "pulp", "text": "RDS modified the DB proxy pulp." }],
        "metrics": metrics,
    }));
    in_namespace(async |ns| {
        measure(&ns, &region, "credentialsSecretName: pulp-aws");
        let run = ns.ended(1, LIMIT).await;
        let told = run.status.as_ref().unwrap().rds_proxy.clone().unwrap();
        let (before, after) = (told.before.expect("before"), told.after.expect("after"));
        assert_eq!(told.problem, None);
        for evidence in [&before, &after] {
            let proxy: &ProxyFacts = evidence.proxy.as_ref().expect("its configuration");
            assert_eq!(proxy.idle_client_timeout_seconds, 20, "{:?}", evidence.gaps);
        }
        assert_eq!(after.events.len(), 1, "{after:?}");
        let metrics = after.metrics.expect("metrics");
        let pinned = metrics.values(Metric::DatabaseConnectionsCurrentlySessionPinned).unwrap();
        assert!(pinned.contains(&Some(0)) && pinned.contains(&Some(3)), "{pinned:?}");
        let page = render::run(&run, None, Format::Html);
        let target = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
        std::fs::write(format!("{target}/rds-proxy.html"), &page).unwrap();
        let text = render::run(&run, None, Format::Markdown);
        std::fs::write(format!("{target}/rds-proxy.md"), &text).unwrap();
        assert!(text.contains("IdleClientTimeout: 20"), "{text}");
        for secret in [KEY, SECRET] {
            let said = ns.kubectl(&["get", "cprobe,cproberun,job,pod,event", "-o", "yaml"]).text;
            let logs =
                ns.kubectl(&["logs", "--prefix", "-l", "app.kubernetes.io/name=connection-probe"]);
            assert!(
                !said.contains(secret) && !logs.text.contains(secret) && !page.contains(secret)
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_missing_permission_is_named_and_the_run_goes_on() {
    let region = Aws::region_for_pods("us-east-2");
    region.seed(&json!({ "proxy": { "name": "pulp" } }));
    region.fault(&json!({ "operation": "GetMetricData", "kind": "denied" }));
    in_namespace(async |ns| {
        measure(&ns, &region, "credentialsSecretName: pulp-aws");
        let run = ns.ended(1, LIMIT).await.status.unwrap();
        let after = run.rds_proxy.clone().unwrap().after.unwrap();
        let gap = after.gaps.iter().find(|gap| gap.permission == "cloudwatch:GetMetricData");
        assert!(gap.is_some(), "{:?}", after.gaps);
        assert_eq!(after.proxy.unwrap().idle_client_timeout_seconds, 1800, "the rest is told");
        ns.condition("Ready", "True", "Measured", LIMIT).await;
    })
    .await;
}

#[tokio::test]
async fn a_service_account_that_is_missing_is_told_and_the_run_ends() {
    let region = Aws::region_for_pods("eu-west-1");
    region.seed(&json!({ "proxy": { "name": "pulp" } }));
    in_namespace(async |ns| {
        measure(&ns, &region, "serviceAccountName: nobody");
        let run = ns.ended(1, LIMIT).await.status.unwrap();
        let problem = run.rds_proxy.unwrap().problem.unwrap();
        assert!(problem.contains("service account"), "{problem}");
    })
    .await;
}
