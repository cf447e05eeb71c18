//! What a watcher saw of sessions that others hold: of real workers.
//!
//! The view is the server's (`pg_stat_activity`, PostgreSQL docs "The Cumulative Statistics System"). Behind a proxy or
//! a pooler a session is the proxy's: its address is the proxy's, and one session may serve many clients, one after
//! the other. A pooler in session mode sends `DISCARD ALL` when a client has gone; there the life ends, and another
//! one may begin.

use crate::{
    lifetime::Spread,
    report::{Arm, shorten},
    schema,
    statement::Statements,
    text,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod fate;
mod fit;
mod life;
mod worker;

pub use fate::{Evidence, Fate, RowSeen, TaskSeen};
pub use life::{Life, LifeEnd, Role, State};
pub use worker::{Fact, SETTINGS, Worker, facts_of};

/// What a watcher saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// Over which path it asked.
    pub arm: Arm,
    /// Milliseconds from one look to the next, as was asked for.
    pub interval_ms: i64,
    /// When it first looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub first_look: Option<Timestamp>,
    /// When it last looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_look: Option<Timestamp>,
    /// What looking cost.
    pub cost: WatchCost,
    /// What could not be read, and what would change that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), inner(length(max = 200)))]
    pub missing: Vec<String>,
    /// From how many addresses sessions came.
    pub addresses: i32,
    /// How many lives were seen in all.
    pub lives_seen: i32,
    /// Those of them that went on when it last looked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub alive: Vec<AliveCount>,
    /// When the server was started anew meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::times")]
    pub restarts: Vec<Timestamp>,
    /// What became of lives that ended, those of most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    pub fates: Vec<FateCount>,
    /// Single lives, those first that tell most: as many as fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub lives: Vec<Life>,
    /// The workers' own rows in core_appstatus (core_worker before pulpcore 3.90), where they may be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub workers: Vec<Worker>,
    /// How many rows of workers were seen in all.
    #[serde(default)]
    pub workers_seen: i32,
    /// Statements that pin a session of RDS Proxy, from pg_stat_statements before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statements: Option<Statements>,
    /// Pulp's settings, as far as they were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub facts: Vec<Fact>,
}

/// What looking cost, and how far it can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WatchCost {
    /// Looks that were answered.
    pub looks: i64,
    /// Looks that were not: the watcher had to connect anew.
    #[serde(default, skip_serializing_if = "schema::is_zero")]
    pub failed: i64,
    /// The longest time between two looks, in milliseconds: no end is known better than to this in its worst place.
    pub longest_gap_ms: i64,
    /// Statements that were sent.
    pub queries: i64,
    /// From question to answer of a look, in microseconds: the median of the last 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub median_us: Option<i64>,
    /// The longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_us: Option<i64>,
}

/// Lives that ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FateCount {
    /// What they were.
    pub role: Role,
    /// What became of them.
    pub fate: Fate,
    /// How long they lived, as far as the server knows when they were born.
    pub lived: Spread,
    /// How long they had been silent at the end.
    pub silence: Spread,
}

/// Lives that went on when the watcher last looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AliveCount {
    /// What they are.
    pub role: Role,
    /// How long they had lived by then: at least so long will they have lived.
    pub lived: Spread,
}

/// Lives of one kind.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// What they were.
    pub role: Role,
    /// How many.
    pub n: i32,
    /// Of how many it is known whether they were cut.
    pub conclusive: i32,
    /// How many of them were cut.
    pub cut: i32,
    /// The shortest life of those, in milliseconds.
    pub first_cut_ms: Option<i64>,
    /// The longest life of all, in milliseconds: at least.
    pub longest_ms: Option<i64>,
    /// What became of those that ended.
    pub ended: Vec<&'a FateCount>,
}

