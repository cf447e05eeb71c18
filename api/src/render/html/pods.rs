//! Sockets of real workers, as the kernel of their pod saw them, made ready for drawing.

use super::bar::{Bar, Group, age, by_kind};
use crate::{
    beats::{FIRST_MOMENTS_MS, Rhythm},
    sockets::{ClosedBy, Fate, Form, Role, SocketLife, SocketsReport},
    text,
};
use jiff::Timestamp;

/// The sockets of a pod by whose they are.
pub(super) fn groups(report: &SocketsReport) -> Vec<Group> {
    let bars = report.sockets.iter().map(|life| (kind(life.role), bar(life, report.ended_at)));
    by_kind(bars.collect(), report.untold, true)
}

fn bar(life: &SocketLife, watched_until: Timestamp) -> Bar {
    let last = life.end.map_or(watched_until, |end| end.at.before).as_millisecond();
    let opened = life.born.map_or(last - life.lived_ms, |born| born.before.as_millisecond());
    let over = (last - opened).max(0);
    let alive = life.end.map_or(over, |end| (over - end.at.width_ms()).max(0));
    let last_sent = life.end.map(|end| over - end.silence_ms);
    let busy = match (last_sent, life.rhythm) {
        (Some(last), _) => last,
        (None, Rhythm::Silent) if life.born.is_some() => FIRST_MOMENTS_MS,
        (None, Rhythm::Silent) => 0,
        (None, Rhythm::Beating | Rhythm::Working) => alive,
    };
    let least = if life.born.is_some() && life.end.is_some() { "" } else { ">= " };
    let lived = format!("{least}{}", age(over));
    Bar {
        label: life.local_port.to_string(),
        title: format!(
            "port {} ({}): {}; lived {lived}",
            text::connection(life),
            text::whose(life),
            text::fate(life)
        ),
        shape: Fate::of(life).into(),
        opened: Some(opened),
        watched: life.born.is_none().then_some(0),
        busy: busy.clamp(0, alive),
        alive,
        over,
        begin: None,
        proof: last_sent.filter(|last| (0..over).contains(last)),
        marks: Vec::new(),
        end: format!("{lived} {}", word(life)).trim_end().to_owned(),
    }
}

/// Its place in `KINDS`.
fn kind(role: Role) -> usize {
    match role {
        Role::Main => 0,
        Role::Task => 1,
        Role::Unknown => 2,
    }
}

/// Who closed it and how, in what a figure has room for.
fn word(life: &SocketLife) -> &'static str {
    let Some(end) = life.end else { return "" };
    match (end.closed_by, end.form) {
        (_, Form::TimedOut) => "timed out",
        (ClosedBy::Peer, Form::Fin) => "peer FIN",
        (ClosedBy::Peer, Form::Rst) => "peer RST",
        (ClosedBy::Peer, Form::Unknown) => "peer",
        (ClosedBy::Own, Form::Fin) => "own FIN",
        (ClosedBy::Own, Form::Rst) => "own RST",
        (ClosedBy::Own, Form::Unknown) => "own side",
        (ClosedBy::Unknown, Form::Fin) => "? FIN",
        (ClosedBy::Unknown, Form::Rst) => "? RST",
        (ClosedBy::Unknown, Form::Unknown) => "unknown",
    }
}
