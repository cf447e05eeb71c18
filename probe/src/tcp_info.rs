//! What the kernel knows of a connection (TCP_INFO, tcp(7)).
//!
//! It is read once, when an end has been noticed and before the socket is dropped. The kernel keeps
//! the time of the last acknowledgement until then, so nothing would be gained by reading it every
//! minute: the one thing that grows meanwhile are packets without news, such as the peer's
//! keepalives, and those show one direction of the path only.

use api::report::TcpInfo;
use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};
use tokio::time::Instant;

/// The kernel counts in jiffies, of 10 ms at most.
const JIFFY: Duration = Duration::from_millis(10);

/// What the kernel knew, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was asked.
    pub at: Instant,
    /// What it knew.
    pub info: TcpInfo,
}

impl Sample {
    /// What the kernel knows now; nothing if it does not tell.
    #[must_use]
    pub fn of(socket: &impl AsFd, at: Instant) -> Option<Self> {
        let raw = read(socket).ok()?;
        let count = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        let info = TcpInfo {
            retransmits: raw.tcpi_retransmits.into(),
            probes: raw.tcpi_probes.into(),
            backoff: raw.tcpi_backoff.into(),
            unacked: count(raw.tcpi_unacked),
            last_ack_recv_ms: raw.tcpi_last_ack_recv.into(),
            last_data_recv_ms: raw.tcpi_last_data_recv.into(),
            rtt_us: raw.tcpi_rtt.into(),
        };
        Some(Self { at, info })
    }

    /// The earliest and the latest moment at which the last acknowledgement may have come.
    #[must_use]
    pub fn last_ack(&self) -> Option<(Instant, Instant)> {
        let ago = Duration::from_millis(self.info.last_ack_recv_ms.try_into().ok()?);
        let at = self.at.checked_sub(ago)?;
        Some((at.checked_sub(JIFFY)?, at + JIFFY))
    }
}

#[expect(unsafe_code, reason = "no well-kept crate reads TCP_INFO behind a safe interface")]
fn read(socket: &impl AsFd) -> io::Result<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = libc::socklen_t::try_from(size_of::<libc::tcp_info>()).unwrap_or_default();
    let (fd, value) = (socket.as_fd(), info.as_mut_ptr().cast());
    // SAFETY: `value` is writable for `length` bytes, and the kernel writes no more than that.
    let code = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, value, &raw mut length)
    };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it consists of integers, which were all zeroed before; an older kernel writes fewer.
    Ok(unsafe { info.assume_init() })
}
