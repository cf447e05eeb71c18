//! How far one workload of a run is, from its pod and Job.

use crate::facts::{JobFacts, PodEnd, PodFacts, PodPhase, RunFacts, Stuck};
use api::{
    conditions::WaitingReason,
    report::{Inconclusive, Report},
    run::{WorkloadResult, WorkloadState},
    text,
};
use jiff::{SignedDuration, Timestamp};

/// How far a workload is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Progress {
    /// Nothing more will come of it.
    Final(Box<WorkloadResult>),
    /// No Job holds it yet.
    Queued,
    /// Its pod has not started, and nothing is known to be wrong.
    Starting,
    /// Its connections are held.
    Holding {
        /// Since when the pod has been unready, if it is.
        unready_since: Option<Timestamp>,
        /// When its pod started.
        since: Timestamp,
        /// When this was heard.
        heard: Timestamp,
    },
    /// Kubernetes tries on.
    Waiting { reason: WaitingReason, seen: String, since: Timestamp },
    /// Its pod ended without having measured anything: only another attempt helps.
    Blocked { reason: WaitingReason, seen: String, at: Timestamp },
}

/// A pod's last words may come after its Job's end.
pub(super) const LAST_WORDS: SignedDuration = SignedDuration::from_secs(5);
/// A pod that has been unready for so long since that was heard, and whose container still runs, has a cut
/// connection. One whose process has just exited is unready too, until the kubelet notices the exit: it looks
/// once a second.
pub(super) const CUT_SHOWS: SignedDuration = SignedDuration::from_secs(3);
/// A Job without a single pod after this long is refused them.
const POD_REFUSED: SignedDuration = SignedDuration::from_secs(30);

/// Judges the workload at `position`, of which `before` is known.
pub(super) fn progress(
    facts: &RunFacts,
    position: usize,
    before: &WorkloadResult,
    now: Timestamp,
) -> Progress {
    if before.state != WorkloadState::Running {
        return Progress::Final(Box::new(before.clone()));
    }
    let attempt = before.attempt;
    if attempt == 0 {
        return Progress::Queued;
    }
    let job = facts.jobs.iter().find(|job| job.attempt == attempt);
    let mut pods = facts.pods.iter().filter(|p| p.attempt == attempt && p.workload == position);
    let progress = match pods.next_back() {
        Some(pod) => of_pod(pod, before),
        None => without_pod(facts, job, before, now),
    };
    match progress {
        // What the pod said when its Job was taken away is not the reason.
        Progress::Final(result)
            if job.is_none()
                && was_there(facts, attempt)
                && matches!(
                    result.reason,
                    Some(Inconclusive::Interrupted | Inconclusive::NoReport)
                ) =>
        {
            Progress::Final(Box::new(lost(before, Inconclusive::JobDeleted, "", result.report)))
        }
        progress => progress,
    }
}

/// Whether the Job of an attempt was made, as far as the run's status knows.
fn was_there(facts: &RunFacts, attempt: i32) -> bool {
    facts.run.status.as_ref().is_some_and(|status| status.attempt >= attempt)
}

fn of_pod(pod: &PodFacts, before: &WorkloadResult) -> Progress {
    match &pod.phase {
        PodPhase::Ended(end) => ended(end, pod.disruption, before),
        PodPhase::Stuck { cause, seen, .. } if pod.gone => {
            let reason = pod.disruption.unwrap_or(match cause {
                Stuck::Unschedulable => Inconclusive::Unschedulable,
                Stuck::Image => Inconclusive::ImageUnavailable,
            });
            Progress::Final(Box::new(lost(before, reason, seen, None)))
        }
        _ if pod.gone || pod.is_lost() => {
            let reason = pod.disruption.unwrap_or(Inconclusive::NoReport);
            Progress::Final(Box::new(lost(before, reason, "", None)))
        }
        PodPhase::Starting => Progress::Starting,
        PodPhase::Running { unready_since, since } => {
            Progress::Holding { unready_since: *unready_since, since: *since, heard: pod.heard }
        }
        PodPhase::Stuck { cause, seen, since } => {
            let reason = match cause {
                Stuck::Unschedulable => WaitingReason::Unschedulable,
                Stuck::Image => WaitingReason::ImageUnavailable,
            };
            Progress::Waiting { reason, seen: seen.clone(), since: *since }
        }
    }
}

