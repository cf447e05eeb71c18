//! Which share of connections lived how long, from what is known of each: an exact end, an interval,
//! or a bound.
//!
//! The estimate is Turnbull's (1976): the most probable distribution, by self-consistency. Where all
//! ends are exact it is that of Kaplan and Meier.

use crate::report::{ArmReport, Ending, Outcome};

/// Ends that are known to so many milliseconds count as exact: a busy processor stops the probe for as long.
pub(crate) const STALL_MS: i64 = 100;

/// What is known of the lives of so many connections, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lives {
    /// How many.
    pub n: i32,
    /// They lived at least so long.
    pub min_ms: i64,
    /// They were over by then. Absent: they were not seen to end.
    pub max_ms: Option<i64>,
}

/// Where lives end, of those that did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// From here, in milliseconds …
    pub from_ms: i64,
    /// … to here: the same where it is known exactly. In between nothing is known.
    pub to_ms: i64,
    /// The share that lives on, 0 to 1.
    pub left: f64,
}

/// The lives of an arm's connections, as far as its report tells. Of ends that are not all told one by one it
/// knows the smallest, the median and the largest, and half of them lie between two of these; those that are told
/// are the earliest, and must not stand for the others.
#[must_use]
pub fn lives(arm: &ArmReport) -> Vec<Lives> {
    arm.endings.iter().flat_map(of_ending).collect()
}

fn of_ending(ending: &Ending) -> Vec<Lives> {
    let was_cut = ending.outcome == Outcome::Disconnected;
    let told = ending.lanes.iter().filter_map(|lane| lane.lifetime);
    let told: Vec<_> = told
        .map(|lived| Lives { n: 1, min_ms: lived.min_ms, max_ms: lived.max_ms.filter(|_| was_cut) })
        .collect();
    let all_told = |n| usize::try_from(n) == Ok(told.len());
    let Some(spread) = ending.lifetime.filter(|spread| !all_told(spread.n)) else { return told };
    // An interval counts in the spread by its upper end: of its lower end nothing is known.
    let is_exact = ending.is_known_within(STALL_MS);
    if ending.lanes.is_empty() {
        // Perhaps several that were put together: then the median is that of a part.
        let min_ms = if was_cut { 0 } else { spread.min_ms };
        return vec![Lives { n: spread.n, min_ms, max_ms: was_cut.then_some(spread.max_ms) }];
    }
    let halves = [
        (spread.n - spread.n / 2, spread.min_ms, spread.median_ms),
        (spread.n / 2, spread.median_ms, spread.max_ms),
    ];
    let half = |(n, min_ms, max_ms)| Lives {
        n,
        min_ms: if was_cut && !is_exact { 0 } else { min_ms },
        max_ms: was_cut.then_some(max_ms),
    };
    halves.into_iter().filter(|(n, ..)| *n > 0).map(half).collect()
}

/// The steps of the curve, the earliest first.
#[must_use]
pub fn steps(lives: &[Lives]) -> Vec<Step> {
    let spans: Vec<(Span, f64)> =
        lives.iter().map(|lives| (lives.into(), lives.n.into())).collect();
    let candidates = innermost(&spans);
    let all: f64 = spans.iter().map(|(_, n)| n).sum();
    let shares = shares(&spans, &candidates, all);
    let mut left = 1.0;
    let ends = candidates.iter().zip(shares).filter(|(span, _)| span.to != FOREVER);
    ends.filter(|(_, share)| *share > 1e-6)
        .map(|(span, share)| {
            left -= share;
            Step { from_ms: (span.from + 1) / 2, to_ms: span.to / 2, left: left.max(0.0) }
        })
        .collect()
}

/// When half of the connections were gone: between these moments, in milliseconds. `None`: not reached.
#[must_use]
pub fn median(steps: &[Step]) -> Option<(i64, i64)> {
    let step = steps.iter().find(|step| step.left <= 0.5 + 1e-6)?;
    Some((step.from_ms, step.to_ms))
}

/// An end lies after `from` and not after `to`. In half milliseconds, so that an exact one has room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    from: i64,
    to: i64,
}

const FOREVER: i64 = i64::MAX;
/// Steps of the iteration; it converges long before, unless the data say next to nothing.
const ITERATIONS: usize = 500;

impl From<&Lives> for Span {
    fn from(lives: &Lives) -> Self {
        match lives.max_ms {
            None => Self { from: 2 * lives.min_ms, to: FOREVER },
            Some(max) if max <= lives.min_ms => Self { from: 2 * max - 1, to: 2 * max },
            Some(max) => Self { from: 2 * lives.min_ms, to: 2 * max },
        }
    }
}

/// The spans that can hold a share: from a beginning to the next end, with nothing in between.
fn innermost(spans: &[(Span, f64)]) -> Vec<Span> {
    let mut moments: Vec<(i64, bool)> = spans.iter().map(|(span, _)| (span.to, false)).collect();
    moments.extend(spans.iter().map(|(span, _)| (span.from, true)));
    // An end includes its moment and a beginning does not: at the same one, the end comes first.
    moments.sort_unstable();
    moments.dedup();
    let next = moments.windows(2).filter(|two| two[0].1 && !two[1].1);
    next.map(|two| Span { from: two[0].0, to: two[1].0 }).collect()
}