impl Part<'_> {
    /// What became of them, in words.
    #[must_use]
    pub fn fates(&self) -> String {
        let fate =
            |count: &&FateCount| format!("{} {}", count.lived.n, text::session_fate(count.fate));
        match self.ended.is_empty() {
            true => "none".to_owned(),
            false => self.ended.iter().map(fate).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Observed {
    /// Lives of each kind of which there were some.
    #[must_use]
    pub fn parts(&self) -> Vec<Part<'_>> {
        let part = |role| {
            let ended: Vec<_> = self.fates.iter().filter(|count| count.role == role).collect();
            let cut = || ended.iter().filter(|count| count.fate.is_cut());
            let alive = self.alive.iter().find(|count| count.role == role).map(|count| count.lived);
            let gone: i32 = ended.iter().map(|count| count.lived.n).sum();
            let n = gone.saturating_add(alive.map_or(0, |lived| lived.n));
            let lived = ended.iter().map(|count| count.lived).chain(alive);
            Part {
                role,
                n,
                conclusive: n - self.count(role, Fate::Unknown),
                cut: cut().map(|count| count.lived.n).sum(),
                first_cut_ms: cut().map(|count| count.lived.min_ms).min(),
                longest_ms: lived.map(|lived| lived.max_ms).max(),
                ended,
            }
        };
        let parts = [Role::Main, Role::Task, Role::Other].map(part);
        parts.into_iter().filter(|part| part.n > 0).collect()
    }

    /// Whether it says something: it could look, and saw somebody.
    #[must_use]
    pub fn is_conclusive(&self) -> bool {
        self.cost.looks > 1 && self.lives_seen > 0
    }

    /// Of how many sessions it is known whether they were cut.
    #[must_use]
    pub fn conclusive(&self) -> i32 {
        self.parts().iter().map(|part| part.conclusive).sum()
    }

    /// How many sessions went on when it last looked.
    #[must_use]
    pub fn going_on(&self) -> i32 {
        self.alive.iter().map(|count| count.lived.n).sum()
    }

    /// How many sessions were cut, as far as that is known.
    #[must_use]
    pub fn cut(&self) -> i32 {
        self.fates.iter().filter(|count| count.fate.is_cut()).map(|count| count.lived.n).sum()
    }

    /// How many lives of this role met this fate.
    #[must_use]
    pub fn count(&self, role: Role, fate: Fate) -> i32 {
        self.fates(role, fate).map_or(0, |count| count.lived.n)
    }

    /// Lives of this role that met this fate.
    #[must_use]
    pub fn fates(&self, role: Role, fate: Fate) -> Option<&FateCount> {
        self.fates.iter().find(|count| count.role == role && count.fate == fate)
    }

    /// Keeps within the bounds of the schema.
    pub fn bound(&mut self) {
        self.missing.truncate(6);
        self.missing.iter_mut().for_each(|text| shorten(text, 200));
        self.restarts.truncate(8);
        self.alive.truncate(3);
        self.fates.truncate(24);
        self.lives.truncate(64);
        self.lives.iter_mut().for_each(Life::bound);
        self.workers.truncate(64);
        self.workers.iter_mut().for_each(Worker::bound);
        self.facts.truncate(16);
        self.facts.iter_mut().for_each(Fact::bound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_live_on_count_though_few_are_told_and_of_an_end_that_nobody_knows_nothing_is_said()
    {
        let spread = |ms: &[i64]| Spread::of(ms.to_vec()).expect("some");
        let count = |role, fate, lived: &[i64]| FateCount {
            role,
            fate,
            lived: spread(lived),
            silence: spread(lived),
        };
        let observed = Observed {
            alive: vec![AliveCount { role: Role::Main, lived: spread(&[5_000, 70_000]) }],
            fates: vec![
                count(Role::Main, Fate::CutIdle, &[60_000]),
                count(Role::Main, Fate::Unknown, &[1_000, 1_000]),
                count(Role::Other, Fate::Unknown, &[9_000]),
            ],
            ..Observed::default()
        };
        let parts = observed.parts();
        let told = |part: &Part<'_>| (part.role, part.n, part.conclusive, part.cut);
        let told: Vec<_> = parts.iter().map(told).collect();
        assert_eq!(told, [(Role::Main, 5, 3, 1), (Role::Other, 1, 0, 0)]);
        assert_eq!((parts[0].first_cut_ms, parts[0].longest_ms), (Some(60_000), Some(70_000)));
    }
}
