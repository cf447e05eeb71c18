//! What all looks amount to. Pure: it reads no clock.

use super::{
    look::{Look, Session, Since, Task, WorkerRow},
    owner::{Candidate, choose, distance_ms},
    tally::Tally,
    track::{Tenant, Track, time},
};
use api::{
    lifetime::Spread,
    observed::{
        AliveCount, Evidence, Fact, Fate, FateCount, Life, LifeEnd, Observed, Role, RowSeen,
        TaskSeen, Worker,
    },
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Single lives that are kept of those that ended: more than ever fit into a report.
const KEPT: usize = 256;
/// A worker that has deleted its row has gone after so long, in milliseconds: Python takes its time.
const EXIT_MS: i64 = 5_000;
/// Pulp's default, for rows that don't say it (before pulpcore 3.90): after so long without a heartbeat others delete
/// a worker's row, in milliseconds.
const WORKER_TTL_MS: i64 = 30_000;
/// Heartbeats of a worker that are kept.
const BEATS: usize = 12;

/// What happened between two looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// A client came.
    Born(Box<Life>),
    /// A life ended.
    Ended(Box<Life>),
    /// A worker's row went.
    WorkerGone(Worker),
    /// The server was started anew.
    Restarted,
}

/// Which session: the server's process, and when it was opened.
type Key = (i32, i64);

/// All that was seen.
#[derive(Debug, Default)]
pub struct Watch {
    keeps_text: bool,
    /// The last look's time, and since when the server had been running.
    last: Option<(i64, Since)>,
    /// The last look could read the workers' rows.
    has_rows: bool,
    tracks: BTreeMap<Key, Track>,
    workers: BTreeMap<String, Row>,
    running: BTreeMap<String, Task>,
    /// Tasks that are over, each with whether it was completed.
    over: BTreeMap<String, bool>,
    ended: Vec<Life>,
    /// Of all lives that ended: how long they lived, and how long they had been silent.
    fates: BTreeMap<(Role, Fate), (Tally, Tally)>,
    addresses: BTreeSet<String>,
    lives: i32,
    restarts: Vec<i64>,
    gone: Vec<Worker>,
    longest_gap_ms: i64,
}

/// A worker's row, from look to look.
#[derive(Clone, Debug)]
struct Row {
    row: WorkerRow,
    beats: VecDeque<i64>,
    /// Between which looks it went.
    gone: Option<(i64, i64)>,
}

impl Watch {
    /// Nothing has been seen yet.
    #[must_use]
    pub fn new(keeps_text: bool) -> Self {
        Self { keeps_text, ..Self::default() }
    }

    /// Tasks that were running at the last look and no longer are.
    #[must_use]
    pub fn missed(&self, running: &[Task]) -> Vec<String> {
        let running: BTreeSet<_> = running.iter().map(|task| &task.id).collect();
        self.running.keys().filter(|id| !running.contains(id)).cloned().collect()
    }

