use super::*;
use proptest::{collection::vec, prelude::*, sample::select};

/// Statements, and what they do. Those that the hand-written plan would take for a SET stand among them.
const TABLE: &[(&str, Class)] = &[
    ("SELECT 1", Class::Select),
    ("SELECT 'LISTEN x'", Class::Select),
    ("SELECT 'SET a TO b', $$SET a$$ -- SET LOCAL", Class::Select),
    ("select \"set_config\"(1)", Class::Select),
    ("SELECT a.set_config(1), set_config FROM nextval", Class::Select),
    ("SELECT 'pg_advisory_lock(1)'", Class::Select),
    ("SELECT * FROM core_task LIMIT 1 FOR UPDATE", Class::Select),
    ("SELECT CASE WHEN true THEN 1 END", Class::Select),
    ("(SELECT 1) UNION (SELECT 2)", Class::Select),
    (" \t\n-- SET x\n/* SET /* y */ */ SELECT 1", Class::Select),
    ("VALUES (1)", Class::Select),
    ("TABLE t", Class::Select),
    ("INSERT INTO t VALUES ('SET ')", Class::Insert),
    ("INSERT INTO temp SELECT 1", Class::Insert),
    ("UPDATE t SET a = 1", Class::Update),
    ("update only public.t set last_heartbeat = now()", Class::Update),
    ("UPDATE \"core_task\" SET \"state\" = 'running'", Class::Update),
    ("UPDATE core_appstatus SET name = 'last_heartbeat'", Class::Update),
    ("DELETE FROM t", Class::Delete),
    ("MERGE INTO t USING u ON a = b WHEN MATCHED THEN DELETE", Class::Merge),
    (
        "UPDATE \"core_appstatus\" SET \"last_heartbeat\" = $1 WHERE \"pulp_id\" = $2",
        Class::Heartbeat,
    ),
    ("UPDATE \"core_worker\" SET \"last_heartbeat\" = '2026-01-01'::timestamptz", Class::Heartbeat),
    ("update public.core_worker set last_heartbeat=now()", Class::Heartbeat),
    ("WITH a AS (INSERT INTO t VALUES (1) RETURNING b) SELECT * FROM a", Class::Select),
    ("WITH a AS (SELECT 1), b(c) AS MATERIALIZED (SELECT 2) INSERT INTO t SELECT 1", Class::Insert),
    ("WITH RECURSIVE update AS (SELECT 1) DELETE FROM t", Class::Delete),
    ("WITH a AS (SELECT 1), insert AS (SELECT 2) UPDATE t SET b = 1", Class::Update),
    ("WITH a AS (SELECT 1) MERGE INTO t USING a ON true WHEN MATCHED THEN DELETE", Class::Merge),
    ("WITH a AS (INSERT INTO temp VALUES (1)) SELECT 1", Class::Select),
    ("BEGIN", Class::Begin),
    ("begin isolation level serializable", Class::Begin),
    ("START TRANSACTION READ ONLY", Class::Begin),
    ("COMMIT", Class::Commit),
    ("END", Class::Commit),
    ("ROLLBACK", Class::Rollback),
    ("ABORT", Class::Rollback),
    ("ROLLBACK TO SAVEPOINT \"s1_x1\"", Class::Savepoint),
    ("SAVEPOINT \"s1_x1\"", Class::Savepoint),
    ("RELEASE SAVEPOINT \"s1_x1\"", Class::Savepoint),
    ("SET TIMEZONE TO 'UTC'", Class::Set),
    ("/* a */SET/* b */a=1", Class::Set),
    ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Class::Set),
    ("SET SESSION AUTHORIZATION a", Class::Set),
    ("SET ROLE a", Class::Set),
    ("set time zone 'UTC'", Class::Set),
    ("SET search_path = local", Class::Set),
    ("SET LOCAL statement_timeout = 1", Class::SetLocal),
    ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", Class::SetLocal),
    ("SET CONSTRAINTS ALL IMMEDIATE", Class::SetLocal),
    ("SELECT set_config('a.b', 'c', true)", Class::SetLocal),
    ("SELECT set_config('a.b', concat('c', 'd'), 'on')", Class::SetLocal),
    ("SELECT set_config('TimeZone', 'UTC', false)", Class::SetConfig),
    ("SELECT set_config($1, $2, $3)", Class::SetConfig),
    ("SELECT pg_catalog.set_config ('search_path', '', false)", Class::SetConfig),
    ("SELECT set_config('a', 'true', false), set_config('b', 'c', true)", Class::SetConfig),
    ("SELECT 1 WHERE set_config('a', 'b'", Class::SetConfig),
    ("UPDATE t SET a = set_config('b', c, false)", Class::SetConfig),
    ("RESET ALL", Class::Reset),
    ("LISTEN pulp_worker_wakeup", Class::Listen),
    ("listen \"a b\"", Class::Listen),
    ("UNLISTEN *", Class::Unlisten),
    ("NOTIFY a, 'SET b'", Class::Notify),
    ("SELECT pg_notify('pulp_worker_wakeup', 'handle')", Class::Notify),
    ("SELECT pg_advisory_lock(1)", Class::SessionLock),
    ("SELECT pg_try_advisory_lock(0, 42)", Class::SessionLock),
    ("SELECT PG_TRY_ADVISORY_LOCK_SHARED(1)", Class::SessionLock),
    ("SELECT pg_advisory_unlock(1)", Class::SessionLock),
    ("SELECT pg_advisory_unlock_all()", Class::SessionLock),
    ("SELECT pg_advisory_xact_lock(1), pg_advisory_lock(2)", Class::SessionLock),
    ("SELECT pg_try_advisory_xact_lock(0, 42)", Class::TransactionLock),
    ("SELECT pg_advisory_xact_lock_shared(1)", Class::TransactionLock),
    ("DECLARE \"_django_curs_1\" NO SCROLL CURSOR WITH HOLD FOR SELECT 1", Class::Cursor),
    ("FETCH FORWARD 2000 FROM \"_django_curs_1\"", Class::Cursor),
    ("MOVE 1 FROM a", Class::Cursor),
    ("CLOSE a", Class::Cursor),
    ("CREATE TEMP TABLE a (b int)", Class::TemporaryTable),
    ("CREATE TEMPORARY SEQUENCE a", Class::TemporaryTable),
    ("create or replace local temporary view a as select 1", Class::TemporaryTable),
    ("SELECT 1 AS a INTO TEMP b", Class::TemporaryTable),
    ("WITH a AS (SELECT 1) SELECT * INTO LOCAL TEMPORARY TABLE b FROM a", Class::TemporaryTable),
    ("PREPARE a AS SELECT 1", Class::Prepare),
    ("EXECUTE a(1)", Class::Prepare),
    ("DEALLOCATE ALL", Class::Prepare),
    ("PREPARE TRANSACTION 'a'", Class::Other),
    ("DISCARD PLANS", Class::Discard),
    ("DISCARD ALL", Class::DiscardAll),
    ("SELECT nextval('a')", Class::Sequence),
    ("INSERT INTO t VALUES (nextval($1))", Class::Sequence),
    ("SELECT setval('a', 1)", Class::Sequence),
    ("SELECT currval('a')", Class::Select),
    ("LOAD 'auto_explain'", Class::Load),
    ("COPY t FROM STDIN", Class::Copy),
    ("CREATE TABLE temp (a int DEFAULT nextval('b'))", Class::Ddl),
    ("ALTER ROLE a SET b = c", Class::Ddl),
    ("DROP TABLE t", Class::Ddl),
    ("SHOW TIMEZONE", Class::Show),
    ("", Class::Empty),
    (" ; -- SET a = 1", Class::Empty),
    ("EXPLAIN SELECT 1", Class::Other),
    ("DO $$BEGIN PERFORM set_config('a', 'b', false); END$$", Class::Other),
    ("CALL a()", Class::Other),
    ("'SET a = 1'", Class::Other),
    ("\"SET\" a", Class::Other),
    ("SETTLE", Class::Other),
];

