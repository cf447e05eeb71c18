//! Why connections were cut: from what the probes reported to findings. Pure, and in this order:
//!
//! 1. What whoever closed said himself ([`message`]); a single message names its cause.
//! 2. What happened at one moment, or what timer counts the same in all that were cut ([`moment`], [`suspect`]):
//!    whichever explains most. A suspect is contradicted by every connection that its clock should have ended and
//!    did not; suspects that are not contradicted are told beside it, and if they are of another kind, the cause
//!    is not known.
//! 3. The same for what is left, until nothing explains it: that is `Unknown`.
//!
//! What became of real workers that were watched stands beside them ([`workers`]). What AWS told of an RDS Proxy on the measured path stands beside the findings as evidence ([`proxy`]).
//!
//! A path is judged by itself; the other one is only looked at beside it. Where a report had no room for single
//! connections, nothing is concluded from what is missing.

use crate::{
    report::Arm,
    run::{ConnectionProbeRunStatus, MeasurementRecord},
    settings::Settings,
};
use judge::Judge;
use path::Path;
use proxy::Proxy;
use verdict::Verdict;

mod cause;
mod configured;
mod experiment;
mod finding;
mod judge;
mod lane;
mod message;
mod moment;
mod path;
mod proxy;
mod rhythm;
mod span;
mod suspect;
mod verdict;
mod words;
mod workers;
mod write;

#[cfg(test)]
mod tests;

pub use cause::Cause;
pub use finding::{Clock, Confidence, Experiment, Finding, MAX_FINDINGS, Near, Timer};
pub(crate) use proxy::pinned;
pub use words::{short, since, told};

/// What an ended run of the probe `probe` found: what explains most comes first, those of the measured path before
/// those of the control. Empty where nothing was measured.
#[must_use]
pub fn diagnose(
    probe: &str,
    record: &MeasurementRecord,
    status: &ConnectionProbeRunStatus,
) -> Vec<Finding> {
    let Ok(settings) = Settings::new("", &record.settled, Vec::new()) else {
        return Vec::new();
    };
    let paths = [Arm::Target, Arm::Control].map(|arm| Path::new(arm, &settings, status));
    let mut findings = Vec::new();
    let mut of_workers = workers::findings(probe, record, status);
    for (path, beside) in [(&paths[0], &paths[1]), (&paths[1], &paths[0])] {
        let mut verdicts = Judge::new(path, record).verdicts();
        if let Some(proxy) = Proxy::of(path.arm, status) {
            verdicts.iter_mut().for_each(|verdict| proxy.weigh(verdict, path));
        }
        verdicts.sort_by_key(|verdict| (std::cmp::Reverse(verdict.rank(path)), verdict.cause));
        if verdicts.is_empty() && path.arm == Arm::Target {
            // That nothing else was cut comes after what real workers went through.
            findings.append(&mut of_workers);
            verdicts.extend(Verdict::no_cut(path));
        }
        let written = verdicts
            .iter()
            .map(|verdict| write::finding(verdict, path, beside, record, probe, status));
        findings.extend(written);
        findings.append(&mut of_workers);
    }
    Finding::fit(&mut findings);
    findings
}
