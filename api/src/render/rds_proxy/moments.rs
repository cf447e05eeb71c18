//! The moments of a run that are worth a row: its start, its cuts, its end.

use crate::{
    render::Story,
    report::{Arm, Outcome},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// A moment, and what happened at it.
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) what: String,
}

/// Rows for cuts.
const MAX_CUTS: usize = 20;
/// Cuts in one minute are one moment, in milliseconds.
const MINUTE: i64 = 60_000;

/// In the order of time. What the control did is none of the proxy's.
pub(super) fn of(story: &Story<'_>) -> Vec<Moment> {
    let (starts, end) = (by_minute(starts(story)), end(story));
    let mut cuts = by_minute(cuts(story));
    cuts.sort_by_key(|group| (std::cmp::Reverse(group.n()), group.at));
    let left_out: i64 = cuts.iter().skip(MAX_CUTS).map(Group::n).sum();
    cuts.truncate(MAX_CUTS);
    cuts.sort_by_key(|group| group.at);
    let started = starts.iter().map(|group| group.moment("started"));
    let cut = cuts.iter().map(|group| group.moment("cut"));
    let mut moments: Vec<_> = started.chain(cut).chain(end).collect();
    moments.sort_by_key(|moment| moment.at);
    if let Some(last) = moments.last_mut().filter(|_| left_out > 0) {
        last.what += &format!("; {left_out} more were cut at moments that have no row");
    }
    moments
}

/// What happened to how many connections of which workloads, within a minute.
struct Group {
    at: Timestamp,
    workloads: BTreeMap<String, i64>,
}

impl Group {
    fn n(&self) -> i64 {
        self.workloads.values().sum()
    }

    fn moment(&self, what: &str) -> Moment {
        let names = self.workloads.iter().map(|(name, n)| format!("{name} ({n})"));
        let names = match self.workloads.len() {
            ..=5 => names.collect::<Vec<_>>().join(", "),
            many => format!("{many} workloads ({})", self.n()),
        };
        Moment { at: self.at, what: format!("{names} {what}") }
    }
}

/// One thing that happened: when, to how many connections of which workload.
type Happened = (Timestamp, String, i64);

fn by_minute(mut all: Vec<Happened>) -> Vec<Group> {
    all.sort();
    let mut groups: Vec<Group> = Vec::new();
    for (at, workload, n) in all {
        let minute = |at: Timestamp| at.as_millisecond().div_euclid(MINUTE);
        if groups.last().is_none_or(|group| minute(group.at) != minute(at)) {
            groups.push(Group { at, workloads: BTreeMap::new() });
        }
        if let Some(group) = groups.last_mut() {
            *group.workloads.entry(workload).or_default() += n;
        }
    }
    groups
}

fn starts(story: &Story<'_>) -> Vec<Happened> {
    let reports = story.status.reports().filter_map(|report| {
        let connections = report.arm(Arm::Target)?.connections;
        Some((report.started_at, report.workload.clone(), i64::from(connections)))
    });
    reports.collect()
}

/// Those without room in the report are counted to the first of theirs that is told.
fn cuts(story: &Story<'_>) -> Vec<Happened> {
    let mut cuts = Vec::new();
    for (workload, arm) in story.status.arms(Arm::Target) {
        for ending in arm.endings.iter().filter(|it| it.outcome == Outcome::Disconnected) {
            let told = i64::try_from(ending.lanes.len()).unwrap_or(i64::MAX);
            let untold = (i64::from(ending.n) - told).max(0);
            let lanes = ending.lanes.iter().enumerate();
            cuts.extend(lanes.map(|(i, lane)| {
                (lane.at, workload.to_owned(), if i == 0 { 1 + untold } else { 1 })
            }));
        }
    }
    cuts
}

/// When the last of those that lived was let go: by the run's own word where no report tells.
fn end(story: &Story<'_>) -> Option<Moment> {
    let mut lived: BTreeMap<String, i64> = BTreeMap::new();
    let mut last = None;
    for (workload, arm) in story.status.arms(Arm::Target) {
        let survived = i64::from(arm.counts.survived);
        if survived > 0 {
            lived.insert(workload.to_owned(), survived);
        }
        let endings = arm.endings.iter().filter(|it| it.outcome == Outcome::Survived);
        last = endings.flat_map(|ending| &ending.lanes).map(|lane| lane.at).max().max(last);
    }
    let ended = story.status.end_time.as_ref().map(|end| end.0);
    let group = Group { at: last.or(ended)?, workloads: lived };
    Some(match group.workloads.is_empty() {
        true => Moment { at: group.at, what: "the run ended".to_owned() },
        false => group.moment("ended alive"),
    })
}
