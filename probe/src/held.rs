//! A connection in the hands of a workload: ask something, or be silent until a moment. In both
//! cases its end is noticed when it shows.

use crate::{
    announcer::Hearing,
    close::is_exhausted,
    heard::Heard,
    life::Life,
    session::{Session, Sign},
    stop::Stop,
};
use api::{
    close_form::ServerMessage,
    report::{Inconclusive, Phase},
};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    select,
    time::{Instant, sleep_until},
};

/// A held connection.
pub struct Held {
    session: Session,
    stop: Stop,
    phase: Phase,
    /// Boxed: few connections have one, and ten thousand have room for it.
    refused: Option<Box<Refused>>,
    hearing: Option<Hearing>,
    /// Of the beginning: the kernel forgets the peer of a connection that was reset.
    local_port: Option<u16>,
    peer: Option<SocketAddr>,
}

/// The first request that was answered by an error.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When.
    pub at: Instant,
    /// In which part of the connection's life.
    pub phase: Phase,
    /// The error.
    pub message: ServerMessage,
}

/// Why a workload ended before its time.
#[derive(Debug)]
pub enum Ended {
    /// There is a sign of the connection's end.
    Sign(Sign),
    /// All lanes are to let go.
    Stopped(Inconclusive),
    /// A request was refused that the workload can't go on without.
    Refused,
}

impl Held {
    /// Takes a connection.
    #[must_use]
    pub fn new(session: Session, stop: Stop) -> Self {
        let (local, peer) = session.link().addresses();
        Self {
            session,
            stop,
            phase: Phase::LeadIn,
            refused: None,
            hearing: None,
            local_port: local.map(|local| local.port()),
            peer,
        }
    }

    /// Our port, and the peer's address and port.
    #[must_use]
    pub fn addresses(&self) -> (Option<u16>, Option<SocketAddr>) {
        (self.local_port, self.peer)
    }

    /// Enters the next part of its life.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// The part of its life.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The clocks.
    #[must_use]
    pub fn life(&self) -> &Life {
        self.session.life()
    }

    /// The session, to end it.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The first request that was answered by an error, if any was.
    #[must_use]
    pub fn refused(&self) -> Option<&Refused> {
        self.refused.as_deref()
    }

    /// What it has heard of its channel, if it listens.
    #[must_use]
    pub fn heard(&self) -> Option<&Heard> {
        self.session.heard()
    }

    /// Whether it still heard at its end, if that was tried.
    #[must_use]
    pub fn hearing(&self) -> Option<&Hearing> {
        self.hearing.as_ref()
    }

    /// Remembers whether it still heard at its end.
    pub fn hears(&mut self, hearing: Hearing) {
        self.hearing = Some(hearing);
    }

    /// Sends a statement and waits for its answer. An error in it is remembered, and the
    /// workload goes on: the connection lives.
    ///
    /// # Errors
    /// The connection ended, or all lanes are to let go.
    pub async fn request(&mut self, sql: &str) -> Result<(), Ended> {
        self.request_of(sql, Duration::ZERO).await
    }

    /// The same for a statement that takes `length`.
    ///
    /// # Errors
    /// The connection ended, or all lanes are to let go.
    pub async fn request_of(&mut self, sql: &str, length: Duration) -> Result<(), Ended> {
        let answer = select! {
            biased;
            answer = Box::pin(self.session.ask(sql, length)) => answer,
            reason = self.stop.thrown() => return Err(Ended::Stopped(reason)),
        };
        self.answered(answer)
    }

    /// Begins a transaction, if none is open: as psycopg's and Django's own blocks do it.
    ///
    /// # Errors
    /// The connection ended, or all lanes are to let go.
    pub async fn begin(&mut self) -> Result<(), Ended> {
        match self.life().begin {
            None => self.query("BEGIN").await,
            Some(_) => Ok(()),
        }
    }

    /// Commits the transaction, if one is open.
    ///
    /// # Errors
    /// The connection ended, or all lanes are to let go.
    pub async fn commit(&mut self) -> Result<(), Ended> {
        match self.life().begin {
            Some(_) => self.query("COMMIT").await,
            None => Ok(()),
        }
    }

    async fn query(&mut self, sql: &str) -> Result<(), Ended> {
        let answer = select! {
            biased;
            answer = Box::pin(self.session.query(sql)) => answer,
            reason = self.stop.thrown() => return Err(Ended::Stopped(reason)),
        };
        self.answered(answer)
    }

    fn answered(&mut self, answer: Result<Option<ServerMessage>, Sign>) -> Result<(), Ended> {
        let answer = answer.map_err(Ended::Sign)?;
        let Some(message) = answer else {
            return Ok(());
        };
        if is_exhausted(&message) {
            return Err(Ended::Stopped(Inconclusive::PoolExhausted));
        }
        let refused = Refused {
            at: self.session.life().request.unwrap_or_else(Instant::now),
            phase: self.phase,
            message,
        };
        self.refused.get_or_insert(Box::new(refused));
        Ok(())
    }

    /// Sends nothing until `until`, and reads all the while.
    ///
    /// # Errors
    /// The connection ended, or all lanes are to let go.
    pub async fn silence(&mut self, until: Instant) -> Result<(), Ended> {
        // The sign goes first: what came before a request was due is not its answer.
        select! {
            biased;
            sign = self.session.watch() => Err(Ended::Sign(sign)),
            reason = self.stop.thrown() => Err(Ended::Stopped(reason)),
            () = sleep_until(until) => Ok(()),
        }
    }

    /// Sends nothing until a notification comes.
    ///
    /// # Errors
    /// The connection ended, or all lanes are to let go.
    pub async fn notified(&mut self) -> Result<(), Ended> {
        select! {
            biased;
            notified = self.session.notified() => notified.map_err(Ended::Sign),
            reason = self.stop.thrown() => Err(Ended::Stopped(reason)),
        }
    }
}
