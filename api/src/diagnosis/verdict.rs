//! What was judged of a path: causes, and the lanes that each explains.

use super::{
    Cause, Clock, Confidence,
    path::{Path, Successor, total},
    span::Span,
};
use std::collections::{BTreeMap, BTreeSet};

/// A cause and the lanes that it explains.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    /// Positions of lanes.
    pub(super) lanes: Vec<usize>,
    /// Connections that are no lanes of these, by workload: not cut, or without room in the report.
    pub(super) unlisted: BTreeMap<String, i32>,
    pub(super) timer: Option<(Clock, Span)>,
    /// What would look the same.
    pub(super) rivals: BTreeSet<Rival>,
    pub(super) remarks: Vec<Remark>,
}

/// What is not excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rival {
    /// Another cause.
    Cause(Cause),
    /// Chance: so few agree.
    Few,
    /// A difference between nodes, where workloads were on different ones.
    Nodes,
    /// Somebody between client and RDS Proxy, who ended it towards both.
    Between,
}

/// What a verdict has to add to its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remark {
    /// When it was, and how many were there and lived on.
    Moment { at: i64, spared: i32 },
    /// To which host all led.
    Host(String),
    /// Who answered afterwards.
    Successor(Successor),
    /// So many more ended alike, and the report had no room for them.
    Unlisted(i32),
    /// So many were cut at the same moment without a word.
    Silent(i32),
    /// What was said.
    Said(String),
    /// It varies, so the ages differ by more than a timer's do.
    Varies,
    /// They come at multiples of so many milliseconds.
    Period(i64),
}

impl Verdict {
    pub(super) fn new(cause: Cause, confidence: Confidence, lanes: Vec<usize>) -> Self {
        Self {
            cause,
            confidence,
            lanes,
            unlisted: BTreeMap::new(),
            timer: None,
            rivals: BTreeSet::new(),
            remarks: Vec::new(),
        }
    }

    /// Of a path on which nothing was cut; nothing if nothing is known to have survived.
    pub(super) fn no_cut(path: &Path<'_>) -> Option<Self> {
        let mut verdict = Self::new(Cause::NoCut, Confidence::Strong, Vec::new());
        for (report, arm) in path.reports.iter().filter(|(_, arm)| arm.counts.survived > 0) {
            verdict.unlisted.insert(report.workload.clone(), arm.counts.survived);
        }
        (!verdict.unlisted.is_empty()).then_some(verdict)
    }

    /// How many connections it explains.
    pub(super) fn n(&self, path: &Path<'_>) -> i32 {
        path.n(&self.lanes).saturating_add(total(self.unlisted.values().copied()))
    }

    /// What is told first: what is known, then what explains most.
    pub(super) fn rank(&self, path: &Path<'_>) -> (bool, i32) {
        (self.cause != Cause::Unknown, self.n(path))
    }

    /// So many more, which are no lanes of it.
    pub(super) fn count(&mut self, workload: &str, n: i32) {
        let counted = self.unlisted.entry(workload.to_owned()).or_default();
        *counted = counted.saturating_add(n);
    }

    pub(super) fn doubt(&mut self, rival: Rival) {
        self.rivals.insert(rival);
        self.confidence = self.confidence.max(Confidence::Likely);
    }
}
