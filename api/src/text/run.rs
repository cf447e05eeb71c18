//! What an ended run found, in a few words and in a few sentences.

use super::{ending, ladder, mmss, observed_summary, override_trouble, survivors};
use crate::{
    conditions::Verdict,
    report::{Arm, Ending, Outcome, shorten},
    run::{ConnectionProbeRunStatus, WorkloadState},
};

/// `9 of 45 cut`, or why there is no such figure. The control is told apart.
#[must_use]
pub fn result(status: &ConnectionProbeRunStatus, verdict: Verdict) -> String {
    let sum = |arm| {
        status.arms(arm).fold((0, 0), |(cut, all), (_, arm)| {
            (arm.counts.disconnected.saturating_add(cut), arm.connections.saturating_add(all))
        })
    };
    let (cut, connections) = sum(Arm::Target);
    if !verdict.measured() && cut == 0 {
        return verdict.as_str().to_owned();
    }
    let held = match sum(Arm::Control) {
        (_, 0) if connections == 0 => None,
        (_, 0) => Some(format!("{cut} of {connections} cut")),
        (control, all) => Some(format!("{cut} of {connections} cut, control {control} of {all}")),
    };
    let real = status.observed().fold(None, |sum: Option<(i32, i32)>, observed| {
        let (cut, all) = sum.unwrap_or_default();
        Some((cut.saturating_add(observed.cut()), all.saturating_add(observed.conclusive())))
    });
    let real = real.map(|(cut, all)| match all {
        0 => "real unknown".to_owned(),
        all => format!("real {cut} of {all} cut"),
    });
    held.into_iter().chain(real).collect::<Vec<_>>().join("; ")
}

/// What an ended run found.
#[must_use]
pub fn summary(number: i64, status: &ConnectionProbeRunStatus, verdict: Verdict) -> String {
    let mut sentences = vec![match verdict {
        Verdict::Measured | Verdict::PartlyConclusive => measured(number, status),
        Verdict::ConnectFailed => format!(
            "Run {number} could not open a single connection{}.",
            first_detail(status).map(|d| format!(": {d}")).unwrap_or_default(),
        ),
        Verdict::Inconclusive => format!("Run {number} measured nothing."),
        Verdict::Superseded => format!("Run {number} was ended by a newer run."),
        Verdict::Cancelled => match status.first_cut() {
            Some(_) => format!("Cancelled. {}", measured(number, status)),
            None => format!("Run {number} was cancelled before anything was cut."),
        },
    }];
    if !matches!(verdict, Verdict::Superseded | Verdict::Cancelled) {
        let mut ladders = status
            .arms(Arm::Target)
            .filter_map(|(workload, arm)| Some(format!("{workload}: {}.", ladder(&arm.ladder)?)));
        sentences.extend(ladders.next());
        sentences.extend(ended_early(status));
    }
    let told = status.rds_proxy.as_ref().and_then(|told| told.timeout_override.as_ref());
    sentences.extend(told.and_then(override_trouble));
    let mut summary = sentences.join(" ");
    shorten(&mut summary, 1024);
    summary
}

/// Of which workloads nothing or not everything is known, and why.
fn ended_early(status: &ConnectionProbeRunStatus) -> Vec<String> {
    let lost = status.workloads.iter().filter_map(|workload| {
        let known = workload.report.as_ref().is_some_and(crate::Report::is_conclusive);
        Some((known, format!("{} ({})", workload.workload, workload.reason?.as_str())))
    });
    let (partly, wholly): (Vec<_>, Vec<_>) = lost.partition(|(known, _)| *known);
    let names = |lost: Vec<(bool, String)>| {
        lost.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(", ")
    };
    let mut sentences: Vec<String> = repeated(status).collect();
    if !wholly.is_empty() {
        sentences.push(format!("Nothing is known of {}.", names(wholly)));
    }
    for (_, name) in partly {
        sentences.push(name.replacen(" (", " ended early (", 1) + ".");
    }
    sentences
}

/// Which workloads took a second attempt, and why.
fn repeated(status: &ConnectionProbeRunStatus) -> impl Iterator<Item = String> {
    let reported = status.workloads.iter().filter(|w| w.state == WorkloadState::Reported);
    reported.filter_map(|workload| {
        let (name, reason) = (&workload.workload, workload.interrupted.as_ref()?.reason);
        Some(format!("{name} took a second attempt ({}).", reason.as_str()))
    })
}

fn measured(number: i64, status: &ConnectionProbeRunStatus) -> String {
    let real: String =
        status.observed().map(|observed| format!(" {}", observed_summary(observed))).collect();
    if status.reports().all(|report| report.arms.is_empty()) && !real.is_empty() {
        return format!("Run {number}:{real}");
    }
    let counted = result(status, Verdict::Measured);
    let held = match status.first_cut() {
        Some((ms, workload, arm)) => format!(
            "Run {number}: {counted}, the first after {} ({workload}: {}).",
            mmss(ms),
            arm.leading().map(ending).unwrap_or_default(),
        ),
        None => {
            let bound = status.arms(Arm::Target).filter_map(|(_, arm)| survivors(arm)).min();
            format!(
                "Run {number}: {counted}{}.",
                bound.map(|ms| format!(", all lived at least {}", mmss(ms))).unwrap_or_default(),
            )
        }
    };
    held + &real
}

fn first_detail(status: &ConnectionProbeRunStatus) -> Option<String> {
    let failed = |e: &&Ending| e.outcome == Outcome::ConnectFailed;
    status.reports().flat_map(|r| &r.arms).flat_map(|arm| &arm.endings).find(failed).map(ending)
}
