//! Times that are known to lie between two.

/// Milliseconds, from at least `low` to at most `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Span {
    /// What a clock showed at some moment in the `width` before it showed `last`.
    pub(super) fn before(last: i64, width: i64) -> Self {
        Self { low: (last - width).max(0), high: last }
    }

    /// It was over by so much earlier.
    pub(super) fn earlier(self, by: i64) -> Self {
        Self { low: self.low, high: (self.high - by).max(self.low) }
    }

    /// Whether both may be the same, give or take `tolerance`.
    pub(super) fn meets(self, other: Self, tolerance: i64) -> bool {
        self.low <= other.high + tolerance && other.low <= self.high + tolerance
    }

    pub(super) fn width(self) -> i64 {
        self.high - self.low
    }
}

/// What two ends by one timer may differ by: whoever closes looks at his timers only so often, and how often
/// is known of few (PgBouncer: every third of a second). A hundredth, from 0.4 s to 10 s.
pub(super) fn tolerance(ms: i64) -> i64 {
    (ms / 100).clamp(400, 10_000)
}

/// Clocks are told apart only where they were moved apart by so many tolerances.
pub(super) const APART: i64 = 5;
