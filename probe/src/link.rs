//! The socket, plain or under TLS: bytes out, and everything that tells how it ends in.
//!
//! rustls is driven here by hand, because its async wrappers turn a close_notify, an alert, a
//! FIN without close_notify and an errno into one error, and stop reading at a failed write.

use crate::{tcp_info::Sample, wire::Frames};
use api::close_form::TlsEnd;
use rustls::{ClientConnection, client::ClientConfig, pki_types::ServerName};
use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    sync::Arc,
};
use tokio::{net::TcpStream, time::Instant};

/// One read of a plain socket. On the stack while reading: an idle connection keeps no buffer.
const READ: usize = 4096;

/// A connected socket.
#[derive(Debug)]
pub struct Link {
    tcp: TcpStream,
    tls: Option<Box<Tls>>,
}

#[derive(Debug)]
struct Tls {
    connection: ClientConnection,
    /// What came behind bytes that were given out first.
    pending: Option<Signal>,
    /// TLS has ended: only the end of TCP is still waited for.
    over: bool,
}

/// What reading brought.
#[derive(Debug)]
pub enum Signal {
    /// So many bytes, now in the frames.
    Data(usize),
    /// TLS ended, TCP not yet.
    Tls(TlsEnd),
    /// The peer's FIN.
    Fin,
    /// An errno.
    Failed(io::Error),
}

impl Link {
    /// A plain connection.
    #[must_use]
    pub fn new(tcp: TcpStream) -> Self {
        Self { tcp, tls: None }
    }

    /// Whether TLS was established.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// The TLS connection, for its version and the peer's certificate.
    #[must_use]
    pub fn tls(&self) -> Option<&ClientConnection> {
        self.tls.as_ref().map(|tls| &tls.connection)
    }

