//! Folds what the kernel told, look by look, into the lives of connections. Times are in milliseconds of the wall clock.

use super::{
    life::{Life, Phased},
    seen::{Seen, State},
};
use api::sockets::{Event, Late, Noticed, SocketLife};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

/// Connections that ended and are remembered: some megabytes.
const MOST: usize = 10_000;

/// Which connections are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The peers' ports.
    pub ports: Vec<u16>,
    /// The peer's address, if it matters.
    pub to: Option<IpAddr>,
}

/// When the kernel was asked, and when it had answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What is told is not older.
    pub asked_ms: i64,
    /// And not newer.
    pub answered_ms: i64,
}

/// What happened, and when it was noticed.
pub type Told = (i64, Event);

/// The lives of connections.
pub struct Tracker {
    watched: Watched,
    interval_ms: i64,
    noticed: Noticed,
    /// Those that may still be told of, by the kernel's names for them.
    lives: BTreeMap<u64, Life>,
    ended: Vec<(usize, SocketLife)>,
    /// How many were met.
    met: usize,
    untold: i64,
    last: Option<Look>,
    /// Names of all that the last look saw.
    there: BTreeSet<u64>,
    /// Since the last look the kernel could not tell of all ends.
    has_lost: bool,
    late: Option<Late>,
}

impl Watched {
    fn is(&self, peer: SocketAddr) -> bool {
        self.ports.contains(&peer.port()) && self.to.is_none_or(|to| to == peer.ip())
    }
}

impl Tracker {
    /// Of nothing yet.
    #[must_use]
    pub fn new(watched: Watched, interval_ms: i64, noticed: Noticed) -> Self {
        Self {
            watched,
            interval_ms,
            noticed,
            lives: BTreeMap::new(),
            ended: Vec::new(),
            met: 0,
            untold: 0,
            last: None,
            there: BTreeSet::new(),
            has_lost: false,
            late: None,
        }
    }

    /// The kernel told of all connections that there are.
    pub fn look(&mut self, look: Look, all: &[Seen]) -> Vec<Told> {
        self.note_gap(look);
        let mut told = Vec::new();
        let (mut there, mut remembered) = (BTreeSet::new(), BTreeSet::new());
        for seen in all {
            match seen.info {
                _ if !self.watched.is(seen.peer) => {}
                None if seen.state == State::OwnClosed => {
                    remembered.insert((seen.local, seen.peer));
                }
                None => {}
                Some(_) => {
                    there.insert(seen.cookie);
                    self.meet(look, seen, &mut told);
                }
            }
        }
        self.there = there;
        self.miss(look, &remembered, &mut told);
        self.last = Some(look);
        told
    }

    /// The kernel told that a socket was destroyed. Whether that concerns us, so that it is worth a look.
    pub fn destroyed(&mut self, at_ms: i64, seen: &Seen) -> bool {
        let after = self.last.map_or(at_ms, |last| last.answered_ms);
        if let Some(life) = self.lives.get_mut(&seen.cookie) {
            life.destroyed(at_ms, seen);
            return true;
        }
        let was_open = seen.info.is_some_and(|info| info.acked > 0);
        let is_old = self.last.is_none() || self.there.contains(&seen.cookie);
        if !was_open || is_old || !self.watched.is(seen.peer) {
            return false;
        }
        // It came and went since the last look.
        let mut life = Life::new(self.met, seen, Some((after, at_ms)), at_ms);
        life.destroyed(at_ms, seen);
        self.met += 1;
        self.lives.insert(seen.cookie, life);
        true
    }

    /// The kernel could not tell of all that ended: whoever is missed now may have been one of them.
    pub fn lost_ends(&mut self) {
        self.has_lost = true;
    }

    /// All of them, in the order in which they were met; how many more there were; and whether looks came late.
    #[must_use]
    pub fn end(self) -> (Vec<SocketLife>, i64, Option<Late>) {
        let until = self.last.map_or(0, |last| last.answered_ms);
        let alive = self.lives.into_values().map(Life::unwatched);
        let alive = alive.map(|life| (life.number, life.told(until)));
        let mut all: Vec<_> = self.ended.into_iter().chain(alive).collect();
        all.sort_by_key(|(number, _)| *number);
        (all.into_iter().map(|(_, life)| life).collect(), self.untold, self.late)
    }

    /// A connection that is there.
    fn meet(&mut self, look: Look, seen: &Seen, told: &mut Vec<Told>) {
        if !self.lives.contains_key(&seen.cookie) {
            // Of one that our side has closed already, or that is being opened, there is nothing to tell.
            if !matches!(seen.state, State::Open | State::PeerClosed) {
                return;
            }
            let born = self.last.map(|last| (last.asked_ms, look.answered_ms));
            let mut life = Life::new(self.met, seen, born, look.answered_ms);
            let new = life.see(look, seen);
            told.push((look.answered_ms, Event::Born(life.told(look.answered_ms))));
            told.extend(new.map(|new| tell(look, &life, new)));
            self.met += 1;
            self.lives.insert(seen.cookie, life);
        } else if let Some(life) = self.lives.get_mut(&seen.cookie) {
            let new = life.see(look, seen);
            told.extend(new.map(|new| tell(look, life, new)));
        }
    }

    /// Those that are not there any more.
    fn miss(
        &mut self,
        look: Look,
        remembered: &BTreeSet<(SocketAddr, SocketAddr)>,
        told: &mut Vec<Told>,
    ) {
        let hears = self.noticed == Noticed::Events && !std::mem::take(&mut self.has_lost);
        for (cookie, life) in &mut self.lives {
            if !self.there.contains(cookie) {
                let is_remembered = remembered.contains(&(life.local, life.peer));
                let new = life.miss(look, is_remembered, hears);
                told.extend(new.map(|new| tell(look, life, new)));
            }
        }
        for (_, life) in self.lives.extract_if(.., |_, life| life.is_over()) {
            if self.ended.len() < MOST {
                self.ended.push((life.number, life.told(look.answered_ms)));
            } else {
                self.untold += 1;
            }
        }
    }

    /// Whether this look came late.
    fn note_gap(&mut self, look: Look) {
        let gap = self.last.map_or(0, |last| look.asked_ms - last.asked_ms);
        if gap > 2 * self.interval_ms {
            let late = self.late.get_or_insert(Late { looks: 0, longest_ms: 0 });
            late.looks += 1;
            late.longest_ms = late.longest_ms.max(gap);
        }
    }
}

fn tell(look: Look, life: &Life, new: Phased) -> Told {
    let told = life.told(look.answered_ms);
    (
        look.answered_ms,
        match new {
            Phased::Closed => Event::Closed(told),
            Phased::Ended => Event::Ended(told),
        },
    )
}

#[cfg(test)]
mod tests;
