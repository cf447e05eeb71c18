//! Causes of cuts without a word: what explains most, then what explains most of the rest.

use super::Judge;
use crate::{
    close_form::CloseWord,
    diagnosis::{
        Cause, Clock, Confidence,
        lane::Lane,
        moment::{self, Moment},
        path::Successor,
        span::{APART, Span, tolerance},
        suspect::{Case, SUSPECTS},
        verdict::{Remark, Rival, Verdict},
    },
};
use std::collections::BTreeSet;

impl Judge<'_, '_> {
    /// What explains most of what is open, with what would explain the same.
    pub(super) fn next_silent(&self) -> Option<Verdict> {
        let cases: Vec<Case> = SUSPECTS
            .iter()
            .filter_map(|suspect| suspect.case(&self.path.lanes, &self.open))
            .collect();
        let best = cases.iter().max_by_key(|case| case.lanes.len());
        let moment = Moment::busiest(self.path, &self.open);
        match (best, moment) {
            (None, None) => None,
            (Some(case), Some(moment)) if moment.lanes.len() > case.lanes.len() => {
                Some(self.at_one_moment(moment))
            }
            (Some(case), _) => Some(self.by_timer(case)),
            (None, Some(moment)) => Some(self.at_one_moment(moment)),
        }
    }

    fn by_timer(&self, case: &Case) -> Verdict {
        let mut verdict = Verdict::new(case.suspect.cause, Confidence::Strong, case.lanes.clone());
        verdict.timer = Some((case.suspect.clock, case.value));
        let others = SUSPECTS.iter().filter(|other| {
            **other != case.suspect && other.may_explain(&case.lanes, &self.path.lanes, &self.open)
        });
        let mut rivals: BTreeSet<Cause> = others.map(|other| other.cause).collect();
        if Moment::may_explain(self.path, &case.lanes) {
            rivals.insert(Cause::OneMoment);
        }
        rivals.remove(&verdict.cause);
        self.name(&mut verdict, rivals);
        if case.value.width() > tolerance(case.value.high) * APART {
            verdict.confidence = verdict.confidence.max(Confidence::Likely);
        }
        if verdict.n(self.path) < 3 {
            verdict.doubt(Rival::Few);
        }
        if self.spread && self.path.reports.len() > 1 {
            verdict.doubt(Rival::Nodes);
        }
        verdict
    }

    /// The cause, given what would explain the same.
    fn name(&self, verdict: &mut Verdict, mut rivals: BTreeSet<Cause>) {
        const IDLE: [Cause; 2] = [Cause::RequestIdleTimer, Cause::ByteIdleTimer];
        let is_idle = |cause: Cause| IDLE.contains(&cause);
        if is_idle(verdict.cause) && rivals.iter().any(|cause| is_idle(*cause)) {
            rivals.retain(|cause| !is_idle(*cause));
            verdict.rivals.extend(IDLE.map(Rival::Cause));
            verdict.cause = Cause::IdleTimer;
        }
        if let Some(cause) = self.of_form(&verdict.lanes) {
            // The form itself shows what became of the packets, whatever made it so.
            if verdict.cause != cause {
                rivals.insert(verdict.cause);
            }
            rivals.remove(&Cause::FlowForgotten);
            rivals.remove(&cause);
            verdict.cause = cause;
        } else if !rivals.is_empty() {
            rivals.insert(verdict.cause);
            verdict.cause = Cause::Unknown;
            verdict.confidence = Confidence::Open;
        }
        rivals.into_iter().for_each(|cause| verdict.doubt(Rival::Cause(cause)));
    }

