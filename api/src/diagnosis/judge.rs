//! From lanes to causes.

use super::{
    Cause, Clock, Confidence, message,
    path::Path,
    span::{Span, tolerance},
    verdict::{Remark, Rival, Verdict},
};
use crate::{
    close_form::{CloseWord, TcpEnd},
    measurement::Placement,
    report::{ArmReport, Ending, Notifications, Outcome},
    run::MeasurementRecord,
};
use std::collections::{BTreeMap, BTreeSet};

mod silent;
mod stated;

/// Judges one path.
pub(super) struct Judge<'p, 'a> {
    path: &'p Path<'a>,
    /// Workloads may have been on different nodes.
    spread: bool,
    /// Lanes that nothing explains yet.
    open: Vec<usize>,
}

impl<'p, 'a> Judge<'p, 'a> {
    pub(super) fn new(path: &'p Path<'a>, record: &MeasurementRecord) -> Self {
        let spread = record.settled.placement == Some(Placement::Spread);
        Self { path, spread, open: path.cut() }
    }

    pub(super) fn verdicts(mut self) -> Vec<Verdict> {
        let mut verdicts = self.stated();
        verdicts.extend(self.own_node());
        let mut silent = Vec::new();
        while let Some(verdict) = self.next_silent() {
            self.close(&verdict.lanes);
            silent.push(verdict);
        }
        verdicts.extend(self.at_several_moments(silent));
        verdicts.extend(self.sweep());
        verdicts.extend(self.varying_lifetime());
        verdicts.iter_mut().for_each(|verdict| self.add_alike(verdict));
        verdicts.extend(self.unknown());
        verdicts.extend(self.alive());
        verdicts
    }

    fn close(&mut self, lanes: &[usize]) {
        self.open.retain(|lane| !lanes.contains(lane));
    }

    /// ECONNABORTED: the own kernel destroyed the socket.
    fn own_node(&mut self) -> Option<Verdict> {
        const ABORTED: i32 = 103;
        let aborted = |i: &usize| {
            let form = self.path.lanes[*i].form();
            form.is_some_and(|form| form.tcp == TcpEnd::Errno(ABORTED))
        };
        let lanes: Vec<usize> = self.open.iter().copied().filter(aborted).collect();
        self.close(&lanes);
        let mut verdict = Verdict::new(Cause::OwnNode, Confidence::Strong, lanes);
        if verdict.lanes.len() < 3 {
            verdict.doubt(Rival::Few);
        }
        (!verdict.lanes.is_empty()).then_some(verdict)
    }

    /// Connections without room in the report that ended as some of these did: likely by the same, which nobody knows.
    fn add_alike(&mut self, verdict: &mut Verdict) {
        let lanes = &self.path.lanes;
        let alike = |i: &usize| {
            let lane = &lanes[*i];
            let is = |other: &usize| {
                lanes[*other].workload == lane.workload && lanes[*other].form() == lane.form()
            };
            !lane.is_listed() && verdict.lanes.iter().any(is)
        };
        let (alike, open): (Vec<usize>, Vec<usize>) = self.open.iter().partition(|i| alike(i));
        self.open = open;
        let n = self.path.n(&alike);
        if n > 0 {
            verdict.remarks.push(Remark::Unlisted(n));
        }
        if n > verdict.n(self.path) && verdict.confidence == Confidence::Strong {
            verdict.confidence = Confidence::Likely;
        }
    }

    /// What nothing explains, and what the report had no room for.
    fn unknown(&mut self) -> Option<Verdict> {
        let lanes = std::mem::take(&mut self.open);
        let unseen = self.path.lanes.iter().filter(|lane| lane.is_cut() && lane.form().is_none());
        let mut verdict = Verdict::new(Cause::Unknown, Confidence::Open, lanes);
        for lane in unseen {
            verdict.count(lane.workload, lane.n);
        }
        if verdict.lanes.len() < 3 {
            verdict.rivals.insert(Rival::Few);
        }
        (verdict.n(self.path) > 0).then_some(verdict)
    }

