//! Watches sessions that others hold: asks the server at an interval, over one connection of its own, and makes
//! lives of the answers ([`watch`]). It holds nothing and changes nothing.

use crate::{
    clock::Clock,
    connect::{Dialer, Refusal},
    mounts::Mounts,
    reporter::Reporter,
    session::Session,
    stop::Stop,
    wire::{Row, field},
};
use api::{
    lifetime::ms,
    observed::{Fact, Observed, WatchCost, facts_of},
    pattern::Watched,
    report::Arm,
    statement::{Seen, Statements, ranked},
    text,
    workload::StatementDetail,
};
use look::{Look, Task, WorkerRow, number};
use questions::Readable;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};
use watch::Watch;

pub mod look;
mod owner;
mod questions;
mod tally;
mod track;
pub mod watch;

#[cfg(test)]
mod tests;

/// An answer may take so long: a look that is later than this is worth nothing.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_secs(1);
/// What the report says is brought up to date so often while nobody comes or goes.
const REFRESH: Duration = Duration::from_secs(10);
/// Answers that are remembered for their median.
const TIMES: usize = 1000;

/// A watcher of one workload.
pub struct Watcher {
    /// Whom it watches.
    pub watched: Watched,
    /// Over which path it asks.
    pub arm: Arm,
    /// How it connects.
    pub dialer: Dialer,
    /// Whom it tells.
    pub reporter: Arc<Reporter>,
    /// Where Pulp's settings are mounted.
    pub mounts: Mounts,
    /// The wall clock.
    pub clock: Clock,
    /// Tells it to let go.
    pub stop: Stop,
}

/// What it has learned.
#[derive(Default)]
struct State {
    watch: Watch,
    cost: WatchCost,
    times: VecDeque<i64>,
    /// What ended the last connection before its time.
    interrupted: Option<String>,
    /// That Pulp's settings are not there.
    no_settings: Option<String>,
    /// What may not be read, as far as the last connection knows.
    missing: Vec<String>,
    facts: Vec<Fact>,
    rights: Rights,
    before: Option<Vec<Seen>>,
    statements: Option<Statements>,
    first: Option<Instant>,
    last: Option<Instant>,
    told: Option<Instant>,
}

/// What may be asked for.
#[derive(Default)]
struct Rights {
    workers: Option<String>,
    running: Option<String>,
    statements: Option<String>,
}

impl Watcher {
    /// Watches until `end`, or until it is told to let go.
    pub async fn run(self, end: Instant) {
        let Self { watched, mounts, .. } = &self;
        let keeps_text = watched.statements == StatementDetail::Normalised;
        let mut state = State { watch: Watch::new(keeps_text), ..State::default() };
        if let Some(name) = &watched.config_map {
            let keys = mounts.config_map(name);
            if keys.is_empty() {
                state.no_settings = Some(text::observe_no_config_map(name));
            }
            let seen = format!("ConfigMap {name}");
            state.facts =
                keys.iter().flat_map(|(key, value)| facts_of(key, value, &seen)).collect();
        }
        let mut stop = self.stop.clone();
        select! {
            biased;
            _ = stop.thrown() => {}
            () = sleep_until(end) => {}
            () = self.watch(&mut state) => {}
        }
        // The last reading may take its time, but not the pod's grace period.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.read_again(&mut state)).await;
        self.tell(&mut state, Instant::now());
    }

