//! Real workers: the lifecycle of each session that was watched, and all of them together.

use super::{
    Story,
    document::{Block, Section, quote},
};
use crate::{
    inventory::Hop,
    lifetime::Spread,
    observed::{FateCount, Life, Observed, Worker},
    pattern::Pattern,
    report::Outcome,
    text,
};
use jiff::Timestamp;

pub(super) const TITLE: &str = "Real workers";

/// Absent if nobody was watched.
pub(super) fn section(story: &Story<'_>) -> Option<Section> {
    let mut blocks = Vec::new();
    for (result, settings) in story.workloads() {
        let Some(observed) = result.report.as_ref().and_then(|report| report.observed.as_ref())
        else {
            continue;
        };
        let user = settings.and_then(|settings| match &settings.pattern {
            Pattern::Observe(watched) => Some(watched.user.as_str()),
            _ => None,
        });
        blocks.push(Block::Title(result.workload.clone()));
        blocks.push(Block::List(watched(story, observed, user)));
        if !observed.fates.is_empty() {
            blocks.push(Block::Text("What became of those that ended:".to_owned()));
            blocks.push(Block::Table(fates(observed)));
        }
        if !observed.lives.is_empty() {
            blocks.push(Block::Text(lifecycles(observed)));
            blocks.push(Block::Table(lives(observed)));
        }
        if observed.workers.iter().any(|worker| worker.gone_before.is_some()) {
            blocks.push(Block::Text("Workers whose row went:".to_owned()));
            blocks.push(Block::Table(rows(observed)));
        }
        blocks.push(Block::Text("Real sessions beside those that the probe held:".to_owned()));
        blocks.push(Block::Table(beside(story, observed)));
        if let Some(statements) = &observed.statements {
            blocks.push(Block::Text("Statements that pin a session of RDS Proxy:".to_owned()));
            blocks.push(Block::List(text::pinning_statements(statements)));
        }
    }
    (!blocks.is_empty()).then_some(Section { title: TITLE, blocks })
}

/// Whom, how, and what that is worth.
fn watched(story: &Story<'_>, observed: &Observed, user: Option<&str>) -> Vec<String> {
    let role = user.map(|user| format!(" of {}", quote(user))).unwrap_or_default();
    let times = observed.first_look.zip(observed.last_look);
    let when = times.map(|(first, last)| format!(", {} to {}", clock(first), clock(last)));
    let cost = &observed.cost;
    let minutes = times.map_or(0, |(first, last)| last.as_millisecond() - first.as_millisecond());
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = (minutes > 0)
        .then(|| format!(", {:.0} a minute", cost.queries as f64 * 60_000.0 / minutes as f64));
    let answer = cost.median_us.zip(cost.longest_us).map(|(median, longest)| {
        format!(
            ", a look answered within {} in the middle, {} at most",
            text::micros(median),
            text::micros(longest)
        )
    });
    let mut lines = vec![
        format!(
            "Sessions{role}: {} seen, {} of them still there at the end, from {} addresses{}",
            observed.lives_seen,
            observed.going_on(),
            observed.addresses,
            when.unwrap_or_default()
        ),
        format!(
            "Looked every {}: an end lies between two looks, {} apart at most",
            text::micros(observed.interval_ms * 1000),
            text::micros(cost.longest_gap_ms * 1000)
        ),
        format!(
            "Cost: {} statements{}{}",
            cost.queries,
            rate.unwrap_or_default(),
            answer.unwrap_or_default()
        ),
        text::observe_view(hop(story, observed)),
    ];
    let restarts =
        observed.restarts.iter().map(|at| format!("The server was started anew at {}", clock(*at)));
    lines.extend(restarts);
    lines
}

/// Whether the server saw the probe itself on the watcher's path.
fn hop(story: &Story<'_>, observed: &Observed) -> Option<Hop> {
    let mut arms = story.status.inventory.iter().flat_map(|inventory| &inventory.arms);
    arms.find(|arm| arm.arm == observed.arm)?.hop
}

fn fates(observed: &Observed) -> Vec<Vec<String>> {
    let head = ["Session", "What became of it", "Sessions", "Lived", "Silent at the end"];
    let row = |count: &FateCount| {
        vec![
            text::session_role(count.role).to_owned(),
            text::session_fate(count.fate).to_owned(),
            count.lived.n.to_string(),
            spread(&count.lived),
            spread(&count.silence),
        ]
    };
    let head = std::iter::once(head.map(str::to_owned).to_vec());
    head.chain(observed.fates.iter().map(row)).collect()
}

