//! What AWS told of an RDS Proxy on the measured path, held against what its connections show. It is evidence beside
//! a finding. CloudWatch counts all clients of a proxy in whole minutes: it names no connection, so it changes no
//! cause and no confidence. The proxy's log does name them, in words that are no interface: it makes a cause sure
//! only where it names the timer, and less sure where it says that the proxy was asked for the end.

use super::{
    Cause, Clock, Confidence,
    path::Path,
    verdict::{Rival, Verdict},
};
use crate::{
    rds_proxy::{RdsProxyStatus, evidence::LoggedEnd},
    report::{Arm, Outcome},
    run::ConnectionProbeRunStatus,
};
use std::collections::BTreeMap;

mod closed;
mod pinning;
mod pressure;
mod words;

pub(crate) use pinning::pinned;

/// Lines of a finding that it may fill: no more than half of them.
pub(super) const MAX_LINES: usize = super::finding::MAX_LINES / 2;
/// An event and a cut this close to each other may be the same, in milliseconds: a minute.
const CLOSE: i64 = 60_000;
/// The log's times are those of CloudWatch Logs: what is further apart is another end, in milliseconds.
const SAME_END: u64 = 10_000;

/// A proxy, as AWS told of it.
pub(super) struct Proxy<'a> {
    told: &'a RdsProxyStatus,
    status: &'a ConnectionProbeRunStatus,
}

impl<'a> Proxy<'a> {
    /// On the measured path, where AWS was asked.
    pub(super) fn of(arm: Arm, status: &'a ConnectionProbeRunStatus) -> Option<Self> {
        let told = status.rds_proxy.as_ref().filter(|_| arm == Arm::Target)?;
        Some(Self { told, status })
    }

    /// What the proxy's log says of these ends counts like a word of whoever closed.
    pub(super) fn weigh(&self, verdict: &mut Verdict, path: &Path<'_>) {
        let says = |what: fn(&LoggedEnd) -> bool| {
            let mut needed: BTreeMap<&str, i32> = BTreeMap::new();
            for lane in verdict.lanes.iter().map(|i| &path.lanes[*i]) {
                let n = needed.entry(lane.workload).or_default();
                *n = n.saturating_add(lane.n);
            }
            let said = |workload: &str| -> i32 {
                let ends = self.ends().filter(|end| end.workload == workload && what(end));
                super::path::total(ends.map(|end| end.n))
            };
            verdict.unlisted.is_empty()
                && !needed.is_empty()
                && needed.iter().all(|(workload, n)| said(workload) >= *n)
        };
        let silent =
            matches!(verdict.cause, Cause::RequestIdleTimer | Cause::IdleTimer | Cause::Unknown);
        let timer = matches!(
            verdict.cause,
            Cause::RequestIdleTimer | Cause::MaxLifetime | Cause::PinnedTimer
        );
        if silent && says(names_the_timer) {
            verdict.cause = Cause::RequestIdleTimer;
            verdict.confidence = Confidence::Stated;
            verdict.timer = verdict.timer.filter(|(clock, _)| *clock == Clock::Request);
            verdict.rivals.clear();
        } else if timer && says(was_asked) {
            verdict.doubt(Rival::Between);
        }
    }

    /// Lines of evidence for a finding, those that say most first.
    pub(super) fn lines(
        &self,
        verdict: &Verdict,
        path: &Path<'_>,
        beside: &Path<'_>,
    ) -> Vec<String> {
        let mut lines: Vec<_> = self.logged(verdict, path).into_iter().collect();
        lines.extend(self.events(verdict, path));
        lines.extend(words::changed(&self.told.facts()));
        if let Some(metrics) = self.told.metrics() {
            lines.extend(closed::closed(metrics, verdict, [path, beside]).and_then(words::closed));
            lines.extend(
                pressure::before(metrics, &refused(verdict, path)).iter().map(words::pressure),
            );
        }
        let pins = verdict.lanes.iter().any(|i| path.lanes[*i].pinned);
        if pins || verdict.cause == Cause::NoCut {
            lines.extend(pinning::of(path, self.status));
        }
        lines.truncate(MAX_LINES);
        lines
    }

    /// What the log says of most ends of these workloads.
    fn logged(&self, verdict: &Verdict, path: &Path<'_>) -> Option<String> {
        let workloads = path.workloads(&verdict.lanes);
        let mut said: BTreeMap<&str, (i32, u64)> = BTreeMap::new();
        for end in self.ends().filter(|end| workloads.contains(end.workload.as_str())) {
            let (n, apart) = said.entry(&end.reason).or_default();
            *n = n.saturating_add(end.n);
            *apart = end.apart_ms.unsigned_abs().max(*apart);
        }
        let most = said.into_iter().max_by_key(|(_, (n, _))| *n);
        most.map(|(reason, (n, apart))| words::logged(n, apart, reason))
    }

    /// Ends in the proxy's log that are ours.
    fn ends(&self) -> impl Iterator<Item = &'a LoggedEnd> {
        let ends = self.told.log().into_iter().flat_map(|log| &log.ends);
        ends.filter(|end| end.apart_ms.unsigned_abs() <= SAME_END && end.n > 0)
    }

    /// What RDS told of the minute before a cut and after it.
    fn events(&self, verdict: &Verdict, path: &Path<'_>) -> Option<String> {
        let ends = || verdict.lanes.iter().map(|i| path.lanes[*i].ended);
        let events = self.told.events();
        let mut near = events.into_iter().filter(|event| {
            let at = event.at.as_millisecond();
            ends().any(|end| end.low - CLOSE <= at && at <= end.high + CLOSE)
        });
        let first = near.next()?;
        Some(words::event(first, near.count()))
    }
}

/// When requests and logins of those that were not cut were refused, in milliseconds of the wall clock.
fn refused(verdict: &Verdict, path: &Path<'_>) -> Vec<i64> {
    if !verdict.lanes.is_empty() || verdict.cause == Cause::NoCut {
        return Vec::new();
    }
    let outcomes = [Outcome::RequestFailed, Outcome::ConnectFailed].into_iter();
    let endings = outcomes.flat_map(|outcome| path.endings(outcome));
    endings.flat_map(|(_, ending)| &ending.lanes).map(|lane| lane.at.as_millisecond()).collect()
}

/// Whether a reason is the timer on idle clients: nobody has published such a line yet.
fn names_the_timer(end: &LoggedEnd) -> bool {
    let reason = end.reason.to_lowercase();
    let names = ["idleclienttimeout", "idle client timeout", "client idle timeout"];
    names.iter().any(|name| reason.contains(name))
}

/// `The client requested that the connection close.`
fn was_asked(end: &LoggedEnd) -> bool {
    end.reason.to_lowercase().contains("client requested that the connection close")
}
