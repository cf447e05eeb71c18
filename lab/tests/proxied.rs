//! A run that asks AWS beside it, from pods, under restricted Pod Security. PgBouncer is the proxy, and AWS's stand-in
//! tells of it what AWS would of an RDS Proxy with the same timer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

#[path = "iam/server.rs"]
#[allow(dead_code, reason = "other tests cut by it, and look at what it saw")]
mod server;
#[path = "iam/signing.rs"]
#[allow(dead_code, reason = "here pods have the sidecar")]
mod signing;

use api::{
    rds_proxy::{evidence::ProxyFacts, metrics::Metric},
    render::{self, Format},
    report::Arm,
};
use jiff::{SignedDuration, Timestamp};
use lab::{
    aws::{Aws, NODE, Region},
    certificates::Authority,
    cluster::{Namespace, in_namespace},
    holding::now,
};
use serde_json::json;
use server::{Rules, Server};
use signing::KEY;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// The account's keys. AWS's stand-in takes any.
fn make_keys(ns: &Namespace) {
    ns.apply(&format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{ name: pulp-aws }}\n\
         stringData: {{ aws_access_key_id: {}, aws_secret_access_key: {} }}\n",
        KEY.id, KEY.secret
    ));
}

/// Nothing of the account is to be read anywhere.
fn keeps_secrets(ns: &Namespace) {
    let told = ns.kubectl(&["get", "cprobe,cproberun,job,pod,event", "-o", "yaml"]).text;
    let label = "app.kubernetes.io/name=connection-probe";
    let logs = ns.kubectl(&["logs", "--all-containers", "--prefix", "-l", label]).text;
    assert!(logs.contains("pod/"), "{logs}");
    for secret in [KEY.id, KEY.secret, "X-Amz-Signature"] {
        assert!(!told.contains(secret) && !logs.contains(secret), "{secret}");
    }
}

/// Two workloads through PgBouncer, which ends who is silent for 20 s.
fn measure(ns: &Namespace, region: &Region, account: &str) {
    make_keys(ns);
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
        assert!(!page.contains(KEY.id) && !page.contains(KEY.secret));
        keeps_secrets(&ns);
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

#[tokio::test(flavor = "multi_thread")]
async fn a_pods_sidecar_signs_what_its_probe_logs_in_by() {
    let region = Aws::region_for_pods(signing::REGION);
    let metrics = minutes(Metric::ClientConnections, |_| 3);
    region.seed(&json!({ "proxy": { "name": "signed" }, "metrics": metrics }));
    let authority = Authority::default();
    let rules =
        Rules { credentials: KEY, host: NODE, scram: false, echoes: false, cut_after: None };
    let server = Server::start_at(NODE, &authority.identity(&[NODE]), rules);
    in_namespace(async |ns| {
        make_keys(&ns);
        let ca = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "aws-ca" }, "data": { "ca.crt": authority.pem() },
        });
        ns.apply(&ca.to_string());
        let (target, tls) =
            (server.port, json!({ "mode": "VerifyFull", "caConfigMapName": "aws-ca" }));
        let probe = json!({
            "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
            "metadata": { "name": "t" },
            "spec": {
                "target": {
                    "secretName": "pulp-db", "host": NODE, "port": target, "user": "svc_probe",
                    "auth": "AwsIam", "tls": tls,
                },
                "rdsProxy": {
                    "name": "signed", "region": region.name, "credentialsSecretName": "pulp-aws",
                    "endpointURL": region.url(),
                },
                "duration": "5s", "connections": 3,
                "workloads": [{ "name": "beat", "heartbeat": { "interval": "1s" } }],
            },
        });
        ns.apply(&probe.to_string());
        let run = ns.ended(1, LIMIT).await.status.unwrap();
        let (_, arm) = run.arms(Arm::Target).next().expect("a report");
        assert_eq!(arm.counts.survived, 3, "{arm:?}");
        assert_eq!(arm.server.as_ref().unwrap().auth.as_deref(), Some("AwsIam"));
        keeps_secrets(&ns);
    })
    .await;
}