/// Least, median and most.
fn spread(spread: &Spread) -> String {
    let [min, median, max] = [spread.min_ms, spread.median_ms, spread.max_ms].map(text::mmss);
    if min == max { min } else { format!("{min} / {median} / {max}") }
}

/// What the table of lives has, and what it lacks.
fn lifecycles(observed: &Observed) -> String {
    let listed = observed.lives.len();
    let seen = usize::try_from(observed.lives_seen).unwrap_or_default();
    match seen > listed {
        true => format!(
            "The lifecycle of {listed} of them, those that tell most; the pod's log has a line for each:"
        ),
        false => "The lifecycle of each:".to_owned(),
    }
}

const HEAD: [&str; 11] = [
    "Session",
    "Worker",
    "Start",
    "First query",
    "Activity",
    "Transactions",
    "Longest silence",
    "Last statement",
    "End",
    "Duration",
    "What became of it",
];

fn lives(observed: &Observed) -> Vec<Vec<String>> {
    let head = std::iter::once(HEAD.map(str::to_owned).to_vec());
    head.chain(observed.lives.iter().map(life)).collect()
}

/// The plan's template of a worker's lifecycle, as a row.
fn life(life: &Life) -> Vec<String> {
    let unknown = || "–".to_owned();
    let started = if life.before_us { "before " } else { "" };
    let activity = match life.beat_ms {
        Some(ms) => format!("beats every {}", text::micros(ms * 1000)),
        None => format!("{}, {} times", text::rhythm(life.rhythm), life.active),
    };
    let longest =
        life.longest_transaction_ms.map(|ms| format!(", {} at most", text::precisely(ms)));
    let end = life.end.map(|end| (clock(end.before), text::precisely(end.lived_ms), end));
    let last = match &life.statement {
        Some(statement) => quote(statement),
        None => life.last.as_str().to_owned(),
    };
    let (ended, lived, fate) = match end {
        None => ("–".to_owned(), unknown(), "was there at the end".to_owned()),
        Some((at, lived, end)) => {
            let silence = match end.silence_ms {
                0 => ", busy".to_owned(),
                ms => format!(", silent for {}", text::precisely(ms)),
            };
            (at, lived, format!("{}{silence}", text::session_fate(end.fate)))
        }
    };
    vec![
        format!("{} {}", text::session_role(life.role), life.pid),
        life.worker.as_deref().map_or_else(unknown, quote),
        format!("{started}{}", clock(life.born)),
        life.first_query_ms.map_or_else(unknown, |ms| format!("+{}", text::precisely(ms))),
        activity,
        format!("{}{}", life.transactions, longest.unwrap_or_default()),
        text::precisely(life.longest_silence_ms),
        last,
        ended,
        lived,
        fate,
    ]
}

fn rows(observed: &Observed) -> Vec<Vec<String>> {
    let row = |worker: &Worker| {
        let gone = worker.gone_after.zip(worker.gone_before)?;
        Some(vec![
            quote(&worker.name),
            clock(worker.last_heartbeat),
            format!("{} to {}", clock(gone.0), clock(gone.1)),
        ])
    };
    let head = ["Worker", "Last heartbeat", "Row gone"].map(str::to_owned).to_vec();
    std::iter::once(head).chain(observed.workers.iter().filter_map(row)).collect()
}

/// How long real and held connections lived, side by side.
fn beside(story: &Story<'_>, observed: &Observed) -> Vec<Vec<String>> {
    let head =
        ["Connections", "n", "Cut", "Shortest life of one that was cut", "Longest life seen"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let none = || "–".to_owned();
    for part in observed.parts() {
        rows.push(vec![
            format!("real: {}", text::session_role(part.role)),
            part.n.to_string(),
            part.cut.to_string(),
            part.first_cut_ms.map_or_else(none, text::mmss),
            part.longest_ms.map_or_else(none, text::mmss),
        ]);
    }
    for (name, arm) in story.arms() {
        let lifetimes = arm
            .endings
            .iter()
            .filter(|ending| matches!(ending.outcome, Outcome::Survived | Outcome::Disconnected));
        let longest = lifetimes.filter_map(|ending| Some(ending.lifetime?.max_ms)).max();
        rows.push(vec![
            format!("held: {name}"),
            arm.connections.to_string(),
            arm.counts.disconnected.to_string(),
            arm.cut_lifetime.map_or_else(none, |lived| text::mmss(lived.min_ms)),
            longest.map_or_else(none, text::mmss),
        ]);
    }
    rows
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.3f").to_string()
}
