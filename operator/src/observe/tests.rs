//! What a watch makes of what the API server sends.

use super::*;
use kube::client::Body;
use serde_json::{Value, json};

fn probe(name: &str, order: &str) -> Value {
    json!({
        "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
        "metadata": { "name": name, "namespace": "ns", "resourceVersion": "1" },
        "spec": { "target": { "secretName": "s" }, "preset": "PulpPlan", "order": order },
    })
}

/// An API server with a list, and with changes to it.
fn server(list: &[Value], changes: &[(&str, Value)]) -> Client {
    let list = json!({
        "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbeList",
        "metadata": { "resourceVersion": "1" }, "items": list,
    });
    let changes = changes.iter().map(|(type_, object)| json!({ "type": type_, "object": object }));
    let changes: String = changes.map(|change| format!("{change}\n")).collect();
    let answer = move |request: http::Request<Body>| {
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let body = if watch { changes.clone() } else { list.to_string() };
        std::future::ready(Ok::<_, kube::Error>(http::Response::new(Body::from(body.into_bytes()))))
    };
    Client::new(tower::service_fn(answer), "ns")
}

#[tokio::test]
async fn what_another_version_wrote_is_as_if_it_were_gone_and_the_others_are_seen() {
    let newer = |name| probe(name, "InASpiral");
    let client = server(
        &[newer("newer"), probe("ours", "Parallel")],
        &[
            ("MODIFIED", newer("ours")),
            ("DELETED", newer("newer")),
            ("ADDED", probe("another", "Sequential")),
        ],
    );
    let metrics = Arc::new(Metrics::new().unwrap());
    let scope = Scope { client, namespace: None, metrics: metrics.clone() };
    let events = scope.events::<ConnectionProbe>(watcher::Config::default()).take(6);
    let seen = events.map_ok(|event| match event {
        Event::Init => "list".to_owned(),
        Event::InitApply(probe) => format!("listed {}", probe.name_any()),
        Event::InitDone => "that is all".to_owned(),
        Event::Apply(probe) => format!("changed {}", probe.name_any()),
        Event::Delete(probe) => format!("gone {}", probe.name_any()),
    });
    let seen: Vec<_> = seen.try_collect().await.unwrap();
    let expected =
        ["list", "listed ours", "that is all", "gone ours", "gone newer", "changed another"];
    assert_eq!(seen, expected);
    assert!(metrics.render().unwrap().contains("errors_total{reason=\"Unreadable\"} 3"));
}
