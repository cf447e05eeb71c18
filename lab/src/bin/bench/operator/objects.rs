//! Objects in numbers, made by several clients at a time.

use anyhow::Result;
use api::ConnectionProbe;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    batch::v1::{CronJob, Job},
    core::v1::{Pod, Secret},
};
use kube::{Api, api::PostParams, core::NamespaceResourceScope};
use lab::cluster::Namespace;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::fmt::Debug;

/// Requests under way.
pub(super) const CLIENTS: usize = 16;

/// Makes objects of a kind, and returns them as they were stored, in the same order.
pub(super) async fn create<K>(ns: &Namespace, objects: impl Iterator<Item = K>) -> Result<Vec<K>>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    let api: Api<K> = ns.api();
    let made = stream::iter(objects).map(|object| {
        let api = api.clone();
        async move { api.create(&PostParams::default(), &object).await }
    });
    Ok(made.buffered(CLIENTS).try_collect().await?)
}

/// `<prefix>0`, `<prefix>1`, ...
pub(super) fn names(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |n| format!("{prefix}{n}"))
}

/// A probe of one workload, and of what its spec has beside it.
pub(super) fn probe(name: String, also: Value) -> ConnectionProbe {
    let mut spec = also;
    spec["target"] =
        json!({ "secretName": "pulp-db", "host": "postgres.databases.svc", "port": 5432 });
    spec["workloads"] = json!([{ "name": "idle", "idle": {} }]);
    object(name, json!({ "spec": spec }))
}

/// A probe whose pods no node takes.
pub(super) fn probe_for_nowhere(name: String) -> ConnectionProbe {
    probe(name, json!({ "podTemplate": { "nodeSelector": nowhere() } }))
}

/// A Job that makes no pods.
pub(super) fn job(name: String) -> Job {
    object(name, json!({ "spec": job_spec() }))
}

/// A CronJob that makes such a Job each minute.
pub(super) fn cron_job(name: String) -> CronJob {
    let template = json!({ "spec": job_spec() });
    object(name, json!({ "spec": { "schedule": "* * * * *", "jobTemplate": template } }))
}

/// A pod that no node takes.
pub(super) fn pod(name: String) -> Pod {
    object(name, json!({ "spec": pod_spec() }))
}

/// A Secret of 800 bytes.
pub(super) fn secret(name: String) -> Secret {
    object(name, json!({ "stringData": { "text": "x".repeat(800) } }))
}

fn job_spec() -> Value {
    json!({ "suspend": true, "template": { "spec": pod_spec() } })
}

/// What a restricted namespace takes.
fn pod_spec() -> Value {
    json!({
        "restartPolicy": "Never",
        "nodeSelector": nowhere(),
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": "a", "image": "localhost/none:1",
            "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
            },
        }],
    })
}

fn nowhere() -> Value {
    json!({ "nowhere": "here" })
}

/// # Panics
/// It is written wrongly above.
#[expect(clippy::expect_used, reason = "the objects are those of this file")]
fn object<K: kube::Resource<DynamicType = ()> + DeserializeOwned>(name: String, rest: Value) -> K {
    let mut object = rest;
    object["metadata"]["name"] = name.into();
    object["apiVersion"] = K::api_version(&()).into();
    object["kind"] = K::kind(&()).into();
    serde_json::from_value(object).expect("an object of its kind")
}
