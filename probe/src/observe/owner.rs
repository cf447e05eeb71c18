//! Whose session it is: a worker writes down each heartbeat, and the session that it beats on is active at that
//! moment. Nothing else joins the two: a row has no process id of the server's.

use std::collections::VecDeque;

/// So many heartbeats must fall together.
const BEATS: usize = 3;
/// Between what the worker's clock says of a beat and what the server's says of a session lie at most so many
/// milliseconds, in the middle: the statement comes within one, and clocks are kept to less than this.
const APART_MS: i64 = 250;
/// A worker writes its row so soon after it has connected, in milliseconds.
const SAME_START_MS: i64 = 5_000;
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

/// A session that may be a worker's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<K> {
    pub(super) key: K,
    /// How far it is from the worker's heartbeats.
    pub(super) beats_ms: i64,
    /// How far its birth is from that of the worker's row.
    pub(super) birth_ms: Option<i64>,
}

/// The worker's session, if it can be told: the only one that beats with it. Workers that a notification woke beat
/// together, so of several it is the one that was born with the worker's row; and else that whose beats are nearest.
pub(super) fn choose<K: Copy>(candidates: &[Candidate<K>]) -> Option<K> {
    let births = candidates
        .iter()
        .filter_map(|it| Some((it.birth_ms.filter(|apart| *apart <= SAME_START_MS)?, it.key)));
    match candidates {
        [only] => Some(only.key),
        _ => nearest(births.collect())
            .or_else(|| nearest(candidates.iter().map(|it| (it.beats_ms, it.key)).collect())),
    }
}

/// The nearest of some, if no other is as near.
fn nearest<K: Copy>(mut candidates: Vec<(i64, K)>) -> Option<K> {
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
        let of = |key, beats_ms, birth_ms| Candidate { key, beats_ms, birth_ms };
        assert_eq!(choose(&[of('a', 4, None), of('b', 6, None)]), None);
        assert_eq!(choose(&[of('b', 180, None), of('a', 4, None)]), Some('a'));
        // Woken by a notification, both beat together.
        assert_eq!(choose(&[of('a', 4, Some(2_500)), of('b', 3, Some(120))]), Some('b'));
        assert_eq!(choose(&[of('a', 4, Some(150)), of('b', 3, Some(120))]), None);
        // A pooler's session may be older than its client.
        assert_eq!(choose(&[of('a', 4, Some(90_000)), of('b', 180, Some(80_000))]), Some('a'));
        assert_eq!(choose::<char>(&[]), None);
    }
}