    /// Looks for ever, over one connection after the other.
    async fn watch(&self, state: &mut State) {
        loop {
            let why = match self.connect().await {
                Ok(mut session) => self.look_on(&mut session, state).await.err(),
                Err(why) => Some(why),
            };
            state.cost.failed += 1;
            state.interrupted = Some(text::observe_interrupted(&why.unwrap_or_default()));
            self.tell(state, Instant::now());
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn connect(&self) -> Result<Session, String> {
        self.dialer.connect(0).await.map(|opened| opened.session).map_err(Refusal::words)
    }

    /// Looks until the connection ends.
    async fn look_on(&self, session: &mut Session, state: &mut State) -> Result<(), String> {
        self.learn(session, state).await?;
        let every = Duration::from_millis(self.watched.interval_ms);
        let mut due = interval_at(Instant::now(), every);
        due.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let sessions = questions::sessions(&self.watched);
        loop {
            due.tick().await;
            let asked = Instant::now();
            let look = self.ask_all(session, state, &sessions).await?;
            let now = Instant::now();
            let Some(look) = look else { continue };
            state.first.get_or_insert(now);
            state.last = Some(now);
            state.cost.looks += 1;
            state.took(now - asked);
            let happened = state.watch.look(look);
            let is_due = state.told.is_none_or(|told| now >= told + REFRESH);
            let is_news = !happened.is_empty();
            self.reporter.observed_now(&happened, now);
            if is_news || is_due {
                self.tell(state, now);
            }
        }
    }

    /// One look: sessions first, so that a row or a task that is gone by then went before them.
    async fn ask_all(
        &self,
        session: &mut Session,
        state: &mut State,
        sessions: &str,
    ) -> Result<Option<Look>, String> {
        let asked = Instant::now();
        let rows = ask(session, &mut state.cost, sessions).await??;
        let Some(mut look) = Look::of(&rows) else { return Ok(None) };
        if let Some(sql) = state.rights.workers.clone() {
            match ask(session, &mut state.cost, &sql).await? {
                Ok(rows) => look.workers = Some(rows.iter().filter_map(WorkerRow::of).collect()),
                Err(why) => state.miss(text::observe_refused("workers' rows", &why)),
            }
            look.rows_ms = look.at_ms + ms(asked.elapsed());
        }
        if let Some(sql) = state.rights.running.clone() {
            match ask(session, &mut state.cost, &sql).await? {
                Ok(rows) => look.running = Some(rows.iter().filter_map(Task::of).collect()),
                Err(why) => state.miss(text::observe_refused("running tasks", &why)),
            }
        }
        let missed = look.running.as_ref().map(|running| state.watch.missed(running));
        if let Some(missed) = missed.filter(|missed| !missed.is_empty()) {
            let over = |row: &Row| Some((field(row, 0)?.to_owned(), field(row, 1)? == "completed"));
            match ask(session, &mut state.cost, &questions::ended(&missed)).await? {
                Ok(rows) => look.ended = rows.iter().filter_map(over).collect(),
                Err(why) => state.miss(text::observe_refused("tasks that ended", &why)),
            }
        }
        Ok(Some(look))
    }

    /// Finds out what may be read, on each connection anew: a grant may have come.
    async fn learn(&self, session: &mut Session, state: &mut State) -> Result<(), String> {
        state.missing.clear();
        let user = &self.watched.user;
        let rows = ask(session, &mut state.cost, questions::RIGHTS).await??;
        let row = rows.first();
        let sees_all = row.and_then(|row| field(row, 0)) == Some("t");
        let is_same = row.and_then(|row| field(row, 1)) == Some(user.as_str());
        if !sees_all && !is_same {
            state.miss(text::observe_hidden());
        }
        let columns = Readable::of(&ask(session, &mut state.cost, questions::COLUMNS).await??);
        state.rights.workers = columns.workers();
        state.rights.running = columns.running();
        if state.rights.workers.is_none() {
            state.miss(text::observe_no_workers());
        }
        if state.rights.running.is_none() {
            state.miss(text::observe_no_tasks());
        }
        let schema = ask(session, &mut state.cost, questions::STATISTICS).await??;
        match schema.first().and_then(|row| field(row, 0)) {
            Some(schema) => {
                let sql = questions::statements(schema, &self.watched);
                if state.before.is_none() {
                    match ask(session, &mut state.cost, &sql).await? {
                        Ok(rows) => state.before = Some(seen(&rows)),
                        Err(why) => state.miss(text::observe_statements_unread(&why)),
                    }
                }
                state.rights.statements = Some(sql);
            }
            None => state.miss(text::observe_no_statements()),
        }
        Ok(())
    }

    /// Reads the statistics of statements once more, over a connection of its own: the other one may be in the
    /// middle of an answer.
    async fn read_again(&self, state: &mut State) {
        let (Some(before), Some(sql)) = (state.before.take(), state.rights.statements.clone())
        else {
            return;
        };
        let Ok(mut session) = self.connect().await else { return };
        if let Ok(Ok(rows)) = ask(&mut session, &mut state.cost, &sql).await {
            let keeps_text = self.watched.statements == StatementDetail::Normalised;
            state.statements = Some(ranked(&before, &seen(&rows), keeps_text));
        }
        session.leave(None).await;
    }

    fn tell(&self, state: &mut State, now: Instant) {
        state.told = Some(now);
        let mut observed = Observed {
            arm: self.arm,
            interval_ms: i64::try_from(self.watched.interval_ms).unwrap_or(i64::MAX),
            first_look: state.first.map(|first| self.clock.at(first)),
            last_look: state.last.map(|last| self.clock.at(last)),
            missing: [&state.interrupted, &state.no_settings]
                .into_iter()
                .flatten()
                .chain(&state.missing)
                .cloned()
                .collect(),
            statements: state.statements.clone(),
            ..state.watch.observed()
        };
        observed.cost = WatchCost {
            longest_gap_ms: observed.cost.longest_gap_ms,
            median_us: state.median_us(),
            ..state.cost
        };
        observed.facts.extend(state.facts.iter().cloned());
        self.reporter.observed(observed, now);
    }
}

impl State {
    fn miss(&mut self, what: String) {
        if !self.missing.contains(&what) {
            self.missing.push(what);
        }
    }

    fn median_us(&self) -> Option<i64> {
        let mut sorted: Vec<i64> = self.times.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }

    fn took(&mut self, length: Duration) {
        let us = i64::try_from(length.as_micros()).unwrap_or(i64::MAX);
        self.times.push_back(us);
        if self.times.len() > TIMES {
            self.times.pop_front();
        }
        self.cost.longest_us = self.cost.longest_us.max(Some(us));
    }
}

/// Asks, and counts it: see [`Session::answer`].
async fn ask(
    session: &mut Session,
    cost: &mut WatchCost,
    sql: &str,
) -> Result<Result<Vec<Row>, String>, String> {
    cost.queries += 1;
    session.answer(sql).await
}

fn seen(rows: &[Row]) -> Vec<Seen> {
    let seen = |row: &Row| {
        Some(Seen {
            query_id: number(row, 0).unwrap_or_default(),
            calls: number(row, 1)?,
            text: field(row, 2).unwrap_or_default().to_owned(),
        })
    };
    rows.iter().filter_map(seen).collect()
}
