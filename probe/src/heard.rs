//! What was announced on a channel and what a connection heard of it, compared.

use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What one connection heard: counts, because ten thousand connections listen.
#[derive(Clone, Debug)]
pub struct Heard {
    channel: Arc<str>,
    count: u32,
    /// Numbers of the first and the last one; 0: none.
    first: usize,
    last: usize,
}

/// One NOTIFY. Its number is its position among all of them, from 1.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When its sender began to connect.
    pub began: Instant,
    /// When its COMMIT was answered, or given up.
    pub ended: Instant,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a NOTIFY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was committed, and delivered to its sender, which listens too.
    Heard,
    /// It was committed.
    Unheard,
    /// Nobody knows that it was committed, and why.
    Failed(String),
}

/// A notification takes no longer than this, or it is late.
const DELIVERY: Duration = Duration::from_secs(1);

impl Heard {
    /// Nothing yet.
    #[must_use]
    pub fn new(channel: &Arc<str>) -> Self {
        Self { channel: Arc::clone(channel), count: 0, first: 0, last: 0 }
    }

    /// A notification came; one of another channel, or without a number, is a stranger's.
    pub fn note(&mut self, channel: &str, payload: &str) {
        let number = payload.parse().unwrap_or_default();
        if channel == &*self.channel && number > 0 {
            self.count += 1;
            self.last = number;
            if self.first == 0 {
                self.first = number;
            }
        }
    }

    /// How many came.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether that number came last.
    #[must_use]
    pub fn is_last(&self, number: usize) -> bool {
        self.last == number
    }

    /// How many a connection should have heard that listened from `since` to `until`: those that were
    /// sent and committed meanwhile. At the edges, where one may just be under way, those that it
    /// heard count.
    #[must_use]
    pub fn expected(&self, sent: &[Sent], since: Instant, until: Instant) -> usize {
        let heard = |number: usize| (number > 0).then_some(number);
        let from = sent.partition_point(|sent| sent.began < since);
        let from = heard(self.first).map_or(from, |first| from.min(first - 1));
        let to = sent.partition_point(|sent| sent.ended + DELIVERY <= until).max(self.last);
        let within = sent.get(from..to.min(sent.len())).unwrap_or_default();
        let committed = within.iter().filter(|sent| !matches!(sent.fate, Fate::Failed(_))).count();
        // It may hear one whose sender has not heard of the COMMIT yet, or never will.
        let early = usize::from(self.last > sent.len());
        (committed + early).max(usize::try_from(self.count).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_do_not_count() {
        let mut heard = Heard::new(&Arc::from("ours"));
        for (channel, payload) in
            [("ours", "handle"), ("theirs", "1"), ("ours", "0"), ("ours", "-1"), ("ours", "7")]
        {
            heard.note(channel, payload);
        }
        assert_eq!((heard.count(), heard.is_last(7)), (1, true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_committed_while_it_listened_is_expected() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        // One every ten seconds, which takes one; the third failed.
        let sent = |n: u64| Sent {
            began: at(10 * n),
            ended: at(10 * n + 1),
            fate: if n == 3 { Fate::Failed(String::new()) } else { Fate::Heard },
        };
        let sent: Vec<Sent> = (1..=5).map(sent).collect();
        #[rustfmt::skip]
        let table: [(u64, u64, &[usize], usize); 9] = [
            (0, 60, &[1, 2, 4, 5], 4),
            (0, 60, &[1, 5], 4),
            (0, 60, &[], 4),
            (15, 45, &[2, 4], 2),
            (15, 45, &[], 2),
            // Edges: it listened while the first was sent, and ended while the last was delivered.
            (10, 52, &[], 4),
            (11, 51, &[], 2),
            (11, 51, &[1, 2, 4, 5], 4),
            // One that its sender does not know of yet.
            (0, 60, &[1, 2, 4, 5, 6], 5),
        ];
        for (since, until, numbers, expected) in table {
            let mut heard = Heard::new(&Arc::from("c"));
            numbers.iter().for_each(|number| heard.note("c", &number.to_string()));
            let found = heard.expected(&sent, at(since), at(until));
            assert_eq!(found, expected, "{since} to {until}, heard {numbers:?}");
        }
    }
}