    /// Takes in a look, and says what has happened since the last one.
    pub fn look(&mut self, look: Look) -> Vec<Happened> {
        let Look { at_ms, since, sessions, workers, rows_ms, running, ended } = look;
        let before = self.last.replace((at_ms, since));
        let before_ms = before.map(|(at, _)| at);
        let restarted = before.is_some_and(|(_, before)| since.is_after(before));
        self.longest_gap_ms = self.longest_gap_ms.max(before_ms.map_or(0, |before| at_ms - before));
        let mut happened = Vec::new();
        if restarted {
            self.restarts.push(since.latest_ms());
            happened.push(Happened::Restarted);
        }
        self.has_rows = workers.is_some();
        if let Some(rows) = workers {
            let gone = self.rows(rows, before_ms.unwrap_or(at_ms), rows_ms);
            happened.extend(gone.into_iter().map(Happened::WorkerGone));
        }
        let asked: BTreeSet<_> = self
            .tenants()
            .flat_map(|(_, tenant)| tenant.tasks().map(|(id, _)| id.clone()))
            .collect();
        self.over.extend(ended);
        self.over.retain(|id, _| asked.contains(id));
        let running = running.unwrap_or_default();
        self.running = running.into_iter().map(|task| (task.id.clone(), task)).collect();
        self.addresses.extend(sessions.iter().filter_map(|session| session.address.clone()));
        let ends = self.sessions(sessions, at_ms, before_ms.is_none(), &mut happened);
        for (seen, looked_ms, tenant, reset) in ends {
            let evidence = Evidence {
                role: tenant.role(),
                state: seen.state,
                lived_ms: tenant.lived_ms(at_ms),
                silence_ms: tenant.silence_ms(seen.state, at_ms),
                restarted,
                reset,
                row: self.row_of(&tenant, looked_ms, at_ms),
                task: self.task_of(&tenant),
            };
            let end = LifeEnd {
                after: time(looked_ms),
                before: time(at_ms),
                lived_ms: evidence.lived_ms,
                silence_ms: evidence.silence_ms,
                fate: Fate::of(&evidence),
            };
            let life = tenant.life(&seen, self.name_of(&tenant).as_deref(), at_ms, Some(end));
            let (lived, silent) = self.fates.entry((life.role, end.fate)).or_default();
            lived.add(end.lived_ms);
            silent.add(end.silence_ms);
            happened.push(Happened::Ended(Box::new(life.clone())));
            self.ended.push(life);
        }
        if self.ended.len() > 2 * KEPT {
            Life::sort(&mut self.ended);
            self.ended.truncate(KEPT);
        }
        self.join();
        happened
    }

    /// Takes in the workers' rows, and returns those that went.
    fn rows(&mut self, rows: Vec<WorkerRow>, before_ms: i64, rows_ms: i64) -> Vec<Worker> {
        let present: BTreeSet<String> = rows.iter().map(|row| row.id.clone()).collect();
        for row in rows {
            let known = self.workers.entry(row.id.clone()).or_insert_with(|| Row {
                row: row.clone(),
                beats: VecDeque::new(),
                gone: None,
            });
            if known.beats.back() != Some(&row.beat_ms) {
                known.beats.push_back(row.beat_ms);
                if known.beats.len() > BEATS {
                    known.beats.pop_front();
                }
            }
            known.row = row;
        }
        let mut gone = Vec::new();
        for (id, worker) in &mut self.workers {
            if worker.gone.is_none() && !present.contains(id) {
                worker.gone = Some((before_ms, rows_ms));
                gone.push(worker.told());
            }
        }
        self.gone.extend(gone.iter().cloned());
        self.gone.drain(..self.gone.len().saturating_sub(KEPT));
        gone
    }

    /// Takes in the sessions, and returns the clients that have gone: each with its session as it was seen last,
    /// when that was, and whether the session lives on.
    fn sessions(
        &mut self,
        sessions: Vec<Session>,
        at_ms: i64,
        is_first: bool,
        happened: &mut Vec<Happened>,
    ) -> Vec<(Session, i64, Tenant, bool)> {
        let mut ends = Vec::new();
        let mut present = BTreeSet::new();
        for seen in sessions {
            let key = (seen.pid, seen.opened_us);
            present.insert(key);
            let is_met = match self.tracks.get_mut(&key) {
                Some(track) => {
                    let was_vacant = track.tenant.is_none();
                    if let Some(tenant) = track.look(seen.clone(), at_ms, self.keeps_text) {
                        ends.push((track.seen.clone(), track.looked_ms, tenant, true));
                        track.vacate(seen, at_ms);
                    }
                    was_vacant
                }
                None => {
                    let track = Track::new(seen, at_ms, is_first, self.keeps_text);
                    self.tracks.insert(key, track);
                    true
                }
            };
            let track = &mut self.tracks.get_mut(&key);
            if let Some((track, tenant)) =
                track.as_mut().and_then(|track| Some((&track.seen, track.tenant.as_mut()?)))
            {
                self.running.values().for_each(|task| tenant.offer(task));
                if is_met {
                    self.lives += 1;
                    happened.push(Happened::Born(Box::new(tenant.life(track, None, at_ms, None))));
                }
            }
        }
        let missed: Vec<Key> =
            self.tracks.keys().filter(|key| !present.contains(key)).copied().collect();
        for key in missed {
            let Some(track) = self.tracks.remove(&key) else { continue };
            let Track { seen, looked_ms, tenant } = track;
            ends.extend(tenant.map(|tenant| (seen, looked_ms, tenant, false)));
        }
        ends
    }

