//! Health and metrics.

use crate::metrics::Metrics;
use axum::{Router, routing::get};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};
use tokio::net::TcpListener;

/// Serves until the process ends.
///
/// # Errors
/// The address can't be listened on.
pub(crate) async fn serve(address: SocketAddr, metrics: Metrics) -> io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/metrics", get(move || async move { metrics.render() }));
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
