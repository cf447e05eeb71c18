//! What is known of the lives of connections, made ready for drawing.

use super::axis::Axis;
use crate::{
    lanes::Schedule,
    lifetime::{Spread, ms},
    pattern::{LANES_PER_RUNG, Pattern},
    render::{document::quote, table},
    report::{Arm, ArmReport, Ending, LaneEnd, Outcome, Report},
    settings::WorkloadSettings,
    text,
};

/// The arms of a workload.
pub(super) struct Arms<'a>(pub(super) Vec<Lanes<'a>>);

/// The connections of an arm.
pub(super) struct Lanes<'a> {
    pub(super) report: &'a ArmReport,
    pub(super) bars: Vec<Bar>,
}

/// One connection, or several that are only known together. Milliseconds; ages unless it says otherwise.
pub(super) struct Bar {
    /// Number of the connection, or how many.
    pub(super) label: String,
    /// What a reader hears or hovers.
    pub(super) title: String,
    pub(super) outcome: Outcome,
    /// When it was opened, by the wall clock: unknown of several.
    pub(super) opened: Option<i64>,
    /// Until then it sent requests; afterwards it was silent.
    pub(super) busy: i64,
    /// Until then it lived.
    pub(super) alive: i64,
    /// By then it was over, or seen alive for the last time.
    pub(super) over: i64,
    /// When a transaction was opened that stayed open.
    pub(super) begin: Option<i64>,
    /// When the last request was answered.
    pub(super) proof: Option<i64>,
    /// SET and LISTEN, by their letters.
    pub(super) marks: Vec<(char, i64)>,
    /// What became of it, in few words.
    pub(super) end: String,
}

impl<'a> Arms<'a> {
    pub(super) fn of(report: &'a Report, settings: Option<&WorkloadSettings>) -> Self {
        let lanes = |arm: &'a ArmReport| {
            let mut bars: Vec<Bar> = arm.endings.iter().flat_map(|e| bars(e, settings)).collect();
            bars.sort_by_key(|bar| (bar.opened.is_none(), bar.label.parse().unwrap_or(0)));
            Lanes { report: arm, bars }
        };
        Self(report.arms.iter().map(lanes).collect())
    }

    /// A line on each.
    pub(super) fn told(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|lanes| {
            let error = match table::error(lanes.report) {
                none if none == "none" => String::new(),
                error => format!("; {}", quote(&error)),
            };
            let (cut, when) = (table::disconnects(lanes.report), table::when(lanes.report));
            format!("{}: disconnected: {cut}, {when}{error}", path(lanes.report.arm))
        })
    }
}

/// A path in a figure.
pub(super) fn path(arm: Arm) -> &'static str {
    match arm {
        Arm::Target => "target",
        Arm::Control => "control",
    }
}

/// Axes that hold for all figures, so that they compare: of the day, and of ages.
pub(super) fn axes<'a>(all: impl Iterator<Item = &'a Arms<'a>>) -> (Axis, Axis) {
    let (mut first, mut last, mut oldest) = (i64::MAX, i64::MIN, 0);
    for bar in all.flat_map(|arms| &arms.0).flat_map(|lanes| &lanes.bars) {
        oldest = oldest.max(bar.over);
        if let Some(opened) = bar.opened {
            (first, last) = (first.min(opened), last.max(opened + bar.over));
        }
    }
    if first > last {
        (first, last) = (0, 0);
    }
    (Axis::of_day(first, last), Axis::of_age(oldest))
}

/// Those that are told one by one, and one for all others.
fn bars(ending: &Ending, settings: Option<&WorkloadSettings>) -> Vec<Bar> {
    let mut bars: Vec<_> = ending.lanes.iter().map(|lane| one(ending, lane, settings)).collect();
    let listed = i32::try_from(ending.lanes.len()).unwrap_or(i32::MAX);
    if let Some(spread) = ending.lifetime.filter(|_| ending.n > listed) {
        bars.push(others(ending, ending.n - listed, spread));
    }
    bars
}

