//! A server of a few lines that says what a test wants it to say, and remembers what it got.

#![allow(dead_code, reason = "each test uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "what goes wrong here is a failed test, of which the thread tells"
)]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// AuthenticationOk, server_version, ReadyForQuery.
pub(crate) const WELCOME: &[u8] =
    b"R\0\0\0\x08\0\0\0\0S\0\0\0\x17server_version\09.6\0Z\0\0\0\x05I";
/// CommandComplete, ReadyForQuery.
pub(crate) const DONE: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

/// A server on loopback.
pub(crate) struct Fake {
    pub(crate) port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

/// One connection of it.
pub(crate) struct Peer {
    pub(crate) tcp: TcpStream,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Fake {
    /// Answers each connection by `script`, which also gets the connection's number.
    pub(crate) fn start(script: impl Fn(usize, Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&received);
        let script = Arc::new(script);
        thread::spawn(move || {
            for (number, tcp) in listener.incoming().flatten().enumerate() {
                let (script, received) = (Arc::clone(&script), Arc::clone(&all));
                thread::spawn(move || script(number, Peer { tcp, received }));
            }
        });
        Self { port, received }
    }

    /// Welcomes everybody and answers every query.
    pub(crate) fn obliging() -> Self {
        Self::start(|_, mut peer| {
            peer.welcome();
            peer.serve();
        })
    }

    /// All bytes that it got so far.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }

    /// All bytes that it got, when they end in `end`: the client may be faster than we read.
    pub(crate) fn received_to(&self, end: &[u8]) -> Vec<u8> {
        for _ in 0..200 {
            if self.received().ends_with(end) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let received = self.received();
        assert!(received.ends_with(end), "{received:?}");
        received
    }
}

impl Peer {
    /// Reads once; nothing at the end.
    pub(crate) fn read(&mut self) -> Vec<u8> {
        let mut bytes = [0; 4096];
        let n = self.tcp.read(&mut bytes).unwrap_or(0);
        self.received.lock().unwrap().extend_from_slice(&bytes[..n]);
        bytes[..n].to_vec()
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let _ = self.tcp.write_all(bytes);
    }

    /// Takes the start-up message and lets the client in.
    pub(crate) fn welcome(&mut self) {
        self.read();
        self.write(WELCOME);
    }

    /// Answers queries until the client leaves.
    pub(crate) fn serve(&mut self) {
        while self.read().first() == Some(&b'Q') {
            self.write(DONE);
        }
    }
}

/// An ErrorResponse.
pub(crate) fn fatal(code: &str, text: &str) -> Vec<u8> {
    let body = format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0");
    let length = u32::try_from(body.len() + 4).unwrap();
    [b"E", &length.to_be_bytes()[..], body.as_bytes()].concat()
}

/// Terminate.
pub(crate) const GOODBYE: &[u8] = b"X\0\0\0\x04";

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
