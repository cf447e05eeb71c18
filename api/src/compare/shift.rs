//! By how much lives differ.

use super::{Verdict, unclear};
use crate::survival::Lives;
use serde::Serialize;

/// By how much ends moved, in milliseconds: later if positive.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// The median difference: at least. Absent: nothing is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<i64>,
    /// The median difference: at most. Absent: there were survivors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_ms: Option<i64>,
    /// The lower end of its range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_ms: Option<i64>,
    /// The upper end of its range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_ms: Option<i64>,
    /// Whether the range holds the true shift in 95 of 100 cases. Otherwise there were too few connections
    /// for that, and it is the range of all differences.
    pub is_sure: bool,
    /// Connections on each side.
    pub n: [i32; 2],
    /// The median before, against which a shift is small or large.
    #[serde(skip)]
    pub(super) scale_ms: i64,
}

/// Nothing is known on this side of a difference.
const OPEN: i64 = i64::MAX;
/// A range no wider than this share of what was before says that nothing moved.
const SMALL: f64 = 0.2;

/// Absent if one side is empty.
pub(super) fn between(before: &[Lives], after: &[Lives]) -> Option<Shift> {
    let n = [before, after].map(|side| side.iter().map(|lives| lives.n).sum::<i32>());
    let (n1, n2) = (f64::from(n[0]), f64::from(n[1]));
    let all = n1 * n2;
    if all == 0.0 {
        return None;
    }
    let pairs = || before.iter().flat_map(|b| after.iter().map(move |a| (b, a)));
    let weight = |b: &Lives, a: &Lives| f64::from(b.n) * f64::from(a.n);
    let lows = pairs().map(|(b, a)| (b.max_ms.map_or(-OPEN, |b| a.min_ms - b), weight(b, a)));
    let highs = pairs().map(|(b, a)| (a.max_ms.map_or(OPEN, |a| a - b.min_ms), weight(b, a)));
    let (lows, highs) = (sorted(lows), sorted(highs));
    // So many of the sorted differences lie outside of the interval, on each side: the normal
    // approximation of Mann and Whitney's distribution, with its correction for continuity.
    let outside = (all / 2.0 - 1.96 * (all * (n1 + n2 + 1.0) / 12.0).sqrt() - 0.5).floor();
    let is_sure = outside >= 0.0;
    let outside = outside.max(0.0);
    let known = |ms: i64| (ms.abs() != OPEN).then_some(ms);
    let middle: Vec<_> =
        before.iter().map(|b| (b.max_ms.unwrap_or(b.min_ms), f64::from(b.n))).collect();
    Some(Shift {
        from_ms: known(at(&lows, all / 2.0)),
        to_ms: known(at(&highs, all / 2.0)),
        low_ms: known(at(&lows, outside)),
        high_ms: known(at(&highs, all - 1.0 - outside)),
        is_sure,
        n,
        scale_ms: at(&sorted(middle.into_iter()), n1 / 2.0),
    })
}

fn sorted(values: impl Iterator<Item = (i64, f64)>) -> Vec<(i64, f64)> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by_key(|(value, _)| *value);
    values
}

/// The value at this place, counted from 0.
fn at(values: &[(i64, f64)], place: f64) -> i64 {
    let mut before = 0.0;
    let found = values.iter().find(|(_, weight)| {
        before += weight;
        before > place
    });
    found.or(values.last()).map_or(0, |(value, _)| *value)
}

impl Shift {
    /// Whether everything in its range is later, or everything is earlier.
    pub(super) fn is_separate(&self) -> bool {
        self.low_ms.is_some_and(|low| low > 0) || self.high_ms.is_some_and(|high| high < 0)
    }

    /// The largest shift in its range, in either direction.
    pub(super) fn largest(&self) -> Option<i64> {
        Some(self.low_ms?.abs().max(self.high_ms?.abs()))
    }

    pub(super) fn verdict(&self) -> Verdict {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a day")]
        let small = |ms: i64| ms as f64 <= (SMALL * self.scale_ms as f64).max(1000.0);
        let [before, after] = self.n;
        let few = || unclear(&format!("{before} and {after} connections are too few to be sure"));
        match (self.is_separate(), self.largest()) {
            (true, _) if self.is_sure => Verdict::Moved,
            (true, _) => few(),
            (false, Some(largest)) if small(largest) && self.is_sure => Verdict::Stayed,
            (false, Some(largest)) if small(largest) => few(),
            (false, _) => unclear("the ends are spread too widely, or too few were seen"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(at: i64) -> Lives {
        Lives { n: 1, min_ms: at, max_ms: Some(at) }
    }

    fn at_least(n: i32, at: i64) -> Lives {
        Lives { n, min_ms: at, max_ms: None }
    }

    #[test]
    fn ranges_are_those_of_the_tables() {
        // Differences of 1 to 5 and 1 to 5 are -4 to 4; at 5 and 5 the third from either end (Hollander
        // and Wolfe, table A.6: 23 of 25).
        let side = || [1, 2, 3, 4, 5].map(|s| exact(s * 1000));
        let shift = between(&side(), &side()).unwrap();
        assert_eq!((shift.low_ms, shift.high_ms), (Some(-3000), Some(3000)));
        assert_eq!((shift.from_ms, shift.to_ms, shift.is_sure), (Some(0), Some(0), true));
        // At 3 and 3 no 95 % interval exists; at 4 and 4 it is the range of all differences.
        let few = |n: usize| between(&side()[..n], &side()[..n]).unwrap();
        assert!(!few(3).is_sure && few(4).is_sure);
        assert_eq!(few(4).high_ms, Some(3000));
    }

    #[test]
    fn survivors_leave_the_upper_end_open() {
        let before: Vec<_> = (0..5).map(|i| exact(1_800_000 + i)).collect();
        let shift = between(&before, &[at_least(5, 3_000_000)]).unwrap();
        assert_eq!((shift.low_ms.map(|low| low / 1000), shift.high_ms), (Some(1199), None));
        assert_eq!(shift.verdict(), Verdict::Moved);
        let back = between(&[at_least(5, 3_000_000)], &before).unwrap();
        assert_eq!((back.low_ms, back.high_ms), (None, Some(-1_199_996)));
        assert_eq!(back.verdict(), Verdict::Moved);
        let mixed = [exact(1_800_000), exact(1_800_001), at_least(3, 3_000_000)];
        assert!(matches!(between(&before, &mixed).unwrap().verdict(), Verdict::Unclear { .. }));
        assert_eq!(between(&before, &[]), None);
    }

    #[test]
    fn ten_thousand_weigh_as_ten_thousand() {
        let many = |at| [Lives { n: 10_000, min_ms: at, max_ms: Some(at + 10) }];
        let shift = between(&many(60_000), &many(61_000)).unwrap();
        assert_eq!((shift.low_ms, shift.high_ms), (Some(990), Some(1010)));
        assert_eq!(between(&many(60_000), &many(60_000)).unwrap().verdict(), Verdict::Stayed);
    }
}
