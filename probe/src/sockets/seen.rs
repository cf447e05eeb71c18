//! What the kernel tells of a TCP socket, out of a message of sock_diag(7).

use netlink_packet_sock_diag::{
    constants::{
        TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_LAST_ACK, TCP_LISTEN, TCP_SYN_RECV,
        TCP_SYN_SENT,
    },
    inet::{InetResponse, nlas::Nla},
};
use std::net::SocketAddr;

/// A socket at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The kernel's name for it, which no other socket gets until the machine is started anew.
    pub cookie: u64,
    /// Its address in the pod.
    pub local: SocketAddr,
    /// The peer's.
    pub peer: SocketAddr,
    /// How far its life is.
    pub state: State,
    /// Bytes that the process has not read; a FIN counts as one.
    pub unread: i64,
    /// Absent: the socket is gone, and the kernel only remembers it (TIME_WAIT).
    pub info: Option<Info>,
}

/// How far the life of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being opened, or listens.
    Opening,
    /// It is open on both sides.
    Open,
    /// The peer has closed it, our side has not (CLOSE_WAIT), or did later (LAST_ACK).
    PeerClosed,
    /// Our side has closed it first: FIN_WAIT1, FIN_WAIT2, CLOSING, TIME_WAIT.
    OwnClosed,
    /// It is no connection any more.
    Gone,
}

/// TCP_INFO, as far as it is needed. Counts are since the connection was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// Bytes that were sent, each counted once.
    pub sent: i64,
    /// Bytes that were acknowledged: our SYN counts as one, and so does our FIN.
    pub acked: i64,
    /// Bytes that came: the peer's FIN counts as one.
    pub received: i64,
    /// Segments that were sent again.
    pub retransmits: i64,
    /// Attempts in a row without an answer: retransmissions, probes of a window or keepalives.
    pub tries: i64,
    /// Segments on their way that are not acknowledged.
    pub unacked: i64,
    /// Segments that came without data: acknowledgements, FIN, RST, keepalives.
    pub bare_in: i64,
    /// Segments that were sent without data.
    pub bare_out: i64,
    /// Segments that came.
    pub segments_in: i64,
    /// Segments that were sent.
    pub segments_out: i64,
    /// Milliseconds since data was last sent.
    pub sent_ago_ms: i64,
    /// Milliseconds since data last came.
    pub received_ago_ms: i64,
    /// Milliseconds since something was last acknowledged; a FIN does, an RST does not.
    pub acked_ago_ms: i64,
}

impl Seen {
    /// Out of a message.
    #[must_use]
    pub fn of(message: &InetResponse) -> Self {
        let (header, id) = (&message.header, &message.header.socket_id);
        let info = message.nlas.iter().find_map(|nla| match nla {
            Nla::TcpInfo(raw) => Info::parse(raw),
            _ => None,
        });
        Self {
            cookie: u64::from_ne_bytes(id.cookie),
            local: SocketAddr::new(id.source_address.to_canonical(), id.source_port),
            peer: SocketAddr::new(id.destination_address.to_canonical(), id.destination_port),
            state: State::of(header.state),
            unread: header.recv_queue.into(),
            info,
        }
    }
}

impl State {
    fn of(number: u8) -> Self {
        match number {
            TCP_ESTABLISHED => Self::Open,
            TCP_CLOSE_WAIT | TCP_LAST_ACK => Self::PeerClosed,
            TCP_SYN_SENT | TCP_SYN_RECV | TCP_LISTEN => Self::Opening,
            TCP_CLOSE => Self::Gone,
            _ => Self::OwnClosed,
        }
    }
}

impl Info {
    /// Out of `struct tcp_info` (linux/tcp.h, which only ever grew at its end; `bytes_sent` came with Linux 4.19).
    fn parse(raw: &[u8]) -> Option<Self> {
        let byte = |at: usize| raw.get(at).copied().map(i64::from);
        let word = |at: usize| {
            let bytes = raw.get(at..at + 4)?.try_into().ok()?;
            Some(i64::from(u32::from_ne_bytes(bytes)))
        };
        let long = |at: usize| {
            let bytes = raw.get(at..at + 8)?.try_into().ok()?;
            Some(i64::try_from(u64::from_ne_bytes(bytes)).unwrap_or(i64::MAX))
        };
        Some(Self {
            sent: long(200)?.saturating_sub(long(208)?),
            acked: long(120)?,
            received: long(128)?,
            retransmits: word(100)?,
            tries: byte(2)?.saturating_add(byte(3)?),
            unacked: word(24)?,
            bare_in: word(140)?.saturating_sub(word(152)?),
            bare_out: word(136)?.saturating_sub(word(156)?),
            segments_in: word(140)?,
            segments_out: word(136)?,
            sent_ago_ms: word(44)?,
            received_ago_ms: word(52)?,
            acked_ago_ms: word(56)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `struct tcp_info` with these 32-bit words and 64-bit longs.
    fn raw(words: &[(usize, u32)], longs: &[(usize, u64)]) -> Vec<u8> {
        let mut raw = vec![0; 240];
        words.iter().for_each(|(at, word)| raw[*at..at + 4].copy_from_slice(&word.to_ne_bytes()));
        longs.iter().for_each(|(at, long)| raw[*at..at + 8].copy_from_slice(&long.to_ne_bytes()));
        raw
    }

    #[test]
    fn bytes_that_were_sent_again_count_once() {
        let words = [
            (24, 2),
            (44, 36),
            (52, 996),
            (56, 997),
            (100, 3),
            (136, 8),
            (140, 3),
            (152, 1),
            (156, 5),
        ];
        let mut raw = raw(&words, &[(120, 101), (128, 50), (200, 220), (208, 90)]);
        (raw[2], raw[3]) = (2, 1);
        let seen = Info::parse(&raw).unwrap();
        let wanted = Info {
            sent: 130,
            acked: 101,
            received: 50,
            retransmits: 3,
            tries: 3,
            unacked: 2,
            bare_in: 2,
            bare_out: 3,
            segments_in: 3,
            segments_out: 8,
            sent_ago_ms: 36,
            received_ago_ms: 996,
            acked_ago_ms: 997,
        };
        assert_eq!(seen, wanted);
        assert_eq!(Info::parse(&raw[..200]), None, "an older kernel");
    }
}