    /// Finds the sessions of workers that have none yet.
    fn join(&mut self) {
        let joined: BTreeSet<String> = self
            .tenants()
            .filter_map(|(_, tenant)| Some(tenant.worker.as_ref()?.0.clone()))
            .collect();
        let alone = self
            .workers
            .iter()
            .filter(|(id, worker)| worker.gone.is_none() && !joined.contains(*id));
        let found: Vec<_> = alone
            .filter_map(|(id, worker)| {
                let free = self.tenants().filter(|(_, tenant)| tenant.worker.is_none());
                let candidate = |(key, tenant): (Key, &Tenant)| {
                    let created = worker.row.created_ms;
                    Some(Candidate {
                        key,
                        beats_ms: distance_ms(&worker.beats, &tenant.moments)?,
                        birth_ms: created.map(|at| (at - tenant.born_ms()).abs()),
                    })
                };
                let candidates: Vec<_> = free.filter_map(candidate).collect();
                Some((choose(&candidates)?, (id.clone(), worker.row.name.clone())))
            })
            .collect();
        // A session that two rows find is neither's.
        let is_shared = |key: &Key| found.iter().filter(|(other, _)| other == key).count() > 1;
        for (key, worker) in found.iter().filter(|(key, _)| !is_shared(key)) {
            if let Some(tenant) = self.tracks.get_mut(key).and_then(|track| track.tenant.as_mut()) {
                tenant.worker = Some(worker.clone());
            }
        }
    }

    fn tenants(&self) -> impl Iterator<Item = (Key, &Tenant)> {
        self.tracks.iter().filter_map(|(key, track)| Some((*key, track.tenant.as_ref()?)))
    }

    /// What became of the row of a client's worker, who was seen last at `looked_ms` and is missed now.
    fn row_of(&self, tenant: &Tenant, looked_ms: i64, at_ms: i64) -> RowSeen {
        let row = tenant.worker.as_ref().and_then(|(id, _)| self.workers.get(id));
        let Some(row) = row else { return RowSeen::Unknown };
        let Some((after, before)) = row.gone else {
            return if self.has_rows { RowSeen::Stayed } else { RowSeen::Unknown };
        };
        // Others delete the row of a worker that has not beaten for longer than its time to live. Where it became so
        // old between two looks, and the session went as well, nobody knows who did it.
        let ttl_ms = row.row.ttl_ms.unwrap_or(WORKER_TTL_MS);
        let was_stale = after - row.row.beat_ms > ttl_ms;
        if !was_stale && before - row.row.beat_ms > ttl_ms && looked_ms < before {
            return RowSeen::Unknown;
        }
        // Who leaves in order deletes his row last. Who was still there afterwards and had done nothing when it went has
        // not deleted it; who finds it deleted tries to beat. (A look asks for the rows after the sessions: only the
        // next one shows who did it.)
        let idle_meanwhile = looked_ms > before && tenant.active_ms() < after;
        let is_last_deed = tenant.active_ms() <= before && at_ms - before <= EXIT_MS;
        match is_last_deed && !idle_meanwhile && !was_stale {
            true => RowSeen::WentTogether,
            false => RowSeen::WentBefore,
        }
    }

    /// What became of a client's task. Where several were started at that moment, all must agree.
    fn task_of(&self, tenant: &Tenant) -> TaskSeen {
        let seen: Vec<TaskSeen> = tenant.tasks().map(|(id, _)| self.task(id)).collect();
        match seen[..] {
            [only] => only,
            [_, ..] if seen.iter().all(|it| *it == TaskSeen::Running) => TaskSeen::Running,
            _ => TaskSeen::Unknown,
        }
    }

    /// What became of a task. One that is neither running nor over is not to be read any more.
    fn task(&self, id: &str) -> TaskSeen {
        match self.over.get(id) {
            Some(true) => TaskSeen::Completed,
            Some(false) => TaskSeen::Failed,
            None if self.running.contains_key(id) => TaskSeen::Running,
            None => TaskSeen::Unknown,
        }
    }

