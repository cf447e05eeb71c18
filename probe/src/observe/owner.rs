//! Whose session it is: a worker writes down each heartbeat, and the session that it beats on is active at that
//! moment. Nothing else joins the two: a row has no process id of the server's.

use std::collections::VecDeque;

/// So many heartbeats must fall together.
const BEATS: usize = 3;
/// Between what the worker's clock says of a beat and what the server's says of a session lie at most so many
/// milliseconds, in the middle: the statement comes within one, and clocks are kept to less than this.
const APART_MS: i64 = 250;
/// A session that is as near as this to another one's distance is not told from it, in milliseconds.
const TOO_ALIKE_MS: i64 = 100;

/// How far a session's activity is from a worker's heartbeats, in milliseconds in the middle. Absent if too few of
/// them fall together with it.
pub(super) fn distance_ms(beats: &VecDeque<i64>, moments: &VecDeque<i64>) -> Option<i64> {
    let since = moments.front()?;
    let mut apart: Vec<i64> = Vec::new();
    let mut expected = 0;
    for beat in beats.iter().filter(|beat| **beat >= since - APART_MS) {
        expected += 1;
        let nearest = moments.iter().map(|moment| (moment - beat).abs()).min()?;
        if nearest <= APART_MS {
            apart.push(nearest);
        }
    }
    apart.sort_unstable();
    let enough = apart.len() >= BEATS && apart.len() * 5 >= expected * 4;
    apart.get(apart.len() / 2).copied().filter(|_| enough)
}

/// The nearest of some, if no other is as near.
pub(super) fn nearest<K: Copy>(mut candidates: Vec<(i64, K)>) -> Option<K> {
    candidates.sort_by_key(|(distance, _)| *distance);
    match candidates[..] {
        [(_, only)] => Some(only),
        [(first, nearest), (second, _), ..] => (second - first >= TOO_ALIKE_MS).then_some(nearest),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_active_at_each_heartbeat_is_the_workers() {
        let beats: VecDeque<_> = (0..6).map(|i| 1_000_000 + i * 10_010).collect();
        let same = beats.iter().map(|beat| beat + 4).collect();
        assert_eq!(distance_ms(&beats, &same), Some(4));
        let other = beats.iter().map(|beat| beat + 3_000).collect();
        assert_eq!(distance_ms(&beats, &other), None);
        // One look missed what happened between: four of five must fall together.
        let most = beats.iter().enumerate().filter(|(i, _)| *i != 3).map(|(_, beat)| beat + 4);
        assert_eq!(distance_ms(&beats, &most.collect()), Some(4));
        assert_eq!(distance_ms(&beats.iter().copied().take(2).collect(), &same), None, "too few");
    }

    #[test]
    fn of_two_that_are_as_near_neither_is_it() {
        assert_eq!(nearest(vec![(4, 'a'), (6, 'b')]), None);
        assert_eq!(nearest(vec![(180, 'b'), (4, 'a')]), Some('a'));
        assert_eq!(nearest::<char>(Vec::new()), None);
    }
}