    /// What the form of all of these shows by itself. Who waits for a long answer sends nothing that could be reset: its
    /// silence tells neither, beside others that sent something.
    fn of_form(&self, lanes: &[usize]) -> Option<Cause> {
        let lanes = || lanes.iter().map(|i| &self.path.lanes[*i]);
        let word = |lane: &Lane<'_>| lane.form().map(|form| form.word);
        let waits = |lane: &&Lane<'_>| {
            word(lane) == Some(CloseWord::TimedOut) && lane.reach(Clock::Statement).is_some()
        };
        let later = |word: CloseWord| matches!(word, CloseWord::RstOnWrite | CloseWord::TimedOut);
        if !lanes().filter_map(word).all(later) {
            return None;
        }
        let timed_out = |lane: &Lane<'_>| word(lane) == Some(CloseWord::TimedOut);
        let (waiting, asking): (Vec<_>, Vec<_>) = lanes().partition(waits);
        let telling = if asking.is_empty() { waiting } else { asking };
        let dropped = telling.into_iter().any(timed_out);
        Some(if dropped { Cause::SilentDrop } else { Cause::FlowForgotten })
    }

    fn at_one_moment(&self, moment: Moment<'_>) -> Verdict {
        let cause = if moment.host.is_some() { Cause::OneHost } else { Cause::OneMoment };
        let mut verdict = Verdict::new(cause, Confidence::Strong, moment.lanes);
        verdict.remarks.push(Remark::Moment { at: moment.at, spared: moment.spared });
        verdict.remarks.extend(moment.host.map(|host| Remark::Host(host.to_owned())));
        match self.path.successor() {
            Some(Successor::Another) => {
                verdict.cause = Cause::Failover;
                verdict.doubt(Rival::Cause(Cause::OneMoment));
            }
            Some(Successor::Restarted(at)) if at >= moment.at - moment::breadth(self.path) => {
                verdict.cause = Cause::ServerRestart;
                verdict.doubt(Rival::Cause(Cause::OneMoment));
            }
            _ => {}
        }
        verdict.remarks.extend(self.path.successor().map(Remark::Successor));
        let suspects = SUSPECTS
            .iter()
            .filter(|suspect| suspect.may_explain(&verdict.lanes, &self.path.lanes, &self.open));
        let rivals: BTreeSet<Cause> = suspects.map(|suspect| suspect.cause).collect();
        let wide = verdict
            .lanes
            .iter()
            .any(|i| self.path.lanes[*i].ended.width() > moment::breadth(self.path) * APART);
        if !rivals.is_empty() {
            self.name(&mut verdict, rivals);
        } else if wide || (moment.spared > 0 && moment.host.is_none()) {
            verdict.confidence = verdict.confidence.max(Confidence::Likely);
        }
        if verdict.n(self.path) < 3 {
            verdict.doubt(Rival::Few);
        }
        verdict
    }

    /// Two moments or more are those of something that comes again.
    pub(super) fn at_several_moments(&self, verdicts: Vec<Verdict>) -> Vec<Verdict> {
        let is_moment = |verdict: &Verdict| verdict.cause == Cause::OneMoment;
        let (moments, mut others): (Vec<_>, Vec<_>) = verdicts.into_iter().partition(is_moment);
        if moments.len() < 2 {
            others.extend(moments);
            return others;
        }
        let lanes = moments.into_iter().flat_map(|verdict| verdict.lanes).collect();
        let mut sweep = Verdict::new(Cause::Sweep, Confidence::Likely, lanes);
        sweep.doubt(Rival::Cause(Cause::OneMoment));
        sweep.remarks.extend(moment::period(self.path, &sweep.lanes).map(Remark::Period));
        others.push(sweep);
        others
    }

    /// What comes at regular moments.
    pub(super) fn sweep(&mut self) -> Option<Verdict> {
        let period = moment::period(self.path, &self.open)?;
        let mut verdict =
            Verdict::new(Cause::Sweep, Confidence::Likely, std::mem::take(&mut self.open));
        verdict.remarks.push(Remark::Period(period));
        verdict.doubt(Rival::Cause(Cause::OneMoment));
        Some(verdict)
    }

    /// A limit on age that is not the same for all: nobody lived longer than those that were cut last, and those that
    /// were cut first lived nearly as long.
    pub(super) fn varying_lifetime(&mut self) -> Option<Verdict> {
        /// Of the longest life, in percent: one that varies by a tenth in either direction has 82.
        const SHORTEST: i64 = 75;
        let age = |i: &usize| self.path.lanes[*i].reach(Clock::Age);
        let ages: Vec<Span> = self.open.iter().filter_map(age).collect();
        let low = ages.iter().map(|age| age.low).min()?;
        let high = ages.iter().map(|age| age.high).max()?;
        let lived = self.path.lanes.iter().filter_map(|lane| lane.reach(Clock::Age));
        let outlived = lived.into_iter().any(|age| age.low > high);
        let busy = |i: &usize| self.path.lanes[*i].is_busier_than(low / 4);
        let all = self.path.workloads(&self.open).len() >= 2 && self.open.iter().any(busy);
        if self.open.len() < 5 || outlived || !all || low < high * SHORTEST / 100 {
            return None;
        }
        let lanes = std::mem::take(&mut self.open);
        let mut verdict = Verdict::new(Cause::MaxLifetime, Confidence::Likely, lanes);
        verdict.timer = Some((Clock::Age, Span { low, high }));
        verdict.remarks.push(Remark::Varies);
        verdict.doubt(Rival::Cause(Cause::Sweep));
        Some(verdict)
    }
}
