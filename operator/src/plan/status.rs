//! The probe's status, whole, from its runs.

use super::{RunFacts, handled_run_id, has_ended, last_schedule_time, schedule::Slots, start};
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunStatus, ConnectionProbeStatus,
    conditions::{self, State, Verdict, expectations_met},
    diagnosis::short,
    expect::judge,
    probe::{CurrentRun, LastRun, RECENT_RUNS, RecentRun, WorkloadLine},
    report::{ArmReport, Outcome, shorten},
    run::WorkloadResult,
    text,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// A run and the status that it has or is about to get.
type Told<'a> = (&'a ConnectionProbeRun, &'a ConnectionProbeRunStatus);

/// The state of a probe of which a run is going on, which stands in `state`.
pub(super) fn state_of_going(probe: &ConnectionProbe, runs: &[RunFacts], state: &State) -> State {
    let by_the_clock = probe.spec.scheduling.schedule.is_some();
    match state {
        State::Progressing if by_the_clock => at_rest_by_the_clock(probe, last_verdict(runs)),
        state => state.clone(),
    }
}

/// Between the runs of a schedule, and during them.
fn at_rest_by_the_clock(probe: &ConnectionProbe, last: Option<Verdict>) -> State {
    let verdict = last.filter(|verdict| *verdict != Verdict::Superseded);
    match probe.spec.suspend {
        Some(true) => State::Suspended(verdict),
        _ => State::Scheduled(verdict),
    }
}

fn last_verdict(runs: &[RunFacts]) -> Option<Verdict> {
    ended(runs).next_back().map(|(_, status)| status.verdict())
}

/// That of the last run, where somebody has deleted it since.
fn told_verdict(probe: &ConnectionProbe) -> Option<Verdict> {
    let status = probe.status.as_ref().filter(|status| status.last_run.is_some())?;
    let succeeded = conditions::find(&status.conditions, conditions::SUCCEEDED)?;
    Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == succeeded.reason)
}

/// The state of a probe of which no run is going on.
pub(super) fn state_at_rest(
    probe: &ConnectionProbe,
    runs: &[RunFacts],
    just_ended: Option<&ConnectionProbeRunStatus>,
) -> State {
    let just_ended = just_ended.map(ConnectionProbeRunStatus::verdict);
    let verdict = just_ended.or_else(|| last_verdict(runs)).or_else(|| told_verdict(probe));
    match verdict {
        _ if probe.spec.scheduling.schedule.is_some() => at_rest_by_the_clock(probe, verdict),
        _ if probe.spec.suspend == Some(true) => State::Suspended(verdict),
        Some(verdict) if verdict != Verdict::Superseded => State::Ended(verdict),
        // A run is about to start: its claim is among this plan's actions.
        Some(_) | None => State::Progressing,
    }
}

/// The whole status. `current` is the run that was advanced, ended or not; `waits` says that an
/// annotation asks for a run and was not answered yet.
#[expect(clippy::too_many_arguments, reason = "everything that a status is made of")]
pub(super) fn of_probe(
    probe: &ConnectionProbe,
    runs: &[RunFacts],
    current: Option<Told<'_>>,
    state: &State,
    message: Option<String>,
    slots: &Slots,
    waits: bool,
    now: Timestamp,
) -> ConnectionProbeStatus {
    let before = probe.status.clone().unwrap_or_default();
    let (going, just_ended) = match current {
        Some((run, status)) if status.has_ended() => (None, Some((run, status))),
        going => (going, None),
    };
    let mut past: Vec<Told<'_>> = ended(runs).collect();
    past.extend(just_ended);
    let message = match (state, message) {
        (State::Suspended(_), _) if going.is_none() => text::suspended(),
        (_, Some(message)) => message,
        (State::Scheduled(_), None) if past.is_empty() => text::scheduled(slots.next),
        (_, None) => {
            let told = past.last().and_then(|(_, status)| status.summary.clone());
            told.or_else(|| before.summary.clone()).unwrap_or_default()
        }
    };
    let mut conditions =
        state.conditions(&message, probe.metadata.generation, &before.conditions, &Time(now));
    conditions.extend(probe.spec.expect.as_ref().map(|expect| {
        let judged = judge(expect, past.last().map(|(_, status)| *status));
        expectations_met(&judged, probe.metadata.generation, &before.conditions, &Time(now))
    }));
    let recent = past.iter().rev().take(RECENT_RUNS).filter_map(|told| recent_run(*told));
    ConnectionProbeStatus {
        observed_generation: probe.metadata.generation,
        conditions,
        summary: Some(message),
        target: Some(target(probe)),
        current_run: going.map(current_run),
        last_number: start::last_number(probe, runs),
        last_run: past.last().and_then(|told| last_run(*told)).or(before.last_run),
        recent_runs: recent.collect(),
        last_schedule_time: last_schedule_time(probe, runs).map(Time),
        next_schedule_time: slots.next.map(Time),
        last_handled_request: if waits {
            before.last_handled_request
        } else {
            start::requested_at(probe).or(before.last_handled_request)
        },
        last_handled_run_id: handled_run_id(probe, runs).or_else(|| seen_first(probe)),
    }
    .fitting()
}

