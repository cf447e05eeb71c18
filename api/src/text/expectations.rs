//! Whether a run met what was expected of it.

use super::mmss;

/// There is no run to judge.
#[must_use]
pub fn no_run_to_judge() -> String {
    "No run has ended yet.".to_owned()
}

/// A name that no workload has.
#[must_use]
pub fn no_such_workload(name: &str) -> String {
    format!("The run has no workload {name}: see expect.workloads.")
}

/// Nothing is known of a workload.
#[must_use]
pub fn not_measured(workload: &str) -> String {
    format!("Nothing is known of {workload}.")
}

/// A connection was cut too early.
#[must_use]
pub fn lived_less(workload: &str, shortest: i64, least: i64) -> String {
    format!("A connection of {workload} was cut after {}, before {}.", mmss(shortest), mmss(least))
}

/// All connections lived long enough.
#[must_use]
pub fn lived_enough(workload: &str, surely: i64, least: i64) -> String {
    format!(
        "Every connection of {workload} lived at least {}, and {} is expected.",
        mmss(surely),
        mmss(least)
    )
}

/// What was seen does not reach far enough.
#[must_use]
pub fn seen_too_short(workload: &str, surely: i64, least: i64) -> String {
    format!(
        "Of {workload} no more is known than that its connections lived {}, and {} is expected: hold them longer.",
        mmss(surely),
        mmss(least)
    )
}

/// How many answered at the end.
#[must_use]
pub fn survived(workload: &str, survived: i32, all: i32) -> String {
    format!("{survived} of {all} connections of {workload} answered at the end.")
}

/// Name of an age that is to be explained.
#[must_use]
pub fn explains(age: i64) -> String {
    format!("explains {}", mmss(age))
}

/// A limit on age explains a cut.
#[must_use]
pub fn explained_by_age(age: i64, cause: &str) -> String {
    format!("{} is the age at which {cause} cuts.", mmss(age))
}

/// A timer that something resets explains a cut: it came so long `since` that.
#[must_use]
pub fn explained_by_timer(age: i64, cause: &str, since: &str, (least, most): (i64, i64)) -> String {
    let time = match mmss(least) == mmss(most) {
        true => mmss(most),
        false => format!("{} to {}", mmss(least), mmss(most)),
    };
    format!(
        "{} fits {cause}: {time} {since}, if that was {} after opening.",
        mmss(age),
        mmss(age - most)
    )
}

/// The run was too short to say.
#[must_use]
pub fn too_short_to_explain(age: i64, oldest: i64) -> String {
    format!(
        "Nothing that was found explains {}, but no connection was held longer than {}: hold them longer.",
        mmss(age),
        mmss(oldest)
    )
}

/// Nothing explains it.
#[must_use]
pub fn explained_by_nothing(age: i64) -> String {
    format!("Nothing that was found on this path explains a cut at {}.", mmss(age))
}

/// So many more sentences of the kind.
#[must_use]
pub fn and_more(n: usize) -> String {
    format!(" And {n} more.")
}
