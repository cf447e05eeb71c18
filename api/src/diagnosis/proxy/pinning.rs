//! Whether the proxy pinned the sessions that should be, by AWS's published rule: its count of pinned sessions rises
//! by their number while all of them are held, and falls back after them. The count is there for the whole proxy only.

use super::words;
use crate::{
    diagnosis::{
        lane::{Lane, STARTED},
        path::{Path, total},
        span::Span,
    },
    lifetime::ms,
    rds_proxy::{
        metrics::{Metric, Metrics},
        points::Point,
    },
    report::Arm,
    run::{ConnectionProbeRunStatus, MeasurementRecord},
    settings::Settings,
};
use std::collections::BTreeSet;

/// What the count shows of `n` connections that should be pinned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pinning {
    /// It rose by their number and fell back; by so much, within its own noise.
    Confirmed(Span),
    /// It rose by their number, and there is nothing from after them.
    Rose(Span),
    /// It did not rise.
    Absent(Span),
    /// It rose by another number.
    Differs(Span),
    /// It moves by so much without them.
    Busy(i64),
    /// It is not known for the time before them, or for the one in which all were held.
    Unknown,
}

/// A sentence on the sessions of a run that should be pinned, where there are any and CloudWatch was read.
pub(crate) fn pinned(
    record: &MeasurementRecord,
    status: &ConnectionProbeRunStatus,
) -> Option<String> {
    let settings = Settings::new("", &record.settled, Vec::new()).ok()?;
    of(&Path::new(Arm::Target, &settings, status), status)
}

pub(super) fn of(path: &Path<'_>, status: &ConnectionProbeRunStatus) -> Option<String> {
    let told = status.rds_proxy.as_ref()?;
    let metrics = told.metrics()?;
    let lanes: Vec<&Lane<'_>> = path.lanes.iter().filter(|lane| lane.pinned).collect();
    let n = total(lanes.iter().map(|lane| lane.n));
    let measured = told.told().filter_map(|it| it.proxy.as_ref());
    let is_ours = measured.into_iter().any(|proxy| proxy.measured_endpoint.is_some());
    (n > 0).then(|| words::pinning(n, judge(metrics, path, &lanes, n, is_ours)))
}

fn judge(
    metrics: &Metrics,
    path: &Path<'_>,
    lanes: &[&Lane<'_>],
    n: i32,
    is_ours: bool,
) -> Pinning {
    let names: BTreeSet<&str> = lanes.iter().map(|lane| lane.workload).collect();
    let reports =
        path.reports.iter().filter(|(report, _)| names.contains(report.workload.as_str()));
    let started = reports.map(|(report, _)| report.started_at.as_millisecond());
    let (Some(first), Some(last)) = (started.clone().min(), started.max()) else {
        return Pinning::Unknown;
    };
    // By then all have been opened, and have sent their SET or LISTEN.
    let all = last
        + ms(std::time::Duration::from_millis(path.duration_ms.unsigned_abs()).mul_f64(STARTED));
    let first_end = lanes.iter().map(|lane| lane.ended.low).min().unwrap_or(all);
    let last_end = lanes.iter().map(|lane| lane.ended.high).max().unwrap_or(all);
    let points = metrics.points(Metric::DatabaseConnectionsCurrentlySessionPinned);
    // A minute at the edge is neither.
    let minute = metrics.minutes() * 60_000;
    let within = |from: i64, to: i64| {
        let inside = |point: &&Point| from <= point.from && point.to <= to;
        points.iter().filter(inside).filter_map(|point| point.value).collect::<Vec<_>>()
    };
    // One value alone does not show how much others move it.
    let several = |known: Vec<i64>| level(&known).filter(|_| known.len() >= 2);
    let before = several(within(i64::MIN, first));
    let during = several(within(all + minute, first_end - minute));
    let after = level(&within(last_end + minute, i64::MAX));
    let after = after.or_else(|| level(&within(last_end, i64::MAX)));
    let (Some(before), Some(during)) = (before, during) else { return Pinning::Unknown };
    let n = i64::from(n);
    let rise = apart(during, before);
    let fall = after.map(|after| apart(during, after));
    let noise = [rise.width(), fall.map_or(0, Span::width)].into_iter().max().unwrap_or_default();
    // What moves by more than half of them hides them.
    if noise.saturating_mul(2) > n {
        return Pinning::Busy(noise);
    }
    let is_all = |by: Span| by.low <= n && n <= by.high;
    match fall {
        None if is_all(rise) => Pinning::Rose(rise),
        Some(fall) if is_all(rise) && is_all(fall) => Pinning::Confirmed(rise),
        _ if is_ours && rise.low <= 0 && 0 <= rise.high => Pinning::Absent(rise),
        _ => Pinning::Differs(rise),
    }
}

/// From the least to the most that the count was.
fn level(known: &[i64]) -> Option<Span> {
    Some(Span { low: known.iter().copied().min()?, high: known.iter().copied().max()? })
}

/// By how much one level is above another.
fn apart(above: Span, below: Span) -> Span {
    Span { low: above.low.saturating_sub(below.high), high: above.high.saturating_sub(below.low) }
}