#[test]
fn statements_are_told_apart_by_their_own_words() {
    for (sql, class) in TABLE {
        assert_eq!(Class::of(sql), *class, "{sql}");
    }
    for class in Class::ALL {
        assert!(TABLE.iter().any(|(_, it)| *it == class), "no statement is {class:?}");
        assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
    }
}

/// What the plan's `ILIKE '%SET %'` finds that is none, and what it does not find that is one.
#[test]
fn the_plans_pattern_is_wrong_both_ways() {
    let sets = [Class::Set, Class::SetLocal, Class::SetConfig];
    let found = |sql: &str| sql.to_ascii_uppercase().contains("SET ");
    let of = |is_set: bool, is_found: bool| {
        let table = TABLE
            .iter()
            .filter(|(sql, class)| sets.contains(class) == is_set && found(sql) == is_found);
        table.map(|(sql, _)| *sql).collect::<Vec<_>>()
    };
    assert!(of(false, true).contains(&"UPDATE t SET a = 1"));
    assert!(of(false, true).iter().any(|sql| Class::of(sql) == Class::Heartbeat));
    assert!(of(true, false).contains(&"SELECT set_config('TimeZone', 'UTC', false)"));
}

#[test]
fn every_rule_has_a_statement_that_breaks_it() {
    let long = format!("INSERT INTO t VALUES ({})", "$1,".repeat(LONGEST / 3));
    let long = [long.as_str(), "SELECT 1"];
    for rule in PinRule::ALL {
        let mut texts = TABLE.iter().map(|(sql, _)| *sql).chain(long);
        assert!(texts.any(|sql| super::rule(sql) == Some(rule)), "{rule:?}");
    }
    let of_length = |n: usize| rule(&format!("SELECT {}", "a".repeat(n - 7)));
    assert_eq!((of_length(LONGEST), of_length(LONGEST + 1)), (None, Some(PinRule::Length)));
    // What is certain goes before what is not.
    let local = format!("SET LOCAL a = '{}'", "b".repeat(LONGEST));
    let session = format!("SET a = '{}'", "b".repeat(LONGEST));
    assert_eq!((rule(&local), rule(&session)), (Some(PinRule::Length), Some(PinRule::Set)));
    for harmless in ["NOTIFY a", "UNLISTEN a", "SELECT pg_advisory_xact_lock(1)", "CALL a()"] {
        assert_eq!(rule(harmless), None, "{harmless}");
    }
}

