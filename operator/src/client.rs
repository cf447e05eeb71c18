//! The API client: kube's default with TCP_NODELAY, and with keepalives. Without the one, Nagle's
//! algorithm and delayed ACKs add some 45 ms to the first write after a quiet time; without the other, a
//! watch that a device in between has forgotten stays silent for five minutes, and a write on such a
//! connection hangs for a quarter of an hour. Its requests are counted.

use crate::metrics::Metrics;
use futures::{FutureExt, future::BoxFuture};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{Client, Config, client::ConfigExt};
use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tower::{Service, ServiceBuilder, layer::layer_fn};

/// Silence after which the peer is asked whether it is still there, and how often it is asked then.
const SILENCE: Duration = Duration::from_secs(20);
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// A connection whose peer acknowledges nothing for so long is given up.
const GIVE_UP: Duration = Duration::from_secs(30);

/// A client for the cluster that the process runs in, or the one of KUBECONFIG.
///
/// # Errors
/// There is no cluster to be found, or its configuration can't be used.
pub(crate) async fn client(metrics: Arc<Metrics>) -> anyhow::Result<Client> {
    let config = Config::infer().await?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_keepalive(Some(SILENCE));
    http.set_keepalive_interval(Some(ASK_AGAIN));
    http.set_tcp_user_timeout(Some(GIVE_UP));
    http.set_connect_timeout(config.connect_timeout);
    let https = config.rustls_https_connector_with_connector(http)?;
    let service = ServiceBuilder::new()
        .layer(layer_fn(|inner| Counted { inner, metrics: metrics.clone() }))
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(tower::BoxError::from)
        .service(Hyper::builder(TokioExecutor::new()).build(https));
    Ok(Client::new(service, config.default_namespace))
}

/// Counts the requests of another service, by verb and code.
#[derive(Clone)]
struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, B, R> Service<http::Request<B>> for Counted<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (verb, metrics) = (verb(request.method(), request.uri()), self.metrics.clone());
        let answer = self.inner.call(request);
        answer
            .inspect(move |answer| match answer {
                Ok(response) => metrics.requested(verb, response.status().as_str()),
                Err(_) => metrics.requested(verb, "error"),
            })
            .boxed()
    }
}

/// Kubernetes' word for what a request does, as in its audit log.
fn verb(method: &http::Method, uri: &http::Uri) -> &'static str {
    let asks_to_watch = || uri.query().is_some_and(|query| query.contains("watch=true"));
    match method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ if asks_to_watch() => "watch",
        _ if is_collection(uri.path()) => "list",
        _ => "get",
    }
}

/// Whether a path names all objects of a kind: .../<version>[/namespaces/<namespace>]/<kind>.
fn is_collection(path: &str) -> bool {
    let mut parts = path.trim_matches('/').split('/').peekable();
    let prefix = if parts.next() == Some("api") { 1 } else { 2 };
    let mut rest = parts.skip(prefix).peekable();
    if rest.next_if_eq(&"namespaces").is_some() {
        rest.next();
    }
    rest.count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_those_of_the_audit_log() {
        let group = "/apis/probes.pulpproject.org/v1alpha1";
        for (method, path, word) in [
            ("GET", format!("{group}/connectionprobes?limit=500"), "list"),
            ("GET", format!("{group}/namespaces/a/connectionproberuns"), "list"),
            ("GET", "/api/v1/pods?watch=true&allowWatchBookmarks=true".to_owned(), "watch"),
            ("GET", format!("{group}/namespaces/a/connectionproberuns/b"), "get"),
            ("GET", "/api/v1/namespaces/a/pods/b".to_owned(), "get"),
            ("POST", "/apis/batch/v1/namespaces/a/jobs".to_owned(), "create"),
            ("PUT", format!("{group}/namespaces/a/connectionprobes/b/status"), "update"),
            ("PATCH", "/apis/events.k8s.io/v1/namespaces/a/events/b".to_owned(), "patch"),
            ("DELETE", "/apis/batch/v1/namespaces/a/jobs/b".to_owned(), "delete"),
        ] {
            let (method, uri) = (method.parse().unwrap(), path.parse().unwrap());
            assert_eq!(verb(&method, &uri), word, "{method} {path}");
        }
    }
}
