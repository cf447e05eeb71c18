//! Asks the kernel for the TCP sockets of this network namespace (sock_diag(7)), and is told when one ends. Neither
//! needs a capability.

use super::seen::Seen;
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};
use netlink_sys::{
    AsyncSocket, AsyncSocketExt, Socket, SocketAddr, TokioSocket, protocols::NETLINK_SOCK_DIAG,
};
use std::io;

/// SKNLGRP_INET_TCP_DESTROY and SKNLGRP_INET6_TCP_DESTROY (linux/sock_diag.h) as bits of a mask.
const DESTROYED: u32 = 1 | 1 << 2;
/// The kernel fills at most 32 KiB at once.
const BUFFER: usize = 64 * 1024;
/// Room for some 5,000 sockets that end at the same time, in bytes. The kernel grants what it may.
const BACKLOG: i32 = 4 * 1024 * 1024;

/// Asks for all sockets.
pub struct Diag {
    socket: Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

/// Is told when one ends.
pub struct Ends {
    socket: TokioSocket,
    buffer: Vec<u8>,
}

impl Diag {
    /// Opens a socket to the kernel.
    ///
    /// # Errors
    /// It is refused: by seccomp, or the kernel has no sock_diag.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER), sequence: 0 })
    }

    /// All TCP connections of the network namespace. It takes some ms for each thousand, and nothing waits for
    /// anything but the kernel.
    ///
    /// # Errors
    /// The kernel refuses, or answers something else.
    pub fn look(&mut self) -> io::Result<Vec<Seen>> {
        let mut all = Vec::new();
        for (family, id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
            self.ask(family, id)?;
            while !self.read(&mut all)? {}
        }
        Ok(all)
    }

    fn ask(&mut self, family: u8, socket_id: SocketId) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = InetRequest {
            family,
            protocol: IPPROTO_TCP,
            extensions: ExtensionFlags::INFO,
            states: StateFlags::all() - StateFlags::LISTEN - StateFlags::SYN_RECV,
            socket_id,
        };
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(|_| ())
    }

    /// Reads a part of the answer; whether it was the last.
    fn read(&mut self, all: &mut Vec<Seen>) -> io::Result<bool> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer, 0)?;
        for message in messages(&self.buffer) {
            let message = message?;
            match message.payload {
                _ if message.header.sequence_number != self.sequence => {}
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) => {
                    all.push(Seen::of(&socket));
                }
                NetlinkPayload::Done(done) if done.code < 0 => {
                    return Err(io::Error::from_raw_os_error(-done.code));
                }
                NetlinkPayload::Done(_) => return Ok(true),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
        }
        Ok(false)
    }
}

impl Ends {
    /// Asks to be told.
    ///
    /// # Errors
    /// It is refused.
    pub fn join() -> io::Result<Self> {
        let mut socket = TokioSocket::new(NETLINK_SOCK_DIAG)?;
        socket.socket_ref().set_rx_buf_sz(BACKLOG)?;
        socket.socket_mut().bind(&SocketAddr::new(0, DESTROYED))?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Waits for the next ones that ended, with their last figures.
    ///
    /// # Errors
    /// `ENOBUFS`: more ended than there was room for, and some are not told.
    pub async fn next(&mut self) -> io::Result<Vec<Seen>> {
        self.buffer.clear();
        self.socket.recv(&mut self.buffer).await?;
        messages(&self.buffer)
            .filter_map(|message| match message.map(|message| message.payload) {
                Ok(NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket))) => {
                    Some(Ok(Seen::of(&socket)))
                }
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            })
            .collect()
    }
}

/// The messages in what was read; each begins at a multiple of four (netlink(7)).
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = io::Result<NetlinkMessage<SockDiagMessage>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let message = NetlinkMessage::deserialize(bytes);
        let length = message.as_ref().map_or(0, |message| message.header.length as usize);
        let next = length.next_multiple_of(4).clamp(4, bytes.len().max(4));
        bytes = if message.is_ok() { bytes.get(next..).unwrap_or_default() } else { &[] };
        Some(message.map_err(io::Error::other))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::seen::State, *};
    use std::net::{TcpListener, TcpStream};
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn the_kernel_tells_of_our_sockets_and_of_their_end() {
        let (mut diag, mut ends) = (Diag::open().unwrap(), Ends::join().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let (local, peer) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let ours = |all: Vec<Seen>| all.into_iter().find(|s| (s.local, s.peer) == (local, peer));
        let open = ours(diag.look().unwrap()).unwrap();
        assert_eq!((open.state, open.info.unwrap().acked), (State::Open, 1), "{open:?}");
        drop(server);
        let closed = ours(diag.look().unwrap()).unwrap();
        assert_eq!((closed.state, closed.unread), (State::PeerClosed, 1), "{closed:?}");
        client.set_nonblocking(true).unwrap();
        let mut client = tokio::net::TcpStream::from_std(client).unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        drop(client);
        let end = loop {
            if let Some(end) = ours(ends.next().await.unwrap()) {
                break end;
            }
        };
        assert_eq!((end.cookie, end.state, end.unread), (open.cookie, State::Gone, 0), "{end:?}");
        assert_eq!(end.info.unwrap().acked, 2, "our FIN was acknowledged: {end:?}");
    }
}
