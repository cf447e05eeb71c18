//! Why something could not be done.

use crate::failure::Failure;
use api::rds_proxy::evidence::Gap;

/// What was wrong, and whether to try again.
#[derive(Debug)]
pub(super) struct Trouble {
    kind: Kind,
    pub(super) problem: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It may well be done in a moment.
    Passing,
    /// AWS refused it: it was not done.
    Refused,
    /// There is no such proxy.
    Missing,
    /// Anything else.
    Lasting,
}

impl Trouble {
    /// Of a call.
    pub(super) fn of(failure: &Failure, gap: Gap) -> Self {
        let kind = match failure {
            failure if failure.passes() => Kind::Passing,
            Failure::Denied(_) | Failure::Unknown(_) => Kind::Refused,
            Failure::NoProxy => Kind::Missing,
            _ => Kind::Lasting,
        };
        Self { kind, ..gap.into() }
    }

    pub(super) fn passing(problem: String) -> Self {
        Self { kind: Kind::Passing, problem }
    }

    pub(super) fn lasting(problem: String) -> Self {
        Self { kind: Kind::Lasting, problem }
    }

    pub(super) fn passes(&self) -> bool {
        self.kind == Kind::Passing
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.kind, Kind::Refused | Kind::Missing)
    }

    pub(super) fn is_missing_proxy(&self) -> bool {
        self.kind == Kind::Missing
    }
}

impl From<Gap> for Trouble {
    fn from(Gap { permission, problem }: Gap) -> Self {
        Self::lasting(format!("{permission}: {problem}"))
    }
}

impl From<Trouble> for String {
    fn from(trouble: Trouble) -> Self {
        trouble.problem
    }
}
