//! What is said of statements that pin a session of RDS Proxy.

use crate::statement::{Class, PinRule, StatementCount, Statements};

/// Nothing was found.
const NOTHING_PINS: &str = "None of the statements that were seen between the two readings pins a session of RDS Proxy by \
AWS's published list. What functions and procedures set inside is not in it: the proxy does not notice it either. Prepared \
statements of the protocol are not: since November 2023 they don't pin.";
/// Whose statements these are.
const WHOSE: &str = "Whatever ran under that role in that database counts, the probe's own connections too if they use it, \
and what a proxy or a pool sends for it by itself: its initialization query, its resets.";
/// Calls are missing.
const RESET: &str =
    "The statistics were reset between the two readings: what was executed before that is missing.";
/// Some are.
const EVICTED: &str = "Statements made way for others between the two readings, so that calls are missing: raise \
pg_stat_statements.max.";

/// What the statements between two readings of pg_stat_statements mean for pinning, a sentence or two each.
#[must_use]
pub fn pinning_statements(told: &Statements) -> Vec<String> {
    let mut lines: Vec<String> = told.counts.iter().filter_map(pins).collect();
    lines.extend((!lines.is_empty()).then(|| WHOSE.to_owned()));
    let is_settled = |count: &StatementCount| count.rule.is_some_and(PinRule::is_settled);
    if !told.counts.iter().any(is_settled) {
        lines.push(NOTHING_PINS.to_owned());
    }
    lines.extend(told.reset.then(|| RESET.to_owned()));
    lines.extend(told.evicted.then(|| EVICTED.to_owned()));
    lines.extend((told.unread > 0).then(|| unread(told.unread)));
    lines.extend((told.left_out > 0).then(|| left_out_calls(told.left_out)));
    lines
}

/// What is said of statements that do the same, if they pin.
#[must_use]
pub fn pins(count: &StatementCount) -> Option<String> {
    let rule = count.rule?;
    let long = if rule == PinRule::Length { " of more than 16 KB" } else { "" };
    let pins = if rule.is_settled() { "pins" } else { "may pin" };
    let (calls, statements) = (calls(count.calls), different(count.statements));
    let mut line = format!(
        "{}{long} {pins}: {calls} of {statements} between the two readings. AWS: {} Instead: {}",
        called(count.class),
        aws_says(rule),
        instead(rule, count.class),
    );
    if let Some(text) = &count.text {
        line += &format!(" Most often: {text}");
    }
    Some(line)
}

/// What AWS says of a rule, in our words. User guides of RDS and Aurora, "Avoiding pinning an RDS Proxy".
#[must_use]
pub fn aws_says(rule: PinRule) -> &'static str {
    match rule {
        PinRule::Set => "SET commands pin.",
        PinRule::Parameter => "setting a parameter, by set_config() too, or resetting it pins.",
        PinRule::Listen => "listening on a channel pins.",
        PinRule::Lock => {
            "functions such as pg_advisory_lock() and pg_try_advisory_lock() pin, those of the transaction don't."
        }
        PinRule::Prepare => "PREPARE, EXECUTE, DEALLOCATE and DISCARD, as statements, pin.",
        PinRule::Discard => {
            "discarding the session's state pins; DISCARD ALL as a pool's reset query does so at each release."
        }
        PinRule::Temporary => "creating a temporary table, sequence or view pins.",
        PinRule::Cursor => "declaring a cursor pins.",
        PinRule::Sequence => "functions such as nextval() and setval() pin.",
        PinRule::Load => "loading a library pins.",
        PinRule::Length => "a statement of more than 16 KB of text pins.",
        PinRule::Local => {
            "SET commands pin; that SET LOCAL does not is written for MySQL only, nothing for PostgreSQL."
        }
    }
}

/// What to do in place of a statement that pins.
#[must_use]
pub fn instead(rule: PinRule, class: Class) -> &'static str {
    match rule {
        PinRule::Parameter if class == Class::Reset => {
            "change nothing that must be reset; set it in the proxy's initialization query or by ALTER ROLE … SET."
        }
        PinRule::Parameter => {
            "let the server have the value that the client wants: ALTER ROLE … SET, or the proxy's initialization query. \
             Django sends set_config() only where TimeZone differs from its own. With true as third argument, which can't \
             be seen here, it ends with the transaction."
        }
        PinRule::Set => "the proxy's initialization query, or ALTER ROLE … SET.",
        PinRule::Listen => {
            "let whoever listens connect to the database itself; with WORKER_TYPE=redis (from pulpcore 3.108 on) workers don't \
             listen."
        }
        PinRule::Lock => {
            "locks of the transaction, pg_advisory_xact_lock(): pulpcore has no others from 3.91 on."
        }
        PinRule::Prepare => {
            "prepare by the protocol, or not at all: psycopg with prepare_threshold=None sends no DEALLOCATE either."
        }
        PinRule::Discard => "no reset query in a pool in front of the proxy.",
        PinRule::Temporary => "a WITH, or an unlogged table with a column for whose rows they are.",
        PinRule::Cursor => {
            "read in pages by key; in Django DISABLE_SERVER_SIDE_CURSORS = True, or no .iterator()."
        }
        PinRule::Sequence => "a column with a default or GENERATED AS IDENTITY, and RETURNING.",
        PinRule::Load => "shared_preload_libraries, or session_preload_libraries of the role.",
        PinRule::Length => {
            "smaller batches (Django: batch_size), an array as one parameter, or COPY."
        }
        PinRule::Local => {
            "nothing, before a run on AWS has shown the proxy's pinned sessions with it and without."
        }
    }
}