#[test]
fn a_text_that_was_cut_off_is_still_told_apart() {
    let beat = "UPDATE \"core_appstatus\" SET \"last_heartbeat\" = '2026";
    assert_eq!(Class::of(beat), Class::Heartbeat);
    for (sql, class) in [
        ("SET a TO 'b", Class::Set),
        ("SELECT set_config('a', 'b", Class::SetConfig),
        ("INSERT INTO \"t", Class::Insert),
        ("/* no end", Class::Empty),
        ("SELECT $a$ nextval(", Class::Select),
    ] {
        assert_eq!(Class::of(sql), class, "{sql}");
    }
}

#[test]
fn nothing_that_was_in_a_statement_stays() {
    let table = [
        ("SELECT  'a' ,\n 1 -- b", "SELECT $1 , $2"),
        ("SELECT $1, $2", "SELECT $1, $2"),
        ("SELECT'a'AS b", "SELECT $1 AS b"),
        ("SELECT E'a\\'b', U&'\\0061', $x$c$x$, B'01', -1.5e3", "SELECT $1, $2, $3, $4, -$5"),
        (
            "SELECT 'a'::text FROM \"T t\" t1 WHERE b1 = 2",
            "SELECT $1::text FROM \"T t\" t1 WHERE b1 = $2",
        ),
        ("CREATE ROLE a PASSWORD 'b'", "CREATE ROLE a PASSWORD $1"),
        ("SET a TO b", "SET a TO $1"),
        ("SET LOCAL a.b = c, \"d\", 'e'", "SET LOCAL a.b = $1, $2, $3"),
        ("SET TIME ZONE utc", "SET TIME ZONE $1"),
        ("SET a TO DEFAULT; UPDATE t SET b = c", "SET a TO DEFAULT; UPDATE t SET b = c"),
        ("ALTER ROLE a SET b TO c", "ALTER ROLE a SET b TO $1"),
        ("ALTER SYSTEM SET b = c", "ALTER SYSTEM SET b = $1"),
        ("SET ROLE a", "SET ROLE a"),
        ("LISTEN a", "LISTEN a"),
        ("UPDATE t SET a = b", "UPDATE t SET a = b"),
        ("WITH a AS (UPDATE t SET b = c) SELECT d", "WITH a AS (UPDATE t SET b = c) SELECT d"),
        (" ", ""),
    ];
    for (sql, expected) in table {
        assert_eq!(normalise(sql), expected, "{sql}");
    }
    assert_eq!(normalise(&"ä ".repeat(300)).chars().count(), 200);
}

