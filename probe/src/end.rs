//! How one lane ended: what a lane hands to the recorder.

use crate::{close::Verdict, connect::Refusal, held::Refused, life::Life};
use api::{
    close_form::{CloseForm, TcpEnd, TlsEnd},
    lifetime::Lifetime,
    report::{Clocks, Inconclusive, Outcome, Phase, TcpInfo},
};
use std::net::SocketAddr;
use tokio::time::Instant;

/// The end of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// How it ended.
    pub outcome: Outcome,
    /// Why nothing can be said.
    pub reason: Option<Inconclusive>,
    /// What the end looked like.
    pub form: Option<CloseForm>,
    /// In words, where it was not the end of a connection.
    pub detail: Option<String>,
    /// In which part of its life.
    pub phase: Phase,
    /// When it was noticed.
    pub at: Instant,
    /// How long the connection lived.
    pub lifetime: Option<Lifetime>,
    /// What the clocks showed.
    pub clocks: Option<Clocks>,
    /// Requests that had been answered.
    pub requests: Option<u32>,
    /// What the kernel knew.
    pub tcp_info: Option<TcpInfo>,
    /// Our TCP port.
    pub local_port: Option<u16>,
    /// The peer.
    pub peer: Option<SocketAddr>,
    /// How many notifications it heard, and how many it should have.
    pub heard: Option<(u32, usize)>,
    /// Which rung of a ladder it decides, by its silence in milliseconds.
    pub silence_ms: Option<u64>,
}

impl End {
    fn new(outcome: Outcome, phase: Phase, at: Instant) -> Self {
        Self {
            outcome,
            reason: None,
            form: None,
            detail: None,
            phase,
            at,
            lifetime: None,
            clocks: None,
            requests: None,
            tcp_info: None,
            local_port: None,
            peer: None,
            heard: None,
            silence_ms: None,
        }
    }

    /// It was to let go before it was connected.
    #[must_use]
    pub fn unconnected(reason: Inconclusive, at: Instant) -> Self {
        Self { reason: Some(reason), ..Self::new(Outcome::Inconclusive, Phase::Connect, at) }
    }

    /// It could not be opened.
    #[must_use]
    pub fn refused(refusal: Refusal, at: Instant) -> Self {
        let outcome = match refusal.reason {
            Some(_) => Outcome::Inconclusive,
            None => Outcome::ConnectFailed,
        };
        Self {
            reason: refusal.reason,
            form: refusal.form.map(|form| *form),
            detail: Some(refusal.detail),
            peer: refusal.peer,
            ..Self::new(outcome, Phase::Connect, at)
        }
    }

    /// It ended, and this was seen of it.
    #[must_use]
    pub fn cut(verdict: Verdict, phase: Phase) -> Self {
        Self {
            reason: verdict.reason,
            form: Some(verdict.form),
            lifetime: Some(verdict.lifetime),
            clocks: Some(verdict.clocks),
            requests: Some(verdict.requests),
            tcp_info: verdict.tcp_info,
            ..Self::new(verdict.outcome, phase, verdict.noticed)
        }
    }

    /// It answered by something that is not PostgreSQL's protocol. The socket may well live, so
    /// it is no drop.
    #[must_use]
    pub fn garbled(life: &Life, phase: Phase, at: Instant) -> Self {
        Self {
            detail: Some("what came is not PostgreSQL's protocol".to_owned()),
            ..Self::alive(Outcome::RequestFailed, life, phase, at)
        }
    }

    /// All lanes were to let go while it lived.
    #[must_use]
    pub fn stopped(reason: Inconclusive, life: &Life, phase: Phase, at: Instant) -> Self {
        Self { reason: Some(reason), ..Self::alive(Outcome::Inconclusive, life, phase, at) }
    }

    /// It answered at the end. If a request before was refused, that is what is told: the
    /// connection lives, and `Survived` would hide that the path did not always serve.
    #[must_use]
    pub fn answered(life: &Life, refused: Option<&Refused>, tls: bool) -> Self {
        match refused {
            None => Self::alive(Outcome::Survived, life, Phase::Proof, life.proof),
            Some(Refused { at, phase, message }) => Self {
                form: Some(CloseForm::new(
                    vec![message.clone()],
                    tls.then_some(TlsEnd::Open),
                    TcpEnd::Open,
                    true,
                )),
                ..Self::alive(Outcome::RequestFailed, life, *phase, *at)
            },
        }
    }

    /// A connection that was alive at the last proof: its lifetime is a lower bound.
    fn alive(outcome: Outcome, life: &Life, phase: Phase, at: Instant) -> Self {
        let lived = life.proof.saturating_duration_since(life.established);
        Self {
            lifetime: Some(Lifetime::at_least(lived)),
            clocks: Some(life.clocks(at)),
            requests: Some(life.requests),
            ..Self::new(outcome, phase, at)
        }
    }
}
