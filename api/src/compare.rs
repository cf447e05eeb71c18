//! Two measurements side by side: what moved, by how much, and what that proves.
//!
//! A shift is the median difference between a connection of one side and one of the other (Hodges and
//! Lehmann), its range the 95 % interval that goes with it (Mann and Whitney): nothing is assumed of how
//! lives are distributed. Survivors and intervals count as what is known of them, so the range is
//! wider for them, and never too narrow.

use crate::{
    ConnectionProbeRun, Settings,
    report::{Arm, ArmReport},
};
use serde::Serialize;

mod clock;
mod ladder;
mod shift;
mod timers;
mod unlike;
mod words;

pub use shift::Shift;
pub use timers::{Change, Timer};
pub use words::{markdown, plain};

/// What the age is called as a clock.
const AGE: &str = "connect";

/// Two measurements side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What the first side is.
    pub before: String,
    /// What the second side is.
    pub after: String,
    /// Whether the second came after the first; otherwise both were held side by side.
    pub in_time: bool,
    /// What was measured differently: not to be compared, unless somebody knows better.
    pub unlike: Vec<String>,
    /// Settings that differ between the inventories, and what the user said was changed.
    pub changes: Vec<Change>,
    /// The workloads that both sides have.
    pub moves: Vec<Move>,
}

/// What became of a workload.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Move {
    /// The workload, and the path if it is the control.
    pub name: String,
    /// Its lifetimes before, in words.
    pub before: String,
    /// And after.
    pub after: String,
    /// The clock that was compared: `connect` is the age; another one, if that is the one that agreed in
    /// all connections of both sides.
    pub clock: &'static str,
    /// By how much the ends moved. Absent if there was no end on either side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shift: Option<Shift>,
    /// What that proves.
    pub verdict: Verdict,
}

/// What a shift proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all_fields = "camelCase")]
pub enum Verdict {
    /// It moved from the old value of a timer to the new one: that timer cuts.
    Confirmed {
        /// Its name.
        timer: String,
    },
    /// It moved.
    Moved,
    /// It did not, whatever was changed: what cuts is something else.
    Stayed,
    /// On neither side was a connection cut.
    NeverCut,
    /// It can't be told.
    Unclear {
        /// Why.
        why: String,
    },
}

/// Two runs, the earlier one first. `told`: timers that somebody says were changed in between.
#[must_use]
pub fn runs(before: &ConnectionProbeRun, after: &ConnectionProbeRun, told: &[Timer]) -> Comparison {
    let mut changes = timers::changes(before, after);
    changes.extend(told.iter().map(Change::from));
    let timers: Vec<Timer> = changes.iter().filter_map(|change| change.timer.clone()).collect();
    let moves = arms(before).into_iter().filter_map(|(workload, arm)| {
        let twin = report(after, workload)?.arm(arm.arm)?;
        Some(moved(&crate::render::name(workload, arm.arm), arm, twin, &timers))
    });
    Comparison {
        moves: moves.collect(),
        before: name(before),
        after: name(after),
        in_time: true,
        unlike: unlike::runs(before, after),
        changes,
    }
}

/// The two paths of a run.
#[must_use]
pub fn paths(run: &ConnectionProbeRun) -> Comparison {
    let targets = arms(run).into_iter().filter(|(_, arm)| arm.arm == Arm::Target);
    let moves = targets.filter_map(|(workload, target)| {
        Some(moved(workload, target, report(run, workload)?.arm(Arm::Control)?, &[]))
    });
    Comparison {
        moves: moves.collect(),
        before: "target".to_owned(),
        after: "control".to_owned(),
        in_time: false,
        unlike: Vec::new(),
        changes: timers::between_paths(run),
    }
}

/// Two workloads of a run, as the same one with different clients.
#[must_use]
pub fn workloads(run: &ConnectionProbeRun, one: &str, other: &str) -> Comparison {
    let moves = arms(run).into_iter().filter(|(workload, _)| *workload == one);
    let moves = moves.filter_map(|(_, arm)| {
        let twin = report(run, other)?.arm(arm.arm)?;
        Some(moved(&crate::render::name("lifetimes", arm.arm), arm, twin, &[]))
    });
    Comparison {
        moves: moves.collect(),
        before: one.to_owned(),
        after: other.to_owned(),
        in_time: false,
        unlike: unlike::workloads(run, one, other),
        changes: Vec::new(),
    }
}

/// What was measured, with the workload's name.
fn arms(run: &ConnectionProbeRun) -> Vec<(&str, &ArmReport)> {
    let reports = run.status.iter().flat_map(|status| status.reports());
    let arms =
        reports.flat_map(|report| report.arms.iter().map(|arm| (report.workload.as_str(), arm)));
    arms.collect()
}

fn report<'a>(run: &'a ConnectionProbeRun, workload: &str) -> Option<&'a crate::Report> {
    run.status.as_ref()?.reports().find(|report| report.workload == workload)
}

fn name(run: &ConnectionProbeRun) -> String {
    run.metadata.name.clone().unwrap_or_else(|| format!("run {}", run.spec.number))
}

fn settings(run: &ConnectionProbeRun) -> Option<Settings> {
    Settings::new("", &run.spec.measurement.settled, Vec::new()).ok()
}

fn moved(name: &str, before: &ArmReport, after: &ArmReport, timers: &[Timer]) -> Move {
    if let Some((b, a)) = ladder::bracket(before).zip(ladder::bracket(after)) {
        let shift = ladder::shift(b, a, [before.connections, after.connections]);
        let confirmed =
            timers.iter().find(|timer| b.holds(timer.before_ms) && a.holds(timer.after_ms));
        return Move {
            name: name.to_owned(),
            before: b.words(),
            after: a.words(),
            clock: AGE,
            shift,
            verdict: verdict(shift, confirmed, |shift| ladder::verdict(b, a, &shift)),
        };
    }
    let (clock, b, a) = clock::sharpest(before, after);
    let was_cut = |arm: &ArmReport| arm.counts.disconnected > 0;
    let shift = shift::between(&b, &a).filter(|_| was_cut(before) || was_cut(after));
    let confirmed = timers.iter().find(|timer| {
        clock::agrees(before, timer.before_ms) && clock::agrees(after, timer.after_ms)
    });
    let verdict = match b.is_empty() || a.is_empty() {
        true => unclear("one side was not measured"),
        false => verdict(shift, confirmed, |shift| shift.verdict()),
    };
    Move {
        name: name.to_owned(),
        before: crate::render::table::when(before),
        after: crate::render::table::when(after),
        clock,
        shift,
        verdict,
    }
}

fn verdict(
    shift: Option<Shift>,
    confirmed: Option<&Timer>,
    judge: impl Fn(Shift) -> Verdict,
) -> Verdict {
    match (shift, confirmed) {
        (None, _) => Verdict::NeverCut,
        (Some(_), Some(timer)) => Verdict::Confirmed { timer: timer.name.clone() },
        (Some(shift), None) => judge(shift),
    }
}

fn unclear(why: &str) -> Verdict {
    Verdict::Unclear { why: why.to_owned() }
}
