//! Whether other clients of the proxy were cut with ours.

use crate::{
    diagnosis::{
        path::{Path, total},
        span::Span,
        verdict::Verdict,
    },
    rds_proxy::{
        metrics::{Metric, Metrics},
        points::Point,
    },
};

/// Client connections that were closed in the minutes of cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closed {
    /// All clients'.
    pub(super) all: i64,
    /// Of ours that were held and ended then.
    pub(super) ours: i64,
    /// Of ours that may have come and gone: new ones after cuts, and those that send a NOTIFY.
    pub(super) passing: i64,
    /// As many as were closed in as many other minutes at most.
    pub(super) usual: i64,
}

/// Nothing where a value is missing, or an end is not known to the minute.
pub(super) fn closed(
    metrics: &Metrics,
    verdict: &Verdict,
    paths: [&Path<'_>; 2],
) -> Option<Closed> {
    let points = metrics.points(Metric::ClientConnectionsClosed);
    let ends: Vec<Span> = verdict.lanes.iter().map(|i| paths[0].lanes[*i].ended).collect();
    let exact = ends.iter().all(|end| end.width() <= 60_000);
    if ends.is_empty() || !exact {
        return None;
    }
    // A proxy's host reports when it likes: what it counts late stands in the next minute.
    let holds = |point: &Point| {
        let length = point.to - point.from;
        ends.iter().any(|end| point.meets(end.low, end.high + length))
    };
    let (during, outside): (Vec<Point>, Vec<Point>) = points.into_iter().partition(holds);
    let (first, last) = (during.first()?.from, during.last()?.to);
    let told = ends.iter().all(|end| first <= end.low && end.high < last);
    let all = during.iter().try_fold(0_i64, |sum, point| Some(sum.saturating_add(point.value?)));
    let lanes = || paths.into_iter().flat_map(|path| &path.lanes);
    let met = |point: &Point| lanes().any(|lane| point.meets(lane.ended.low, lane.ended.high));
    let usual = outside.iter().filter(|point| !met(point)).filter_map(|point| point.value).max()?;
    let minutes = i64::try_from(during.len()).ok()?;
    let met = |span: Span| during.iter().any(|point| point.meets(span.low, span.high));
    let ours = total(lanes().filter(|lane| met(lane.ended)).map(|lane| lane.n));
    let length = during.iter().map(|point| point.to - point.from).sum::<i64>();
    let passing = paths.into_iter().flat_map(|path| path.reports.iter().map(move |it| (path, it)));
    let passing = passing.map(|(path, (_, arm))| {
        let attempts = arm.reconnect.as_ref().map_or(0, |told| i64::from(told.attempts));
        let sent = arm.notifications.map_or(0, |told| i64::from(told.sent));
        attempts
            + sent.saturating_mul(length).div_euclid(path.duration_ms.max(1))
            + i64::from(sent > 0)
    });
    let passing = passing.fold(0, i64::saturating_add);
    let all = all.filter(|_| told)?;
    Some(Closed { all, ours: i64::from(ours), passing, usual: usual.saturating_mul(minutes) })
}

impl Closed {
    /// Whether more were cut than ours: by more than twice of what may have come and gone.
    pub(super) fn are_others_too(self) -> bool {
        let Self { all, ours, passing, usual } = self;
        all > ours.saturating_add(passing.saturating_add(usual).saturating_mul(2))
    }

    /// Whether there is no room for others.
    pub(super) fn are_ours_alone(self) -> bool {
        let Self { all, ours, passing, usual } = self;
        usual <= passing
            && passing <= ours / 4
            && (ours..=ours.saturating_add(passing)).contains(&all)
    }
}
