//! Health and metrics.

use crate::metrics::Metrics;
use axum::{Router, http::StatusCode, routing::get};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;

/// Serves until the process ends.
///
/// # Errors
/// The address can't be listened on.
pub(crate) async fn serve(address: SocketAddr, metrics: Arc<Metrics>) -> io::Result<()> {
    let scrape = move || async move {
        let failed =
            |error: prometheus::Error| (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n"));
        metrics.render().map_err(failed)
    };
    let router =
        Router::new().route("/healthz", get(|| async { "ok\n" })).route("/metrics", get(scrape));
    axum::serve(listen(address).await?, router).await
}

/// Listens. Where the kernel has no IPv6, `[::]` means every IPv4 address.
async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}