/// The share of each candidate: each observation is shared among those that it may be, as they are shared.
fn shares(spans: &[(Span, f64)], candidates: &[Span], all: f64) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let mut shares = vec![1.0 / candidates.len() as f64; candidates.len()];
    for _ in 0..ITERATIONS {
        let mut next = vec![0.0; candidates.len()];
        for (span, n) in spans {
            let within = |c: &Span| span.from <= c.from && c.to <= span.to;
            let held: Vec<usize> =
                (0..candidates.len()).filter(|i| within(&candidates[*i])).collect();
            let sum: f64 = held.iter().map(|i| shares[*i]).sum();
            held.iter().for_each(|i| next[*i] += n / all * shares[*i] / sum);
        }
        let moved = shares.iter().zip(&next).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        shares = next;
        if moved < 1e-9 {
            break;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(n: i32, at: i64) -> Lives {
        Lives { n, min_ms: at, max_ms: Some(at) }
    }

    fn at_least(n: i32, at: i64) -> Lives {
        Lives { n, min_ms: at, max_ms: None }
    }

    /// The product-limit estimate as in the textbook: at each end, the share of those at risk that live on.
    fn kaplan_meier(lives: &[Lives]) -> Vec<Step> {
        let mut ends: Vec<i64> = lives.iter().filter_map(|lives| lives.max_ms).collect();
        ends.sort_unstable();
        ends.dedup();
        let mut left = 1.0;
        let step = |at: i64| {
            let count = |of: &dyn Fn(&Lives) -> bool| -> f64 {
                lives.iter().filter(|lives| of(lives)).map(|lives| f64::from(lives.n)).sum()
            };
            let at_risk = count(&|lives| lives.min_ms >= at);
            left *= 1.0 - count(&|lives| lives.max_ms == Some(at)) / at_risk;
            Step { from_ms: at, to_ms: at, left }
        };
        ends.into_iter().map(step).collect()
    }

    #[test]
    fn freireichs_trial_of_6_mercaptopurine_gives_the_figures_of_the_textbooks() {
        // Weeks in remission, 21 patients; Kaplan-Meier in Collett, Modelling Survival Data.
        let ended = [(3, 6), (1, 7), (1, 10), (1, 13), (1, 16), (1, 22), (1, 23)];
        let censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let mut lives = ended.map(|(n, at)| exact(n, at)).to_vec();
        lives.extend(censored.map(|at| at_least(1, at)));
        let left: Vec<_> =
            steps(&lives).iter().map(|s| (s.to_ms, (s.left * 1000.0).round())).collect();
        let published =
            [(6, 857.), (7, 807.), (10, 753.), (13, 690.), (16, 627.), (22, 538.), (23, 448.)];
        assert_eq!(left, published);
        assert_eq!(median(&steps(&lives)), Some((23, 23)));
    }

    #[test]
    fn intervals_leave_open_what_they_leave_open() {
        let between = |n, min_ms, max_ms| Lives { n, min_ms, max_ms: Some(max_ms) };
        let seen = steps(&[between(1, 0, 60), between(1, 30, 90), at_least(2, 100)]);
        // Both may have ended between 30 and 60, and so it is the most probable.
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].from_ms, seen[0].to_ms), (30, 60));
        assert!((seen[0].left - 0.5).abs() < 1e-6, "{seen:?}");
        assert_eq!(median(&steps(&[at_least(5, 3_000_000)])), None);
        assert_eq!(steps(&[]), []);
    }

    #[test]
    fn of_ends_that_are_not_told_only_what_their_spread_proves_is_taken() {
        let ending = |told: &str, n: i32| -> Ending {
            serde_json::from_str(&format!(
                r#"{{ "outcome": "Disconnected", "n": {n}, "form": {{ "word": "Rst", "tcp": "Rst" }},
                      "lifetime": {{ "n": {n}, "minMs": 7200000, "medianMs": 7200000, "maxMs": 7200000 }},
                      "lanes": [{told}] }}"#
            ))
            .expect("an ending")
        };
        // A keepalive met the reset: each lived for 350 s, and was found over after two hours.
        let lane = r#"{ "lane": 0, "phase": "Hold", "at": "2026-01-01T02:00:00Z", "lifetime": { "minMs": 350000, "maxMs": 7200000 } }"#;
        let all = |lives: Vec<Lives>| lives.iter().map(|it| (it.min_ms, it.n)).collect::<Vec<_>>();
        assert_eq!(all(of_ending(&ending(lane, 50))), [(0, 25), (0, 25)]);
        assert_eq!(all(of_ending(&ending(lane, 1))), [(350_000, 1)]);
        assert_eq!(all(of_ending(&ending("", 50))), [(0, 50)]);
        let exact = lane.replace(r#""minMs": 350000"#, r#""minMs": 7200000"#);
        assert_eq!(all(of_ending(&ending(&exact, 50))), [(7_200_000, 25), (7_200_000, 25)]);
    }

    proptest! {
        #[test]
        fn of_exact_ends_it_is_kaplan_and_meiers(
            ended in proptest::collection::vec((1_i32..4, 1_i64..40), 1..12),
            censored in proptest::collection::vec((1_i32..4, 1_i64..40), 0..12),
        ) {
            let mut lives: Vec<_> = ended.iter().map(|(n, at)| exact(*n, *at)).collect();
            lives.extend(censored.iter().map(|(n, at)| at_least(*n, *at)));
            let (seen, wanted) = (steps(&lives), kaplan_meier(&lives));
            prop_assert_eq!(seen.len(), wanted.len());
            for (seen, wanted) in seen.iter().zip(&wanted) {
                prop_assert_eq!(seen.to_ms, wanted.to_ms);
                prop_assert!((seen.left - wanted.left).abs() < 1e-4, "{:?} {:?}", seen, wanted);
            }
        }
    }
}
