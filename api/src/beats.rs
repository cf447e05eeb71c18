//! What kind of connection it is, by when it is active: a worker's main connection beats, that of a task
//! works and falls silent.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Activities no further apart are one, in milliseconds: a beat of Pulp's is two short transactions.
const TOGETHER_MS: i64 = 500;
/// A beat comes at least so far after the last one, in milliseconds: quicker is work.
const SHORTEST_MS: i64 = 1_000;
/// And at most so far: Pulp's API beats every 40 s, its workers every 10 s.
const LONGEST_MS: i64 = 120_000;
/// So many steady intervals make a rhythm: three alike by chance are rare, and a worker shows them within a minute.
const FEWEST: usize = 3;
/// Share of the recent intervals that are steady, in percent: a worker works between its beats, too.
const SHARE: usize = 60;
/// Intervals that are remembered: ten minutes of a worker's beats.
const MEMORY: usize = 64;
/// Login and first statements are over after so long, in milliseconds.
pub(crate) const FIRST_MOMENTS_MS: i64 = 5_000;

/// What a connection's activity looks like. More may be added: clients must tolerate unknown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Rhythm {
    /// At a steady interval of 1 to 120 s: a worker's main connection.
    Beating,
    /// Active, without a steady interval.
    Working,
    /// Nothing after the first 5 s.
    Silent,
}

/// When a connection was active. Times are in milliseconds on any one clock. It takes the same memory however
/// long the connection lives.
#[derive(Clone, Debug)]
pub struct Beats {
    born_ms: i64,
    /// When the last group of activities began.
    began_ms: Option<i64>,
    /// The last activity.
    last_ms: i64,
    times: i64,
    /// From one beginning to the next, the newest last.
    intervals_ms: VecDeque<i64>,
    longest_silence_ms: i64,
}

impl Rhythm {
    /// The word as it stands in tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Beating => "Beating",
            Self::Working => "Working",
            Self::Silent => "Silent",
        }
    }
}

impl Beats {
    /// A connection that was opened at this moment; or one that is met later, and was last active then.
    #[must_use]
    pub fn new(born_ms: i64) -> Self {
        Self {
            born_ms,
            began_ms: None,
            last_ms: born_ms,
            times: 0,
            intervals_ms: VecDeque::new(),
            longest_silence_ms: 0,
        }
    }

    /// It was active at this moment. One that is not later than the last changes nothing: the same activity may
    /// be told many times.
    pub fn active(&mut self, at_ms: i64) {
        if at_ms <= self.last_ms {
            return;
        }
        let silence_ms = at_ms.saturating_sub(self.last_ms);
        self.longest_silence_ms = self.longest_silence_ms.max(silence_ms);
        self.last_ms = at_ms;
        match self.began_ms {
            Some(_) if silence_ms < TOGETHER_MS => return,
            Some(began_ms) => {
                if self.intervals_ms.len() == MEMORY {
                    self.intervals_ms.pop_front();
                }
                self.intervals_ms.push_back(at_ms.saturating_sub(began_ms));
            }
            None => {}
        }
        self.began_ms = Some(at_ms);
        self.times = self.times.saturating_add(1);
    }

    /// What that looks like so far. Of a connection younger than a few intervals it is not the last word.
    #[must_use]
    pub fn rhythm(&self) -> Rhythm {
        if self.last_ms.saturating_sub(self.born_ms) <= FIRST_MOMENTS_MS {
            Rhythm::Silent
        } else if self.steady().is_some() {
            Rhythm::Beating
        } else {
            Rhythm::Working
        }
    }

    /// The steady interval in milliseconds, if it has one: the median of those that are alike.
    #[must_use]
    pub fn beat_ms(&self) -> Option<i64> {
        (self.rhythm() == Rhythm::Beating).then(|| self.steady()).flatten()
    }

    /// The longest time without any activity from its birth until a moment, in milliseconds.
    #[must_use]
    pub fn longest_silence_ms(&self, until_ms: i64) -> i64 {
        self.longest_silence_ms.max(until_ms.saturating_sub(self.last_ms))
    }

    /// When it was last active; its birth if it never was.
    #[must_use]
    pub fn last_ms(&self) -> i64 {
        self.last_ms
    }

    /// How often it was active: activities less than 500 ms apart are one.
    #[must_use]
    pub fn times(&self) -> i64 {
        self.times
    }

    /// The interval that most of the recent ones have, give or take 10 % or 500 ms, whichever is more: a beat
    /// waits for a query in between, and a look may come late.
    fn steady(&self) -> Option<i64> {
        let beats = self.intervals_ms.iter().copied();
        let middle = median(beats.filter(|ms| (SHORTEST_MS..=LONGEST_MS).contains(ms)).collect())?;
        let tolerance = (middle / 10).max(TOGETHER_MS);
        let alike: Vec<i64> = self
            .intervals_ms
            .iter()
            .copied()
            .filter(|ms| {
                (SHORTEST_MS..=LONGEST_MS).contains(ms) && (ms - middle).abs() <= tolerance
            })
            .collect();
        let is_rhythm =
            alike.len() >= FEWEST && alike.len() * 100 >= self.intervals_ms.len() * SHARE;
        is_rhythm.then(|| median(alike)).flatten()
    }
}

