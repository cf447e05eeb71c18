//! Which IdleClientTimeout the connections of a run lived under, where the run changed it.

use crate::{
    ConnectionProbeRunStatus,
    rds_proxy::overriding::{Outcome, OverrideStatus},
    render::document::quote,
    text,
};

/// What is told of the change; nothing where there was to be none.
pub(super) fn lines(status: &ConnectionProbeRunStatus) -> Vec<String> {
    let told = status.rds_proxy.as_ref().and_then(|told| told.timeout_override.as_ref());
    let Some(told) = told else { return Vec::new() };
    if told.outcome == Some(Outcome::DryRun) {
        let calls = told.calls.iter().map(|call| quote(call));
        let calls = calls.collect::<Vec<_>>().join(", then ");
        return vec![format!(
            "A dry run: IdleClientTimeout was not changed. The calls would be {calls}."
        )];
    }
    let mut lines = vec![value(told)];
    if told.in_force_at.is_some() {
        lines.extend(status.reports().map(|report| {
            let name = quote(&report.workload);
            let held = told.until.is_none_or(|until| report.ended_at.is_some_and(|at| at <= until));
            let under = told.seconds;
            match (held, told.outcome) {
                (_, Some(Outcome::LeftToOthers)) => {
                    format!("{name} lived under {under} s and, from a moment that is not known, another value.")
                }
                (true, _) => format!("{name} lived under {under} s from first to last."),
                (false, _) => format!(
                    "{name} was opened under {under} s; what lived after that was put back lived under both values."
                ),
            }
        }));
    }
    lines.extend(text::override_trouble(told).map(|text| quote(&text)));
    lines
}

fn value(told: &OverrideStatus) -> String {
    let (seconds, was) = (told.seconds, told.original_seconds);
    let was = was.map_or("it was not learned".to_owned(), |was| format!("{was} s"));
    match (told.in_force_at, told.until) {
        (None, _) => {
            format!("IdleClientTimeout was to be {seconds} s for this run; before: {was}.")
        }
        (Some(from), None) => format!(
            "IdleClientTimeout was {seconds} s for this run, from {}; before: {was}.",
            text::date(from)
        ),
        (Some(from), Some(until)) => format!(
            "IdleClientTimeout was {seconds} s for this run, from {} to {}; before: {was}.",
            text::date(from),
            text::date(until)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Report,
        rds_proxy::RdsProxyStatus,
        run::{WorkloadResult, WorkloadState},
    };
    use jiff::Timestamp;

    fn told(outcome: Outcome, ended: i64) -> String {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut report = Report::of_problem(
            "idle",
            at(100),
            crate::report::Problem {
                reason: crate::report::ProblemReason::SecretNotFound,
                message: String::new(),
            },
        );
        report.ended_at = Some(at(ended));
        let idle = WorkloadResult {
            state: WorkloadState::Reported,
            report: Some(report),
            ..WorkloadResult::new("idle".into())
        };
        let timeout_override = Some(OverrideStatus {
            seconds: 3600,
            original_seconds: Some(1800),
            in_force_at: Some(at(60)),
            until: Some(at(4000)),
            outcome: Some(outcome),
            found_seconds: (outcome == Outcome::LeftToOthers).then_some(900),
            problem: None,
            calls: vec!["aws rds modify-db-proxy".into()],
        });
        let rds_proxy = Some(RdsProxyStatus { timeout_override, ..RdsProxyStatus::default() });
        let status = ConnectionProbeRunStatus {
            rds_proxy,
            workloads: vec![idle],
            ..ConnectionProbeRunStatus::default()
        };
        lines(&status).join("\n")
    }

    #[test]
    fn every_connection_has_the_value_that_it_lived_under() {
        insta::assert_snapshot!(
            [
                told(Outcome::Restored, 3900),
                told(Outcome::Restored, 4100),
                told(Outcome::LeftToOthers, 3900),
                told(Outcome::DryRun, 3900),
            ]
            .join("\n\n")
        );
    }
}
