//! A port that takes connections exactly while the new value is in force.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};
use tokio::{net::TcpListener, time::sleep};

/// After a connection that could not be accepted, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens. Where the node has no IPv6, on all addresses of IPv4 in place of all.
///
/// # Errors
/// The port can't be had.
pub(super) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    if listener.is_err() && address.is_ipv6() && address.ip().is_unspecified() {
        return TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await;
    }
    listener
}

/// Takes connections, and lets them go.
pub(super) async fn serve(listener: &TcpListener) {
    loop {
        if listener.accept().await.is_err() {
            sleep(PAUSE).await;
        }
    }
}
