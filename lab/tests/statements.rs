//! What pg_stat_statements of a real server makes of one statement of every kind, and what psycopg and Django send.

#![expect(clippy::expect_used, clippy::panic, reason = "what goes wrong here is a failed test")]

use api::{
    statement::{Class, PinRule, Seen, StatementCount, Statements, normalise, ranked},
    text,
};
use lab::{
    postgres::{self, Postgres},
    server::command,
};
use std::{collections::BTreeSet, fs, path::Path};

/// What is executed, as one session. Of PREPARE and DEALLOCATE PostgreSQL 15 keeps no entry, and an EXECUTE counts as
/// its PREPARE.
const SESSION: &[(&str, Option<Class>)] = &[
    ("CREATE TABLE t (a int, b text)", Some(Class::Ddl)),
    ("CREATE SEQUENCE s", Some(Class::Ddl)),
    ("CREATE TABLE core_appstatus (pulp_id int, last_heartbeat timestamptz)", Some(Class::Ddl)),
    ("SELECT 'LISTEN a', 'SET b'", Some(Class::Select)),
    ("INSERT INTO t VALUES (1, 'SET a = 1')", Some(Class::Insert)),
    ("UPDATE t SET a = 2", Some(Class::Update)),
    ("DELETE FROM t", Some(Class::Delete)),
    (
        "MERGE INTO t USING (VALUES (1)) AS u (c) ON a = c WHEN NOT MATCHED THEN INSERT (a) VALUES (c)",
        Some(Class::Merge),
    ),
    (
        "UPDATE \"core_appstatus\" SET \"last_heartbeat\" = '2026-01-01'::timestamptz WHERE \"pulp_id\" = 1",
        Some(Class::Heartbeat),
    ),
    ("WITH u AS (SELECT 1 AS c) INSERT INTO t (a) SELECT c FROM u", Some(Class::Insert)),
    ("BEGIN", Some(Class::Begin)),
    ("SET LOCAL work_mem = '8MB'", Some(Class::SetLocal)),
    ("SAVEPOINT p", Some(Class::Savepoint)),
    ("ROLLBACK TO SAVEPOINT p", Some(Class::Savepoint)),
    ("DECLARE c CURSOR FOR SELECT 1", Some(Class::Cursor)),
    ("FETCH FORWARD 2000 FROM c", Some(Class::Cursor)),
    ("CLOSE c", Some(Class::Cursor)),
    ("SELECT pg_try_advisory_xact_lock(0, 42)", Some(Class::TransactionLock)),
    ("COMMIT", Some(Class::Commit)),
    ("BEGIN", Some(Class::Begin)),
    ("ROLLBACK", Some(Class::Rollback)),
    ("SET TIMEZONE TO 'UTC'", Some(Class::Set)),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", Some(Class::Set)),
    ("SELECT set_config('TimeZone', 'UTC', false)", Some(Class::SetConfig)),
    ("RESET TIMEZONE", Some(Class::Reset)),
    ("LISTEN pulp_worker_wakeup", Some(Class::Listen)),
    ("UNLISTEN pulp_worker_wakeup", Some(Class::Unlisten)),
    ("NOTIFY pulp_worker_wakeup, 'handle'", Some(Class::Notify)),
    ("SELECT pg_notify('pulp_worker_wakeup', 'handle')", Some(Class::Notify)),
    ("SELECT pg_advisory_lock(7)", Some(Class::SessionLock)),
    ("SELECT pg_advisory_unlock(7)", Some(Class::SessionLock)),
    ("CREATE TEMPORARY TABLE tt (a int)", Some(Class::TemporaryTable)),
    ("SELECT 1 AS a INTO TEMP ti", Some(Class::TemporaryTable)),
    ("SELECT nextval('s')", Some(Class::Sequence)),
    ("LOAD 'auto_explain'", Some(Class::Load)),
    ("COPY t TO '/dev/null'", Some(Class::Copy)),
    ("SHOW TIMEZONE", Some(Class::Show)),
    ("DO $$BEGIN PERFORM set_config('TimeZone', 'UTC', false); END$$", Some(Class::Other)),
    ("PREPARE p AS SELECT 5", None),
    ("EXECUTE p", Some(Class::Prepare)),
    ("DEALLOCATE p", None),
    ("DISCARD PLANS", Some(Class::Discard)),
];

fn server() -> Postgres {
    let postgres = Postgres::start(&postgres::Options {
        settings: "shared_preload_libraries = 'pg_stat_statements'",
        ..postgres::Options::default()
    });
    postgres.sql("CREATE EXTENSION pg_stat_statements");
    postgres
}

/// A reading. Texts are in hexadecimal: some have more than one line.
const READ: &str = "SELECT coalesce(queryid, 0), calls, encode(convert_to(query, 'UTF8'), 'hex') \
                    FROM pg_stat_statements";