    /// What connections show that were not cut.
    fn alive(&self) -> Vec<Verdict> {
        let mut found: BTreeMap<Cause, (Verdict, BTreeSet<String>)> = BTreeMap::new();
        let new =
            |cause, confidence| (Verdict::new(cause, confidence, Vec::new()), BTreeSet::new());
        for outcome in [Outcome::RequestFailed, Outcome::Deaf, Outcome::ConnectFailed] {
            for (workload, ending) in self.path.endings(outcome) {
                let said = ending.form.as_ref().and_then(|form| message::cause(&form.messages));
                let cause = match outcome {
                    Outcome::Deaf => Cause::NotificationsLost,
                    Outcome::ConnectFailed => Cause::ConnectionRefused,
                    _ => said.unwrap_or(Cause::OtherMessage),
                };
                let confidence = match cause {
                    Cause::OtherMessage => Confidence::Open,
                    _ if said.is_some() => Confidence::Stated,
                    _ if ending.n >= 2 => Confidence::Strong,
                    _ => Confidence::Likely,
                };
                let (verdict, seen) = found.entry(cause).or_insert_with(|| new(cause, confidence));
                verdict.confidence = verdict.confidence.min(confidence);
                verdict.count(workload, ending.n);
                seen.insert(crate::text::ending(ending));
            }
        }
        for (workload, arm, heard) in self.deaf_until_cut() {
            let cause = Cause::NotificationsLost;
            let (verdict, seen) =
                found.entry(cause).or_insert_with(|| new(cause, Confidence::Strong));
            verdict.count(workload, arm.counts.disconnected);
            seen.insert(crate::text::notifications(heard));
        }
        let with_remarks = |(mut verdict, seen): (Verdict, BTreeSet<String>)| {
            verdict.remarks.extend(seen.into_iter().take(2).map(Remark::Said));
            verdict
        };
        found.into_values().map(with_remarks).collect()
    }

    /// Workloads whose connections heard nothing of what their sender itself heard, though they were alive: they were cut
    /// later, in ways that are noticed at once. Each missed two: one may have crossed the cut.
    fn deaf_until_cut(&self) -> impl Iterator<Item = (&str, &ArmReport, &Notifications)> {
        let at_once = |ending: &Ending| {
            let form = ending.form.as_ref();
            form.is_some_and(|form| !form.on_write && form.word != CloseWord::TimedOut)
        };
        self.path.reports.iter().filter_map(move |(report, arm)| {
            let heard = arm.notifications.as_ref()?;
            let each = arm.connections.max(1);
            let deaf = heard.received == 0
                && heard.heard_by_sender >= 2
                && heard.expected >= each.saturating_mul(2);
            let cut = |ending: &&Ending| ending.outcome == Outcome::Disconnected;
            let mut cuts = arm.endings.iter().filter(cut).peekable();
            (deaf && cuts.peek().is_some() && cuts.all(at_once)).then_some((
                report.workload.as_str(),
                *arm,
                heard,
            ))
        })
    }

    /// The value of a timer that counts by this clock: nothing from one connection, or if they differ by more than so
    /// many tolerances.
    fn timer(&self, clock: Clock, lanes: &[usize], tolerances: i64) -> Option<(Clock, Span)> {
        let spans = lanes.iter().filter_map(|i| self.path.lanes[*i].reach(clock));
        let spans: Vec<Span> = spans.filter(|span| span.high >= 0).collect();
        let value = Span {
            low: spans.iter().map(|span| span.low).max()?,
            high: spans.iter().map(|span| span.high).min()?,
        };
        let (low, high) = (value.low.min(value.high), value.low.max(value.high));
        let agree = spans.len() >= 2
            && spans.len() == lanes.len()
            && high - low <= tolerance(high) * tolerances;
        agree.then_some((clock, Span { low, high }))
    }

    /// The one clock that showed the same in all of these.
    fn clock_of(&self, lanes: &[usize]) -> Option<(Clock, Span)> {
        let clocks = [Clock::Age, Clock::Request, Clock::Begin, Clock::Statement];
        let mut same = clocks.iter().filter_map(|clock| self.timer(*clock, lanes, 1));
        let only = same.next().filter(|_| lanes.len() >= 3);
        only.filter(|_| same.next().is_none())
    }
}

/// What a timer that names itself counts from.
fn clock(cause: Cause) -> Option<Clock> {
    Some(match cause {
        Cause::IdleSessionTimeout | Cause::IdleInTransactionTimeout | Cause::PoolerIdleTimeout => {
            Clock::Request
        }
        Cause::TransactionTimeout => Clock::Begin,
        Cause::StatementTimeout => Clock::Statement,
        _ => return None,
    })
}
