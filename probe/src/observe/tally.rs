//! Lengths of time of any number of lives, in little memory.

use api::lifetime::Spread;

/// Values that are kept for the median.
const KEPT: usize = 1024;

/// Their exact number, the least and the most of them, and every so many of them for the median.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    n: i32,
    least: i64,
    most: i64,
    /// One of 2 to this power is kept.
    halved: u32,
    kept: Vec<i64>,
}

impl Tally {
    /// One more, in milliseconds.
    pub(super) fn add(&mut self, ms: i64) {
        let is_first = self.n == 0;
        self.least = if is_first { ms } else { self.least.min(ms) };
        self.most = self.most.max(ms);
        if self.n.trailing_zeros() >= self.halved {
            self.kept.push(ms);
        }
        if self.kept.len() > KEPT {
            let mut number = 0;
            self.kept.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.halved += 1;
        }
        self.n = self.n.saturating_add(1);
    }

    /// What they amount to, if there are some.
    pub(super) fn spread(&self) -> Option<Spread> {
        let kept = Spread::of(self.kept.clone())?;
        Some(Spread { n: self.n, min_ms: self.least, max_ms: self.most, ..kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_exact_and_of_many_the_median_is_near() {
        let mut tally = Tally::default();
        assert_eq!(tally.spread(), None);
        for ms in [5, 9, 7] {
            tally.add(ms);
        }
        assert_eq!(tally.spread(), Spread::of(vec![5, 9, 7]));
        let mut tally = Tally::default();
        for ms in 1..=100_000 {
            tally.add(ms);
        }
        assert!(tally.kept.len() <= KEPT);
        let Some(Spread { n, min_ms, median_ms, max_ms }) = tally.spread() else { return };
        assert_eq!((n, min_ms, max_ms), (100_000, 1, 100_000));
        assert!((49_000..=51_000).contains(&median_ms), "{median_ms}");
    }
}
