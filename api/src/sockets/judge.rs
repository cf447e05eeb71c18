//! What the connections of many pods say of two hypotheses. Worded in `text::sockets`.

use super::{ClosedBy, Fate, Role, SocketLife, SocketsReport};
use serde::Serialize;

/// "Not the heartbeating connection is cut by an idle timer, but that of a task, which says nothing for long".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SilentTasks {
    /// Tasks' connections that the peer closed while they were idle.
    pub cut: i64,
    /// Tasks' connections that were silent at least as long as the first of these; if there is none, all of them.
    pub of: i64,
    /// After how much silence they were closed, in milliseconds: the least and the most that it may have been.
    pub silence_ms: Option<(i64, i64)>,
    /// How far apart they were closed by three clocks. Absent: fewer than two were.
    pub spread: Option<Spread>,
    /// The longest silence that a task's connection outlived, in milliseconds. Absent: none is known to have.
    pub survived_ms: Option<i64>,
    /// Main connections that something other than the worker ended.
    pub main_cut: i64,
    /// Main connections of which it is known what became.
    pub main: i64,
    /// What that says.
    pub verdict: Verdict,
}

/// How far apart ends are, in milliseconds: the clock in which they agree is the one that may have caused them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Since the process last sent something.
    pub silence_ms: i64,
    /// Since the connection was opened. Absent: one was there already.
    pub age_ms: Option<i64>,
    /// By the wall clock.
    pub moment_ms: i64,
}

/// "The worker leaves by itself, and nothing cuts it".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leavers {
    /// Main connections that the worker's own side closed.
    pub left: i64,
    /// Those that something else ended.
    pub cut: i64,
    /// Those of which it can't be told.
    pub unknown: i64,
    /// Those that were still there.
    pub there: i64,
    /// What that says.
    pub verdict: Verdict,
}

/// What connections say of a hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It is as it says.
    Supported,
    /// It is not, in what was seen.
    Against,
    /// Both were seen.
    Mixed,
    /// Nothing was seen that could tell.
    Open,
}

/// What was seen of tasks that are silent.
#[must_use]
pub fn silent_tasks(reports: &[SocketsReport]) -> SilentTasks {
    let of_role = |role| all(reports).filter(move |life| life.role == role);
    let cut: Vec<&SocketLife> =
        of_role(Role::Task).filter(|life| Fate::of(life) == Fate::CutIdle).collect();
    let silences = || cut.iter().filter_map(|life| Some(life.end?.silence()));
    let least = silences().map(|(least, _)| least).min();
    let most = silences().map(|(_, most)| most).max();
    let of = of_role(Role::Task).filter(|life| life.longest_silence_ms >= least.unwrap_or(0));
    // A silence that ended in anything else may be what ended it.
    let outlived = |life: &&SocketLife| matches!(Fate::of(life), Fate::There | Fate::Left);
    let survivors = of_role(Role::Task).filter(outlived);
    let (main, main_cut) = (
        of_role(Role::Main).filter(|life| Fate::of(life) != Fate::Unknown).count(),
        of_role(Role::Main).filter(|life| Fate::of(life).is_cut()).count(),
    );
    let verdict = match (cut.len(), main, main_cut) {
        (_, 0, _) => Verdict::Open,
        (0, _, 0) => Verdict::Open,
        (0, _, _) => Verdict::Against,
        (_, _, 0) => Verdict::Supported,
        _ => Verdict::Mixed,
    };
    SilentTasks {
        cut: count(cut.len()),
        of: count(of.count()),
        silence_ms: least.zip(most),
        spread: spread(&cut),
        survived_ms: survivors.map(|life| life.longest_silence_ms).max(),
        main_cut: count(main_cut),
        main: count(main),
        verdict,
    }
}