/// What the statements of a class are called.
fn called(class: Class) -> &'static str {
    match class {
        Class::Set => "SET",
        Class::SetLocal => "SET LOCAL",
        Class::SetConfig => "set_config()",
        Class::Reset => "RESET",
        Class::Listen => "LISTEN",
        Class::Unlisten => "UNLISTEN",
        Class::Notify => "NOTIFY",
        Class::SessionLock => "pg_advisory_lock()",
        Class::TransactionLock => "pg_advisory_xact_lock()",
        Class::Cursor => "DECLARE or FETCH",
        Class::TemporaryTable => "CREATE TEMPORARY",
        Class::Prepare => "PREPARE",
        Class::Discard => "DISCARD",
        Class::DiscardAll => "DISCARD ALL",
        Class::Sequence => "nextval() or setval()",
        Class::Load => "LOAD",
        Class::Copy => "COPY",
        Class::Heartbeat => "A beat",
        Class::Select => "SELECT",
        Class::Insert => "INSERT",
        Class::Update => "UPDATE",
        Class::Delete => "DELETE",
        Class::Merge => "MERGE",
        Class::Begin => "BEGIN",
        Class::Commit => "COMMIT",
        Class::Rollback => "ROLLBACK",
        Class::Savepoint => "SAVEPOINT",
        Class::Ddl => "DDL",
        Class::Show => "SHOW",
        Class::Empty => "An empty text",
        Class::Other => "Another statement",
    }
}

fn unread(n: i64) -> String {
    format!(
        "{} could not be read: GRANT pg_read_all_stats to the role that reads, or let it be the workers' own.",
        calls(n)
    )
}

fn left_out_calls(n: i64) -> String {
    format!("{} of statements that do something else again are left out.", calls(n))
}

fn calls(n: i64) -> String {
    if n == 1 { "1 call".to_owned() } else { format!("{} calls", grouped(n)) }
}

fn different(n: i32) -> String {
    if n == 1 { "1 statement".to_owned() } else { format!("{} statements", grouped(n.into())) }
}

/// `1,240`.
fn grouped(n: i64) -> String {
    let digits = n.max(0).to_string();
    let first = digits.len() % 3;
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && i % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::{Seen, ranked};

    #[test]
    fn thousands_are_grouped() {
        let told = [0, 999, 1_240, 12_400, 1_240_000].map(grouped);
        assert_eq!(told, ["0", "999", "1,240", "12,400", "1,240,000"]);
    }

    #[test]
    fn what_pins_says_what_to_do_instead() {
        let count = |class: Class, rule| StatementCount {
            class,
            rule,
            calls: 1_240,
            statements: 3,
            text: None,
        };
        let of_classes = Class::ALL.map(|class| count(class, class.rule()));
        let mut lines: Vec<String> = of_classes.iter().filter_map(pins).collect();
        let long = count(Class::Insert, Some(PinRule::Length));
        let text = Some("INSERT INTO t VALUES ($1)".to_owned());
        lines.extend(pins(&StatementCount { calls: 1, statements: 1, text, ..long }));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_does_not_pin_and_what_is_missing_is_said() {
        let seen = |query_id, calls, text: &str| Seen { query_id, calls, text: text.to_owned() };
        let told = |before: &[Seen], after: &[Seen]| {
            pinning_statements(&ranked(before, after, false)).join("\n")
        };
        let gone = seen(2, 9, "SELECT 2");
        let texts = [
            told(&[], &[seen(1, 9, "SELECT 1")]),
            told(&[], &[seen(1, 9, "SET LOCAL a = 1")]),
            told(&[gone, seen(1, 3, "SELECT 1")], &[seen(1, 1, "SELECT 1")]),
            told(&[seen(2, 9, "SELECT 2"), seen(1, 3, "SELECT 1")], &[seen(1, 4, "SELECT 1")]),
            told(&[], &[seen(0, 1_000, "<insufficient privilege>"), seen(1, 1, "LISTEN a")]),
        ];
        insta::assert_snapshot!(texts.join("\n\n"));
    }
}
