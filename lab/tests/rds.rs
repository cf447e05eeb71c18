//! What is learned of an RDS Proxy from AWS's answers, and what of it when they fail: each test in a region of its own.

#![allow(clippy::unwrap_used, reason = "what goes wrong here is a failed test")]

use api::rds_proxy::{
    Evidence,
    evidence::{Gap, LoggedEnd},
    metrics::Metric,
};
use jiff::{SignedDuration, Timestamp, Unit};
use lab::{
    aws::{Asked, Aws, Region, program, python},
    holding::now,
    server::{free_port, send_signal},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::LazyLock,
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

const PROXY: &str = "pulp-proxy";
const SECRET_KEY: &str = "s3cret-of-the-test";

/// A program that is about to ask.
struct Asking {
    folder: TempDir,
    request: Value,
    command: Command,
    region: Region,
    patience: &'static str,
}

/// Minutes before these tests began, by the whole minute.
fn ago(minutes: i64) -> Timestamp {
    static NOW: LazyLock<Timestamp> = LazyLock::new(|| now().round(Unit::Minute).unwrap());
    *NOW - SignedDuration::from_mins(minutes)
}

impl Asking {
    /// With the keys of a Secret.
    fn new(region: Region, moment: &str) -> Self {
        let mut asking = Self::as_account(region, moment);
        let secret = asking.folder.path().join("secret");
        fs::create_dir(&secret).unwrap();
        fs::write(secret.join("aws_access_key_id"), "AKIAIOSFODNN7EXAMPLE\n").unwrap();
        fs::write(secret.join("aws_secret_access_key"), SECRET_KEY).unwrap();
        asking.command.arg("--credentials").arg(secret);
        asking
    }

    /// With what the pod's environment has.
    fn as_account(region: Region, moment: &str) -> Self {
        let request = json!({
            "run": "pulp-1",
            "proxy": {"name": PROXY, "region": region.name, "serviceAccountName": "reader", "endpointURL": region.url()},
            "moment": moment,
            "from": ago(20),
            "until": ago(5),
        });
        let mut command = program();
        command.arg("collect");
        Self { folder: tempfile::tempdir().unwrap(), request, command, region, patience: "9s" }
    }

    /// Completes the command; where its message will be.
    fn message(&mut self) -> PathBuf {
        let message = self.folder.path().join("message");
        self.command.args(["--patience", self.patience]).env("REQUEST", self.request.to_string());
        self.command.arg("--termination-log").arg(&message);
        message
    }

    fn ask(mut self) -> Asked {
        let message = self.message();
        let output = self.command.output().unwrap();
        let asked = Asked::of(&output, &message);
        for never in [SECRET_KEY, "AKIAIOSFODNN7EXAMPLE", ".rds.amazonaws.com", "127.0.0.1"] {
            assert!(!asked.out.contains(never), "{never} in {}", asked.out);
        }
        asked
    }

    /// Asks, and has an evidence.
    fn evidence(self) -> Evidence {
        let asked = self.ask();
        assert_eq!(asked.code, Some(0), "{}", asked.out);
        asked.evidence.unwrap()
    }
}

fn seed(region: Region) -> String {
    let metrics = (5..=20)
        .map(|minute| json!({"name": "ClientConnections", "at": ago(minute), "value": minute}));
    region.seed(&json!({
        "proxy": {"name": PROXY, "endpoints": ["reader"]},
        "metrics": metrics.collect::<Vec<_>>(),
        "log": [{"at": ago(20), "text": "[INFO] The proxy started."}],
    }))
}

fn permissions(gaps: &[Gap]) -> Vec<&str> {
    gaps.iter().map(|gap| gap.permission.as_str()).collect()
}

#[test]
fn all_that_aws_tells_is_told() {
    let region = Aws::region("us-east-1");
    let host = seed(region);
    let line = |at: Timestamp, connection: u32, text: &str| json!({"at": at, "text": format!("[INFO] [proxyEndpoint=default] [clientConnection={connection}] {text}")});
    let reason = "Reason: The TCP channel was closed by either the client or the proxy.";
    let later = |at: Timestamp, ms: i64| at + SignedDuration::from_millis(ms);
    region.seed(&json!({
        "proxy": {"name": PROXY},
        "events": [
            {"at": ago(10), "type": "db-proxy", "source": PROXY, "text": format!("RDS modified DB proxy {PROXY}.")},
            {"at": ago(9), "type": "db-instance", "source": "pulp-db", "text": "pulp-db restarted"},
            {"at": ago(40), "type": "db-proxy", "source": PROXY, "text": "too old"},
        ],
        "metrics": [{"name": "DatabaseConnectionsBorrowLatency", "at": ago(7), "value": 1500}],
        "log": [
            line(later(ago(19), 20), 7, "A new client connected from 10.0.0.9:40001."),
            line(later(ago(19), 30), 8, "A new client connected from 10.0.0.9:40002."),
            line(later(ago(6), 4), 7, &format!("The client connection closed. {reason}")),
        ],
    }));
    let mut asking = Asking::new(region, "after");
    asking.request["host"] = json!(host);
    let lane = |lane, port| json!({"workload": "idle", "lane": lane, "port": port, "opened": ago(19), "ended": ago(6)});
    asking.request["lanes"] = json!([lane(0, 40001), lane(1, 40002), lane(2, 40003)]);
    // A log that is searched for long gives empty pages first.
    region.fault(&json!({"kind": "emptyPage", "operation": "FilterLogEvents", "times": 2}));
    let evidence = asking.evidence();

    assert!(evidence.gaps.is_empty(), "{:?}", evidence.gaps);
    let proxy = evidence.proxy.unwrap();
    assert_eq!((proxy.status.as_str(), proxy.idle_client_timeout_seconds), ("available", 1800));
    assert_eq!((proxy.require_tls, proxy.iam_auth.as_deref()), (true, Some("DISABLED")));
    assert_eq!(proxy.measured_endpoint.as_deref(), Some("default"));
    assert_eq!(evidence.endpoints[0].name, "reader");
    let pool = evidence.pool.unwrap();
    assert_eq!((pool.max_connections_percent, pool.borrow_timeout_seconds), (100, 120));
    let texts: Vec<_> =
        evidence.events.iter().map(|it| (it.about.as_str(), it.text.as_str())).collect();
    assert_eq!(texts, [("db-proxy", "RDS modified DB proxy pulp-proxy.")]);
    let metrics = evidence.metrics.unwrap();
    assert_eq!(metrics.start, ago(20));
    let clients = metrics.values(Metric::ClientConnections).unwrap();
    assert_eq!((clients.len(), clients[0], clients[15]), (16, Some(20), Some(5)));
    let latency = metrics.values(Metric::DatabaseConnectionsBorrowLatency).unwrap();
    assert_eq!(latency.iter().flatten().collect::<Vec<_>>(), [&1500]);
    let log = evidence.log.unwrap();
    let end = LoggedEnd { workload: "idle".into(), n: 1, reason: reason.into(), apart_ms: 4 };
    assert_eq!((log.wanted, log.found, log.ends), (3, 2, vec![end]));
}

#[test]
fn a_database_is_told_with_its_timers_and_without_its_name() {
    let cases = [("us-east-2", false, "db-instance"), ("us-west-1", true, "db-cluster")];
    for (region, cluster, about) in cases {
        let region = Aws::region(region);
        region.seed(&json!({
            "proxy": {"name": PROXY},
            "database": {"name": "pulp-db", "cluster": cluster, "parameters": {
                "statement_timeout": ["5000", "ms"], "work_mem": ["4096", "kB"], "tcp_keepalives_idle": ["60", "s"],
            }},
            "events": [{"at": ago(9), "type": about, "source": "pulp-db", "text": "pulp-db restarted"}],
        }));
        let evidence = Asking::new(region, "before").evidence();
        let timers = evidence.parameters.iter();
        let timers: Vec<_> = timers
            .map(|it| (it.name.as_str(), it.value.as_str(), it.unit.as_deref().unwrap()))
            .collect();
        assert_eq!(
            timers,
            [("statement_timeout", "5000", "ms"), ("tcp_keepalives_idle", "60", "s")]
        );
        assert_eq!(evidence.targets[0].role.as_deref(), Some("READ_WRITE"));
        assert_eq!(
            (evidence.events[0].about.as_str(), evidence.events[0].text.as_str()),
            (about, "<database> restarted")
        );
        // Not even a log group: the proxy has logged nothing.
        assert_eq!(permissions(&evidence.gaps), ["logs:FilterLogEvents"]);
        assert!(
            evidence.gaps[0].problem.starts_with("There is no log group /aws/rds/proxy/pulp-proxy")
        );
    }
}

#[test]
fn every_permission_that_lacks_is_named_before_the_run() {
    let region = Aws::region("us-west-2");
    region.fault(&json!({"kind": "denied", "operation": "*"}));
    let asking = Asking::new(region, "before");
    let started = Instant::now();
    let evidence = asking.evidence();
    assert_eq!(
        permissions(&evidence.gaps),
        [
            "rds:DescribeDBProxies",
            "rds:DescribeDBProxyEndpoints",
            "rds:DescribeDBProxyTargetGroups",
            "rds:DescribeDBProxyTargets",
            "cloudwatch:GetMetricData",
            "rds:DescribeEvents",
            "logs:FilterLogEvents",
        ]
    );
    for gap in &evidence.gaps {
        let allow = format!("Allow {} to the role of service account reader", gap.permission);
        assert!(gap.problem.contains(&allow), "{}", gap.problem);
        assert!(gap.problem.contains("because no identity-based policy allows"), "{}", gap.problem);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "a refusal is not tried again");
}

#[test]
fn one_refusal_leaves_the_rest() {
    let region = Aws::region("eu-west-1");
    seed(region);
    region.fault(&json!({"kind": "denied", "operation": "GetMetricData"}));
    let evidence = Asking::new(region, "after").evidence();
    assert_eq!(permissions(&evidence.gaps), ["cloudwatch:GetMetricData"]);
    assert!(evidence.proxy.is_some() && evidence.metrics.is_none());
}

#[test]
fn what_holds_for_all_calls_is_said_once() {
    for (region, kind, problem) in [
        ("eu-west-2", "expired", "The credentials have expired (ExpiredToken)."),
        ("eu-west-3", "unknown", "AWS does not accept the credentials (InvalidClientTokenId)."),
        ("eu-north-1", "none", "There is no proxy pulp-proxy in eu-north-1."),
    ] {
        let region = Aws::region(region);
        if kind != "none" {
            region.fault(&json!({"kind": kind, "operation": "*"}));
        }
        let evidence = Asking::new(region, "after").evidence();
        assert_eq!(evidence.gaps.len(), 1);
        assert!(evidence.gaps[0].problem.starts_with(problem), "{}", evidence.gaps[0].problem);
        assert_eq!(region.calls(), ["DescribeDBProxies"]);
    }
}

#[test]
fn what_passes_is_tried_again_and_is_no_gap() {
    let region = Aws::region("ap-south-1");
    seed(region);
    region.fault(&json!({"kind": "throttled", "operation": "DescribeDBProxies", "times": 1}));
    region.fault(&json!({"kind": "html", "operation": "DescribeDBProxyTargets", "times": 1}));
    region.fault(&json!({"kind": "throttled", "operation": "GetMetricData", "times": 1}));
    region.fault(&json!({"kind": "throttled", "operation": "FilterLogEvents", "times": 1}));
    let evidence = Asking::new(region, "before").evidence();
    assert!(evidence.gaps.is_empty(), "{:?}", evidence.gaps);
    let calls = region.calls();
    let count = |name| calls.iter().filter(|call| *call == name).count();
    assert_eq!((count("DescribeDBProxies"), count("FilterLogEvents")), (2, 2));
}

#[test]
fn what_stays_is_given_up() {
    let region = Aws::region("ap-northeast-1");
    seed(region);
    region.fault(&json!({"kind": "throttled", "operation": "DescribeDBProxyEndpoints"}));
    region.fault(&json!({"kind": "html", "operation": "DescribeDBProxyTargets"}));
    let evidence = Asking::new(region, "before").evidence();
    assert_eq!(
        permissions(&evidence.gaps),
        ["rds:DescribeDBProxyEndpoints", "rds:DescribeDBProxyTargets"]
    );
    let problems: Vec<_> = evidence.gaps.iter().map(|gap| gap.problem.as_str()).collect();
    assert!(
        problems[0].starts_with("AWS throttled it (Throttling), in 4 attempts."),
        "{problems:?}"
    );
    assert!(problems[1].starts_with("The answer is none of AWS's (HTTP 500)."), "{problems:?}");
    assert!(evidence.proxy.is_some() && evidence.pool.is_some() && evidence.metrics.is_some());
}

#[test]
fn an_endpoint_that_nobody_serves_is_one_gap() {
    let mut asking = Asking::new(Aws::region("ap-northeast-2"), "after");
    asking.request["proxy"]["endpointURL"] = json!(format!("http://127.0.0.1:{}", free_port()));
    let evidence = asking.evidence();
    assert_eq!(permissions(&evidence.gaps), ["rds:DescribeDBProxies"]);
    assert!(evidence.gaps[0].problem.starts_with("It can't be reached."), "{:?}", evidence.gaps);
}

#[test]
fn metrics_that_come_late_are_waited_for() {
    let region = Aws::region("ap-southeast-1");
    seed(region);
    // Three looks of three pages each.
    region
        .fault(&json!({"kind": "late", "operation": "GetMetricData", "since": ago(8), "times": 9}));
    let asked = Asking::new(region, "after").ask();
    let until: Value = json!(ago(5));
    let waiting = asked.lines("waiting");
    // A fourth look has them all, a fifth that no more came.
    assert_eq!(waiting.len(), 4, "{}", asked.out);
    assert!(waiting.iter().all(|line| line["until"] == until));
    assert_eq!(waiting[0]["knownUntil"], json!(ago(8)));
    assert_eq!(asked.evidence.unwrap().metrics.unwrap().known_until, Some(ago(4)));
}

#[test]
fn nothing_is_waited_for_longer_than_patience() {
    let region = Aws::region("ap-southeast-2");
    seed(region);
    region.fault(&json!({"kind": "late", "operation": "GetMetricData", "since": ago(8)}));
    let mut asking = Asking::new(region, "after");
    asking.patience = "2s";
    let started = Instant::now();
    let evidence = asking.evidence();
    let took = started.elapsed();
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(8), "{took:?}");
    assert_eq!(evidence.metrics.unwrap().known_until, Some(ago(8)));
    assert!(evidence.gaps.is_empty(), "{:?}", evidence.gaps);
}

