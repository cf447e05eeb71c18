//! For each workload and each pod: when its connections lived, how long, and which share of them how long. On axes
//! that are the same for all.

use super::{
    axis::Axis,
    bar::{Curve, Group, axes},
    curve, inline, lanes,
    legend::legend,
    metrics, pods, real,
    timeline::{by_age, by_clock},
};
use crate::{
    rds_proxy::RdsProxyStatus,
    render::{Story, document::printable, sockets},
    run::WorkloadResult,
    settings::WorkloadSettings,
    sockets::SocketsReport,
    text,
};
use jiff::Timestamp;
use maud::{Markup, html};

/// Connections that are drawn together.
struct Drawn {
    title: String,
    told: Vec<String>,
    groups: Vec<Group>,
    /// When the server was started anew.
    restarts: Vec<i64>,
    curves: Vec<Curve>,
    /// Whose time it is.
    clock: &'static str,
    /// What stands at the ends by age.
    by_age: &'static str,
}

pub(super) fn figures(story: &Story<'_>) -> Markup {
    let held = story.workloads().filter_map(|(result, settings)| of_workload(result, settings));
    let mut all: Vec<Drawn> = held.collect();
    all.extend(story.sockets.iter().map(|report| of_pod(report, story)));
    let groups = || all.iter().flat_map(|drawn| &drawn.groups);
    let (clock, age) = axes(groups());
    let metrics = story.status.rds_proxy.as_ref().and_then(RdsProxyStatus::metrics);
    let is_observed = story.status.observed().next().is_some();
    html! {
        h2 { "Connections" }
        (legend(is_observed || !story.sockets.is_empty()))
        @for drawn in &all { (draw(drawn, &clock, &age)) }
        @if let Some(metrics) = metrics { (metrics::charts(metrics, groups(), &clock)) }
    }
}

fn draw(drawn: &Drawn, clock: &Axis, age: &Axis) -> Markup {
    let mut bars = drawn.groups.iter().flat_map(|group| &group.bars);
    let is_older = bars.any(|bar| age.is_beyond(bar.over));
    html! {
        h3 { (printable(&drawn.title)) }
        @for line in &drawn.told { p.told { (inline(line)) } }
        @if !drawn.groups.is_empty() {
            div.figures {
                @if let Some(drawing) = by_clock(&drawn.groups, &drawn.restarts, clock) {
                    figure { (drawing) figcaption { "Time of day (UTC" (drawn.clock) "), when each ended" } }
                }
                figure {
                    (by_age(&drawn.groups, age))
                    figcaption {
                        (drawn.by_age)
                        @if is_older { ". Those that are older than the axis is long end at its edge" }
                    }
                }
                @if let Some(curve) = curve::draw(&drawn.curves, age) {
                    figure { (curve.drawing) figcaption { (curve.caption) } }
                }
            }
        }
    }
}

/// The connections that a workload held, or watched.
fn of_workload(result: &WorkloadResult, settings: Option<&WorkloadSettings>) -> Option<Drawn> {
    let report = result.report.as_ref()?;
    let title = result.workload.clone();
    Some(match &report.observed {
        Some(observed) => Drawn {
            title,
            told: vec![text::observed_summary(observed)],
            groups: real::groups(observed),
            restarts: observed.restarts.iter().map(|at| at.as_millisecond()).collect(),
            curves: real::curves(observed),
            clock: " by the server's clock",
            by_age: "Age, and what became of it",
        },
        None => Drawn {
            title,
            told: lanes::told(report).collect(),
            groups: lanes::groups(report, settings),
            restarts: Vec::new(),
            curves: lanes::curves(report),
            clock: "",
            by_age: "Age, and the form of the end",
        },
    })
}

/// The sockets of a pod. If it was watched at another time than the run's, a time of day would press both into the
/// margins.
fn of_pod(report: &SocketsReport, story: &Story<'_>) -> Drawn {
    let mut told = vec![sockets::summary(std::slice::from_ref(report))];
    let mut groups = pods::groups(report);
    if !is_beside(report, story) {
        told.push(elsewhen(report));
        groups.iter_mut().flat_map(|group| &mut group.bars).for_each(|bar| bar.opened = None);
    }
    Drawn {
        title: report.pod.as_deref().map_or_else(|| "A pod".to_owned(), |pod| format!("Pod {pod}")),
        told,
        groups,
        restarts: Vec::new(),
        curves: Vec::new(),
        clock: " by the pod's clock",
        by_age: "Age, and who closed it how",
    }
}

/// Whether a pod was watched while the run went on.
fn is_beside(report: &SocketsReport, story: &Story<'_>) -> bool {
    let start = story.status.start_time.as_ref().map_or(Timestamp::MIN, |time| time.0);
    let end = story.status.end_time.as_ref().map_or(Timestamp::MAX, |time| time.0);
    report.started_at <= end && report.ended_at >= start
}

/// Why it has no figure by time of day.
fn elsewhen(report: &SocketsReport) -> String {
    format!(
        "It was watched from {} to {}, while the run did not go on: only ages compare.",
        text::date(report.started_at),
        text::date(report.ended_at)
    )
}
