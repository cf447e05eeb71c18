//! Timers that close without a word: what each counts from, whom it spares, how its work looks.
//!
//! A timer lets nobody live beyond it. So a suspect is contradicted by every connection whose clock ran further
//! than that of those that it is to have cut; what is left explains the connections whose clocks ran furthest.

use super::{
    Cause, Clock,
    lane::Lane,
    span::{APART, Span, tolerance},
};
use crate::close_form::CloseWord;

/// A silent timer that may be at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suspect {
    pub(super) clock: Clock,
    pub(super) whom: Whom,
    /// Whether it tells the client at once, or somebody else tells it later.
    pub(super) notice: Notice,
    pub(super) cause: Cause,
}

/// On whom a timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    All,
    OutsideTransaction,
    InTransaction,
    Pinned,
}

/// How the client comes to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    /// By a packet when it closes.
    AtOnce,
    /// By nothing, until it sends something.
    Later,
    Any,
}

const fn suspect(clock: Clock, whom: Whom, notice: Notice, cause: Cause) -> Suspect {
    Suspect { clock, whom, notice, cause }
}

/// In the order in which one is named where several explain the same.
pub(super) const SUSPECTS: [Suspect; 11] = [
    suspect(Clock::Age, Whom::All, Notice::Any, Cause::MaxLifetime),
    suspect(Clock::Request, Whom::All, Notice::AtOnce, Cause::RequestIdleTimer),
    suspect(Clock::Request, Whom::OutsideTransaction, Notice::AtOnce, Cause::RequestIdleTimer),
    suspect(Clock::Byte, Whom::All, Notice::AtOnce, Cause::ByteIdleTimer),
    suspect(Clock::Byte, Whom::All, Notice::Later, Cause::FlowForgotten),
    suspect(Clock::Packet, Whom::All, Notice::Later, Cause::FlowForgotten),
    suspect(Clock::Request, Whom::InTransaction, Notice::AtOnce, Cause::IdleInTransactionTimeout),
    suspect(Clock::Begin, Whom::All, Notice::AtOnce, Cause::TransactionTimeout),
    suspect(Clock::Statement, Whom::All, Notice::AtOnce, Cause::StatementTimeout),
    suspect(Clock::Request, Whom::Pinned, Notice::AtOnce, Cause::PinnedTimer),
    suspect(Clock::Listen, Whom::All, Notice::AtOnce, Cause::PinnedTimer),
];

/// What a suspect explains.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) suspect: Suspect,
    /// Positions of the lanes.
    pub(super) lanes: Vec<usize>,
    /// The timer's value lies between.
    pub(super) value: Span,
}

impl Suspect {
    /// The lanes of `open` that it explains, if it is not contradicted: at least two, and at least half of those
    /// on which it runs.
    pub(super) fn case(self, lanes: &[Lane<'_>], open: &[usize]) -> Option<Case> {
        let (explained, value) = self.explained(lanes, open, 1)?;
        let runs = |i: &&usize| self.span(&lanes[**i]).is_some_and(|span| span.high >= 0);
        let running = open.iter().filter(runs).count();
        let enough = explained.len() >= 2 && explained.len() * 2 >= running;
        enough.then_some(Case { suspect: self, lanes: explained, value })
    }

    /// Whether it would explain these, too, if the clocks were read less strictly.
    pub(super) fn may_explain(self, wanted: &[usize], lanes: &[Lane<'_>], open: &[usize]) -> bool {
        self.explained(lanes, open, APART)
            .is_some_and(|(explained, _)| wanted.iter().all(|lane| explained.contains(lane)))
    }

    fn explained(
        self,
        lanes: &[Lane<'_>],
        open: &[usize],
        tolerances: i64,
    ) -> Option<(Vec<usize>, Span)> {
        let floor = lanes.iter().filter_map(|lane| self.span(lane)).map(|span| span.low).max()?;
        let near = floor - tolerance(floor) * tolerances;
        let explains = |i: &usize| {
            let lane = &lanes[*i];
            self.looks_like(lane) && self.span(lane).is_some_and(|span| span.high >= near)
        };
        let explained: Vec<usize> = open.iter().copied().filter(explains).collect();
        let highs = explained.iter().filter_map(|i| self.span(&lanes[*i])).map(|span| span.high);
        let ceiling = highs.min()?;
        Some((explained, Span { low: floor.min(ceiling), high: ceiling.max(floor) }))
    }

    /// How far its clock ran.
    fn span(self, lane: &Lane<'_>) -> Option<Span> {
        let runs = match self.whom {
            Whom::All => true,
            Whom::OutsideTransaction => !lane.in_transaction,
            Whom::InTransaction => lane.in_transaction,
            Whom::Pinned => lane.pinned && !lane.in_transaction,
        };
        lane.reach(self.clock).filter(|_| runs)
    }

    fn looks_like(self, lane: &Lane<'_>) -> bool {
        let Some(form) = lane.form() else { return false };
        let later = match form.word {
            CloseWord::RstOnWrite | CloseWord::TimedOut => true,
            // One that answers a keepalive of ours is known by an interval.
            CloseWord::Rst => lane.ended.width() > 0,
            CloseWord::Message | CloseWord::Fin | CloseWord::TlsAlert | CloseWord::Truncated => {
                false
            }
        };
        match self.notice {
            Notice::Any => true,
            Notice::AtOnce => !later,
            Notice::Later => later,
        }
    }
}