/// The middle one; the lower of two.
fn median(mut values: Vec<i64>) -> Option<i64> {
    values.sort_unstable();
    values.get(values.len().saturating_sub(1) / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beats(at_ms: impl IntoIterator<Item = i64>) -> Beats {
        let mut beats = Beats::new(0);
        at_ms.into_iter().for_each(|at_ms| beats.active(at_ms));
        beats
    }

    /// Every 10.01 s, 20 ms early or late.
    fn worker(beats: i64) -> Vec<i64> {
        let late = [0, 20, -20, 7, -11];
        (1..=beats).map(|n| n * 10_010 + late[usize::try_from(n).unwrap() % 5]).collect()
    }

    #[test]
    fn a_worker_beats_after_four_beats() {
        assert_eq!(beats(worker(3)).rhythm(), Rhythm::Working);
        let worker = beats(worker(4));
        assert_eq!(worker.rhythm(), Rhythm::Beating);
        assert!((worker.beat_ms().unwrap() - 10_010).abs() <= 40, "{worker:?}");
        assert_eq!((worker.times(), worker.last_ms()), (4, 40_029));
        assert!(worker.longest_silence_ms(41_000) < 10_060, "{worker:?}");
        assert_eq!(worker.longest_silence_ms(100_029), 60_000);
    }

    #[test]
    fn two_transactions_are_one_beat_and_notifications_in_between_do_not_hide_it() {
        // Every fifth interval is split by a notification that is drained.
        let with = worker(30).into_iter().enumerate().flat_map(|(n, at)| {
            let drained = (n % 5 == 0).then_some(at + 3_100);
            [Some(at), Some(at + 12), drained].into_iter().flatten()
        });
        let beats = beats(with);
        assert_eq!(beats.rhythm(), Rhythm::Beating, "{beats:?}");
        assert_eq!(beats.times(), 36);
    }

    #[test]
    fn a_download_is_silent_after_its_first_statements() {
        let download = beats((0..30).map(|n| n * 100));
        assert_eq!(download.rhythm(), Rhythm::Silent);
        assert_eq!(download.beat_ms(), None);
        assert_eq!(download.longest_silence_ms(1_802_900), 1_800_000);
        assert_eq!(Beats::new(7).rhythm(), Rhythm::Silent);
        assert_eq!(Beats::new(7).longest_silence_ms(10), 3);
    }

    #[test]
    fn statements_without_a_steady_interval_are_work() {
        let busy = beats((0..300).map(|n| n * 100));
        assert_eq!(busy.rhythm(), Rhythm::Working, "one activity for half a minute: {busy:?}");
        let rare = beats([1, 7, 9, 30, 31, 33, 60, 100].map(|s| s * 1000));
        assert_eq!(rare.rhythm(), Rhythm::Working, "{rare:?}");
        let hourly = beats((1..9).map(|n| n * 3_600_000));
        assert_eq!(hourly.rhythm(), Rhythm::Working, "{hourly:?}");
    }

    #[test]
    fn what_it_did_lately_counts() {
        let work = (0..200).map(|n| n * 600);
        let then = worker(50).into_iter().map(|at| 120_000 + at);
        assert_eq!(beats(work.chain(then)).rhythm(), Rhythm::Beating);
    }

    proptest! {
        #[test]
        fn whatever_comes_it_stays_small_and_consistent(
            born in -1_000_000..1_000_000_i64,
            at in prop::collection::vec(prop_oneof![-2_000_000..2_000_000_i64, any::<i64>()], 0..300),
        ) {
            let mut beats = Beats::new(born);
            let mut last = born;
            for at in at {
                beats.active(at);
                last = last.max(at);
                prop_assert_eq!(beats.last_ms(), last);
                prop_assert!(beats.intervals_ms.len() <= MEMORY);
                prop_assert!(beats.longest_silence_ms(last) >= 0);
                prop_assert_eq!(beats.beat_ms().is_some(), beats.rhythm() == Rhythm::Beating);
                if let Some(ms) = beats.beat_ms() {
                    prop_assert!((SHORTEST_MS..=LONGEST_MS).contains(&ms));
                }
            }
        }

        #[test]
        fn a_beat_is_found_whatever_its_interval_and_jitter(
            beat in 2_000..110_000_i64,
            late in prop::collection::vec(0..200_i64, 8..100),
        ) {
            let at = (1..).zip(late).map(|(n, late)| n * beat + late);
            let beats = beats(at);
            prop_assert_eq!(beats.rhythm(), Rhythm::Beating);
            prop_assert!((beats.beat_ms().unwrap_or_default() - beat).abs() <= 200);
        }

        #[test]
        fn random_activity_is_no_beat(gaps in prop::collection::vec(500..100_000_i64, 20..64)) {
            let at = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) });
            prop_assert_eq!(beats(at).rhythm(), Rhythm::Working);
        }
    }
}
