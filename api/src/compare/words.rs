//! A comparison in words.

use super::{AGE, Change, Comparison, Move, Shift, Verdict};
use crate::{
    render::document::{Block, Document, Section, quote},
    text,
};

/// For a ticket.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    crate::render::markdown::document(&document(comparison))
}

/// For a terminal.
#[must_use]
pub fn plain(comparison: &Comparison) -> String {
    crate::render::plain::document(&document(comparison))
}

fn document(comparison: &Comparison) -> Document {
    let (never, others): (Vec<&Move>, Vec<_>) =
        comparison.moves.iter().partition(|moved| moved.verdict == Verdict::NeverCut);
    let mut moves: Vec<_> = others.iter().map(|moved| sentence(comparison, moved)).collect();
    if !never.is_empty() {
        let never: Vec<_> = never.iter().map(|moved| moved.name.as_str()).collect();
        moves.push(format!("never cut on either side: {}", never.join(", ")));
    }
    let changes = comparison.changes.iter().map(change).collect();
    let sections = [
        ("Lifetimes", moves),
        ("Set differently", changes),
        (
            "Measured differently",
            comparison.unlike.iter().map(|what| quote(what)).collect::<Vec<_>>(),
        ),
    ];
    let sections = sections.into_iter().filter(|(_, points)| !points.is_empty());
    let sections =
        sections.map(|(title, points)| Section { title, blocks: vec![Block::List(points)] });
    let then = if comparison.in_time { ", then " } else { " beside " };
    Document {
        title: format!("{}{then}{}", comparison.before, comparison.after),
        summary: summary(comparison),
        sections: sections.collect(),
    }
}

fn summary(comparison: &Comparison) -> String {
    let n = |is: fn(&Verdict) -> bool| {
        comparison.moves.iter().filter(|moved| is(&moved.verdict)).count()
    };
    let in_time = comparison.in_time;
    let words = [
        (n(|v| matches!(v, Verdict::Confirmed { .. })), "confirmed"),
        (n(|v| matches!(v, Verdict::Moved)), if in_time { "moved" } else { "differ" }),
        (n(|v| matches!(v, Verdict::Stayed)), if in_time { "did not move" } else { "are alike" }),
        (n(|v| matches!(v, Verdict::NeverCut)), "never cut"),
        (n(|v| matches!(v, Verdict::Unclear { .. })), "can't be told"),
    ];
    let words = words.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    let words: Vec<_> = words.collect();
    match words.is_empty() {
        true => "Nothing that both measured.".to_owned(),
        false => format!("Of {} in both: {}.", comparison.moves.len(), words.join(", ")),
    }
}

fn change(change: &Change) -> String {
    format!("{}: {} → {}", quote(&change.name), quote(&change.before), quote(&change.after))
}

fn sentence(comparison: &Comparison, moved: &Move) -> String {
    let Move { name, before, after, clock, shift, verdict } = moved;
    let by = shift.as_ref().map(|shift| by(shift, comparison.in_time)).unwrap_or_default();
    let by = if *clock == AGE { by } else { format!("since {clock}, {by}") };
    let both = format!("{before}, {} {after}", if comparison.in_time { "then" } else { "beside" });
    match (verdict, comparison.in_time) {
        (Verdict::Confirmed { timer }, _) => {
            let changed = comparison.changes.iter().find(|change| change.name == *timer);
            let values =
                changed.map(|c| format!(" {} → {}", c.before, c.after)).unwrap_or_default();
            format!(
                "{name}: from {before} to {after} after {}: confirmed ({by})",
                quote(&(timer.clone() + &values))
            )
        }
        (Verdict::Moved, true) => format!("{name}: moved from {before} to {after} ({by})"),
        (Verdict::Moved, false) => format!("{name}: {both}: different ({by})"),
        (Verdict::Stayed, in_time) => {
            let largest = shift.as_ref().and_then(Shift::largest).map(text::precisely);
            let most = largest.map(|ms| format!(", by {ms} at most")).unwrap_or_default();
            match in_time {
                true => format!("{name}: {both}: did not move{most}: look elsewhere"),
                false => format!("{name}: {both}: alike{most}"),
            }
        }
        (Verdict::NeverCut, _) => format!("{name}: never cut"),
        (Verdict::Unclear { why }, _) => format!("{name}: {both}: can't be told: {why}"),
    }
}

/// `later by 20:00.004, 95 %: 19:59.870 to 20:00.120; 5 and 5 connections`.
fn by(shift: &Shift, in_time: bool) -> String {
    let is_later = shift.low_ms.is_some_and(|low| low > 0);
    let word = match (is_later, in_time) {
        (true, true) => "later",
        (false, true) => "earlier",
        (true, false) => "longer",
        (false, false) => "shorter",
    };
    let (near, far) =
        if is_later { (shift.low_ms, shift.high_ms) } else { (shift.high_ms, shift.low_ms) };
    let time = |ms: Option<i64>| ms.map(|ms| text::precisely(ms.abs()));
    let [before, after] = shift.n;
    let middle = match (time(shift.from_ms), time(shift.to_ms)) {
        (Some(from), Some(to)) if from == to => format!("by {from}"),
        (Some(from), Some(to)) => format!("by {from} to {to}"),
        (Some(at_least), None) | (None, Some(at_least)) => format!("by {at_least} or more"),
        (None, None) => "by an unknown time".to_owned(),
    };
    let range = match (time(near), time(far)) {
        (Some(near), Some(far)) => format!("{near} to {far}"),
        (Some(near), None) => format!("{near} or more"),
        _ => "unknown".to_owned(),
    };
    let sure = if shift.is_sure { "95 %" } else { "all differences" };
    format!("{word} {middle}, {sure}: {range}; {before} and {after} connections")
}
