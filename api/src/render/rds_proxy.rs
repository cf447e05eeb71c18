//! What AWS told of the RDS Proxy, beside what the run did: the correlation table of the hand-written plan, what the
//! log and the events witness, and how far CloudWatch's data reach.

use super::{
    Story,
    document::{Block, Section, quote},
};
use crate::{
    diagnosis,
    rds_proxy::{
        RdsProxyStatus,
        metrics::{Metric, Metrics},
    },
    text,
};
use jiff::Timestamp;
use moments::Moment;

mod moments;
mod overridden;

pub(super) const TITLE: &str = "RDS Proxy";

const HEAD: [&str; 6] =
    ["Time", "Test running/ended", "Pinned", "Client connections", "Borrow latency", "Notes"];

/// Absent where AWS was not asked.
pub(super) fn section(story: &Story<'_>) -> Option<Section> {
    let told = story.status.rds_proxy.as_ref()?;
    let metrics = told.metrics();
    let moments = moments::of(story);
    let start = moments.first().map_or(Timestamp::UNIX_EPOCH, |moment| moment.at);
    let rows = moments.iter().map(|moment| row(moment, start, told, metrics));
    let head = HEAD.map(str::to_owned).to_vec();
    let mut blocks = vec![
        Block::List(reach(metrics)),
        Block::Table(std::iter::once(head).chain(rows).collect()),
    ];
    blocks.push(Block::List(witnesses(story, told)));
    Some(Section { title: TITLE, blocks })
}

/// How far the metrics reach, and what a row of the table has of them.
fn reach(metrics: Option<&Metrics>) -> Vec<String> {
    let Some(metrics) = metrics else {
        return vec!["CloudWatch's metrics were not read: – in the table.".to_owned()];
    };
    let of = match metrics.minutes() {
        1 => "Each row has the values of its minute, for all clients of the proxy.".to_owned(),
        n => format!(
            "Each row has the values of its {n} minutes, for all clients of the proxy: the highest of what is there \
             or waited for, the sum of what was closed."
        ),
    };
    let until = match metrics.known_until {
        Some(until) => format!("CloudWatch's data reach to {}.", text::date(until)),
        None => "CloudWatch had no data for the time of the run.".to_owned(),
    };
    vec![format!("{of} – : CloudWatch had none, which is not zero."), until]
}

fn row(
    moment: &Moment,
    start: Timestamp,
    told: &RdsProxyStatus,
    metrics: Option<&Metrics>,
) -> Vec<String> {
    let value = |metric| metrics.and_then(|metrics| metrics.at(metric, moment.at));
    let cell = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    let count = |metric| value(metric).map(|n| n.to_string());
    let since = text::mmss(moment.at.as_millisecond() - start.as_millisecond());
    let closed = value(Metric::ClientConnectionsClosed).map(|n| format!("{n} clients closed"));
    let borrowed = value(Metric::DatabaseConnectionsCurrentlyBorrowed);
    let pool = borrowed.zip(value(Metric::MaxDatabaseConnectionsAllowed));
    let pool = pool.map(|(borrowed, allowed)| format!("{borrowed} of {allowed} borrowed"));
    let near = |at: Timestamp| at.duration_since(moment.at).unsigned_abs().as_secs() <= 60;
    let events = told.events().iter().filter(|event| near(event.at)).count();
    let events = match events {
        0 => None,
        1 => Some("an RDS event within a minute, see below".to_owned()),
        n => Some(format!("{n} RDS events within a minute, see below")),
    };
    let notes: Vec<_> = closed.into_iter().chain(pool).chain(events).collect();
    vec![
        format!("T+{since}, {}", text::clock(moment.at)),
        moment.what.clone(),
        cell(count(Metric::DatabaseConnectionsCurrentlySessionPinned)),
        cell(count(Metric::ClientConnections)),
        cell(value(Metric::DatabaseConnectionsBorrowLatency).map(text::micros)),
        notes.join("; "),
    ]
}

fn witnesses(story: &Story<'_>, told: &RdsProxyStatus) -> Vec<String> {
    let mut lines = overridden::lines(&story.status);
    lines.extend(diagnosis::pinned(&story.run.spec.measurement, &story.status));
    for fact in told.facts() {
        let changed = fact.afterwards.as_ref().map(|after| {
            format!(
                "{} changed during the run: {}, then {}.",
                plain(&fact.name),
                quote(&fact.value),
                quote(after)
            )
        });
        lines.extend(changed);
    }
    lines.extend(told.events().iter().map(|event| {
        format!(
            "Event of {}, {}: {}",
            quote(&event.about),
            text::date(event.at),
            quote(&event.text)
        )
    }));
    if let Some(log) = told.log() {
        let looked =
            "connections that were cut were found in the proxy's log, by our port and the time";
        lines.push(format!("{} of {} {looked}.", log.found, log.wanted));
        lines.extend(log.ends.iter().map(|end| {
            let (workload, n) = (quote(&end.workload), end.n);
            let apart = end.apart_ms;
            format!(
                "Log on {n} of {workload}, {apart} ms from ours at most: {}",
                quote(&end.reason)
            )
        }));
    }
    lines.extend(not_told(told));
    lines
}

/// What AWS did not tell, and why.
pub(super) fn not_told(told: &RdsProxyStatus) -> Vec<String> {
    let gaps = told.gaps().into_iter();
    let gaps =
        gaps.map(|gap| format!("Not told, {}: {}", quote(&gap.permission), plain(&gap.problem)));
    let problem = told.problem.iter().map(|problem| plain(problem));
    let left_out = told.told().filter_map(|evidence| evidence.left_out).max();
    let left_out = left_out.map(|n| format!("Left out for want of room: {n} entries."));
    gaps.chain(problem).chain(left_out).collect()
}

/// A sentence that may hold what AWS said, and marks nothing.
fn plain(sentence: &str) -> String {
    sentence.replace('`', "'")
}