fn seen(query_id: i64, calls: i64, text: &str) -> Seen {
    Seen { query_id, calls, text: text.to_owned() }
}

#[test]
fn what_became_more_is_counted_by_what_it_does() {
    let before = [seen(1, 10, "SET a = b"), seen(2, 5, "SELECT 1"), seen(3, 7, "SELECT 3")];
    let after = [
        seen(1, 15, "SET a = b"),
        // Of another database.
        seen(1, 2, "SET a = b"),
        seen(2, 5, "SELECT 1"),
        seen(3, 1_007, "SELECT 3"),
        seen(4, 3, "SET b = 'c'"),
        seen(5, 1, "SELECT $1"),
        seen(6, 20, "SET LOCAL a = 1"),
        seen(0, 9, "<insufficient privilege>"),
        seen(8, 1, ""),
    ];
    let told = ranked(&before, &after, true);
    let count = |class: Class, calls, statements, text: &str| StatementCount {
        class,
        rule: class.rule(),
        calls,
        statements,
        text: Some(text.to_owned()),
    };
    let expected = Statements {
        counts: vec![
            count(Class::Set, 10, 2, "SET a = $1"),
            count(Class::SetLocal, 20, 1, "SET LOCAL a = $1"),
            count(Class::Select, 1_001, 2, "SELECT $1"),
        ],
        unread: 10,
        ..Statements::default()
    };
    assert_eq!(told, expected);
    assert!(ranked(&before, &after, false).counts.iter().all(|count| count.text.is_none()));
}

#[test]
fn statistics_that_began_anew_say_so() {
    let before = [seen(1, 10, "SELECT 1"), seen(2, 5, "SELECT 2")];
    let of = |after: &[Seen]| {
        let told = ranked(&before, after, false);
        (told.reset, told.evicted, told.counts.first().map_or(0, |count| count.calls))
    };
    assert_eq!(of(&[seen(1, 11, "SELECT 1"), seen(2, 5, "SELECT 2")]), (false, false, 1));
    assert_eq!(of(&[seen(1, 3, "SELECT 1")]), (true, false, 3));
    assert_eq!(of(&[seen(3, 3, "SELECT 3")]), (true, false, 3));
    assert_eq!(of(&[seen(1, 11, "SELECT 1")]), (false, true, 1));
    assert_eq!(ranked(&[], &[], true), Statements::default());
}

/// What stands for a secret in the strings below.
const SECRET: &str = "Zq7secret";

/// A string in one of its notations, with the secret and anything else in it.
fn literal() -> impl Strategy<Value = String> {
    let content = (any::<String>(), any::<String>()).prop_map(|(a, b)| format!("{a}{SECRET}{b}"));
    const NOTATIONS: &[&str] = &["'", "E'", "e'", "B'", "x'", "N'", "U&'", "$$", "$tag$", "'\n'"];
    (content, select(NOTATIONS)).prop_map(|(content, notation)| match notation {
        "$$" | "$tag$" => format!("{notation}{}{notation}", content.replace('$', "")),
        "E'" | "e'" => {
            format!("{notation}{}'", content.replace('\\', "\\\\").replace('\'', "\\'"))
        }
        "'\n'" => format!("'{}'\n '{SECRET}'", content.replace('\'', "''")),
        _ => format!("{notation}{}'", content.replace('\'', "''")),
    })
}