    /// Our address and the peer's.
    #[must_use]
    pub fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        (self.tcp.local_addr().ok(), self.tcp.peer_addr().ok())
    }

    /// What the kernel knows of the connection.
    #[must_use]
    pub fn sample(&self, now: Instant) -> Option<Sample> {
        Sample::of(&self.tcp, now)
    }

    /// Reads exactly one byte of a plain connection: the answer to SSLRequest. What follows it
    /// belongs to TLS and must not be taken for plain text (CVE-2021-23222).
    ///
    /// # Errors
    /// The connection ended: `UnexpectedEof` by a FIN, otherwise by an errno.
    pub async fn read_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        loop {
            self.tcp.readable().await?;
            match self.tcp.try_read(&mut byte) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => return Ok(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Does the TLS handshake.
    ///
    /// # Errors
    /// rustls' own errors are inside the `io::Error`; the alert that tells the peer was sent.
    pub async fn handshake(
        &mut self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<()> {
        let mut connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            flush(&mut connection, &self.tcp).await?;
            self.tcp.readable().await?;
            match connection.read_tls(&mut Socket(&self.tcp)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
            if let Err(error) = connection.process_new_packets() {
                // The alert is a courtesy: whether it arrives changes nothing.
                let _ = connection.write_tls(&mut Socket(&self.tcp));
                return Err(io::Error::other(error));
            }
        }
        flush(&mut connection, &self.tcp).await?;
        self.tls = Some(Box::new(Tls { connection, pending: None, over: false }));
        Ok(())
    }

    /// Waits for bytes or for a sign of the end. Nothing is lost if it is dropped before.
    pub async fn read(&mut self, frames: &mut Frames) -> Signal {
        loop {
            let seen = match self.tls.as_deref_mut() {
                Some(tls) if !tls.over => tls.try_read(&self.tcp, frames),
                Some(_) => {
                    try_read(&self.tcp, |_| {}).filter(|seen| !matches!(seen, Signal::Data(_)))
                }
                None => try_read(&self.tcp, |bytes| frames.push(bytes)),
            };
            if let Some(signal) = seen {
                return signal;
            }
            if let Err(error) = self.tcp.readable().await {
                return Signal::Failed(error);
            }
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// An errno. What the peer sent before can still be read.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.tls.as_deref_mut() {
            Some(tls) => {
                tls.connection.writer().write_all(bytes)?;
                flush(&mut tls.connection, &self.tcp).await
            }
            None => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    self.tcp.writable().await?;
                    match self.tcp.try_write(rest) {
                        Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }

    /// Says goodbye to TLS. TCP is closed by dropping.
    pub async fn close_tls(&mut self) {
        if let Some(tls) = self.tls.as_deref_mut() {
            tls.connection.send_close_notify();
            let _ = flush(&mut tls.connection, &self.tcp).await;
        }
    }
}

impl Tls {
    fn try_read(&mut self, tcp: &TcpStream, frames: &mut Frames) -> Option<Signal> {
        if let Some(pending) = self.pending.take() {
            return Some(self.end(pending));
        }
        match self.connection.read_tls(&mut Socket(tcp)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Signal::Failed(error)),
            Ok(0) => return Some(Signal::Fin),
            Ok(_) => {}
        }
        let ended = match self.connection.process_new_packets() {
            Ok(state) if state.peer_has_closed() => Some(TlsEnd::CloseNotify),
            Ok(_) => None,
            Err(rustls::Error::AlertReceived(alert)) => Some(TlsEnd::Alert(alert_name(alert))),
            Err(_) => Some(TlsEnd::Corrupt),
        };
        // Answers of TLS itself, such as to a key update. If they can't be sent now, the next
        // request sends them.
        if self.connection.wants_write() {
            let _ = self.connection.write_tls(&mut Socket(tcp));
        }
        let ended = ended.map(Signal::Tls);
        let pulled = pull(&mut self.connection, frames);
        if pulled > 0 {
            self.pending = ended;
            return Some(Signal::Data(pulled));
        }
        ended.map(|ended| self.end(ended))
    }

    fn end(&mut self, signal: Signal) -> Signal {
        self.over = true;
        signal
    }
}

/// Moves what was decrypted into the frames; how much there was.
fn pull(connection: &mut ClientConnection, frames: &mut Frames) -> usize {
    let mut pulled = 0;
    let mut bytes = [0; READ];
    while let Ok(read @ 1..) = connection.reader().read(&mut bytes) {
        frames.push(bytes.get(..read).unwrap_or_default());
        pulled += read;
    }
    pulled
}

fn try_read(tcp: &TcpStream, mut take: impl FnMut(&[u8])) -> Option<Signal> {
    let mut bytes = [0; READ];
    match tcp.try_read(&mut bytes) {
        Ok(0) => Some(Signal::Fin),
        Ok(read) => {
            take(bytes.get(..read).unwrap_or_default());
            Some(Signal::Data(read))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => Some(Signal::Failed(error)),
    }
}

async fn flush(connection: &mut ClientConnection, tcp: &TcpStream) -> io::Result<()> {
    while connection.wants_write() {
        tcp.writable().await?;
        match connection.write_tls(&mut Socket(tcp)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// RFC 8446, section 6: `BadCertificate` becomes `bad_certificate`.
fn alert_name(alert: rustls::AlertDescription) -> String {
    let mut name = String::new();
    let mut after_lower_case = false;
    for character in format!("{alert:?}").chars() {
        if character.is_ascii_uppercase() && after_lower_case {
            name.push('_');
        }
        after_lower_case = character.is_ascii_lowercase();
        name.push(character.to_ascii_lowercase());
    }
    name
}

/// rustls reads and writes through the blocking traits; here they never block.
struct Socket<'a>(&'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_named_as_in_the_rfc() {
        use rustls::AlertDescription as A;
        assert_eq!(alert_name(A::CloseNotify), "close_notify");
        assert_eq!(alert_name(A::InternalError), "internal_error");
        assert_eq!(alert_name(A::UnknownCA), "unknown_ca");
    }
}
