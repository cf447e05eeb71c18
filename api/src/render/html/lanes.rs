//! What is known of the lives of connections that were held, made ready for drawing.

use super::bar::{Bar, Curve, Group};
use crate::{
    lanes::Schedule,
    lifetime::{Spread, ms},
    pattern::{LANES_PER_RUNG, Pattern},
    render::{document::quote, table},
    report::{Arm, ArmReport, Ending, LaneEnd, Outcome, Report},
    settings::WorkloadSettings,
    survival, text,
};

/// The connections of a workload, by path.
pub(super) fn groups(report: &Report, settings: Option<&WorkloadSettings>) -> Vec<Group> {
    let group = |arm: &ArmReport| {
        let mut bars: Vec<Bar> = arm.endings.iter().flat_map(|e| bars(e, settings)).collect();
        bars.sort_by_key(|bar| (bar.opened.is_none(), bar.label.parse().unwrap_or(0)));
        Group { name: path(arm.arm).to_owned(), bars, is_measured: arm.arm == Arm::Target }
    };
    report.arms.iter().map(group).collect()
}

/// A line on each path.
pub(super) fn told(report: &Report) -> impl Iterator<Item = String> {
    report.arms.iter().map(|arm| {
        let error = match table::error(arm) {
            none if none == "none" => String::new(),
            error => format!("; {}", quote(&error)),
        };
        let (cut, when) = (table::disconnects(arm), table::when(arm));
        format!("{}: disconnected: {cut}, {when}{error}", path(arm.arm))
    })
}

/// Nothing of a path while connections are still held, or nobody knows what became of them: those that have ended
/// would speak for all.
pub(super) fn curves(report: &Report) -> Vec<Curve> {
    let ended = report.arms.iter().filter(|arm| arm.counts.ended() == arm.connections);
    ended.map(|arm| Curve { name: path(arm.arm), lives: survival::lives(arm) }).collect()
}

/// A path in a figure.
fn path(arm: Arm) -> &'static str {
    match arm {
        Arm::Target => "target",
        Arm::Control => "control",
    }
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
        shape: ending.outcome.into(),
        opened: Some(lane.at.as_millisecond() - noticed),
        watched: None,
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
        shape: ending.outcome.into(),
        opened: None,
        watched: None,
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