/// Texts that have to do with SQL.
fn sql() -> impl Strategy<Value = String> {
    const PARTS: &[&str] = &[
        "SET ",
        "SELECT ",
        "WITH ",
        "a",
        "(",
        ")",
        "'",
        "\"",
        "$",
        "$a$",
        "$1",
        "E'",
        "\\",
        "--",
        "/*",
        "*/",
        "\n",
        ",",
        ";",
        ".5",
        "1e-",
        "set_config(",
        "nextval(",
        "INTO ",
        "TEMP ",
        "é",
        "U&",
        "true",
        "UPDATE ",
    ];
    vec(prop_oneof![4 => select(PARTS).prop_map(str::to_owned), 1 => any::<String>()], 0..40)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_text_is_told_apart_and_normalised(sql in prop_oneof![sql(), any::<String>()]) {
        let (class, text) = (Class::of(&sql), normalise(&sql));
        prop_assert!(text.chars().count() <= 200, "{}", text);
        // What was normalised does the same, if all of it is there.
        if text.chars().count() < 200 && class != Class::SetLocal {
            prop_assert_eq!(normalise(&text), text.clone());
        }
        let spaced = format!("\n/* SET ' */ {sql}");
        prop_assert_eq!(Class::of(&spaced), class);
    }

    #[test]
    fn no_secret_survives(
        before in select(&["", "SELECT a,", "SET a = ", "SET a TO ", "ALTER ROLE b SET c = ", "CREATE ROLE a PASSWORD ",
            "UPDATE t SET a=", "NOTIFY a,", "/* ' */ SELECT -- \"\n", "COMMENT ON TABLE t IS ", "\"a'b\" "][..]),
        literals in vec(literal(), 1..4),
        is_cut in any::<bool>(),
    ) {
        let mut sql = format!("{before}{}", literals.join(", "));
        if is_cut {
            sql.truncate(sql.len() - 1);
        }
        let text = normalise(&sql);
        prop_assert!(!text.contains(SECRET), "{:?} gave {}", sql, text);
    }

    #[test]
    fn no_value_of_a_setting_survives(
        before in select(&["SET a = ", "set local a.b to x,", "SET SESSION a=", "SET TIME ZONE ", "ALTER DATABASE a SET b TO ",
            "SET a TO b; SET c TO ", "CREATE FUNCTION f() RETURNS int SET a = "][..]),
        value in select(&["Zq7secret", "\"Zq7secret\"", "'Zq7secret'", "b, Zq7secret", "a.Zq7secret", "-Zq7secret"][..]),
    ) {
        let text = normalise(&format!("{before}{value}"));
        prop_assert!(!text.contains(SECRET), "{}", text);
    }

    #[test]
    fn all_calls_are_told_once(
        before in vec((0_i64..9, 0_i64..100, 0..TABLE.len()), 0..20),
        after in vec((0_i64..40, 0_i64..100, 0..TABLE.len()), 0..60),
    ) {
        let rows = |rows: &[(i64, i64, usize)]| -> Vec<Seen> {
            rows.iter().map(|(id, calls, at)| seen(*id, *calls, TABLE[*at].0)).collect()
        };
        let told = ranked(&rows(&before), &rows(&after), true);
        prop_assert!(told.counts.len() <= MOST);
        let all: i64 = after.iter().map(|(_, calls, _)| calls).sum();
        let counted = told.counts.iter().map(|count| count.calls).sum::<i64>() + told.unread + told.left_out;
        prop_assert!(counted <= all);
        if before.is_empty() {
            prop_assert_eq!(counted, all);
        }
        prop_assert!(told.counts.iter().all(|count| count.calls > 0 && count.statements > 0));
        let doubts = told.counts.iter().map(|count| count.rule.map_or(2, |rule| i32::from(!rule.is_settled())));
        prop_assert!(doubts.is_sorted());
    }
}

/// Each of these takes minutes where a part of the text is read once for every other.
#[test]
fn a_long_text_is_read_once() {
    let parts = [
        "set_config(",
        "nextval(",
        "$a$ $b$",
        "/*",
        "--",
        "'a'\n",
        "E'\\'",
        "((",
        "WITH ",
        "INTO ",
        "\"",
        "$",
        "SET ",
        "1",
        "a.",
    ];
    for part in parts {
        let sql = format!("SELECT {}", part.repeat(2_000_000 / part.len()));
        let class = Class::of(&sql);
        assert!(class != Class::Empty && rule(&sql).is_some(), "{part}: {class:?}");
    }
}
