//! How long connections lived: exact, an interval, or at least so long.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long one connection lived, in milliseconds from its establishment (the end of the TCP
/// handshake).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lifetime {
    /// It was alive until here: the last byte from the peer that answered something, or the
    /// end itself where that was announced.
    pub min_ms: i64,
    /// It was over by here. Absent for a connection that survived: it lived *at least* `minMs`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<i64>,
}

impl Lifetime {
    /// The end was announced at `at`.
    #[must_use]
    pub fn exact(at: Duration) -> Self {
        Self { min_ms: ms(at), max_ms: Some(ms(at)) }
    }

    /// The end lies between the last proof of life and the moment it was noticed.
    #[must_use]
    pub fn between(proof: Duration, noticed: Duration) -> Self {
        Self { min_ms: ms(proof), max_ms: Some(ms(noticed.max(proof))) }
    }

    /// It was still alive at `at`.
    #[must_use]
    pub fn at_least(at: Duration) -> Self {
        Self { min_ms: ms(at), max_ms: None }
    }

    /// Whether the end is known to the millisecond.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.max_ms == Some(self.min_ms)
    }
}

/// Smallest, median and largest of `n` lifetimes. An interval counts with its upper end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// How many.
    pub n: i32,
    /// The smallest, in milliseconds.
    pub min_ms: i64,
    /// The median (the lower one of two), in milliseconds.
    pub median_ms: i64,
    /// The largest, in milliseconds.
    pub max_ms: i64,
}

impl Spread {
    /// The spread of some values; `None` without values.
    #[must_use]
    pub fn of(mut values: Vec<i64>) -> Option<Self> {
        values.sort_unstable();
        Some(Self {
            n: i32::try_from(values.len()).unwrap_or(i32::MAX),
            min_ms: *values.first()?,
            median_ms: *values.get((values.len() - 1) / 2)?,
            max_ms: *values.last()?,
        })
    }
}

/// Whole milliseconds of a duration.
#[must_use]
pub fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
