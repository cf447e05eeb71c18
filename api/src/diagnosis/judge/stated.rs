//! Causes that were named, with what was cut silently by the same event.

use super::{Judge, clock};
use crate::diagnosis::{
    Cause, Confidence, message,
    moment::{self, Moment},
    path::Successor,
    span::{APART, Span},
    verdict::{Remark, Rival, Verdict},
};
use std::collections::{BTreeMap, BTreeSet};

impl Judge<'_, '_> {
    /// Causes that were named, with what was cut silently at the same moment by the same event.
    pub(super) fn stated(&mut self) -> Vec<Verdict> {
        let mut said: BTreeMap<Cause, Vec<usize>> = BTreeMap::new();
        for lane in &self.open {
            let form = self.path.lanes[*lane].form();
            if let Some(cause) = form.and_then(|form| message::cause(&form.messages)) {
                said.entry(cause).or_default().push(*lane);
            }
        }
        said.values().for_each(|lanes| self.open.retain(|lane| !lanes.contains(lane)));
        let mut verdicts = Vec::new();
        for (cause, lanes) in said {
            match cause {
                Cause::SessionTerminated => verdicts.extend(self.terminated(lanes)),
                Cause::ServerRestart | Cause::ServerCrash => {
                    let mut verdict = self.event(cause, Confidence::Stated, lanes);
                    if cause == Cause::ServerCrash && !self.tells_crash_from_shutdown() {
                        verdict.doubt(Rival::Cause(Cause::ServerRestart));
                    }
                    verdicts.push(verdict);
                }
                Cause::OtherMessage => {
                    let mut verdict = Verdict::new(cause, Confidence::Open, lanes);
                    verdict.timer = self.clock_of(&verdict.lanes);
                    verdicts.push(verdict);
                }
                _ => {
                    let mut verdict = Verdict::new(cause, Confidence::Stated, lanes);
                    // That it is a timer is known: it may come as late as it looks at its clients.
                    let clock = clock(cause);
                    verdict.timer = clock.and_then(|it| self.timer(it, &verdict.lanes, APART));
                    verdicts.push(verdict);
                }
            }
        }
        for verdict in &mut verdicts {
            let said = verdict.lanes.iter().filter_map(|i| self.path.lanes[*i].form());
            let said: BTreeSet<String> =
                said.filter(|form| !form.messages.is_empty()).map(crate::text::form).collect();
            let said = said.into_iter().take(2).map(Remark::Said);
            verdict.remarks.splice(0..0, said);
        }
        verdicts
    }

    /// Before PostgreSQL 14 an immediate shutdown said that another process had crashed.
    fn tells_crash_from_shutdown(&self) -> bool {
        let version = self.path.server().map(|server| server.version.as_str()).unwrap_or_default();
        let major = version.split(['.', ' ']).next().and_then(|major| major.parse::<u32>().ok());
        major.is_some_and(|major| major >= 14)
    }

    /// 57P01 is said by pg_terminate_backend and by a server that is shut down: who answers afterwards tells.
    fn terminated(&mut self, lanes: Vec<usize>) -> Vec<Verdict> {
        /// From the end of the last session until the server is there again.
        const RESTART_MS: i64 = 120_000;
        let ended = |i: &usize| self.path.lanes[*i].ended.high;
        let successor = self.path.successor();
        let last = lanes.iter().map(ended).max().unwrap_or_default();
        let breadth = moment::breadth(self.path);
        let in_event = |i: &&usize| match successor {
            Some(Successor::Restarted(at)) => (at - RESTART_MS..=at + breadth).contains(&ended(i)),
            Some(Successor::Another) => ended(i) >= last - breadth,
            Some(Successor::Same) | None => false,
        };
        let event: Vec<usize> = lanes.iter().filter(in_event).copied().collect();
        let others: Vec<usize> = lanes.into_iter().filter(|lane| !event.contains(lane)).collect();
        let mut verdicts = Vec::new();
        if !event.is_empty() {
            let (cause, confidence) = match successor {
                Some(Successor::Another) => (Cause::Failover, Confidence::Likely),
                _ => (Cause::ServerRestart, Confidence::Stated),
            };
            let mut verdict = self.event(cause, confidence, event);
            if cause == Cause::Failover {
                verdict.doubt(Rival::Cause(Cause::SessionTerminated));
            }
            verdicts.push(verdict);
        }
        if !others.is_empty() {
            let mut verdict = Verdict::new(Cause::SessionTerminated, Confidence::Stated, others);
            verdict.timer = self.clock_of(&verdict.lanes);
            verdict.remarks.extend(successor.map(Remark::Successor));
            verdict.remarks.extend(moment::period(self.path, &verdict.lanes).map(Remark::Period));
            let moment = Moment::busiest(self.path, &verdict.lanes);
            let at_once = moment.is_some_and(|moment| moment.lanes.len() == verdict.lanes.len());
            if successor.is_none() && (at_once || verdict.lanes.len() == 1) {
                verdict.doubt(Rival::Cause(Cause::ServerRestart));
            }
            verdicts.push(verdict);
        }
        verdicts
    }

    /// Something that happened to the server at one moment, to those that were told and to those that were not.
    fn event(&mut self, cause: Cause, confidence: Confidence, mut lanes: Vec<usize>) -> Verdict {
        let breadth = moment::breadth(self.path);
        let told: Vec<Span> = lanes.iter().map(|i| self.path.lanes[*i].ended).collect();
        let silent =
            |i: &usize| told.iter().any(|span| self.path.lanes[*i].ended.meets(*span, breadth));
        let silent: Vec<usize> = self.open.iter().copied().filter(silent).collect();
        self.close(&silent);
        let mut remarks = Vec::new();
        if let Some(moment) = Moment::busiest(self.path, &lanes) {
            remarks.push(Remark::Moment { at: moment.at, spared: moment.spared });
        }
        if !silent.is_empty() {
            remarks.push(Remark::Silent(self.path.n(&silent)));
        }
        remarks.extend(self.path.successor().map(Remark::Successor));
        lanes.extend(silent);
        Verdict { remarks, ..Verdict::new(cause, confidence, lanes) }
    }
}
