//! What the ends looked like: what a diagnosis rests on, and what joins them with other logs.

use super::{
    Story,
    document::{Block, Section, quote},
};
use crate::{
    close_form::CloseForm,
    report::{ArmReport, Ending, LaneEnd, Outcome, Reconnect},
    text,
};
use jiff::Timestamp;

pub(super) const TITLE: &str = "Evidence";

/// Absent if all connections survived.
pub(super) fn section(story: &Story<'_>) -> Option<Section> {
    let mut points = Vec::new();
    let mut rows = Vec::new();
    for (name, arm) in story.arms() {
        for ending in arm.endings.iter().filter(|ending| ending.outcome != Outcome::Survived) {
            points.push(point(&name, arm, ending));
            rows.extend(ending.lanes.iter().map(|lane| row(&name, lane, ending)));
        }
        let started = story.status.start_time.as_ref().map(|start| start.0);
        let told = arm.reconnect.as_ref().map(|told| reconnect(told, started));
        points.extend(told.map(|told| format!("{name}: {told}.")));
    }
    let mut blocks = vec![Block::List(points)];
    if !rows.is_empty() {
        rows.insert(0, HEAD.map(str::to_owned).to_vec());
        blocks.push(Block::Table(rows));
    }
    let is_empty = matches!(&blocks[..], [Block::List(points)] if points.is_empty());
    (!is_empty).then_some(Section { title: TITLE, blocks })
}

/// Ends that looked alike.
fn point(name: &str, arm: &ArmReport, ending: &Ending) -> String {
    let lifetime = ending.lifetime.map(|lived| {
        let (min, max) = (text::precisely(lived.min_ms), text::precisely(lived.max_ms));
        match min == max {
            true => format!(" after {min}"),
            false => format!(" after {min} to {max}, median {}", text::precisely(lived.median_ms)),
        }
    });
    let form = ending.form.as_ref().map(form).unwrap_or_default();
    let clocks = clocks(&ending.lanes).map(|clocks| format!(" {clocks}."));
    format!(
        "{name}: {} of {} {}{}: {}.{form}{}",
        ending.n,
        arm.connections,
        ending.outcome.as_str(),
        lifetime.unwrap_or_default(),
        quote(&text::ending(ending)),
        clocks.unwrap_or_default(),
    )
}

/// The record of a close, beyond its first message.
fn form(form: &CloseForm) -> String {
    let mut told = vec![form.word.as_str().to_owned()];
    let routines = form.messages.iter().filter_map(|message| message.routine.as_ref());
    told.extend(routines.map(|routine| format!("routine {}", quote(routine))));
    let others =
        form.messages.iter().skip(1).map(|message| {
            quote(&format!("{} {} {}", message.severity, message.code, message.text))
        });
    told.extend(others.map(|other| format!("then {other}")));
    told.extend(form.tls.clone().map(|tls| format!("TLS {}", String::from(tls))));
    told.push(format!("TCP {}", String::from(form.tcp)));
    told.extend(form.on_write.then(|| "on a write".to_owned()));
    let known = if form.is_exact() {
        "the end was announced: exact"
    } else {
        "the end was not announced: an interval"
    };
    format!(" Form: {}; {known}.", told.join(", "))
}

/// What the clocks showed: the one that is the same on all connections, while the others differ, is
/// the timer's.
fn clocks(lanes: &[LaneEnd]) -> Option<String> {
    let read: Vec<_> = lanes.iter().filter_map(|lane| Some(lane.clocks?.all())).collect();
    let (first, _) = read.split_first()?;
    let spans = first.iter().enumerate().filter_map(|(i, (since, _))| {
        let all: Option<Vec<i64>> = read.iter().map(|clocks| clocks[i].1).collect();
        let all = all?;
        let (min, max) = (text::precisely(*all.iter().min()?), text::precisely(*all.iter().max()?));
        Some(if min == max { format!("{since} {min}") } else { format!("{since} {min} to {max}") })
    });
    let spans: Vec<_> = spans.collect();
    Some(format!("Clocks at {} of these ends, since {}", read.len(), spans.join(", ")))
}

fn reconnect(told: &Reconnect, run_started: Option<Timestamp>) -> String {
    let Reconnect { outages, attempts, .. } = told;
    let mut words =
        vec![format!("new connections after cuts: {attempts} tried in {outages} outages")];
    let longest = told.longest_outage_ms.map(text::precisely);
    words.extend(longest.map(|ms| format!("the longest outage ended within {ms}")));
    let unended = told.unended_after_ms.map(text::precisely);
    words.extend(unended.map(|ms| format!("one had not ended after {ms}")));
    words.extend(told.last_error.as_ref().map(|error| format!("last error {}", quote(error))));
    let restarted = told.server_started_at.filter(|at| run_started.is_some_and(|run| *at > run));
    words.extend(
        restarted.map(|at| format!("the server that answered was started {at}, in this run")),
    );
    words.extend((told.in_recovery == Some(true)).then(|| "it is a standby".to_owned()));
    words.join("; ")
}

const HEAD: [&str; 7] =
    ["Test", "Connection", "Noticed", "Lived", "Since request", "Our port", "Peer"];

/// A single end, to the millisecond, and what finds it in other logs.
fn row(name: &str, lane: &LaneEnd, ending: &Ending) -> Vec<String> {
    let unknown = || "–".to_owned();
    let lifetime = lane.lifetime.map(|lived| match lived.max_ms {
        None => format!(">= {}", text::precisely(lived.min_ms)),
        Some(max) if lived.is_exact() => text::precisely(max),
        Some(max) => format!("{}–{}", text::precisely(lived.min_ms), text::precisely(max)),
    });
    let request = lane.clocks.and_then(|clocks| clocks.request_ms);
    let name = match ending.outcome {
        Outcome::Disconnected => name.to_owned(),
        other => format!("{name}: {}", other.as_str()),
    };
    vec![
        name,
        lane.lane.to_string(),
        lane.at.strftime("%H:%M:%S%.3f UTC").to_string(),
        lifetime.unwrap_or_else(unknown),
        request.map_or_else(unknown, text::precisely),
        lane.local_port.map_or_else(unknown, |port| port.to_string()),
        lane.peer.as_deref().map_or_else(unknown, quote),
    ]
}