fn one(ending: &Ending, lane: &LaneEnd, settings: Option<&WorkloadSettings>) -> Bar {
    let lived = lane.lifetime;
    let alive = lived.map_or(0, |lived| lived.min_ms);
    let over = lived.and_then(|lived| lived.max_ms).unwrap_or(alive);
    let clocks = lane.clocks.unwrap_or_default();
    let noticed = lane.clocks.map_or(over, |clocks| clocks.connect_ms);
    let age = |since: Option<i64>| since.map(|since| (noticed - since).max(0));
    let number = usize::try_from(lane.lane).unwrap_or_default();
    let busy = settings.map_or(0, |settings| busy(settings, number));
    // A survivor's clock of BEGIN stopped at its COMMIT.
    let begin = settings.filter(|settings| is_in_transaction(settings));
    let begin = begin.map(|settings| ms(settings.schedule(number).lead_in));
    let seen = text::ending(ending);
    let lived = lived.map(|lived| text::lifetime(&lived));
    let word = ending.form.as_ref().map_or(ending.outcome.as_str(), |form| form.word.as_str());
    let short = match ending.outcome {
        Outcome::Survived => "",
        Outcome::Disconnected => word,
        other => other.as_str(),
    };
    let lived = lived.unwrap_or_default();
    Bar {
        label: lane.lane.to_string(),
        title: format!("Connection {}: {} {lived}: {seen}", lane.lane, ending.outcome.as_str()),
        outcome: ending.outcome,
        opened: Some(lane.at.as_millisecond() - noticed),
        busy: busy.min(alive),
        alive,
        over,
        begin: age(clocks.begin_ms).or(begin.filter(|_| ending.outcome == Outcome::Survived)),
        proof: age(clocks.request_ms),
        marks: [('S', clocks.set_ms), ('L', clocks.listen_ms)]
            .into_iter()
            .filter_map(|(letter, since)| Some((letter, age(since)?)))
            .collect(),
        end: format!("{lived} {short}").trim().to_owned(),
    }
}

/// Those of which only counts and quantiles are known.
fn others(ending: &Ending, n: i32, spread: Spread) -> Bar {
    let (min, max) = (text::mmss(spread.min_ms), text::mmss(spread.max_ms));
    let outcome = ending.outcome.as_str();
    let at_least = if ending.outcome == Outcome::Survived { ">= " } else { "" };
    let end = match min == max {
        true => format!("{at_least}{min}"),
        false => format!("{at_least}{min}–{max}"),
    };
    Bar {
        label: format!("+{n}"),
        title: format!("{n} more: {outcome} {end}: {}", text::ending(ending)),
        outcome: ending.outcome,
        opened: None,
        busy: 0,
        alive: spread.min_ms,
        over: spread.max_ms,
        begin: None,
        proof: Some(spread.median_ms),
        marks: Vec::new(),
        end,
    }
}

/// Whether a transaction stays open from the end of the lead-in on.
fn is_in_transaction(settings: &WorkloadSettings) -> bool {
    matches!(
        settings.pattern,
        Pattern::IdleInTransaction { .. }
            | Pattern::ActiveTransaction { .. }
            | Pattern::PulpTask { in_transaction: true, .. }
    )
}

/// Until which age a connection sends requests, if it is not cut before.
fn busy(settings: &WorkloadSettings, lane: usize) -> i64 {
    let Schedule { lead_in, hold, .. } = settings.schedule(lane);
    let (lead_in, hold) = (ms(lead_in), ms(hold));
    let millis = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    lead_in
        + match &settings.pattern {
            Pattern::Heartbeat { .. }
            | Pattern::ActiveTransaction { .. }
            | Pattern::PulpWorker { .. } => hold,
            Pattern::PulpTask { work_ms, .. } => millis(*work_ms),
            Pattern::IdleLadder { rungs_ms, .. } => {
                hold - rungs_ms.get(lane / LANES_PER_RUNG).map_or(0, |rung| millis(*rung))
            }
            Pattern::Idle
            | Pattern::IdleInTransaction { .. }
            | Pattern::SessionVariable
            | Pattern::Listen
            | Pattern::ListenNotify { .. }
            | Pattern::SlowStatement
            | Pattern::Observe(_) => 0,
        }
}
