//! A run on the lab's cluster that changes its RDS Proxy's IdleClientTimeout. AWS's stand-in tells of the proxy, and a
//! relay ends clients by the value that it tells.

use crate::{
    aws::{NODE, Region},
    cluster::{Namespace, eventually},
    holding::now,
    rds_path::RdsPath,
};
use api::rds_proxy::{metrics::Metric, overriding::Mark};
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// Whatever is waited for comes within so long.
pub const LIMIT: Duration = Duration::from_secs(180);
/// The proxy's name.
pub const PROXY: &str = "pulp";
/// IdleClientTimeout as it is, in seconds.
pub const ORIGINAL: i64 = 8;
/// As it is for a run.
pub const CHANGED: i64 = 16;

/// Plants the proxy; the path through it.
///
/// # Panics
/// There is no port.
pub async fn path(region: Region) -> RdsPath {
    // Metrics are there from a quarter of an hour ago to one ahead: they are not waited for.
    let this = now().as_second() / 60;
    let metrics = (this - 15..this + 15).map(|minute| {
        let at = Timestamp::from_second(minute * 60).expect("as it is written");
        json!({ "name": Metric::ClientConnections.as_str(), "at": at, "value": 3 })
    });
    region.seed(&json!({
        "proxy": { "name": PROXY, "idleClientTimeout": ORIGINAL },
        "metrics": metrics.collect::<Vec<_>>(),
    }));
    RdsPath::start(
        NODE,
        (NODE.parse::<std::net::IpAddr>().expect("as it is written"), 5432).into(),
        region,
        PROXY,
    )
    .await
}

/// Idle connections for `seconds` through the proxy; with [`CHANGED`] for the run, or as it is. Its pods leave a lost node
/// after 10 s.
pub fn apply(
    ns: &Namespace,
    name: &str,
    region: Region,
    path: &RdsPath,
    seconds: u32,
    changed: bool,
) {
    ns.apply(
        "apiVersion: v1\nkind: Secret\nmetadata: { name: pulp-aws }\n\
         stringData: { aws_access_key_id: AKIAIOSFODNN7EXAMPLE, aws_secret_access_key: s3cret-of-the-test }\n",
    );
    let mut proxy = json!({
        "name": PROXY, "region": region.name, "credentialsSecretName": "pulp-aws", "endpointURL": region.url(),
    });
    if changed {
        proxy["override"] =
            json!({ "idleClientTimeout": format!("{CHANGED}s"), "allowModify": true });
    }
    let probe = json!({
        "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
        "metadata": { "name": name },
        "spec": {
            "target": { "secretName": "pulp-db", "host": NODE, "port": path.port },
            "rdsProxy": proxy, "duration": format!("{seconds}s"), "connections": 3,
            "workloads": [{ "name": "idle", "idle": {} }],
            "podTemplate": { "tolerations": [{
                "key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "operator": "Exists",
                "tolerationSeconds": 10,
            }] },
        },
    });
    ns.apply(&probe.to_string());
}

/// A run that holds its connections under the changed value.
///
/// # Panics
/// The value is another one, or no record is on the proxy.
pub async fn held(ns: &Namespace, region: Region, path: &RdsPath) {
    apply(ns, "t", region, path, 120, true);
    ns.holding(1).await;
    assert_eq!(region.proxy(PROXY)["idleClientTimeout"], CHANGED);
    assert!(tag(region).is_some(), "the record is on the proxy");
}

/// Our tag: who changed it, from what.
///
/// # Panics
/// It can't be read.
#[must_use]
pub fn tag(region: Region) -> Option<Mark> {
    let tags = region.proxy(PROXY)["tags"].clone();
    let mut ours = tags
        .as_object()
        .expect("as it is written")
        .iter()
        .filter(|(key, _)| key.starts_with(Mark::KEY));
    ours.next().map(|(_, value)| {
        value.as_str().expect("as it is written").parse().expect("as it is written")
    })
}

/// Waits until the proxy is as it was, and nothing is on it.
pub async fn put_back(region: Region) {
    eventually("the proxy to be put back", LIMIT, async || {
        let proxy = region.proxy(PROXY);
        let is_back = proxy["idleClientTimeout"] == ORIGINAL && proxy["status"] == "available";
        (is_back && tag(region).is_none()).then_some(())
    })
    .await;
}
