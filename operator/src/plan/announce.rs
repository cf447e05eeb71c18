//! What is told as events: each change once.

use super::schedule::Slots;
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeRunStatus, ConnectionProbeStatus,
    conditions::{self, State, WaitingReason},
    diagnosis::Cause,
    report::Arm,
    run::Interruption,
    text,
};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;

/// Something to tell on a probe.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Announcement {
    /// Whether a person should look.
    pub(crate) warning: bool,
    /// One word.
    pub(crate) reason: String,
    /// What happened.
    pub(crate) note: String,
    /// The run that it is about, if it is about one: events of different runs are not repetitions of one.
    pub(crate) run: Option<ObjectReference>,
    /// What the operator did or does about it.
    pub(crate) action: &'static str,
}

/// What changed between the run as it was written and as it is about to be.
pub(super) fn of_run(
    run: &ConnectionProbeRun,
    after: &ConnectionProbeRunStatus,
) -> Vec<Announcement> {
    let before = run.status.as_ref();
    let note = after.summary.clone().unwrap_or_default();
    let tell = |warning, reason: &str, action| Announcement {
        warning,
        reason: reason.to_owned(),
        note: note.clone(),
        run: Some(run.object_ref(&())),
        action,
    };
    let (was, is) = (before.and_then(state), state(after).unwrap_or_default());
    let mut told = Vec::new();
    if before.is_none_or(|status| status.first_cut_seen_time.is_none())
        && after.first_cut_seen_time.is_some()
    {
        told.push(tell(true, "ConnectionCut", "Measure"));
    }
    for (position, workload) in after.workloads.iter().enumerate() {
        let interrupted = |status: &ConnectionProbeRunStatus| -> Option<Interruption> {
            status.workloads.get(position)?.interrupted.clone()
        };
        if let Some(Interruption { reason, .. }) = &workload.interrupted
            && before.and_then(interrupted).is_none()
        {
            let note = text::again(&workload.workload, *reason);
            // What has the same reason, action and object is taken for a repetition, and its note is lost.
            let path = format!("status.workloads{{{}}}", workload.workload);
            let run = Some(ObjectReference { field_path: Some(path), ..run.object_ref(&()) });
            told.push(Announcement { note, run, ..tell(false, reason.as_str(), "Repeat") });
        }
    }
    let gaps = |status: &ConnectionProbeRunStatus| text::rds_gaps(status.rds_proxy.as_ref()?);
    if let Some(note) = gaps(after).filter(|_| before.and_then(gaps).is_none()) {
        told.push(Announcement { note, ..tell(true, "RdsProxyNotRead", "Measure") });
    }
    let changed = |status: &ConnectionProbeRunStatus| {
        text::override_told(status.rds_proxy.as_ref()?.timeout_override.as_ref()?)
    };
    if let Some((reason, warning, note)) = changed(after)
        && before.and_then(changed).is_none_or(|(known, ..)| known != reason)
    {
        told.push(Announcement { note, ..tell(warning, reason, "Override") });
    }
    if was.as_ref() == Some(&is) {
        return told;
    }
    let (reason, stalled) = is;
    if after.has_ended() {
        // What a person or a newer run ended is nobody's trouble.
        let warning = stalled && after.ended_early.is_none();
        told.push(tell(warning, if stalled { &reason } else { "RunEnded" }, "Report"));
        told.extend(after.findings.iter().filter(|it| it.cause != Cause::NoCut).map(|finding| {
            let (warning, note) = (finding.arm == Arm::Target, text::found(finding));
            Announcement { note, ..tell(warning, finding.cause.as_str(), "Report") }
        }));
    } else if was.is_none() {
        told.push(tell(false, "RunStarted", "Measure"));
    } else if stalled {
        told.push(tell(true, &reason, "Wait"));
    }
    told
}

/// The reason of Ready, and whether a person must do something.
fn state(status: &ConnectionProbeRunStatus) -> Option<(String, bool)> {
    let ready = conditions::find(&status.conditions, conditions::READY)?;
    let stalled = conditions::is_true(&status.conditions, conditions::STALLED);
    Some((ready.reason.clone(), stalled))
}

/// What keeps the probe from having runs at all, when that is new.
pub(super) fn of_trouble(
    probe: &ConnectionProbe,
    after: &ConnectionProbeStatus,
) -> Option<Announcement> {
    let ready = |status: &ConnectionProbeStatus| {
        let ready = conditions::find(&status.conditions, conditions::READY)?;
        Some(ready.reason.clone())
    };
    let (was, is) = (probe.status.as_ref().and_then(ready), ready(after)?);
    let trouble = [State::Invalid.reason(), WaitingReason::NameConflict.as_str()];
    (trouble.contains(&is.as_str()) && was.as_ref() != Some(&is)).then(|| Announcement {
        warning: true,
        reason: is,
        note: after.summary.clone().unwrap_or_default(),
        run: None,
        action: "Wait",
    })
}

/// What is to be told of the probe itself: an annotation that was `refused`, with the run that was going
/// on, and scheduled runs that were missed.
pub(super) fn of_probe(
    refused: Option<(String, Option<i64>)>,
    slots: &Slots,
) -> impl Iterator<Item = Announcement> {
    let tell = |reason: &str, note, action| Announcement {
        warning: true,
        reason: reason.to_owned(),
        note,
        run: None,
        action,
    };
    let refused = refused.map(|(token, going)| {
        tell("RequestRefused", text::request_refused(&token, going), "Refuse")
    });
    let missed = slots
        .latest_missed
        .map(|latest| tell("ScheduleMissed", text::missed(slots.missed, latest), "Skip"));
    refused.into_iter().chain(missed)
}
