//! A session on a link: requests, answers, and the watch for the end.

use crate::{
    client::{Manner, psycopg::Psycopg},
    close::{MAX_MESSAGES, Said},
    heard::Heard,
    life::Life,
    link::{Link, Signal},
    meter::Meter,
    scrub::Scrubber,
    stall::{Attention, Moment},
    wire::{Frame, Frames, Garbage},
};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use std::{io, sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

mod ask;
mod drain;

/// A request may take so long as a rule: poolers make one wait up to 120 s for a server connection
/// (PgBouncer's query_wait_timeout, RDS Proxy's ConnectionBorrowTimeout).
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(150);
/// Goodbyes may take so long, all together.
const FAREWELL: Duration = Duration::from_secs(2);

/// What all sessions of an arm share.
#[derive(Clone)]
pub struct Observer {
    /// Our own stalls.
    pub attention: Arc<Attention>,
    /// Cleans texts of the server.
    pub scrubber: Scrubber,
    /// How long a request may take.
    pub answer_timeout: Duration,
    /// Counts what they cost.
    pub meter: Arc<Meter>,
}

/// A session.
pub struct Session {
    link: Link,
    frames: Frames,
    /// When the bytes came that are in the frames.
    arrived: Moment,
    /// Messages since the last complete answer.
    said: Vec<Said>,
    life: Life,
    /// Whether a request of ours is unanswered.
    asking: bool,
    /// What psycopg would remember.
    psycopg: Option<Box<Psycopg>>,
    /// What it hears, if it listens. Boxed: ten thousand that do not have room for it.
    heard: Option<Box<Heard>>,
    observer: Arc<Observer>,
}

/// The first that was seen of an end.
#[derive(Debug)]
pub struct Sign {
    moment: Moment,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// A message after which there is no session.
    Fatal,
    /// The link's own end.
    Link(Signal),
    /// A request could not be written.
    Unsent(io::Error),
    /// A request was not answered in time.
    Silence,
    /// What came is not PostgreSQL's protocol.
    Garbage,
}

impl Session {
    /// A session of a client whose link was established at `established`.
    #[must_use]
    pub fn new(link: Link, established: Instant, manner: Manner, observer: Arc<Observer>) -> Self {
        Self {
            link,
            frames: Frames::default(),
            arrived: Moment::exact(established),
            said: Vec::new(),
            life: Life::new(established),
            asking: false,
            psycopg: manner.memory(),
            heard: None,
            observer,
        }
    }

    /// The link below.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The clocks.
    #[must_use]
    pub fn life(&self) -> &Life {
        &self.life
    }

    /// Counts the notifications of this channel from now on.
    pub fn listen_for(&mut self, channel: &Arc<str>) {
        self.heard = Some(Box::new(Heard::new(channel)));
    }

    /// What it has heard of its channel.
    #[must_use]
    pub fn heard(&self) -> Option<&Heard> {
        self.heard.as_deref()
    }

    /// Waits for the next notification of its channel. Nothing is lost if it is dropped before.
    ///
    /// # Errors
    /// A sign of the end.
    pub async fn notified(&mut self) -> Result<(), Sign> {
        let count = |session: &Self| session.heard().map_or(0, Heard::count);
        let before = count(self);
        while count(self) == before {
            self.frame().await?;
        }
        Ok(())
    }

    /// Sends messages that want an answer.
    ///
    /// # Errors
    /// They could not be written.
    pub async fn send(&mut self, messages: &[u8]) -> Result<(), Sign> {
        self.asking = true;
        self.observer.meter.sent(messages.len(), self.life.request.is_some());
        // Before the answer to it can have come.
        self.life.client_byte = Some(Instant::now());
        let sent = self.link.send(messages).await;
        sent.map_err(|error| self.sign(Kind::Unsent(error)))
    }

    /// Watches the session until there is a sign of its end. Nothing is lost if it is dropped
    /// before.
    pub async fn watch(&mut self) -> Sign {
        loop {
            if let Err(sign) = self.frame().await {
                return sign;
            }
        }
    }

    /// The next frame. Nothing is lost if it is dropped before.
    ///
    /// # Errors
    /// A sign of the end.
    pub async fn frame(&mut self) -> Result<Frame, Sign> {
        loop {
            match self.frames.next_frame() {
                Ok(Some(frame)) => {
                    self.note(&frame);
                    return match frame {
                        Frame::Said(message) if message.is_fatal() => {
                            Err(Sign { moment: self.arrived, kind: Kind::Fatal })
                        }
                        frame => Ok(frame),
                    };
                }
                Ok(None) => {}
                Err(Garbage) => return Err(self.sign(Kind::Garbage)),
            }
            match self.link.read(&mut self.frames).await {
                Signal::Data(bytes) => self.arrive(bytes),
                end => return Err(self.sign(Kind::Link(end))),
            }
        }
    }

    /// A sign that the caller found in a frame: at login every error is the end.
    #[must_use]
    pub fn fatal(&self) -> Sign {
        Sign { moment: self.arrived, kind: Kind::Fatal }
    }

    /// What was just answered has set a variable, though its command's tag does not say so.
    pub fn has_set(&mut self) {
        self.life.set = self.life.request;
    }

    fn note(&mut self, frame: &Frame) {
        let at = self.arrived.at;
        if let Frame::Said(message) = frame {
            self.said.push(Said {
                moment: self.arrived,
                message: message.scrubbed(&self.observer.scrubber),
            });
            if self.said.len() > MAX_MESSAGES {
                let dropped = self.said.remove(0);
                self.life.server_byte = self.life.server_byte.max(Some(dropped.moment.at));
            }
            return;
        }
        self.life.server_byte = Some(at);
        if let (Frame::Notification { channel, payload }, Some(heard)) = (frame, &mut self.heard) {
            heard.note(channel, payload);
        }
        if !self.asking {
            return;
        }
        match frame {
            Frame::Ready(transaction) => {
                self.asking = false;
                self.life.answered(*transaction, at);
            }
            Frame::Complete(tag) => self.life.completed(tag, at),
            Frame::Notification { .. } | Frame::Aside => return,
            Frame::Said(_)
            | Frame::Auth(_)
            | Frame::Parameter { .. }
            | Frame::Row(_)
            | Frame::Answer => {}
        }
        self.life.proof = at;
    }

    /// Leaves politely, within two seconds: `sql` (what tidies up, if anything), Terminate,
    /// close_notify.
    pub async fn leave(&mut self, sql: Option<&str>) {
        let goodbye = async {
            if let Some(sql) = sql.filter(|_| !self.asking)
                && self.ask(sql, Duration::ZERO).await.is_err()
            {
                return;
            }
            let mut message = BytesMut::new();
            frontend::terminate(&mut message);
            self.observer.meter.sent(message.len(), false);
            if self.link.send(&message).await.is_ok() {
                self.link.close_tls().await;
            }
        };
        // Whether it arrives changes nothing that is reported.
        let _ = timeout(FAREWELL, goodbye).await;
    }

    fn arrive(&mut self, bytes: usize) {
        self.arrived = self.now();
        self.observer.meter.received(bytes);
    }

    fn now(&self) -> Moment {
        self.observer.attention.moment(Instant::now())
    }

    fn sign(&self, kind: Kind) -> Sign {
        Sign { moment: self.now(), kind }
    }
}

impl Sign {
    /// Whether what came is not PostgreSQL's protocol: then there is nothing to classify.
    #[must_use]
    pub fn is_garbage(&self) -> bool {
        matches!(self.kind, Kind::Garbage)
    }

    /// When it was noticed.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.moment.at
    }
}

#[cfg(test)]
mod tests;
