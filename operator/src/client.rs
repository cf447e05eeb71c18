//! The API client: kube's default with TCP_NODELAY. Without it, Nagle's algorithm and delayed ACKs add
//! some 45 ms to the first write after a quiet time.

use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use kube::{Client, Config, client::ConfigExt};
use tower::ServiceBuilder;

/// A client for the cluster that the process runs in, or the one of KUBECONFIG.
///
/// # Errors
/// There is no cluster to be found, or its configuration can't be used.
pub(crate) async fn client() -> anyhow::Result<Client> {
    let config = Config::infer().await?;
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    http.set_connect_timeout(config.connect_timeout);
    let https = config.rustls_https_connector_with_connector(http)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(tower::BoxError::from)
        .service(Hyper::builder(TokioExecutor::new()).build(https));
    Ok(Client::new(service, config.default_namespace))
}