    /// The name of a client's worker: by its heartbeats, or by its task.
    fn name_of(&self, tenant: &Tenant) -> Option<String> {
        if let Some((_, name)) = &tenant.worker {
            return Some(name.clone());
        }
        let mut workers = tenant.tasks().map(|(_, worker)| worker);
        let worker = workers.next()??;
        if workers.any(|other| other != Some(worker)) {
            return None;
        }
        Some(self.workers.get(worker)?.row.name.clone())
    }

    /// What was seen so far. What it cost, what was missing and statements are not known here.
    #[must_use]
    pub fn observed(&self) -> Observed {
        let at_ms = self.last.map_or(0, |(at, _)| at);
        let alive = self.tracks.values().filter_map(|track| {
            let tenant = track.tenant.as_ref()?;
            Some(tenant.life(&track.seen, self.name_of(tenant).as_deref(), at_ms, None))
        });
        let alive: Vec<Life> = alive.collect();
        let ages = |role| {
            let of_role = alive.iter().filter(move |life| life.role == role);
            Spread::of(of_role.map(|life| at_ms - life.born.as_millisecond()).collect())
        };
        let of_role = |role| Some(AliveCount { role, lived: ages(role)? });
        let present = self.workers.values().filter(|worker| worker.gone.is_none());
        let fates = self.fates.iter().filter_map(|((role, fate), (lived, silent))| {
            Some(FateCount {
                role: *role,
                fate: *fate,
                lived: lived.spread()?,
                silence: silent.spread()?,
            })
        });
        let mut observed = Observed {
            addresses: i32::try_from(self.addresses.len()).unwrap_or(i32::MAX),
            lives_seen: self.lives,
            alive: [Role::Main, Role::Task, Role::Other].into_iter().filter_map(of_role).collect(),
            restarts: self.restarts.iter().map(|ms| time(*ms)).collect(),
            fates: fates.collect(),
            lives: self.ended.iter().cloned().chain(alive).collect(),
            workers: self.gone.iter().cloned().chain(present.map(Row::told)).collect(),
            workers_seen: i32::try_from(self.workers.len()).unwrap_or(i32::MAX),
            facts: self.facts(),
            ..Observed::default()
        };
        if self.addresses.len() == 1 {
            observed.lives.iter_mut().for_each(|life| life.address = None);
        }
        observed.cost.longest_gap_ms = self.longest_gap_ms;
        observed.sort();
        observed
    }

    /// Settings of Pulp's as they show.
    fn facts(&self) -> Vec<Fact> {
        let fact = |name: &str, value: String, seen: &str| Fact {
            name: name.to_owned(),
            value,
            seen: seen.to_owned(),
        };
        let beats = self.tenants().filter_map(|(_, tenant)| tenant.beat_ms());
        let beat = Spread::of(beats.collect()).map(|beats| {
            let seconds = |ms: i64| format!("{}.{:01} s", ms / 1000, ms % 1000 / 100);
            let value = match (seconds(beats.min_ms), seconds(beats.max_ms)) {
                (least, most) if least == most => least,
                (least, most) => format!("{least} to {most}"),
            };
            fact("heartbeat interval", value, &format!("seen on {} sessions", beats.n))
        });
        let rows = || self.workers.values().map(|worker| &worker.row);
        let all = |values: BTreeSet<String>| values.into_iter().collect::<Vec<_>>().join(", ");
        let ttl: BTreeSet<_> =
            rows().filter_map(|row| row.ttl_ms).map(|ms| (ms / 1000).to_string()).collect();
        let versions: BTreeSet<_> = rows().filter_map(|row| row.version.clone()).collect();
        let ttl = (!ttl.is_empty()).then(|| fact("WORKER_TTL", all(ttl), "core_appstatus"));
        let version =
            (!versions.is_empty()).then(|| fact("pulpcore", all(versions), "core_appstatus"));
        beat.into_iter().chain(ttl).chain(version).collect()
    }
}

impl Row {
    fn told(&self) -> Worker {
        Worker {
            name: self.row.name.clone(),
            last_heartbeat: time(self.row.beat_ms),
            gone_after: self.gone.map(|(after, _)| time(after)),
            gone_before: self.gone.map(|(_, before)| time(before)),
        }
    }
}
