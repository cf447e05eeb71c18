//! What became more between two readings of pg_stat_statements.

use super::{Class, PinRule, normalise, rule};
use crate::schema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many kinds of statements are told.
pub const MOST: usize = 16;
/// What pg_stat_statements has in place of another role's text, for whoever is not in pg_read_all_stats.
const HIDDEN: &str = "<insufficient privilege>";

/// A row of pg_stat_statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `queryid`; 0 where it is hidden.
    pub query_id: i64,
    /// `calls`: how often it was executed since the statistics began.
    pub calls: i64,
    /// `query`.
    pub text: String,
}

/// Which statements were executed between two readings of pg_stat_statements.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Statements {
    /// By what they do: those that pin a session of RDS Proxy first, then by calls; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub counts: Vec<StatementCount>,
    /// Whether statistics were reset between the readings: what was executed before that is missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
    /// Whether statements made way for others (`pg_stat_statements.max`): some calls are missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub evicted: bool,
    /// Calls of statements whose text could not be read.
    #[serde(default, skip_serializing_if = "schema::is_zero")]
    #[schemars(range(min = 0))]
    pub unread: i64,
    /// Calls of kinds that are not told.
    #[serde(default, skip_serializing_if = "schema::is_zero")]
    #[schemars(range(min = 0))]
    pub left_out: i64,
}

/// Statements that do the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatementCount {
    /// What they do.
    pub class: Class,
    /// The rule by which they pin a session of RDS Proxy. Absent: they don't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<PinRule>,
    /// How often they were executed.
    #[schemars(range(min = 0))]
    pub calls: i64,
    /// How many different ones there are.
    #[schemars(range(min = 0))]
    pub statements: i32,
    /// The one that was executed most, every literal in it replaced by `$1`, `$2` and so on. Only where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub text: Option<String>,
}

/// What was executed between two readings. Of a statement with several rows, of more than one role or database, the sum
/// counts. Calls that became fewer were counted anew, by a reset or because the statement had made way and came back:
/// then all that are there count.
#[must_use]
pub fn ranked(before: &[Seen], after: &[Seen], keep_text: bool) -> Statements {
    let (before, after) = (sums(before), sums(after));
    let mut told = Statements::default();
    let is_gone = |id: &i64| !after.contains_key(id);
    let all_gone = !before.is_empty() && before.keys().all(is_gone);
    told.reset = all_gone;
    let mut groups: BTreeMap<(Class, Option<PinRule>), Group<'_>> = BTreeMap::new();
    for (id, (calls, text)) in &after {
        let earlier = before.get(id).map_or(0, |(calls, _)| *calls);
        told.reset |= *calls < earlier;
        let calls = if *calls < earlier { *calls } else { calls.saturating_sub(earlier) };
        if calls <= 0 {
            continue;
        }
        if text.trim().is_empty() || *text == HIDDEN {
            told.unread = told.unread.saturating_add(calls);
            continue;
        }
        let class = Class::of(text);
        groups.entry((class, rule::of(class, text))).or_default().add(calls, text);
    }
    told.evicted = !told.reset && before.keys().any(is_gone);
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|((_, rule), group)| (weight(*rule), -group.calls));
    let left_out = groups.split_off(groups.len().min(MOST));
    told.left_out = left_out.iter().fold(0, |sum, (_, group)| group.calls.saturating_add(sum));
    told.counts = groups
        .into_iter()
        .map(|((class, rule), group)| StatementCount {
            class,
            rule,
            calls: group.calls,
            statements: group.statements,
            text: keep_text.then(|| normalise(group.text)),
        })
        .collect();
    told
}

/// What pins is told first, then what may.
fn weight(rule: Option<PinRule>) -> u8 {
    match rule {
        Some(rule) if rule.is_settled() => 0,
        Some(_) => 1,
        None => 2,
    }
}

/// Calls and text by statement.
fn sums(rows: &[Seen]) -> BTreeMap<i64, (i64, &str)> {
    let mut sums = BTreeMap::new();
    for row in rows {
        let (calls, text) = sums.entry(row.query_id).or_insert((0_i64, row.text.as_str()));
        *calls = calls.saturating_add(row.calls.max(0));
        // One of its rows may be hidden.
        if *text == HIDDEN {
            *text = &row.text;
        }
    }
    sums
}

#[derive(Default)]
struct Group<'a> {
    calls: i64,
    statements: i32,
    /// Of the one that was executed most, and how often.
    text: &'a str,
    most: i64,
}

impl<'a> Group<'a> {
    fn add(&mut self, calls: i64, text: &'a str) {
        self.calls = self.calls.saturating_add(calls);
        self.statements = self.statements.saturating_add(1);
        if calls > self.most {
            (self.text, self.most) = (text, calls);
        }
    }
}
