//! What the statuses of probes and runs say, as gauges.

use super::{
    owner,
    sheet::{Sheet, count, seconds},
};
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunStatus, ConnectionProbeStatus,
    conditions,
    lifetime::Spread,
    metrics::{
        EXPECTATIONS_MET, LAST_MEASURED, LAST_RUN_CONNECTIONS, LAST_RUN_END, LAST_RUN_ENDINGS,
        LAST_RUN_FINDINGS, LAST_RUN_FIRST_CUT, LAST_RUN_LIFETIME, LAST_RUN_NUMBER, LAST_RUN_RESULT,
        LAST_RUN_SESSION_LIFETIME, LAST_RUN_SESSIONS, LAST_RUN_SILENCE, LAST_RUN_START,
        LAST_RUN_SURVIVED, RUN_ACTIVE, RUN_CUT_WORKLOADS, RUN_EXPECTED_END, RUN_START,
        SCHEDULE_LAST, SCHEDULE_NEXT, STALLED, STATE, SUSPENDED,
    },
    observed::Observed,
    report::{Arm, ArmReport, Outcome},
    text,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use std::{collections::BTreeMap, sync::Arc};

/// What is said of a session that went on, in place of a fate.
const ALIVE: &str = "Alive";

type Run<'a> = (&'a ConnectionProbeRun, &'a ConnectionProbeRunStatus);

/// Writes all of it.
pub(super) fn write(
    sheet: &mut Sheet,
    probes: &[Arc<ConnectionProbe>],
    runs: &[Arc<ConnectionProbeRun>],
) {
    let mut ended: BTreeMap<&str, Vec<Run<'_>>> = BTreeMap::new();
    for run in runs {
        let status = run.status.as_ref().filter(|status| status.has_ended());
        if let (Some(uid), Some(status)) = (owner(run), status) {
            ended.entry(uid).or_default().push((run, status));
        }
    }
    for probe in probes {
        let (namespace, name) = (probe.namespace().unwrap_or_default(), probe.name_any());
        let id = [namespace.as_str(), name.as_str()];
        of_probe(sheet, id, probe);
        let uid = probe.uid().unwrap_or_default();
        let past = ended.get(uid.as_str()).map(Vec::as_slice).unwrap_or_default();
        if let Some((run, status)) = past.iter().max_by_key(|(run, _)| run.spec.number) {
            of_last_run(sheet, id, run, status);
        }
        let measured = past.iter().filter(|(_, status)| status.verdict().measured());
        if let Some(end) = measured.filter_map(|(_, status)| status.end_time.as_ref()).max() {
            sheet.set(&LAST_MEASURED, &id, timestamp(end));
        }
    }
}

fn of_probe(sheet: &mut Sheet, id: [&str; 2], probe: &ConnectionProbe) {
    let [namespace, name] = id;
    let unknown = ConnectionProbeStatus::default();
    let status = probe.status.as_ref().unwrap_or(&unknown);
    let condition = |type_| conditions::find(&status.conditions, type_);
    if let Some(ready) = condition(conditions::READY) {
        sheet.set(&STATE, &[namespace, name, &ready.reason], 1.0);
    }
    let met = condition(conditions::EXPECTATIONS_MET).map(|condition| condition.status.as_str());
    if let Some(met) = met.filter(|met| *met != "Unknown") {
        sheet.set(&EXPECTATIONS_MET, &id, flag(met == "True"));
    }
    sheet.set(&STALLED, &id, flag(condition(conditions::STALLED).is_some()));
    sheet.set(&SUSPENDED, &id, flag(probe.spec.suspend == Some(true)));
    sheet.set(&RUN_ACTIVE, &id, flag(status.current_run.is_some()));
    for (metric, time) in
        [(&SCHEDULE_NEXT, &status.next_schedule_time), (&SCHEDULE_LAST, &status.last_schedule_time)]
    {
        time.iter().for_each(|time| sheet.set(metric, &id, timestamp(time)));
    }
    let Some(run) = &status.current_run else { return };
    sheet.set(&RUN_START, &id, timestamp(&run.start_time));
    sheet.set(&RUN_CUT_WORKLOADS, &id, count(run.workloads_cut.len()));
    run.expected_end_time.iter().for_each(|end| sheet.set(&RUN_EXPECTED_END, &id, timestamp(end)));
}

