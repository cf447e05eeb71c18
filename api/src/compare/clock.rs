//! Which clock to compare by.

use super::AGE;
use crate::{
    report::{ArmReport, Clocks, Ending, Outcome},
    survival::{Lives, lives},
};

/// A clock that agrees in all connections does so within this share of what it shows …
const SHARE: i64 = 20;
/// … or this many milliseconds, whichever is more: what a sweep may take.
const SWEEP_MS: i64 = 1000;

/// The first clock that agrees in all connections of a side, on both sides, with what it showed: the
/// connections of a workload have lead-ins of different length, so that ages differ where silence is what
/// counts. If there is none, or not all connections were cut and told one by one, the age.
pub(super) fn sharpest(
    before: &ArmReport,
    after: &ArmReport,
) -> (&'static str, Vec<Lives>, Vec<Lives>) {
    let all = |arm: &ArmReport| {
        told(arm).filter(|told| usize::try_from(arm.connections) == Ok(told.len()))
    };
    let read = all(before).zip(all(after)).into_iter().flat_map(|(before, after)| {
        (0..Clocks::COUNT).filter_map(move |i| {
            let (name, b) = values(&before, i)?;
            let (_, a) = values(&after, i)?;
            (agree(&b) && agree(&a)).then_some((name, b, a))
        })
    });
    let exact = |values: Vec<i64>| -> Vec<Lives> {
        values.into_iter().map(|at| Lives { n: 1, min_ms: at, max_ms: Some(at) }).collect()
    };
    let mut read = read.map(|(name, before, after)| (name, exact(before), exact(after)));
    read.next().unwrap_or_else(|| (AGE, lives(before), lives(after)))
}

/// Whether one of the clocks shows this in all connections that are told, two at least, and all were cut.
pub(super) fn agrees(arm: &ArmReport, ms: i64) -> bool {
    let Some(told) = told(arm).filter(|told| told.len() > 1) else { return false };
    let shown = |i| values(&told, i).map(|(_, values)| values);
    let mut all = (0..Clocks::COUNT).filter_map(shown);
    all.any(|shown| shown.iter().all(|shown| (shown - ms).abs() <= tolerance(ms)))
}

/// The clocks of the connections that are told one by one, if all were cut at a moment that is known as well as a sweep
/// keeps its time: a short stall of the probe's hides no clock.
fn told(arm: &ArmReport) -> Option<Vec<Clocks>> {
    let is_known = |ending: &Ending| {
        ending.outcome == Outcome::Disconnected && ending.is_known_within(SWEEP_MS)
    };
    if arm.counts.disconnected != arm.connections || !arm.endings.iter().all(is_known) {
        return None;
    }
    arm.endings.iter().flat_map(|ending| &ending.lanes).map(|lane| lane.clocks).collect()
}

/// What a clock showed, if it ran in all connections.
fn values(clocks: &[Clocks], i: usize) -> Option<(&'static str, Vec<i64>)> {
    let name = clocks.first()?.all()[i].0;
    Some((name, clocks.iter().map(|clocks| clocks.all()[i].1).collect::<Option<_>>()?))
}

fn agree(values: &[i64]) -> bool {
    let (min, max) = (values.iter().min(), values.iter().max());
    min.zip(max).is_some_and(|(min, max)| max - min <= tolerance(*max))
}

fn tolerance(ms: i64) -> i64 {
    (ms / SHARE).max(SWEEP_MS)
}
