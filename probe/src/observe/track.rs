//! One session, from look to look.

use super::look::{Session, Task};
use api::{
    beats::{Beats, Rhythm},
    observed::{Life, LifeEnd, Role, State},
    statement::{Class, normalise},
};
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};

/// Moments of activity that are kept, to find out whose heartbeats they are.
const MOMENTS: usize = 32;
/// A task's first statement comes so soon after its start, in milliseconds: by two clocks.
const SAME_START_MS: i64 = 3_000;
/// A task that is no further from the start than the nearest one is by this, in milliseconds, may be it as well: at
/// least so much, and for a session that was not new as much as lies between two looks.
const AS_NEAR_MS: i64 = 100;

/// A session, and the client that has it now.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) seen: Session,
    /// When it was last looked at, by the server's clock.
    pub(super) looked_ms: i64,
    /// Its present client; none between two of a pooler's.
    pub(super) tenant: Option<Tenant>,
}

/// One client's time on a session.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    born_ms: i64,
    before_us: bool,
    first_query_ms: Option<i64>,
    beats: Beats,
    /// When it was active.
    pub(super) moments: VecDeque<i64>,
    active: i64,
    transactions: i64,
    transaction_ms: Option<i64>,
    longest_transaction_ms: Option<i64>,
    pub(super) last: Class,
    text: Option<String>,
    /// The worker whose heartbeats these are: its key and name.
    pub(super) worker: Option<(String, String)>,
    /// The time from one look to the next, in milliseconds: whoever is always at work was active in each, and a rhythm
    /// like that is the watcher's own.
    step_ms: i64,
    /// How well its beginning is known, in milliseconds.
    vague_ms: i64,
    /// Tasks that were started when it was: how far from that, in milliseconds, and the key of the worker that runs it.
    offered: BTreeMap<String, (i64, Option<String>)>,
}

impl Track {
    /// A session that is met: with its first client, unless a pooler has just taken it back.
    pub(super) fn new(seen: Session, at_ms: i64, is_first_look: bool, keeps_text: bool) -> Self {
        let born_ms = if seen.opened_us > 0 { seen.opened_us / 1000 } else { at_ms };
        let vacant = Class::of(&seen.query) == Class::DiscardAll && seen.state == State::Idle;
        let tenant = (!vacant).then(|| Tenant::new(born_ms, &seen, is_first_look, keeps_text));
        Self { seen, looked_ms: at_ms, tenant }
    }

    /// It is looked at again. Its client, if it has gone meanwhile; another one may have come.
    pub(super) fn look(&mut self, seen: Session, at_ms: i64, keeps_text: bool) -> Option<Tenant> {
        let is_new = seen.query_ms > self.seen.query_ms;
        let class = Class::of(&seen.query);
        let gone = if is_new && class == Class::DiscardAll {
            self.tenant.take()
        } else {
            match &mut self.tenant {
                Some(tenant) => {
                    tenant.step_ms = at_ms - self.looked_ms;
                    tenant.look(&self.seen, &seen, keeps_text);
                }
                None if is_new => {
                    let born_ms = seen.query_ms.unwrap_or(at_ms);
                    let mut tenant = Tenant::new(born_ms, &seen, false, keeps_text);
                    tenant.vague_ms = AS_NEAR_MS.max(at_ms - self.looked_ms);
                    self.tenant = Some(tenant);
                }
                None => {}
            }
            None
        };
        if gone.is_none() {
            self.seen = seen;
            self.looked_ms = at_ms;
        }
        gone
    }

    /// A pooler's client has gone, and the session waits for the next one.
    pub(super) fn vacate(&mut self, seen: Session, at_ms: i64) {
        (self.seen, self.looked_ms, self.tenant) = (seen, at_ms, None);
    }
}

impl Tenant {
    fn new(born_ms: i64, seen: &Session, before_us: bool, keeps_text: bool) -> Self {
        // What it did before it was met is not known: a silence until then is none.
        let known_ms = if before_us { seen.query_ms.unwrap_or(born_ms) } else { born_ms };
        let mut beats = Beats::new(known_ms);
        let mut moments = VecDeque::new();
        for at in [seen.query_ms, seen.changed_ms].into_iter().flatten() {
            beats.active(at);
            moments.push_back(at);
        }
        let has_asked = !seen.query.is_empty();
        let asked_ms = seen.query_ms.filter(|_| has_asked && !before_us);
        Self {
            born_ms,
            before_us,
            first_query_ms: asked_ms.map(|at| (at - born_ms).max(0)),
            beats,
            moments,
            active: i64::from(has_asked),
            transactions: i64::from(seen.transaction_ms.is_some()),
            transaction_ms: seen.transaction_ms,
            longest_transaction_ms: None,
            last: Class::of(&seen.query),
            text: keeps_text.then(|| normalise(&seen.query)),
            worker: None,
            step_ms: 0,
            vague_ms: AS_NEAR_MS,
            offered: BTreeMap::new(),
        }
    }

