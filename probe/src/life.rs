//! The clocks of one connection: when what last happened.

use api::{lifetime::ms, report::Clocks};
use tokio::time::Instant;

/// Moments in the life of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// The end of the TCP handshake.
    pub established: Instant,
    /// The last byte from the peer that answered something, or the establishment.
    pub proof: Instant,
    /// Our last byte.
    pub client_byte: Option<Instant>,
    /// The peer's last byte.
    pub server_byte: Option<Instant>,
    /// The last request that was answered in full; login is the first.
    pub request: Option<Instant>,
    /// Requests after the login that were answered in full.
    pub requests: u32,
    /// When the open transaction was begun.
    pub begin: Option<Instant>,
    /// The last SET.
    pub set: Option<Instant>,
    /// The last LISTEN.
    pub listen: Option<Instant>,
}

impl Life {
    /// A connection that was established just now.
    #[must_use]
    pub fn new(established: Instant) -> Self {
        Self {
            established,
            proof: established,
            client_byte: None,
            server_byte: None,
            request: None,
            requests: 0,
            begin: None,
            set: None,
            listen: None,
        }
    }

    /// A command was completed. Its tag tells what it was, whoever wrote the statement.
    pub fn completed(&mut self, tag: &str, at: Instant) {
        match tag {
            "SET" => self.set = Some(at),
            "LISTEN" => self.listen = Some(at),
            _ => {}
        }
    }

    /// A request was answered in full, with the transaction's state (`I`: none is open).
    pub fn answered(&mut self, transaction: u8, at: Instant) {
        self.requests += u32::from(self.request.is_some());
        self.request = Some(at);
        self.begin = match transaction {
            b'I' => None,
            _ => self.begin.or(Some(at)),
        };
    }

    /// What the clocks show at `at`.
    #[must_use]
    pub fn clocks(&self, at: Instant) -> Clocks {
        let since = |moment: Instant| ms(at.saturating_duration_since(moment));
        Clocks {
            connect_ms: since(self.established),
            client_byte_ms: self.client_byte.map(since),
            server_byte_ms: self.server_byte.map(since),
            request_ms: self.request.map(since),
            begin_ms: self.begin.map(since),
            set_ms: self.set.map(since),
            listen_ms: self.listen.map(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn begin_counts_while_its_transaction_is_open() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut life = Life::new(start);
        life.answered(b'T', at(1));
        life.answered(b'T', at(5));
        assert_eq!(life.clocks(at(10)).begin_ms, Some(9000));
        assert_eq!(life.clocks(at(10)).request_ms, Some(5000));
        assert_eq!(life.requests, 1, "the first one was the login");
        life.answered(b'I', at(11));
        assert_eq!(life.clocks(at(12)).begin_ms, None);
    }

    #[tokio::test(start_paused = true)]
    async fn commands_are_known_by_their_tags() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut life = Life::new(start);
        life.completed("SET", at(1));
        life.completed("LISTEN", at(2));
        life.completed("SELECT 1", at(3));
        let clocks = life.clocks(at(4));
        assert_eq!((clocks.set_ms, clocks.listen_ms), (Some(3000), Some(2000)));
        assert_eq!(clocks.connect_ms, 4000);
    }
}
