//! How connections ended, and how many.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Add;

/// How one connection ended. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Outcome {
    /// It completed a round trip at the end: it lived *at least* that long.
    Survived,
    /// It was cut.
    Disconnected,
    /// It lives, but a request was answered by an error. Not a drop.
    RequestFailed,
    /// It lives, but a notification that it listens for never came. Not a drop.
    Deaf,
    /// It was never established.
    ConnectFailed,
    /// Nothing can be said, and the reason tells why.
    Inconclusive,
}

/// How many connections ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Answered a request at the end.
    pub survived: i32,
    /// Cut.
    pub disconnected: i32,
    /// Alive, but a request was refused.
    pub request_failed: i32,
    /// Alive, but not told what it listens for.
    #[serde(default)]
    pub deaf: i32,
    /// Never established.
    pub connect_failed: i32,
    /// Nothing can be said.
    pub inconclusive: i32,
}

impl Outcome {
    /// The word as it stands in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survived => "Survived",
            Self::Disconnected => "Disconnected",
            Self::RequestFailed => "RequestFailed",
            Self::Deaf => "Deaf",
            Self::ConnectFailed => "ConnectFailed",
            Self::Inconclusive => "Inconclusive",
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        other.by_outcome().into_iter().for_each(|(outcome, n)| self.count(outcome, n));
        self
    }
}

impl Counts {
    /// All counts.
    #[must_use]
    pub fn by_outcome(&self) -> [(Outcome, i32); 6] {
        let Self { survived, disconnected, request_failed, deaf, connect_failed, inconclusive } =
            *self;
        [
            (Outcome::Survived, survived),
            (Outcome::Disconnected, disconnected),
            (Outcome::RequestFailed, request_failed),
            (Outcome::Deaf, deaf),
            (Outcome::ConnectFailed, connect_failed),
            (Outcome::Inconclusive, inconclusive),
        ]
    }

    /// How many connections have ended.
    #[must_use]
    pub fn ended(&self) -> i32 {
        self.conclusive().saturating_add(self.connect_failed).saturating_add(self.inconclusive)
    }

    /// How many ended in a way that says something about the path.
    #[must_use]
    pub fn conclusive(&self) -> i32 {
        let others = [self.disconnected, self.request_failed, self.deaf];
        others.into_iter().fold(self.survived, i32::saturating_add)
    }

    /// Counts so many more.
    pub fn count(&mut self, outcome: Outcome, n: i32) {
        let count = match outcome {
            Outcome::Survived => &mut self.survived,
            Outcome::Disconnected => &mut self.disconnected,
            Outcome::RequestFailed => &mut self.request_failed,
            Outcome::Deaf => &mut self.deaf,
            Outcome::ConnectFailed => &mut self.connect_failed,
            Outcome::Inconclusive => &mut self.inconclusive,
        };
        *count = count.saturating_add(n);
    }
}