#[test]
fn a_secret_that_lacks_a_key_is_a_gap() {
    let asking = Asking::new(Aws::region("sa-east-1"), "before");
    fs::remove_file(asking.folder.path().join("secret/aws_secret_access_key")).unwrap();
    let region = asking.region;
    let evidence = asking.evidence();
    assert_eq!(evidence.gaps.len(), 1);
    let problem = "The Secret is not there, or lacks aws_secret_access_key.";
    assert!(evidence.gaps[0].problem.starts_with(problem), "{:?}", evidence.gaps);
    assert_eq!(region.calls(), [""; 0]);
}

#[test]
fn a_service_account_is_known_by_its_token() {
    // STS is asked without a signature, which would name a region: its faults are those of us-east-1.
    let (region, sts) = (Aws::region("ca-central-1"), Aws::region("us-east-1"));
    seed(region);
    let asking = || {
        let mut asking = Asking::as_account(region, "before");
        let token = asking.folder.path().join("token");
        fs::write(&token, "a.b.c").unwrap();
        asking.command.env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader");
        asking.command.env("AWS_WEB_IDENTITY_TOKEN_FILE", token);
        asking
    };
    let evidence = asking().evidence();
    assert!(evidence.proxy.is_some() && evidence.gaps.is_empty(), "{evidence:#?}");
    sts.fault(&json!({"kind": "denied", "operation": "AssumeRoleWithWebIdentity", "times": 1}));
    let evidence = asking().evidence();
    assert_eq!(permissions(&evidence.gaps), ["sts:AssumeRoleWithWebIdentity"]);
    assert!(evidence.gaps[0].problem.starts_with("The role does not trust this service account."));

    let evidence = Asking::as_account(region, "before").evidence();
    assert!(
        evidence.gaps[0]
            .problem
            .starts_with("There are no credentials for the role of service account reader.")
    );
}

#[test]
fn whoever_is_told_to_stop_leaves_what_is_known() {
    let region = Aws::region("me-south-1");
    seed(region);
    region.fault(&json!({"kind": "slow", "operation": "GetMetricData", "seconds": 9}));
    let mut asking = Asking::new(region, "after");
    let message = asking.message();
    let child = asking.command.stdout(Stdio::piped()).spawn().unwrap();
    while !region.calls().contains(&"GetMetricData".to_owned()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    send_signal(child.id(), "TERM");
    let asked = Asked::of(&child.wait_with_output().unwrap(), &message);
    assert_eq!(asked.code, Some(5));
    assert!(asked.evidence.unwrap().proxy.is_some());
}

#[test]
fn a_request_that_can_not_be_used_is_said_and_ends_by_2() {
    let mut asking = Asking::new(Aws::region("af-south-1"), "before");
    asking.request["moment"] = json!("during");
    let asked = asking.ask();
    assert_eq!((asked.code, asked.evidence), (Some(2), None));
}

#[test]
fn what_is_added_to_moto_is_what_botocore_reads() {
    let test = concat!(env!("CARGO_MANIFEST_DIR"), "/aws/test.py");
    let done =
        Command::new(python()).arg(test).arg(Aws::region("us-east-1").url()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
