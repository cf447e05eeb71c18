//! What was not measured, and what would measure it: a report that is silent about it is believed too
//! much.

use super::{
    Story,
    document::{Block, Section, quote},
};
use crate::{
    measurement::Placement,
    rds_proxy::RdsProxyStatus,
    report::{Arm, ArmReport, Lapses, Outcome, Report},
    run::WorkloadResult,
    text,
};

pub(super) fn section(story: &Story<'_>) -> Section {
    let mut gaps = Vec::new();
    if !story.status.has_ended() {
        gaps.push("The run goes on: what is missing here may still come.".to_owned());
    }
    gaps.extend(story.workloads().filter_map(|(result, _)| {
        let reason = result.reason?.as_str();
        let known = result.report.as_ref().is_some_and(Report::is_conclusive);
        let what = if known { "it ended early" } else { "nothing is known" };
        let said = result.message.as_ref().map(|said| format!(": {}", quote(said)));
        let said = said.unwrap_or_default();
        Some(format!("{}: {what} ({reason}){said}. A new runID repeats it.", result.workload))
    }));
    gaps.extend(story.workloads().filter_map(|(result, _)| interrupted(result)));
    gaps.extend(story.arms().filter_map(|(name, arm)| unsaid(&name, arm)));
    gaps.extend(story.status.observed().flat_map(|observed| observed.missing.iter().cloned()));
    gaps.extend(survivors(story));
    gaps.extend(longest(story));
    gaps.extend(no_control(story));
    gaps.extend(intervals(story));
    gaps.extend(timers(story));
    gaps.extend(
        story.status.rds_proxy.as_ref().and_then(text::rds_gaps).map(|told| told.replace('`', "'")),
    );
    if story.run.spec.measurement.settled.placement == Some(Placement::Spread) {
        gaps.push(
            "The pods were on several nodes: a difference between workloads may be one between \
             nodes. placement: SameNode rules that out."
                .to_owned(),
        );
    }
    let lapses = |of: fn(&Report) -> Option<Lapses>, what: &str| {
        let all = story.status.reports().filter_map(of);
        let longest = all.map(|lapses| lapses.longest_ms).max()?;
        Some(format!("{what} {longest} ms at most."))
    };
    gaps.extend(lapses(
        |report| report.stalls,
        "What ended while the probe itself did not look: for",
    ));
    gaps.extend(lapses(|report| report.clock_steps, "The machine's wall clock was set, by"));
    Section { title: "What was not measured", blocks: vec![Block::List(gaps)] }
}

/// What a first attempt would have said.
fn interrupted(result: &WorkloadResult) -> Option<String> {
    let first = result.interrupted.as_ref()?;
    let arms = first.arms.iter().map(|arm| {
        let (cut, of) = (arm.counts.disconnected, arm.connections);
        let when = arm.first_cut_ms.map(|ms| format!(", the first after {}", text::mmss(ms)));
        format!("; by then {cut} of {of} were cut{} ({:?})", when.unwrap_or_default(), arm.arm)
    });
    let (workload, reason) = (&result.workload, first.reason.as_str());
    Some(format!("{workload}: a first attempt ended early ({reason}){}.", arms.collect::<String>()))
}

/// Connections that say nothing.
fn unsaid(name: &str, arm: &ArmReport) -> Option<String> {
    let counts = arm.counts;
    let kinds = [
        (counts.connect_failed, "were never established"),
        (counts.inconclusive, "are inconclusive"),
        (arm.connections - counts.ended(), "had not ended when this was reported"),
    ];
    let told: Vec<_> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let of = arm.connections;
    (!told.is_empty()).then(|| format!("{name}: of {of} connections {}.", told.join(", ")))
}

/// What the survival of few connections does not exclude (rule of three, exactly).
fn survivors(story: &Story<'_>) -> Option<String> {
    let unharmed = story.arms().filter(|(_, arm)| arm.counts.survived == arm.connections);
    let fewest = unharmed.map(|(_, arm)| arm.connections).filter(|n| *n > 0).min()?;
    let share = 100.0 * (1.0 - 0.05_f64.powf(1.0 / f64::from(fewest)));
    Some(format!(
        "Where {fewest} of {fewest} connections survived, causes that cut less than {share:.0} % of them \
         are not excluded (95 %). More connections would."
    ))
}

fn longest(story: &Story<'_>) -> Option<String> {
    let held = story.workloads().filter_map(|(_, settings)| Some(settings?.duration_ms)).max()?;
    let held = text::mmss(i64::try_from(held).unwrap_or(i64::MAX));
    Some(format!("Timers longer than {held}. A longer duration would show them."))
}

fn no_control(story: &Story<'_>) -> Option<String> {
    let cut = story.status.first_cut().is_some();
    let controlled = story.status.arms(Arm::Control).next().is_some();
    (cut && !controlled).then(|| {
        "Whether the proxy cuts or what lies behind it: nothing was held beside the path. \
         spec.control does that."
            .to_owned()
    })
}

/// Cuts that nothing announced.
fn intervals(story: &Story<'_>) -> Option<String> {
    let vague = |arm: &ArmReport| {
        let mut cut = arm.endings.iter().filter(|ending| ending.outcome == Outcome::Disconnected);
        cut.any(|ending| ending.form.as_ref().is_none_or(|form| !form.is_exact()))
    };
    let vague: Vec<_> = story.arms().filter(|(_, arm)| vague(arm)).map(|(name, _)| name).collect();
    (!vague.is_empty()).then(|| {
        format!(
            "When exactly {} were cut: nothing announced it, and a request found out. idleLadder \
             narrows it down.",
            vague.join(", ")
        )
    })
}

/// Timers of a proxy on the path that nobody read.
fn timers(story: &Story<'_>) -> Option<String> {
    let arms = story.status.inventory.iter().flat_map(|inventory| &inventory.arms);
    let read = arms.filter_map(|arm| arm.pgbouncer.as_ref()).any(|it| it.problem.is_none());
    let mut told = story.status.rds_proxy.iter().flat_map(RdsProxyStatus::told);
    let told = told.any(|evidence| evidence.proxy.is_some());
    (!read && !told).then(|| {
        "The proxy's own timers. target.readPgbouncerConfig: true reads PgBouncer's; \
         spec.rdsProxy asks AWS for RDS Proxy's."
            .to_owned()
    })
}
