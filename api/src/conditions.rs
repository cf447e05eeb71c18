//! The state of a probe or run as conditions, for people, `kubectl wait`, Argo CD and Flux.
//!
//! "Did the probe run" and "what did it find" are never mixed: a dropped connection is a finding,
//! not a failure. `Ready` and `Succeeded` are set from first sight; `Reconciling` and `Stalled`
//! exist only while True and never together (kstatus takes whichever comes first).

use crate::expect::Expectation;
use crate::report::{Inconclusive, ProblemReason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Is the probe in the state that its spec asks for?
pub const READY: &str = "Ready";
/// Did the run measure something?
pub const SUCCEEDED: &str = "Succeeded";
/// A run is going on.
pub const RECONCILING: &str = "Reconciling";
/// Did the last run meet what the probe expects? There only where something is expected.
pub const EXPECTATIONS_MET: &str = "ExpectationsMet";
/// A person must do something.
pub const STALLED: &str = "Stalled";

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Whether a condition is there and True.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

/// The state of a probe or of a run: one row of the table of conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The spec can't be carried out.
    Invalid,
    /// A run is going on.
    Progressing,
    /// The run can't go on, and something may still come.
    Waiting(Waiting),
    /// Nothing starts while suspended; the verdict is of the last run.
    Suspended(Option<Verdict>),
    /// Runs come and go by the clock; the verdict is of the last one that ended.
    Scheduled(Option<Verdict>),
    /// The run ended.
    Ended(Verdict),
}

/// What a run waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub reason: WaitingReason,
    /// Whether a person must do something: it has lasted too long to be a delay.
    pub needs_a_person: bool,
}

/// For what a run waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitingReason {
    /// The probe found its configuration wanting.
    Problem(ProblemReason),
    /// The image can't be pulled or started.
    ImageUnavailable,
    /// No node takes the pod.
    Unschedulable,
    /// The pod can't be made: quota, policy, service account.
    PodRefused,
    /// Something that is not ours has the name of one of our children.
    NameConflict,
    /// An RDS Proxy that the run has changed could not be put back yet.
    ProxyNotRestored,
}

/// What an ended run amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every workload is conclusive.
    Measured,
    /// Some are.
    PartlyConclusive,
    /// None is.
    Inconclusive,
    /// None is, since no connection could be opened.
    ConnectFailed,
    /// The run was ended by a newer one.
    Superseded,
    /// The run was ended by a person.
    Cancelled,
}

impl WaitingReason {
    /// The reason as it stands in conditions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Problem(reason) => reason.as_str(),
            Self::ImageUnavailable => Inconclusive::ImageUnavailable.as_str(),
            Self::Unschedulable => Inconclusive::Unschedulable.as_str(),
            Self::PodRefused => "PodRefused",
            Self::NameConflict => "NameConflict",
            Self::ProxyNotRestored => "ProxyNotRestored",
        }
    }
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Measured,
        Self::PartlyConclusive,
        Self::Inconclusive,
        Self::ConnectFailed,
        Self::Superseded,
        Self::Cancelled,
    ];

    /// The reason as it stands in conditions.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Measured => "Measured",
            Self::PartlyConclusive => "PartlyConclusive",
            Self::Inconclusive => "Inconclusive",
            Self::ConnectFailed => "ConnectFailed",
            Self::Superseded => "Superseded",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether something was measured.
    #[must_use]
    pub fn measured(self) -> bool {
        matches!(self, Self::Measured | Self::PartlyConclusive)
    }
}

impl State {
    /// The reason of `Ready`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Invalid => "Invalid",
            Self::Progressing => "Progressing",
            Self::Waiting(waiting) => waiting.reason.as_str(),
            Self::Suspended(_) => "Suspended",
            Self::Scheduled(_) => "Scheduled",
            Self::Ended(verdict) => verdict.as_str(),
        }
    }

    /// The conditions of this state. A condition keeps its transition time while its status stays.
    #[must_use]
    pub fn conditions(
        &self,
        message: &str,
        generation: Option<i64>,
        before: &[Condition],
        now: &Time,
    ) -> Vec<Condition> {
        let condition = |type_: &str, status: &str, reason: &str| {
            condition(type_, status, (reason, message), generation, before, now)
        };
        let reason = self.reason();
        let (ready, succeeded, extra) = match self {
            Self::Invalid => ("False", ("Unknown", reason), Some(STALLED)),
            Self::Progressing => ("False", ("Unknown", reason), Some(RECONCILING)),
            Self::Waiting(Waiting { needs_a_person, .. }) => {
                let extra = if *needs_a_person { STALLED } else { RECONCILING };
                ("False", ("Unknown", reason), Some(extra))
            }
            Self::Suspended(verdict) | Self::Scheduled(verdict) => {
                ("True", succeeded(*verdict), None)
            }
            Self::Ended(verdict) if verdict.measured() => ("True", succeeded(Some(*verdict)), None),
            Self::Ended(verdict) => ("False", succeeded(Some(*verdict)), Some(STALLED)),
        };
        let mut conditions =
            vec![condition(READY, ready, reason), condition(SUCCEEDED, succeeded.0, succeeded.1)];
        conditions.extend(extra.map(|type_| condition(type_, "True", reason)));
        conditions
    }
}

/// `ExpectationsMet` of a probe that expects something.
#[must_use]
pub fn expectations_met(
    expectation: &Expectation,
    generation: Option<i64>,
    before: &[Condition],
    now: &Time,
) -> Condition {
    let status = match expectation.met {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let said = (expectation.reason, expectation.message.as_str());
    condition(EXPECTATIONS_MET, status, said, generation, before, now)
}

fn condition(
    type_: &str,
    status: &str,
    (reason, message): (&str, &str),
    generation: Option<i64>,
    before: &[Condition],
    now: &Time,
) -> Condition {
    let same = before.iter().find(|c| c.type_ == type_ && c.status == status);
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: same.map_or(now, |c| &c.last_transition_time).clone(),
    }
}

/// `Succeeded` of an ended run.
fn succeeded(verdict: Option<Verdict>) -> (&'static str, &'static str) {
    match verdict {
        None => ("Unknown", "NoRunYet"),
        Some(verdict) if verdict.measured() => ("True", verdict.as_str()),
        Some(verdict) => ("False", verdict.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn line(state: &State) -> String {
        let conditions = state.conditions("m", Some(3), &[], &at(0));
        let words = conditions.iter().map(|c| format!("{}={} {}", c.type_, c.status, c.reason));
        words.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn the_table_of_conditions() {
        let waiting = |needs_a_person| {
            State::Waiting(Waiting { reason: WaitingReason::Unschedulable, needs_a_person })
        };
        let table: Vec<String> = [
            State::Invalid,
            State::Progressing,
            waiting(false),
            waiting(true),
            State::Suspended(None),
            State::Suspended(Some(Verdict::Inconclusive)),
            State::Scheduled(None),
            State::Scheduled(Some(Verdict::Measured)),
            State::Ended(Verdict::Measured),
            State::Ended(Verdict::PartlyConclusive),
            State::Ended(Verdict::Inconclusive),
            State::Ended(Verdict::ConnectFailed),
            State::Ended(Verdict::Cancelled),
        ]
        .iter()
        .map(line)
        .collect();
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let first = State::Progressing.conditions("a", None, &[], &at(1));
        let second = State::Progressing.conditions("b", None, &first, &at(2));
        assert_eq!(second[0].last_transition_time, at(1));
        let third = State::Ended(Verdict::Measured).conditions("c", None, &second, &at(3));
        assert_eq!(third[0].last_transition_time, at(3));
    }
}