/// What was seen of workers that leave.
#[must_use]
pub fn leavers(reports: &[SocketsReport]) -> Leavers {
    let n = |is: fn(Fate) -> bool| {
        count(all(reports).filter(|life| life.role == Role::Main && is(Fate::of(life))).count())
    };
    let (left, cut) = (n(|fate| fate == Fate::Left), n(Fate::is_cut));
    let unknown = n(|fate| fate == Fate::Unknown);
    Leavers {
        left,
        cut,
        unknown,
        there: n(|fate| fate == Fate::There),
        verdict: match (left, cut) {
            (0, 0) => Verdict::Open,
            (_, 0) if unknown > 0 => Verdict::Open,
            (_, 0) => Verdict::Supported,
            (0, _) => Verdict::Against,
            _ => Verdict::Mixed,
        },
    }
}

fn all(reports: &[SocketsReport]) -> impl Iterator<Item = &SocketLife> {
    reports.iter().flat_map(|report| &report.sockets)
}

fn spread(cut: &[&SocketLife]) -> Option<Spread> {
    let ends: Vec<_> = cut
        .iter()
        .filter_map(|life| life.end)
        .filter(|end| end.closed_by == ClosedBy::Peer)
        .collect();
    let ages: Option<Vec<i64>> =
        cut.iter().map(|life| life.born.is_some().then_some(life.lived_ms)).collect();
    Some(Spread {
        silence_ms: apart(ends.iter().map(|end| end.silence_ms))?,
        age_ms: ages.and_then(|ages| apart(ages.into_iter())),
        moment_ms: apart(ends.iter().map(|end| end.at.before.as_millisecond()))?,
    })
}

/// From the least to the most of at least two.
fn apart(values: impl Iterator<Item = i64> + Clone) -> Option<i64> {
    let (least, most) = (values.clone().min()?, values.clone().max()?);
    (values.count() > 1).then_some(most - least)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        beats::Rhythm,
        sockets::tests::{cut, left, life, report},
    };
    use std::slice::from_ref;

    #[test]
    fn silent_tasks_that_are_cut_beside_beating_ones_that_are_not_support_h18() {
        let pods = [
            report(
                "a",
                vec![
                    life(Rhythm::Beating, 3_600_000),
                    cut(Rhythm::Silent, 1_803_000, 1_800_200),
                    left(Rhythm::Working, 90_000, 400),
                ],
            ),
            report(
                "b",
                vec![life(Rhythm::Beating, 3_600_000), cut(Rhythm::Silent, 2_400_000, 1_800_300)],
            ),
        ];
        let seen = silent_tasks(&pods);
        assert_eq!((seen.cut, seen.of, seen.main_cut, seen.main), (2, 2, 0, 2));
        assert_eq!(seen.silence_ms, Some((1_800_100, 1_800_300)));
        let spread = Spread { silence_ms: 100, age_ms: Some(597_000), moment_ms: 597_000 };
        assert_eq!((seen.spread, seen.verdict), (Some(spread), Verdict::Supported));
        assert_eq!(leavers(&pods).verdict, Verdict::Open);
    }

    #[test]
    fn what_was_not_seen_says_nothing() {
        let alone = [report("a", vec![cut(Rhythm::Silent, 60_000, 50_000)])];
        assert_eq!(silent_tasks(&alone).verdict, Verdict::Open, "whose it is is not known");
        let quiet = [report("a", vec![life(Rhythm::Beating, 9), life(Rhythm::Silent, 9)])];
        let seen = silent_tasks(&quiet);
        assert_eq!((seen.verdict, seen.cut, seen.of), (Verdict::Open, 0, 1));
        assert_eq!(silent_tasks(&[]).verdict, Verdict::Open);
    }

    #[test]
    fn a_main_connection_that_is_cut_speaks_against_both_and_one_that_leaves_for_h15() {
        let cut_main = report("a", vec![cut(Rhythm::Beating, 60_000, 5_000)]);
        let gone = report("b", vec![left(Rhythm::Beating, 60_000, 50)]);
        assert_eq!(silent_tasks(from_ref(&cut_main)).verdict, Verdict::Against);
        assert_eq!(leavers(from_ref(&cut_main)).verdict, Verdict::Against);
        assert_eq!(leavers(from_ref(&gone)).verdict, Verdict::Supported);
        let both = leavers(&[cut_main, gone]);
        assert_eq!((both.left, both.cut, both.verdict), (1, 1, Verdict::Mixed));
    }
}