fn read(postgres: &Postgres) -> Vec<Seen> {
    rows(&postgres.sql(READ))
}

fn rows(rows: &str) -> Vec<Seen> {
    let seen = |row: &str| {
        let [id, calls, text] = row.split('|').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let text = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
        let text = text.collect::<Result<Vec<_>, _>>().expect("hexadecimal");
        Seen {
            query_id: id.parse().expect("an id"),
            calls: calls.parse().expect("a count"),
            text: String::from_utf8(text).expect("UTF-8"),
        }
    };
    rows.lines().map(seen).collect()
}

/// What became more while this was done.
fn between(postgres: &Postgres, act: impl FnOnce()) -> Statements {
    let before = read(postgres);
    act();
    ranked(&before, &read(postgres), true)
}

fn count(told: &Statements, class: Class) -> Option<&StatementCount> {
    told.counts.iter().find(|count| count.class == class)
}

#[test]
fn a_server_keeps_texts_that_tell_what_was_done() {
    let postgres = server();
    let all: Vec<&str> = SESSION.iter().map(|(sql, _)| *sql).collect();
    let before = read(&postgres);
    postgres.sql(&all.join("; "));
    postgres.sql("DISCARD ALL");
    let after = read(&postgres);
    let is_new = |seen: &&Seen| !before.iter().any(|it| it.query_id == seen.query_id);
    let new: Vec<&Seen> = after.iter().filter(is_new).collect();
    let found: BTreeSet<Class> = new.iter().map(|seen| Class::of(&seen.text)).collect();
    let sent = SESSION.iter().filter_map(|(_, class)| *class).chain([Class::DiscardAll]);
    let sent: Vec<Class> = sent.collect();
    assert_eq!(found, sent.iter().copied().collect(), "{new:#?}");
    let told = ranked(&before, &after, true);
    let calls = |class| sent.iter().filter(|it| **it == class).count();
    for count in &told.counts {
        // Our own reading is one of the SELECTs.
        let calls = calls(count.class) + usize::from(count.class == Class::Select);
        assert_eq!(usize::try_from(count.calls), Ok(calls), "{told:#?}");
        assert_eq!(count.rule, count.class.rule());
    }
    // All that pins is told, and said.
    let pin: BTreeSet<Class> = sent.into_iter().filter(|class| class.rule().is_some()).collect();
    let told_to_pin = told.counts.iter().filter(|count| count.rule.is_some());
    assert_eq!(told_to_pin.map(|count| count.class).collect::<BTreeSet<_>>(), pin);
    let said = text::pinning_statements(&told).join("\n");
    assert!(said.contains("DISCARD ALL pins: 1 call of 1 statement"), "{said}");
    // Whether it is for the transaction only, nobody can see.
    let set_config = count(&told, Class::SetConfig).and_then(|count| count.text.as_deref());
    assert_eq!(set_config, Some("SELECT set_config($1, $2, $3)"));
}

#[test]
fn a_secret_in_a_text_of_the_server_is_not_passed_on() {
    let postgres = server();
    let told = between(&postgres, || {
        postgres.role("app", "s3cret-of-a-role");
        postgres.sql("ALTER ROLE app SET app.token TO s3cret_of_a_setting");
        postgres.sql("SET app.token TO s3cret_of_a_session");
    });
    let texts: String = read(&postgres).into_iter().map(|seen| seen.text).collect();
    for secret in ["s3cret-of-a-role", "s3cret_of_a_setting", "s3cret_of_a_session"] {
        assert!(texts.contains(secret), "PostgreSQL 15 keeps it: {texts}");
    }
    let said = format!("{told:?} {}", text::pinning_statements(&told).join(" "));
    assert!(!said.contains("s3cret"), "{said}");
    assert!(said.contains("SET app.token TO $1"), "{said}");
}

/// Its text is kept without constants: what was sent may have been longer.
#[test]
fn a_long_statement_is_seen_where_its_text_is_long_without_constants() {
    let postgres = server();
    postgres.sql("CREATE TABLE t (a int, b text)");
    let rows = vec!["(1, 'b')"; 4_000].join(", ");
    let (one, long) = ("b".repeat(20_000), format!("INSERT INTO t VALUES {rows}"));
    let told = between(&postgres, || {
        postgres.sql(&long);
        postgres.sql(&format!("INSERT INTO t VALUES (1, '{one}')"));
    });
    let inserts: Vec<_> = told.counts.iter().filter(|count| count.class == Class::Insert).collect();
    let rules: Vec<_> = inserts.iter().map(|count| (count.rule, count.calls)).collect();
    assert_eq!(rules, [(Some(PinRule::Length), 1), (None, 1)], "{inserts:?}");
}

