//! The record of one arm.

use crate::{clock::Clock, end::End, heard::Fate, meter::Meter, reconnect::Attempt};
use api::{
    close_form::{CloseForm, CloseWord},
    lifetime::{Spread, ms},
    report::{
        Arm, ArmReport, Cost, Counts, Ending, Inconclusive, LaneEnd, Notifications, Outcome,
        Reconnect, Rung, Server, TcpTimers,
    },
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::time::Instant;

/// Single connections that a group remembers: a report lists no more.
const MAX_LANES: usize = 32;
/// Groups that are kept apart. A server whose every message differs must not fill the memory.
const MAX_GROUPS: usize = 64;

/// The record of one arm.
#[derive(Clone, Debug)]
pub struct ArmRecord {
    arm: Arm,
    connections: usize,
    connected: usize,
    counts: Counts,
    cut_words: BTreeMap<CloseWord, i32>,
    /// Lifetimes of connections that were cut, in milliseconds; an interval by its upper end.
    cut_lifetimes: Vec<i64>,
    groups: Vec<Group>,
    server: Option<Server>,
    tcp: Option<TcpTimers>,
    meter: Arc<Meter>,
    notifications: Option<Notifications>,
    /// By silence, in milliseconds.
    ladder: BTreeMap<u64, Rung>,
    reconnect: Option<Reconnect>,
    /// The longest outage without an end, before the one that is followed now.
    unended_before: Option<i64>,
}

/// Ends that look alike.
#[derive(Clone, Debug)]
struct Group {
    outcome: Outcome,
    reason: Option<Inconclusive>,
    form: Option<CloseForm>,
    detail: Option<String>,
    n: i32,
    lifetimes: Vec<i64>,
    lanes: Vec<LaneEnd>,
}

impl ArmRecord {
    pub(super) fn new(arm: Arm, connections: usize) -> Self {
        Self {
            arm,
            connections,
            connected: 0,
            counts: Counts::default(),
            cut_words: BTreeMap::new(),
            cut_lifetimes: Vec::new(),
            groups: Vec::new(),
            server: None,
            tcp: None,
            meter: Arc::default(),
            notifications: None,
            ladder: BTreeMap::new(),
            reconnect: None,
            unended_before: None,
        }
    }

    /// Which path.
    #[must_use]
    pub fn arm(&self) -> Arm {
        self.arm
    }

    /// How many ended in which way.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many were cut, by close form.
    #[must_use]
    pub fn cut_words(&self) -> &BTreeMap<CloseWord, i32> {
        &self.cut_words
    }

    /// How many connections are open.
    #[must_use]
    pub fn alive(&self) -> usize {
        let gone: usize = self.groups.iter().map(|group| group.lifetimes.len()).sum();
        self.connected.saturating_sub(gone)
    }

    /// How many connections have not been opened yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let ended = usize::try_from(self.counts.ended()).unwrap_or_default();
        self.connections.saturating_sub(ended + self.alive())
    }

    pub(super) fn meter(&self) -> Arc<Meter> {
        Arc::clone(&self.meter)
    }

    pub(super) fn connected(&mut self, server: &Server, tcp: Option<TcpTimers>) {
        self.connected += 1;
        self.server.get_or_insert_with(|| server.clone());
        self.tcp = self.tcp.or(tcp);
    }

    pub(super) fn reconnected(&mut self, attempt: Attempt) {
        let told = self.reconnect.get_or_insert_default();
        let since_cut = |at: Instant| Some(ms(at.saturating_duration_since(attempt.cut.at)));
        if attempt.first {
            told.outages += 1;
            self.unended_before = told.unended_after_ms;
        }
        told.attempts += 1;
        match attempt.result {
            Err(error) => {
                told.last_error = Some(error);
                told.unended_after_ms = told.unended_after_ms.max(since_cut(attempt.began));
            }
            Ok(answerer) => {
                told.longest_outage_ms = told.longest_outage_ms.max(since_cut(attempt.ended));
                told.unended_after_ms = self.unended_before;
                told.server_started_at = answerer.started_at;
                told.in_recovery = answerer.in_recovery;
                told.server_address = answerer.address.map(|address| address.to_string());
            }
        }
    }

    pub(super) fn announced(&mut self, fate: &Fate) {
        let told = self.notifications.get_or_insert_default();
        match fate {
            Fate::Failed(_) => told.send_failed += 1,
            Fate::Heard | Fate::Unheard => told.sent += 1,
        }
        told.heard_by_sender += i32::from(*fate == Fate::Heard);
    }

    pub(super) fn ended(&mut self, told: LaneEnd, end: End) {
        self.counts.count(end.outcome, 1);
        // Of what is not known to have been cut only the lower bound counts.
        let was_cut = end.outcome == Outcome::Disconnected;
        let lifetime = end.lifetime.map(|l| l.max_ms.filter(|_| was_cut).unwrap_or(l.min_ms));
        if was_cut {
            self.cut_lifetimes.extend(lifetime);
            if let Some(form) = &end.form {
                *self.cut_words.entry(form.word).or_default() += 1;
            }
        }
        if let Some((received, expected)) = end.heard {
            let told = self.notifications.get_or_insert_default();
            told.received += i32::try_from(received).unwrap_or(i32::MAX);
            told.expected += i32::try_from(expected).unwrap_or(i32::MAX);
        }
        if let Some(ms) = end.silence_ms {
            let silence_ms = i64::try_from(ms).unwrap_or(i64::MAX);
            let rung = Rung { silence_ms, cut: 0, survived: 0 };
            let rung = self.ladder.entry(ms).or_insert(rung);
            rung.cut += i32::from(end.outcome == Outcome::Disconnected);
            rung.survived += i32::from(end.outcome == Outcome::Survived);
        }
        let group = self.group(end);
        group.n += 1;
        group.lifetimes.extend(lifetime);
        let place = group.lanes.partition_point(|other| other.at <= told.at);
        if place < MAX_LANES {
            group.lanes.insert(place, told);
            group.lanes.truncate(MAX_LANES);
        }
    }

    fn group(&mut self, end: End) -> &mut Group {
        let full = self.groups.len() >= MAX_GROUPS;
        let alike = |group: &Group| {
            group.outcome == end.outcome
                && group.reason == end.reason
                && group.form == end.form
                && group.detail == end.detail
        };
        let rest = |group: &Group| {
            group.outcome == end.outcome
                && group.reason == end.reason
                && group.form.is_none()
                && group.detail.as_deref() == Some(VARIOUS)
        };
        let found = self
            .groups
            .iter()
            .position(alike)
            .or_else(|| self.groups.iter().position(rest).filter(|_| full));
        let index = found.unwrap_or_else(|| {
            self.groups.push(Group {
                outcome: end.outcome,
                reason: end.reason,
                form: end.form.filter(|_| !full),
                detail: if full { Some(VARIOUS.to_owned()) } else { end.detail },
                n: 0,
                lifetimes: Vec::new(),
                lanes: Vec::new(),
            });
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }

    pub(super) fn report(&self) -> ArmReport {
        let mut endings: Vec<Ending> = self.groups.iter().map(Group::ending).collect();
        endings.sort_by_key(|ending| ending.lanes.first().map(|lane| lane.at));
        ArmReport {
            arm: self.arm,
            connections: i32::try_from(self.connections).unwrap_or(i32::MAX),
            counts: self.counts,
            cut_lifetime: Spread::of(self.cut_lifetimes.clone()),
            endings,
            server: self.server.clone(),
            tcp: self.tcp,
            cost: Some(self.meter.cost()).filter(|cost| *cost != Cost::default()),
            notifications: self.notifications,
            ladder: self.ladder.values().copied().collect(),
            reconnect: self.reconnect.clone(),
        }
    }
}

/// What is told of a lane alone.
pub(super) fn told(clock: Clock, lane: usize, end: &End) -> LaneEnd {
    LaneEnd {
        lane: i32::try_from(lane).unwrap_or(i32::MAX),
        phase: end.phase,
        at: clock.at(end.at),
        lifetime: end.lifetime,
        clocks: end.clocks,
        requests: end.requests.map(|n| i32::try_from(n).unwrap_or(i32::MAX)),
        tcp_info: end.tcp_info,
        local_port: end.local_port.map(i32::from),
        peer: end.peer.map(|peer| peer.to_string()),
    }
}

/// What the detail says of ends that do not look alike; as `api` says it when it merges.
const VARIOUS: &str = "various";

impl Group {
    fn ending(&self) -> Ending {
        Ending {
            outcome: self.outcome,
            reason: self.reason,
            form: self.form.clone(),
            detail: self.detail.clone(),
            n: self.n,
            lifetime: Spread::of(self.lifetimes.clone()),
            lanes: self.lanes.clone(),
        }
    }
}