/// The runID of a probe with a schedule at first sight: it starts nothing.
fn seen_first(probe: &ConnectionProbe) -> Option<String> {
    let is_new = probe.status.is_none() && probe.spec.scheduling.schedule.is_some();
    probe.spec.run_id.clone().filter(|_| is_new)
}

fn ended(runs: &[RunFacts]) -> impl DoubleEndedIterator<Item = Told<'_>> {
    let ended = runs.iter().filter(|facts| has_ended(facts));
    ended.filter_map(|facts| Some((facts.run.as_ref(), facts.run.status.as_ref()?)))
}

fn target(probe: &ConnectionProbe) -> String {
    let target = &probe.spec.measurement.target;
    target.host.clone().unwrap_or_else(|| format!("secret/{}", target.secret_name))
}

fn current_run((run, status): Told<'_>) -> CurrentRun {
    let start = status.start_time.clone();
    let start = start.or_else(|| run.metadata.creation_timestamp.clone());
    let start = start.unwrap_or(Time(Timestamp::UNIX_EPOCH));
    CurrentRun {
        name: super::name(run),
        number: run.spec.number,
        expected_end_time: status.expected_end_time.clone(),
        start_time: start,
        first_cut_seen_time: status.first_cut_seen_time.clone(),
        workloads_cut: status.workloads_cut.clone(),
    }
}

fn last_run((run, status): Told<'_>) -> Option<LastRun> {
    let end_time = status.end_time.clone()?;
    Some(LastRun {
        name: super::name(run),
        number: run.spec.number,
        start_time: status.start_time.clone().unwrap_or_else(|| end_time.clone()),
        end_time,
        result: status.result.clone().unwrap_or_default(),
        first_cut: first_cut(status),
        finding: status.findings.first().map(|finding| cut_to(short(finding), 120)),
        workloads: status.workloads.iter().flat_map(lines).collect(),
    })
}

fn recent_run((run, status): Told<'_>) -> Option<RecentRun> {
    Some(RecentRun {
        number: run.spec.number,
        end_time: status.end_time.clone()?,
        result: status.result.clone().unwrap_or_default(),
        first_cut: first_cut(status),
    })
}

fn first_cut(status: &ConnectionProbeRunStatus) -> Option<String> {
    status.first_cut().map(|(ms, ..)| cut_to(text::mmss(ms), 16))
}

fn lines(workload: &WorkloadResult) -> Vec<WorkloadLine> {
    let arms = workload.report.iter().flat_map(|report| &report.arms);
    let lines: Vec<_> = arms.map(|arm| line(&workload.workload, arm)).collect();
    if !lines.is_empty() {
        return lines;
    }
    vec![WorkloadLine {
        workload: workload.workload.clone(),
        arm: None,
        n: 0,
        cut: 0,
        lifetime: None,
        at_least_ms: None,
        form: workload.reason.map(|reason| reason.as_str().to_owned()),
        text: workload.message.clone().map(|message| cut_to(message, 120)),
    }]
}

fn line(workload: &str, arm: &ArmReport) -> WorkloadLine {
    let leading = arm.leading().filter(|ending| ending.outcome != Outcome::Survived);
    let form = leading.and_then(|ending| ending.form.as_ref());
    WorkloadLine {
        workload: workload.to_owned(),
        arm: Some(arm.arm),
        n: arm.connections,
        cut: arm.counts.disconnected,
        lifetime: arm.cut_lifetime,
        at_least_ms: text::survivors(arm),
        form: form.map(|form| form.word.as_str().to_owned()),
        text: leading.map(|ending| cut_to(text::ending(ending), 120)),
    }
}

fn cut_to(mut text: String, length: usize) -> String {
    shorten(&mut text, length);
    text
}