#[test]
fn what_a_role_may_not_read_is_counted_as_unread() {
    let postgres = server();
    postgres.role("watcher", "s3cret-of-the-test");
    let as_watcher = |sql: &str| rows(&postgres.sql(&format!("SET ROLE watcher; {sql}")));
    let before = as_watcher(READ);
    postgres.sql("LISTEN a");
    let after = as_watcher(READ);
    let told = ranked(&before, &after, false);
    assert!(told.unread > 0 && count(&told, Class::Listen).is_none(), "{told:?}");
    postgres.sql("GRANT pg_read_all_stats TO watcher");
    let before = as_watcher(READ);
    postgres.sql("LISTEN a");
    let told = ranked(&before, &as_watcher(READ), false);
    assert_eq!(count(&told, Class::Listen).map(|count| count.calls), Some(1), "{told:?}");
    assert_eq!(told.unread, 0);
}

#[test]
fn a_reset_between_the_readings_is_told() {
    let postgres = server();
    for _ in 0..3 {
        postgres.sql("LISTEN a");
    }
    let told = between(&postgres, || {
        postgres.sql("SELECT pg_stat_statements_reset()");
        postgres.sql("LISTEN a");
    });
    assert!(told.reset, "{told:?}");
    assert_eq!(count(&told, Class::Listen).map(|count| count.calls), Some(1));
}

/// Parse, Bind and Execute in place of PREPARE and EXECUTE: AWS says that they don't pin.
#[test]
fn what_is_prepared_by_the_protocol_is_no_prepare() {
    let postgres = server();
    postgres.role("by_trust", "s3cret-of-the-test");
    let script = std::env::temp_dir().join(format!("statements-{}.sql", std::process::id()));
    fs::write(&script, "SELECT 5;\n").expect("a file");
    let told = between(&postgres, || {
        let done = command("/usr/lib/postgresql/15/bin/pgbench")
            .args(["-n", "-M", "prepared", "-t", "7", "-h", "127.0.0.1", "-U", "by_trust"])
            .args([
                "-p",
                &postgres.port.to_string(),
                "-f",
                &script.display().to_string(),
                "postgres",
            ])
            .output()
            .expect("pgbench");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    });
    fs::remove_file(&script).expect("the file");
    assert!(count(&told, Class::Select).is_some_and(|count| count.calls >= 7), "{told:?}");
    assert_eq!(told.counts.iter().find(|count| count.rule.is_some()), None, "{told:?}");
}

/// All that psycopg and Django send in the plan's tests, as it was recorded.
const RECORDED: &[(&str, Class)] = &[
    ("BEGIN", Class::Begin),
    ("COMMIT", Class::Commit),
    ("LISTEN test_task_dispatch", Class::Listen),
    ("NOTIFY test_task_dispatch, $1", Class::Notify),
    ("ROLLBACK", Class::Rollback),
    ("SELECT $1", Class::Select),
    (
        "SELECT \"core_task\".\"pulp_id\", \"core_task\".\"name\", \"core_task\".\"state\" FROM \"core_task\" ORDER BY \
         \"core_task\".\"pulp_id\" ASC LIMIT $1",
        Class::Select,
    ),
    ("SELECT * FROM core_task LIMIT $1 FOR UPDATE", Class::Select),
    (
        "SELECT COUNT(*) AS \"__count\" FROM \"core_task\" WHERE \"core_task\".\"state\" = $1",
        Class::Select,
    ),
    ("SELECT COUNT(*) FROM core_task WHERE state = $1", Class::Select),
    ("SELECT COUNT(*) FROM core_worker WHERE online = true", Class::Select),
    ("SELECT pulp_id, name FROM core_task LIMIT $1", Class::Select),
    ("SELECT set_config($1, $2, false)", Class::SetConfig),
    ("SET TIMEZONE TO $1", Class::Set),
    ("SHOW TIMEZONE", Class::Show),
    ("UNLISTEN test_task_dispatch", Class::Unlisten),
];

#[test]
fn what_psycopg_and_django_send_is_told_apart() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces/fixtures");
    let mut found = BTreeSet::new();
    for client in ["psycopg", "django"] {
        for file in fs::read_dir(fixtures.join(client)).expect("fixtures") {
            let trace = fs::read_to_string(file.expect("a file").path()).expect("a trace");
            let texts = trace.lines().filter_map(|line| {
                // The types of parameters are behind a text that is parsed.
                let parsed = line.strip_prefix("> Parse ").and_then(|line| line.split_once(' '));
                let parsed = parsed.and_then(|(_, text)| text.rsplit_once(' '));
                line.strip_prefix("> Query ").or(parsed.map(|(text, _)| text))
            });
            found.extend(texts.map(|text| (normalise(text), Class::of(text))));
        }
    }
    let expected = RECORDED.iter().map(|(text, class)| ((*text).to_owned(), *class));
    assert_eq!(found, expected.collect());
}