fn of_last_run(
    sheet: &mut Sheet,
    id: [&str; 2],
    run: &ConnectionProbeRun,
    status: &ConnectionProbeRunStatus,
) {
    let [namespace, name] = id;
    sheet.set(&LAST_RUN_NUMBER, &id, seconds(run.spec.number.saturating_mul(1000)));
    sheet.set(&LAST_RUN_RESULT, &[namespace, name, status.verdict().as_str()], 1.0);
    for (metric, time) in [(&LAST_RUN_START, &status.start_time), (&LAST_RUN_END, &status.end_time)]
    {
        time.iter().for_each(|time| sheet.set(metric, &id, timestamp(time)));
    }
    for workload in &status.workloads {
        let observed = workload.report.as_ref().and_then(|report| report.observed.as_ref());
        observed
            .iter()
            .for_each(|seen| of_sessions(sheet, [namespace, name, &workload.workload], seen));
    }
    for arm in [Arm::Target, Arm::Control] {
        for (workload, report) in status.arms(arm) {
            of_arm(sheet, [namespace, name, workload, arm.as_str()], report);
        }
        // Of several findings with the same words, the sum.
        let mut explained: BTreeMap<(&str, &str), f64> = BTreeMap::new();
        for finding in status.findings.iter().filter(|finding| finding.arm == arm) {
            let words = (finding.cause.as_str(), finding.confidence.as_str());
            *explained.entry(words).or_default() += f64::from(finding.n);
        }
        for ((cause, confidence), n) in explained {
            let labels = [namespace, name, arm.as_str(), cause, confidence];
            sheet.set(&LAST_RUN_FINDINGS, &labels, n);
        }
        let cuts = status.arms(arm).filter_map(|(_, report)| Some(report.cut_lifetime?.min_ms));
        if let Some(first) = cuts.min() {
            sheet.set(&LAST_RUN_FIRST_CUT, &[namespace, name, arm.as_str()], seconds(first));
        }
    }
}

fn of_arm(sheet: &mut Sheet, id: [&str; 4], report: &ArmReport) {
    let [namespace, name, workload, arm] = id;
    let with = |label| [namespace, name, workload, arm, label];
    for (outcome, n) in report.counts.by_outcome() {
        sheet.set(&LAST_RUN_CONNECTIONS, &with(outcome.as_str()), f64::from(n));
    }
    for (stat, value) in report.cut_lifetime.iter().flat_map(stats) {
        sheet.set(&LAST_RUN_LIFETIME, &with(stat), value);
    }
    if let Some(ms) = text::survivors(report) {
        sheet.set(&LAST_RUN_SURVIVED, &id, seconds(ms));
    }
    for ((outcome, form, code), n) in endings(report) {
        sheet.set(&LAST_RUN_ENDINGS, &[namespace, name, workload, arm, outcome, form, code], n);
    }
    let silences = |held: fn(&api::report::Rung) -> bool| {
        report.ladder.iter().filter(move |rung| held(rung)).map(|rung| rung.silence_ms)
    };
    let longest = silences(|rung| rung.survived > 0).max();
    let shortest = silences(|rung| rung.cut > 0).min();
    for (rung, ms) in [("survived", longest), ("cut", shortest)] {
        ms.iter().for_each(|ms| sheet.set(&LAST_RUN_SILENCE, &with(rung), seconds(*ms)));
    }
}

fn of_sessions(sheet: &mut Sheet, id: [&str; 3], observed: &Observed) {
    let [namespace, name, workload] = id;
    let ended = observed.fates.iter().map(|count| (count.role, count.fate.as_str(), &count.lived));
    let alive = observed.alive.iter().map(|count| (count.role, ALIVE, &count.lived));
    for (role, fate, lived) in ended.chain(alive) {
        let role = role.as_str();
        let labels = [namespace, name, workload, role, fate];
        sheet.set(&LAST_RUN_SESSIONS, &labels, f64::from(lived.n));
        for (stat, value) in stats(lived) {
            let labels = [namespace, name, workload, role, fate, stat];
            sheet.set(&LAST_RUN_SESSION_LIFETIME, &labels, value);
        }
    }
}

/// Lifetimes in seconds, and what each is.
fn stats(lived: &Spread) -> [(&'static str, f64); 3] {
    [("min", lived.min_ms), ("median", lived.median_ms), ("max", lived.max_ms)]
        .map(|(stat, ms)| (stat, seconds(ms)))
}

/// How many ends looked alike, of those that are no survivors: outcome, form, SQLSTATE.
fn endings(report: &ArmReport) -> BTreeMap<(&str, &str, &str), f64> {
    let mut alike = BTreeMap::new();
    for ending in report.endings.iter().filter(|ending| ending.outcome != Outcome::Survived) {
        let form = ending.form.as_ref();
        let code = form.and_then(|form| form.messages.first()).map(|message| message.code.as_str());
        let word = form.map(|form| form.word.as_str());
        let key = (ending.outcome.as_str(), word.unwrap_or_default(), code.unwrap_or_default());
        *alike.entry(key).or_default() += f64::from(ending.n);
    }
    alike
}

fn timestamp(time: &Time) -> f64 {
    seconds(time.0.as_millisecond())
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}
