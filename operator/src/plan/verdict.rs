//! What an ended run amounts to.

use api::{
    ConnectionProbeRunStatus, Report,
    conditions::Verdict,
    report::{Inconclusive, Outcome},
};

/// The verdict of a run of which nothing more will come.
pub(super) fn of(status: &ConnectionProbeRunStatus) -> Verdict {
    if status.ended_early == Some(Inconclusive::Superseded) {
        return Verdict::Superseded;
    }
    let conclusive = status.reports().filter(|report| report.is_conclusive()).count();
    match conclusive {
        0 if status.reports().any(could_not_connect) => Verdict::ConnectFailed,
        0 => Verdict::Inconclusive,
        n if n == status.workloads.len() => Verdict::Measured,
        _ => Verdict::PartlyConclusive,
    }
}

fn could_not_connect(report: &Report) -> bool {
    let mut endings = report.arms.iter().flat_map(|arm| &arm.endings);
    endings.any(|ending| ending.outcome == Outcome::ConnectFailed)
}
