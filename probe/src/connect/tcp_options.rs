//! TCP's timers, set where asked for; the others stay the kernel's. What is in force is read back.

use api::{lifetime::ms, report::TcpTimers, settings::TcpSettings};
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

/// What is in force.
///
/// # Errors
/// The kernel does not tell.
pub(super) fn in_force(socket: &impl AsFd) -> io::Result<TcpTimers> {
    let socket = SockRef::from(socket);
    let seconds = |d: Duration| i32::try_from(d.as_secs()).unwrap_or(i32::MAX);
    Ok(TcpTimers {
        keepalive_idle_seconds: seconds(socket.tcp_keepalive_time()?),
        keepalive_interval_seconds: seconds(socket.tcp_keepalive_interval()?),
        keepalive_count: i32::try_from(socket.tcp_keepalive_retries()?).unwrap_or(i32::MAX),
        user_timeout_ms: socket.tcp_user_timeout()?.map(ms),
    })
}
