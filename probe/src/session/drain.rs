//! What is read after the first sign of an end, until nothing more can come.

use super::{Kind, Session, Sign};
use crate::{
    close::{self, LINGER, MAX_MESSAGES, Said, Symptoms},
    link::Signal,
    wire::Frame,
};
use api::close_form::{TcpEnd, TlsEnd};
use std::io;
use tokio::time::{Instant, timeout_at};

impl Session {
    /// Reads what is left after the first sign, and gathers all symptoms. A write that failed
    /// is no reason to stop reading: the FATAL that explains it may still be there.
    pub async fn drain(&mut self, sign: Sign) -> Symptoms {
        let Sign { moment, kind } = sign;
        let sample = self.link.sample(Instant::now());
        let is_tls = self.link.is_tls();
        let mut tls = None;
        let mut tcp = None;
        let mut unsent = None;
        match kind {
            Kind::Fatal => {}
            Kind::Unsent(error) => unsent = Some(error),
            // The answer was waited for with the socket open; a few seconds change nothing.
            Kind::Silence | Kind::Garbage => tcp = Some(TcpEnd::Open),
            Kind::Link(signal) => note_end(signal, &mut tls, &mut tcp),
        }
        let deadline = Instant::now() + LINGER;
        while tcp.is_none() {
            while let Ok(Some(frame)) = self.frames.next_frame() {
                if let Frame::Said(message) = frame
                    && self.said.len() < MAX_MESSAGES
                {
                    self.said.push(Said {
                        moment: self.arrived,
                        message: message.scrubbed(&self.observer.scrubber),
                    });
                }
            }
            match timeout_at(deadline, self.link.read(&mut self.frames)).await {
                Ok(Signal::Data(bytes)) => self.arrive(bytes),
                Ok(signal) => note_end(signal, &mut tls, &mut tcp),
                Err(_) => tcp = Some(TcpEnd::Open),
            }
        }
        let tcp = match (unsent.as_ref().map(close::tcp_end), tcp.unwrap_or(TcpEnd::Open)) {
            // The kernel reports a reset once, to the write, and shows the reader a mere end of
            // file. EPIPE is the other way round: the FIN was there before the write.
            (Some(end), TcpEnd::Fin | TcpEnd::Open) if !is_broken_pipe(unsent.as_ref()) => end,
            (Some(end), TcpEnd::Open) => end,
            (_, tcp) => tcp,
        };
        let tls = is_tls.then(|| {
            tls.unwrap_or(match tcp {
                TcpEnd::Fin => TlsEnd::Truncated,
                TcpEnd::Rst | TcpEnd::TimedOut | TcpEnd::Errno(_) | TcpEnd::Open => TlsEnd::Open,
            })
        });
        Symptoms {
            said: std::mem::take(&mut self.said),
            sign: moment,
            tls,
            tcp,
            on_write: self.asking,
            life: self.life,
            sample,
        }
    }
}

fn note_end(signal: Signal, tls: &mut Option<TlsEnd>, tcp: &mut Option<TcpEnd>) {
    match signal {
        Signal::Data(_) => {}
        Signal::Tls(end) => *tls = Some(end),
        Signal::Fin => *tcp = Some(TcpEnd::Fin),
        Signal::Failed(error) => *tcp = Some(close::tcp_end(&error)),
    }
}

fn is_broken_pipe(error: Option<&io::Error>) -> bool {
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