    fn look(&mut self, before: &Session, seen: &Session, keeps_text: bool) {
        let moments = [(before.query_ms, seen.query_ms), (before.changed_ms, seen.changed_ms)];
        for at in moments.into_iter().filter_map(|(before, at)| at.filter(|_| at != before)) {
            self.beats.active(at);
            self.moments.push_back(at);
        }
        while self.moments.len() > MOMENTS {
            self.moments.pop_front();
        }
        if before.query_ms != seen.query_ms || before.changed_ms != seen.changed_ms {
            self.active += 1;
        }
        if before.query_ms != seen.query_ms {
            let asked_ms = seen.query_ms.filter(|_| !self.before_us);
            let first = asked_ms.map(|at| (at - self.born_ms).max(0));
            self.first_query_ms = self.first_query_ms.or(first);
            self.last = Class::of(&seen.query);
            self.text = keeps_text.then(|| normalise(&seen.query));
        }
        if let Some(begun) = self.transaction_ms
            && seen.transaction_ms != Some(begun)
        {
            let ended = seen.changed_ms.or(seen.query_ms).unwrap_or(begun);
            self.longest_transaction_ms = self.longest_transaction_ms.max(Some(ended - begun));
        }
        if seen.transaction_ms.is_some() && seen.transaction_ms != self.transaction_ms {
            self.transactions += 1;
        }
        self.transaction_ms = seen.transaction_ms;
    }

    /// When it began.
    pub(super) fn born_ms(&self) -> i64 {
        self.born_ms
    }

    /// When it was last active.
    pub(super) fn active_ms(&self) -> i64 {
        self.beats.last_ms()
    }

    /// It may be a task's, if it began when the task did.
    pub(super) fn offer(&mut self, task: &Task) {
        let Some(started) = task.started_ms.filter(|_| !self.before_us) else { return };
        let first_ms = self.first_query_ms.map(|after| self.born_ms + after);
        let apart = (started - self.born_ms).abs();
        let apart = first_ms.map_or(apart, |first| apart.min((started - first).abs()));
        if apart <= SAME_START_MS {
            self.offered.insert(task.id.clone(), (apart, task.worker.clone()));
        }
    }

    /// The tasks that may be its own, each with the key of the worker that runs it: one, if things are clear.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (&String, Option<&String>)> {
        let nearest = self.offered.values().map(|(apart, _)| *apart).min().unwrap_or_default();
        let as_near = move |apart: i64| apart <= nearest + self.vague_ms;
        let near = self.offered.iter().filter(move |(_, (apart, _))| as_near(*apart));
        near.map(|(id, (_, worker))| (id, worker.as_ref()))
    }

    pub(super) fn role(&self) -> Role {
        if self.worker.is_some() || self.rhythm() == Rhythm::Beating {
            Role::Main
        } else if self.offered.is_empty() {
            Role::Other
        } else {
            Role::Task
        }
    }

    /// What is told of it: of a session in this state, looked at last at `at_ms`.
    pub(super) fn life(
        &self,
        seen: &Session,
        worker: Option<&str>,
        at_ms: i64,
        end: Option<LifeEnd>,
    ) -> Life {
        let open_ms = self.transaction_ms.map(|begun| at_ms - begun);
        Life {
            pid: seen.pid,
            role: self.role(),
            rhythm: self.rhythm(),
            born: time(self.born_ms),
            before_us: self.before_us,
            first_query_ms: self.first_query_ms,
            beat_ms: self.beat_ms(),
            active: self.active,
            transactions: self.transactions,
            longest_transaction_ms: self.longest_transaction_ms.max(open_ms),
            longest_silence_ms: self.beats.longest_silence_ms(at_ms),
            state: seen.state,
            last: self.last,
            statement: self.text.clone().filter(|text| !text.is_empty()),
            wait: seen.wait.clone().filter(|_| seen.state == State::Active),
            worker: worker.map(str::to_owned),
            address: seen.address.clone(),
            end,
        }
    }

    /// How long it had been silent when it was missed.
    pub(super) fn silence_ms(&self, state: State, at_ms: i64) -> i64 {
        match state {
            State::Active => 0,
            State::Idle | State::InTransaction | State::Hidden => (at_ms - self.active_ms()).max(0),
        }
    }

    pub(super) fn lived_ms(&self, until_ms: i64) -> i64 {
        (until_ms - self.born_ms).max(0)
    }

    pub(super) fn beat_ms(&self) -> Option<i64> {
        self.beats.beat_ms().filter(|beat| 2 * beat > 3 * self.step_ms)
    }

    fn rhythm(&self) -> Rhythm {
        match self.beats.rhythm() {
            Rhythm::Beating if self.beat_ms().is_none() => Rhythm::Working,
            rhythm => rhythm,
        }
    }
}

/// A moment of the server's.
pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}
