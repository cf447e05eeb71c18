//! What is said of asking AWS about an RDS Proxy.

use crate::{
    rds_proxy::{RdsProxyStatus, request::Moment},
    report::shorten,
};

/// The connections have ended, and CloudWatch's metrics are still to come.
#[must_use]
pub fn asks_aws(number: i64) -> String {
    format!(
        "All connections of run {number} have ended; AWS is asked about the proxy, whose metrics come minutes late."
    )
}

/// Why AWS told nothing of the proxy.
#[must_use]
pub fn aws_not_asked(moment: Moment, seen: &str) -> String {
    let when = match moment {
        Moment::Before => "at the beginning of",
        Moment::After => "after",
    };
    let mut problem =
        format!("AWS could not be asked {when} the run: {}.", seen.trim_end_matches('.'));
    shorten(&mut problem, 300);
    problem
}

/// What was seen of a pod that asks AWS, where Kubernetes says nothing of it.
#[must_use]
pub fn without_answer(started: Option<bool>) -> &'static str {
    match started {
        None => {
            "its pod was not made: the service account of spec.rdsProxy is missing, or a quota or policy refuses it; \
             see kubectl describe job"
        }
        Some(false) => "its pod did not start in time",
        Some(true) => "its pod did not end in time",
    }
}

/// What AWS did not tell of an RDS Proxy, for a run's summary.
#[must_use]
pub fn rds_gaps(told: &RdsProxyStatus) -> Option<String> {
    let permissions: Vec<_> = told.gaps().into_iter().map(|gap| gap.permission.as_str()).collect();
    match (&told.problem, &permissions[..]) {
        (Some(problem), _) => Some(problem.clone()),
        (None, []) => None,
        (None, some) => Some(format!(
            "AWS did not tell all of the RDS Proxy, see the report: {}.",
            some.join(", ")
        )),
    }
}
