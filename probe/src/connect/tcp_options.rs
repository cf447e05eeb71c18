//! TCP's timers, set where asked for; the others stay the kernel's.

use api::settings::TcpSettings;
use socket2::{SockRef, TcpKeepalive};
use std::{io, os::fd::AsFd, time::Duration};

/// Sets what is asked for.
///
/// # Errors
/// The kernel refuses a value.
pub(super) fn set(socket: &impl AsFd, tcp: TcpSettings) -> io::Result<()> {
    let socket = SockRef::from(socket);
    let seconds = |s: u32| Duration::from_secs(u64::from(s));
    let mut keepalive = TcpKeepalive::new();
    if let Some(idle) = tcp.keepalive_idle_s {
        keepalive = keepalive.with_time(seconds(idle));
    }
    if let Some(interval) = tcp.keepalive_interval_s {
        keepalive = keepalive.with_interval(seconds(interval));
    }
    if let Some(count) = tcp.keepalive_count {
        keepalive = keepalive.with_retries(count);
    }
    socket.set_tcp_keepalive(&keepalive)?;
    if let Some(timeout) = tcp.user_timeout_ms {
        socket.set_tcp_user_timeout(Some(Duration::from_millis(u64::from(timeout))))?;
    }
    Ok(())
}
