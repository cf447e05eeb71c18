//! Whether clients had to wait for a database connection when something was refused.

use crate::rds_proxy::{
    metrics::{Metric, Metrics},
    points::Point,
};

/// What stood behind a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressure {
    /// So many of so many that are allowed were borrowed: nine of ten at least.
    Borrowed(i64, i64),
    /// So long clients waited, in microseconds, and half of the time no longer than that.
    Waited(i64, i64),
}

/// A wait that is felt, in microseconds.
const LONG: i64 = 100_000;

/// Of the minutes of these moments, and of those before them.
pub(super) fn before(metrics: &Metrics, moments: &[i64]) -> Vec<Pressure> {
    let minute = metrics.minutes() * 60_000;
    let near = |point: &Point| moments.iter().any(|at| point.meets(at - minute, *at));
    let known = |metric| {
        let points = metrics.points(metric).into_iter();
        points.filter_map(|point| Some((point, point.value?))).collect::<Vec<_>>()
    };
    let allowed = known(Metric::MaxDatabaseConnectionsAllowed);
    let borrowed = known(Metric::DatabaseConnectionsCurrentlyBorrowed).into_iter();
    let borrowed = borrowed.filter(|(point, _)| near(point)).filter_map(|(point, borrowed)| {
        let (_, allowed) = allowed.iter().find(|(other, _)| other.from == point.from)?;
        let full = *allowed > 0 && borrowed.saturating_mul(10) >= allowed.saturating_mul(9);
        full.then_some(Pressure::Borrowed(borrowed, *allowed))
    });
    let waits = known(Metric::DatabaseConnectionsBorrowLatency);
    let mut sorted: Vec<i64> = waits.iter().map(|(_, wait)| *wait).collect();
    sorted.sort_unstable();
    let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(i64::MAX);
    let longest = waits.iter().filter(|(point, _)| near(point)).map(|(_, wait)| *wait).max();
    let waited = longest.filter(|wait| *wait >= LONG && *wait / 10 >= usual);
    borrowed.take(1).chain(waited.map(|wait| Pressure::Waited(wait, usual))).collect()
}
