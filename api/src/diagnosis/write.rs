//! A verdict as a finding: its sentences and numbers, within their bounds.

use super::{
    Cause, Clock, Finding, Timer, configured, experiment,
    finding::{MAX_LINES, MAX_SENTENCE},
    moment,
    path::{Path, total},
    proxy::Proxy,
    span::{APART, Span, tolerance},
    verdict::Verdict,
    words,
};
use crate::{
    report::{Outcome, shorten},
    run::{ConnectionProbeRunStatus, MeasurementRecord},
    text,
};
use std::collections::{BTreeMap, BTreeSet};

/// Writes a finding.
pub(super) fn finding(
    verdict: &Verdict,
    path: &Path<'_>,
    beside: &Path<'_>,
    record: &MeasurementRecord,
    probe: &str,
    status: &ConnectionProbeRunStatus,
) -> Finding {
    let mut names = path.workloads(&verdict.lanes);
    names.extend(verdict.unlisted.keys().map(String::as_str));
    let held = |path: &Path<'_>| -> i32 {
        let reports =
            path.reports.iter().filter(|(report, _)| names.contains(report.workload.as_str()));
        total(reports.map(|(_, arm)| arm.connections))
    };
    let (n, of) = (verdict.n(path), held(path));
    let workloads: Vec<String> = names.iter().take(12).map(|name| (*name).to_owned()).collect();
    let value = verdict.timer.map(|(_, value)| value);
    let mut read = 0;
    let timer = verdict.timer.map(|(clock, value)| {
        let near;
        (near, read) = configured::near(value, clock, path.arm, status);
        Timer { clock, at_least_ms: value.low, at_most_ms: value.high, near }
    });
    let observed = if verdict.cause == Cause::NoCut {
        let at_least = path.reports.iter().filter_map(|(_, arm)| text::survivors(arm)).min();
        words::survived(n, at_least.unwrap_or_default(), bound(n))
    } else {
        words::observed((n, of), &workloads, &how(verdict, path), when(verdict, path))
    };
    let mut finding = Finding {
        cause: verdict.cause,
        confidence: verdict.confidence,
        arm: path.arm,
        workloads,
        n,
        of,
        timer,
        observed,
        meaning: words::meaning(verdict.cause).to_owned(),
        next_step: words::next_step(verdict.cause).to_owned(),
        evidence: Vec::new(),
        not_excluded: words::rivals(verdict.rivals.iter()),
        experiment: Some(experiment::next(probe, record, verdict.cause, value)),
        page: verdict.cause.page(),
    };
    let same = beside.reports.iter().filter(|(report, _)| names.contains(report.workload.as_str()));
    let cut_beside = total(same.map(|(_, arm)| arm.counts.disconnected));
    let on_the_other = (held(beside) > 0).then(|| words::beside(cut_beside, held(beside)));
    finding.evidence.extend(verdict.remarks.iter().map(words::remark));
    finding.evidence.extend(words::near(&finding, read));
    let told = Proxy::of(path.arm, status).map(|proxy| proxy.lines(verdict, path, beside));
    let told = told.unwrap_or_default();
    finding.evidence.truncate(MAX_LINES - told.len());
    finding.evidence.extend(told);
    finding.evidence.extend(on_the_other);
    finding.evidence.extend(spared(verdict, path));
    finding.evidence.extend(rejected(verdict, path));
    for lines in [&mut finding.evidence, &mut finding.not_excluded] {
        lines.truncate(MAX_LINES);
        lines.iter_mut().for_each(|line| shorten(line, MAX_SENTENCE));
    }
    shorten(&mut finding.observed, MAX_SENTENCE);
    finding
}

/// The share of connections, in percent, that a cause may cut and still spare `n` of `n` in one run of twenty.
pub(super) fn bound(n: i32) -> f64 {
    100.0 * (1.0 - 0.05_f64.powf(1.0 / f64::from(n.max(1))))
}

/// How most of them ended.
fn how(verdict: &Verdict, path: &Path<'_>) -> String {
    let mut forms: BTreeMap<String, i32> = BTreeMap::new();
    for lane in verdict.lanes.iter().map(|i| &path.lanes[*i]) {
        if let Some(form) = lane.form() {
            let n = forms.entry(text::form(form)).or_default();
            *n = n.saturating_add(lane.n);
        }
    }
    let most = forms.into_iter().max_by_key(|(_, n)| *n).map(|(form, _)| form);
    let said = verdict.remarks.iter().find_map(|remark| match remark {
        super::verdict::Remark::Said(said) => Some(said.clone()),
        _ => None,
    });
    most.or(said).unwrap_or_else(|| "cut in various ways".to_owned())
}

/// By the timer's clock, or else the ages.
fn when(verdict: &Verdict, path: &Path<'_>) -> Option<String> {
    if let Some((clock, value)) = verdict.timer {
        return Some(format!("{} {}", words::times(value), words::since(clock)));
    }
    let ages = spread(verdict, path, Clock::Age)?;
    Some(format!("{} {}", words::times(ages), words::since(Clock::Age)))
}

/// From the least that a clock showed to the most.
fn spread(verdict: &Verdict, path: &Path<'_>, clock: Clock) -> Option<Span> {
    let shown = verdict.lanes.iter().filter_map(|i| path.lanes[*i].reach(clock));
    let shown: Vec<Span> = shown.filter(|span| span.high >= 0 && span.high < i64::MAX).collect();
    let high = |span: &Span| span.high;
    Some(Span { low: shown.iter().map(high).min()?, high: shown.iter().map(high).max()? })
}

/// Clocks that differ too much to be what counts.
fn rejected(verdict: &Verdict, path: &Path<'_>) -> Vec<String> {
    let Some((named, _)) = verdict.timer else { return Vec::new() };
    let others = [Clock::Age, Clock::Request, Clock::Begin].into_iter().filter(|it| *it != named);
    let apart = |clock: Clock| {
        let shown = spread(verdict, path, clock)?;
        let exact =
            verdict.lanes.iter().all(|i| path.lanes[*i].ended.width() <= moment::breadth(path));
        let differ = exact && shown.width() >= APART * tolerance(shown.high);
        differ.then(|| words::rejected(clock, shown))
    };
    others.filter_map(apart).collect()
}

/// Workloads of which nothing was cut.
fn spared(verdict: &Verdict, path: &Path<'_>) -> Option<String> {
    if verdict.cause == Cause::NoCut || verdict.lanes.is_empty() {
        return None;
    }
    let cut: BTreeSet<&str> =
        path.endings(Outcome::Disconnected).map(|(workload, _)| workload).collect();
    let whole = path
        .reports
        .iter()
        .filter(|(report, arm)| !cut.contains(report.workload.as_str()) && arm.counts.survived > 0);
    let whole: BTreeMap<String, i32> =
        whole.map(|(report, arm)| (report.workload.clone(), arm.counts.survived)).collect();
    let (names, n): (Vec<String>, Vec<i32>) = whole.into_iter().unzip();
    (!names.is_empty()).then(|| words::spared(&names, total(n.into_iter())))
}
