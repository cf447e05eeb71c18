//! Cuts at the same moment of the wall clock, whatever the connections' own clocks showed.

use super::{
    lane::Lane,
    path::{Path, total},
    span::Span,
};
use std::collections::BTreeSet;

/// Connections that were cut at the same moment.
#[derive(Clone, Debug)]
pub(super) struct Moment<'a> {
    /// Positions of the lanes.
    pub(super) lanes: Vec<usize>,
    /// In milliseconds of the pod's wall clock.
    pub(super) at: i64,
    /// How many were there and lived on.
    pub(super) spared: i32,
    /// The one host to which all led, while those that were spared led to others.
    pub(super) host: Option<&'a str>,
}

/// What happens at one moment may take so long, in milliseconds: longer in runs of 50 minutes than in a
/// minute's, where connections are opened closer together.
pub(super) fn breadth(path: &Path<'_>) -> i64 {
    (path.duration_ms / 300).clamp(400, 10_000)
}

/// The time of which all distances between the moments of these cuts are multiples: there are at least three moments,
/// most of several cuts, and it is long beside their breadth.
pub(super) fn period(path: &Path<'_>, lanes: &[usize]) -> Option<i64> {
    const LONG: i64 = 10;
    let breadth = breadth(path);
    let mut ends: Vec<i64> = lanes.iter().map(|i| path.lanes[*i].ended.high).collect();
    ends.sort_unstable();
    let moments: Vec<i64> =
        ends.chunk_by(|a, b| b - a <= breadth).filter_map(|chunk| chunk.first().copied()).collect();
    let gaps: Vec<i64> = moments.windows(2).map(|two| two[1] - two[0]).collect();
    let period = gaps.iter().copied().min()?;
    let off = |gap: &i64| (gap + period / 2) % period - period / 2;
    let regular = gaps.iter().all(|gap| off(gap).abs() <= breadth);
    let enough = moments.len() >= 3 && ends.len() >= 2 * moments.len();
    (enough && regular && period >= LONG * breadth).then_some(period)
}

impl<'a> Moment<'a> {
    /// The moment at which most of these were cut: at least two, and at least half of them.
    pub(super) fn busiest(path: &Path<'a>, open: &[usize]) -> Option<Self> {
        let breadth = breadth(path);
        let moments: BTreeSet<i64> = open.iter().map(|i| path.lanes[*i].ended.high).collect();
        let at = |at| (Self::lanes_at(path, open, at, breadth), at);
        let all = moments.into_iter().map(at);
        let (lanes, at) = all.max_by_key(|(lanes, at)| (lanes.len(), std::cmp::Reverse(*at)))?;
        let enough = lanes.len() >= 2 && lanes.len() * 2 >= open.len();
        enough.then(|| Self::of(path, lanes, at))
    }

    /// Whether all of these may have been cut at one moment.
    pub(super) fn may_explain(path: &Path<'_>, wanted: &[usize]) -> bool {
        let breadth = breadth(path) * super::span::APART;
        let spans = || wanted.iter().map(|i| path.lanes[*i].ended);
        let last = spans().map(|span| span.low).max();
        let first = spans().map(|span| span.high).min();
        matches!((first, last), (Some(first), Some(last)) if last <= first + breadth)
    }

    fn of(path: &Path<'a>, lanes: Vec<usize>, at: i64) -> Self {
        let there = |(i, lane): &(usize, &Lane<'a>)| {
            !lanes.contains(i) && lane.lived_at(at + breadth(path))
        };
        let spared: Vec<&Lane<'a>> =
            path.lanes.iter().enumerate().filter(there).map(|(_, lane)| lane).collect();
        let host = path.lanes[lanes[0]].host.filter(|host| {
            lanes.iter().all(|i| path.lanes[*i].host == Some(host))
                && !spared.is_empty()
                && spared.iter().all(|lane| lane.host.is_some_and(|other| other != *host))
        });
        Self { at, spared: total(spared.iter().map(|lane| lane.n)), host, lanes }
    }

    fn lanes_at(path: &Path<'_>, open: &[usize], at: i64, breadth: i64) -> Vec<usize> {
        let moment = Span { low: at, high: at };
        let there = |lane: &Lane<'_>| lane.is_listed() && lane.ended.meets(moment, breadth);
        open.iter().copied().filter(|i| there(&path.lanes[*i])).collect()
    }
}
