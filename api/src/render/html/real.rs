//! Sessions of real workers, as the server saw them, made ready for drawing.

use super::{
    bar::{Bar, Curve, Group, KINDS, age, by_kind},
    shape::Shape,
};
use crate::{
    beats::{FIRST_MOMENTS_MS, Rhythm},
    observed::{Fate, Life, Observed, Role},
    report::Arm,
    survival::Lives,
    text,
};
use jiff::Timestamp;

/// The sessions by what they are.
pub(super) fn groups(observed: &Observed) -> Vec<Group> {
    let bars = observed.lives.iter().map(|life| (kind(life.role), bar(life, observed))).collect();
    let told = i64::try_from(observed.lives.len()).unwrap_or(i64::MAX);
    by_kind(bars, i64::from(observed.lives_seen) - told, observed.arm == Arm::Target)
}

/// Of sessions that were seen from their birth on: one that was there already had outlived others that nobody saw.
/// A cut is the event, any other end only the last time that it was seen. Nothing where not all are told: those are
/// that tell most.
pub(super) fn curves(observed: &Observed) -> Vec<Curve> {
    if usize::try_from(observed.lives_seen) != Ok(observed.lives.len()) {
        return Vec::new();
    }
    let of = |role: Role| {
        let lives = observed.lives.iter().filter(|life| life.role == role && !life.before_us);
        Curve { name: KINDS[kind(role)], lives: lives.map(|life| lived(life, observed)).collect() }
    };
    vec![of(Role::Main), of(Role::Task)]
}

fn lived(life: &Life, observed: &Observed) -> Lives {
    let (alive, over) = ages(life, observed);
    let was_cut = Shape::from(fate(life)) == Shape::Cut;
    Lives { n: 1, min_ms: alive, max_ms: was_cut.then_some(over) }
}

fn bar(life: &Life, observed: &Observed) -> Bar {
    let born = life.born.as_millisecond();
    let (alive, over) = ages(life, observed);
    let first_look = observed.first_look.map_or(born, Timestamp::as_millisecond);
    let watched = life.before_us.then(|| (first_look - born).max(0));
    let last_active = life.end.map(|end| over - end.silence_ms);
    let busy = match (last_active, life.rhythm) {
        (Some(last), _) => last,
        (None, Rhythm::Silent) => FIRST_MOMENTS_MS,
        (None, Rhythm::Beating | Rhythm::Working) => alive,
    };
    let lived = age(life.end.map_or(over, |end| end.lived_ms));
    Bar {
        label: life.pid.to_string(),
        title: title(life),
        shape: fate(life).into(),
        opened: Some(born),
        watched,
        busy: busy.clamp(0, alive),
        alive,
        over,
        begin: None,
        proof: last_active.filter(|last| (watched.unwrap_or_default()..over).contains(last)),
        marks: row_gone(life, observed).map(|at| ('R', at - born)).into_iter().collect(),
        end: match fate(life) {
            None => format!(">= {lived}"),
            Some(fate) => format!("{lived} {}", word(fate)),
        },
    }
}

/// Until which age it lived, and by which it was over or seen for the last time.
fn ages(life: &Life, observed: &Observed) -> (i64, i64) {
    let at_age = |at: Timestamp| (at.as_millisecond() - life.born.as_millisecond()).max(0);
    let last_look = observed.last_look.map_or(0, at_age);
    let (alive, over) =
        life.end.map_or((last_look, last_look), |end| (at_age(end.after), at_age(end.before)));
    (alive.min(over), over)
}

/// When the row of the worker whose own session this is went: after its birth, and before that of its worker's next.
fn row_gone(life: &Life, observed: &Observed) -> Option<i64> {
    let of_worker = |other: &Life| other.role == Role::Main && other.worker == life.worker;
    let mut rows = observed.workers.iter().filter(|row| Some(&row.name) == life.worker.as_ref());
    let gone = rows.find_map(|row| row.gone_before)?;
    let before = observed.lives.iter().filter(|other| of_worker(other) && other.born <= gone);
    let last = before.max_by_key(|other| other.born)?;
    (last == life).then(|| gone.as_millisecond())
}

fn title(life: &Life) -> String {
    match life.end {
        Some(_) => text::session_ended(life),
        None => {
            let worker = life.worker.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
            format!(
                "session {} ({}{worker}): was there at the end, {}, its longest silence {}",
                life.pid,
                text::session_role(life.role),
                text::rhythm(life.rhythm),
                text::precisely(life.longest_silence_ms)
            )
        }
    }
}

fn fate(life: &Life) -> Option<Fate> {
    life.end.map(|end| end.fate)
}

/// Its place in [`KINDS`].
fn kind(role: Role) -> usize {
    match role {
        Role::Main => 0,
        Role::Task => 1,
        Role::Other => 2,
    }
}

/// What a figure has room for.
fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::CutIdle => "cut idle",
        Fate::CutActive => "cut busy",
        Fate::Left => "left",
        Fate::RowDeleted => "row gone",
        Fate::TaskEnded => "task ended",
        Fate::ServerRestarted => "restart",
        Fate::Unknown => "unknown",
    }
}
