//! Health and metrics.

use crate::metrics::Metrics;
use axum::{Router, routing::get};
use std::{io, net::SocketAddr};
use tokio::net::TcpListener;

/// Serves until the process ends.
///
/// # Errors
/// The address can't be listened on.
pub(crate) async fn serve(address: SocketAddr, metrics: Metrics) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(move || async move { metrics.render() }));
    axum::serve(TcpListener::bind(address).await?, router).await
}