fn ended(end: &PodEnd, disruption: Option<Inconclusive>, before: &WorkloadResult) -> Progress {
    let report = end.report.as_deref();
    if let Some(problem) = report.and_then(|report| report.problem.as_ref()) {
        let reason = WaitingReason::Problem(problem.reason);
        return Progress::Blocked { reason, seen: problem.message.clone(), at: end.at };
    }
    // A complete report stands, whatever happened to the pod afterwards.
    if let Some(report) =
        report.filter(|report| report.ended_at.is_some() && end.exit_code == Some(0))
    {
        return Progress::Final(Box::new(WorkloadResult {
            state: WorkloadState::Reported,
            report: Some(report.clone()),
            ..before.clone()
        }));
    }
    let started = report.is_some() || end.exit_code.is_some_and(|code| code != CANNOT_START);
    if !started && disruption.is_none() {
        let reason = WaitingReason::ImageUnavailable;
        return Progress::Blocked { reason, seen: end.seen.clone(), at: end.at };
    }
    let reason = disruption.unwrap_or(match end.reason.as_str() {
        "OOMKilled" => Inconclusive::OOMKilled,
        "DeadlineExceeded" => Inconclusive::DeadlineExceeded,
        _ if end.exit_code == Some(INTERRUPTED) => Inconclusive::Interrupted,
        _ => Inconclusive::NoReport,
    });
    let seen = match end.exit_code {
        Some(code) if report.is_none() => format!("{}, exit code {code}", end.reason),
        _ => String::new(),
    };
    Progress::Final(Box::new(lost(before, reason, &seen, report.cloned())))
}

/// The probe's exit code after a signal.
const INTERRUPTED: i32 = 5;
/// The kubelet's exit code for a container whose binary could not be started.
const CANNOT_START: i32 = 128;

fn without_pod(
    facts: &RunFacts,
    job: Option<&JobFacts>,
    before: &WorkloadResult,
    now: Timestamp,
) -> Progress {
    let attempt = before.attempt;
    let Some(job) = job else {
        return if was_there(facts, attempt) {
            Progress::Final(Box::new(lost(before, Inconclusive::JobDeleted, "", None)))
        } else {
            Progress::Starting
        };
    };
    match job.finished_at {
        Some(at) if now.duration_since(at) >= LAST_WORDS => {
            Progress::Final(Box::new(lost(before, Inconclusive::NoReport, "", None)))
        }
        Some(_) => Progress::Starting,
        None if facts.pods.iter().all(|pod| pod.attempt != attempt)
            && now.duration_since(job.created_at) >= POD_REFUSED =>
        {
            Progress::Waiting {
                reason: WaitingReason::PodRefused,
                seen: format!("see `kubectl describe job {}`", job.name),
                since: job.created_at,
            }
        }
        None => Progress::Starting,
    }
}

/// A workload of which nothing more will come, with what its pod had reported until then.
pub(super) fn lost(
    before: &WorkloadResult,
    reason: Inconclusive,
    seen: &str,
    report: Option<Report>,
) -> WorkloadResult {
    WorkloadResult {
        state: WorkloadState::Inconclusive,
        reason: Some(reason),
        message: Some(text::lost(reason, seen)),
        report,
        ..before.clone()
    }
}

impl Progress {
    /// When this will be judged differently if nothing happens.
    pub(super) fn wake(&self, facts: &RunFacts) -> Option<Timestamp> {
        let soon = |at: Timestamp, after| at.checked_add(after).ok();
        match self {
            Self::Waiting { reason, since, .. } => soon(*since, patience(*reason)),
            Self::Starting => {
                let job = facts.jobs.iter().max_by_key(|job| job.attempt)?;
                soon(
                    job.finished_at.unwrap_or(job.created_at),
                    match job.finished_at {
                        Some(_) => LAST_WORDS,
                        None => POD_REFUSED,
                    },
                )
            }
            Self::Holding { unready_since, heard, .. } => {
                soon((*unready_since)?.max(*heard), CUT_SHOWS)
            }
            Self::Final(_) | Self::Queued | Self::Blocked { .. } => None,
        }
    }
}

/// How long Kubernetes may try before a person must look.
pub(super) fn patience(reason: WaitingReason) -> SignedDuration {
    match reason {
        WaitingReason::ImageUnavailable => SignedDuration::from_mins(2),
        WaitingReason::Unschedulable => SignedDuration::from_mins(5),
        WaitingReason::PodRefused => POD_REFUSED,
        WaitingReason::Problem(_)
        | WaitingReason::NameConflict
        | WaitingReason::ProxyNotRestored => SignedDuration::ZERO,
    }
}
