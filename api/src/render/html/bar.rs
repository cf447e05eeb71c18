//! What a figure needs to know of a connection, whoever held it.

use super::{axis::Axis, shape::Shape};
use crate::{survival::Lives, text};

const HOUR_MS: i64 = 3_600_000;

/// Lanes below each other, under a name.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
    /// Whether they took the measured path.
    pub(super) is_measured: bool,
}

/// One connection, or several that are only known together. Milliseconds; ages unless it says otherwise.
pub(super) struct Bar {
    /// Number of the connection, or how many.
    pub(super) label: String,
    /// What a reader hears or hovers.
    pub(super) title: String,
    pub(super) shape: Shape,
    /// When it was opened, by the wall clock: unknown of several.
    pub(super) opened: Option<i64>,
    /// It was there already when somebody began to watch it: at this age.
    pub(super) watched: Option<i64>,
    /// Until then it sent requests; afterwards it was silent.
    pub(super) busy: i64,
    /// Until then it lived.
    pub(super) alive: i64,
    /// By then it was over, or seen alive for the last time.
    pub(super) over: i64,
    /// When a transaction was opened that stayed open.
    pub(super) begin: Option<i64>,
    /// When the last request was answered.
    pub(super) proof: Option<i64>,
    /// SET, LISTEN and the end of a worker's row, by their letters.
    pub(super) marks: Vec<(char, i64)>,
    /// What became of it, in few words.
    pub(super) end: String,
}

/// Connections of a name, of which a curve tells which share lived how long.
pub(super) struct Curve {
    /// Also the name of its colour in the style sheet.
    pub(super) name: &'static str,
    pub(super) lives: Vec<Lives>,
}

/// Real connections of a kind, as tables call it: one name for what the server and what a pod's kernel saw.
pub(super) const KINDS: [&str; 3] = ["workers", "tasks", "others"];

/// So many real connections are drawn, and of the others is said how many they are.
pub(super) const DRAWN: usize = 64;

/// Real connections by kind, in each those first that were cut, then by birth: as many as may be drawn. `kind`: the
/// number of its kind. `beyond`: how many there are that nobody told.
pub(super) fn by_kind(mut bars: Vec<(usize, Bar)>, beyond: i64, is_measured: bool) -> Vec<Group> {
    bars.sort_by_key(|(kind, bar)| (bar.shape != Shape::Cut, *kind, bar.opened));
    let all = bars.len();
    bars.truncate(DRAWN);
    let beyond = beyond + i64::try_from(all - bars.len()).unwrap_or(i64::MAX);
    let mut groups = KINDS
        .map(|name| Group { name: name.to_owned(), bars: Vec::new(), is_measured })
        .into_iter()
        .collect::<Vec<_>>();
    for (kind, bar) in bars {
        if let Some(group) = groups.get_mut(kind) {
            group.bars.push(bar);
        }
    }
    groups.retain(|group| !group.bars.is_empty());
    if beyond > 0 {
        let name = format!("+{beyond} more");
        groups.push(Group { name, bars: Vec::new(), is_measured });
    }
    groups
}

/// An age in what a figure has room for: of more than 100 hours nobody asks the minute.
pub(super) fn age(ms: i64) -> String {
    match ms / HOUR_MS {
        ..100 => text::mmss(ms),
        hours => format!("{hours} h"),
    }
}

/// Axes that hold for all figures, so that they compare: of the day, and of ages. Of what was there already only the
/// time counts in which it was watched: a worker of last week would press all others into the margin.
pub(super) fn axes<'a>(all: impl Iterator<Item = &'a Group>) -> (Axis, Axis) {
    let (mut first, mut last, mut oldest) = (i64::MAX, i64::MIN, 0);
    for bar in all.flat_map(|group| &group.bars) {
        let unseen = bar.watched.unwrap_or_default();
        oldest = oldest.max(bar.over - unseen);
        if let Some(opened) = bar.opened {
            (first, last) = (first.min(opened + unseen), last.max(opened + bar.over));
        }
    }
    if first > last {
        (first, last) = (0, 0);
    }
    (Axis::of_day(first, last), Axis::of_age(oldest))
}
