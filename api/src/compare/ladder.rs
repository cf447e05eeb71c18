//! Ladders: by how much the silence moved that is too long.

use super::{Shift, Verdict, unclear};
use crate::{
    report::{ArmReport, Rung},
    text,
};

/// Between which silences a timer lies: longer than what was survived, not longer than what was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bracket {
    survived_ms: i64,
    cut_ms: Option<i64>,
}

/// Absent if there is no ladder, or its connections contradict each other.
pub(super) fn bracket(arm: &ArmReport) -> Option<Bracket> {
    let longest = |of: fn(&Rung) -> bool| {
        arm.ladder.iter().filter(|rung| of(rung)).map(|rung| rung.silence_ms).max()
    };
    let cut_ms = arm.ladder.iter().filter(|rung| rung.cut > 0).map(|rung| rung.silence_ms).min();
    let survived_ms = longest(|rung| rung.survived > 0).or(cut_ms.map(|_| 0))?;
    cut_ms.is_none_or(|cut| survived_ms < cut).then_some(Bracket { survived_ms, cut_ms })
}

impl Bracket {
    /// Whether a timer of this length does that. A cut comes later than its timer, by what a sweep takes.
    pub(super) fn holds(self, ms: i64) -> bool {
        self.cut_ms.is_some_and(|cut| self.survived_ms <= ms && ms <= cut)
    }

    pub(super) fn words(self) -> String {
        let time = text::mmss;
        match self.cut_ms {
            Some(cut) => format!("a silence of {} to {}", time(self.survived_ms), time(cut)),
            None => format!("a silence > {}", time(self.survived_ms)),
        }
    }
}

/// From one bracket to another: each pair of rungs was held against the timer itself, so that there is no
/// chance in it beyond that of a contradiction.
pub(super) fn shift(before: Bracket, after: Bracket, n: [i32; 2]) -> Option<Shift> {
    let low_ms = before.cut_ms.map(|cut| after.survived_ms - cut);
    let high_ms = after.cut_ms.map(|cut| cut - before.survived_ms);
    (low_ms.is_some() || high_ms.is_some()).then(|| Shift {
        from_ms: low_ms,
        to_ms: high_ms,
        low_ms,
        high_ms,
        is_sure: true,
        n,
        scale_ms: before.cut_ms.unwrap_or(before.survived_ms),
    })
}

pub(super) fn verdict(before: Bracket, after: Bracket, shift: &Shift) -> Verdict {
    if shift.is_separate() {
        Verdict::Moved
    } else if before == after {
        Verdict::Stayed
    } else {
        unclear("the rungs are too far apart")
    }
}
