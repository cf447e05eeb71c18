//! What each pattern survives and what cuts it, on a real server with a timer that fits.

use super::{USER, codes, holding, ms, postgres_with};
use api::{
    pattern::Pattern,
    report::{Outcome, Report, Rung},
};
use lab::{
    holding::{Holding, only_ending, only_lane},
    postgres::{self, Postgres},
};
use tokio::{task::block_in_place, time::sleep};

const IDLE: &str = "57P05";
const IDLE_IN_TRANSACTION: &str = "25P03";
const READ_ONLY: &str = "25006";

fn select_1() -> String {
    "SELECT 1".into()
}

fn worker(table: Option<&str>, listen: bool) -> Pattern {
    Pattern::PulpWorker { interval_ms: 100, table: table.map(Into::into), listen }
}

/// How the only connection ended, by the codes of what was said, and for how long it was silent.
#[track_caller]
fn told(report: &Report) -> (Outcome, Vec<&str>, i64) {
    let ending = only_ending(report);
    let said = ending.form.as_ref().map(codes).unwrap_or_default();
    let clocks = only_lane(ending).clocks.expect("clocks");
    (ending.outcome, said, clocks.request_ms.expect("a login"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_timer_cuts_the_silence_that_it_is_for() {
    use Outcome::{Disconnected, RequestFailed, Survived};
    let postgres = postgres_with(&postgres::Options {
        settings: "idle_session_timeout = 600ms\nidle_in_transaction_session_timeout = 900ms",
        ..postgres::Options::default()
    });
    let strict = postgres_with(&postgres::Options {
        settings: "statement_timeout = 700ms",
        ..postgres::Options::default()
    });
    let active = Pattern::ActiveTransaction { interval_ms: 200, statement: select_1() };
    let task = |in_transaction| Pattern::PulpTask { work_ms: 700, in_transaction };
    let cases = [
        (&postgres, active, Survived, None, 0),
        // The silence counts from the end of its work.
        (&postgres, task(true), Disconnected, Some(IDLE_IN_TRANSACTION), 900),
        (&postgres, task(false), Disconnected, Some(IDLE), 600),
        (&postgres, Pattern::SlowStatement, Survived, None, 0),
        (&strict, Pattern::SlowStatement, RequestFailed, Some("57014"), 0),
    ];
    let held: Vec<_> = cases
        .iter()
        .map(|(server, pattern, ..)| holding(server.port).pattern(pattern.clone()).start())
        .collect();
    for (held, (_, pattern, outcome, code, silence)) in held.into_iter().zip(cases) {
        let report = held.report().await;
        let (ended, said, silent) = told(&report);
        assert_eq!((ended, said), (outcome, Vec::from_iter(code)), "{pattern:?}");
        // The server counts from when it wrote its answer, we from when we read it: later, on a busy machine.
        assert!((silence - 50..silence + 250).contains(&silent), "{pattern:?}: {silent} ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ladder_finds_an_idle_timer_between_two_rungs() {
    let postgres = postgres_with(&postgres::Options {
        settings: "idle_session_timeout = 700ms",
        ..postgres::Options::default()
    });
    let rungs = [300, 550, 900, 1200];
    let ladder = Pattern::IdleLadder { rungs_ms: rungs.to_vec(), left_out_ms: Vec::new() };
    let held = || holding(postgres.port).pattern(ladder.clone()).connections(2 * rungs.len());
    let report = held().duration(ms(2500)).run().await;
    let rung =
        |ms: u64, cut| Rung { silence_ms: ms.try_into().expect("short"), cut, survived: 2 - cut };
    let found = [rung(300, 0), rung(550, 0), rung(900, 2), rung(1200, 2)];
    assert_eq!(report.arms[0].ladder, found, "{report:#?}");

    // What cuts connections that are still busy says nothing about silence.
    let held = held().duration(ms(20_000)).start();
    sleep(ms(1000)).await;
    let kill =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'");
    block_in_place(|| postgres.sql(&kill));
    let report = held.report().await;
    assert_eq!((report.arms[0].counts.disconnected, &report.arms[0].ladder[..]), (8, &[][..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_transaction_holds_no_vacuum_back() {
    let postgres = postgres_with(&postgres::Options::default());
    let horizon = |statement: String| {
        let held = holding(postgres.port).pattern(Pattern::IdleInTransaction { statement }).start();
        block_in_place(|| postgres.backends_in(USER, "idle in transaction", 1));
        let sql = format!(
            "SELECT backend_xid IS NULL, backend_xmin IS NULL FROM pg_stat_activity WHERE usename = '{USER}'"
        );
        (held, block_in_place(|| postgres.sql(&sql)))
    };
    let (held, found) = horizon(select_1());
    assert_eq!(found, "t|t", "neither a transaction id nor a snapshot");
    held.report().await;
    // It would be seen.
    let (held, found) = horizon("SELECT txid_current()".into());
    assert_eq!(found, "f|t");
    held.report().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_writes_a_commit_with_each_beat_and_nothing_else() {
    let postgres = postgres_with(&postgres::Options::default());
    let log = || {
        block_in_place(|| {
            postgres.sql("SELECT txid_current(), pg_current_wal_insert_lsn() - '0/0'")
        })
    };
    let before = log();
    let report = holding(postgres.port).pattern(worker(None, true)).run().await;
    let after = log();
    assert_eq!(only_ending(&report).outcome, Outcome::Survived);
    let numbers = |line: &str| -> Vec<i64> {
        line.split('|').map(|n| n.parse().expect("a number")).collect()
    };
    let (before, after) = (numbers(&before), numbers(&after));
    let (beats, bytes) = (after[0] - before[0] - 1, after[1] - before[1]);
    assert!((15..=20).contains(&beats), "{beats} beats");
    assert!((30..=60).contains(&(bytes / (beats + 1))), "{bytes} bytes for {beats} beats");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_ends_where_nothing_can_be_written() {
    let mut postgres = postgres_with(&postgres::Options {
        settings: "wal_level = replica",
        ..postgres::Options::default()
    });
    let held =
        |postgres: &Postgres, pattern| -> Holding { holding(postgres.port).pattern(pattern) };
    block_in_place(|| {
        postgres.sql(&format!(
            "CREATE TABLE beats (last_heartbeat timestamptz); GRANT UPDATE, SELECT ON beats TO {USER};
             ALTER ROLE {USER} SET default_transaction_read_only = on"
        ))
    });
    let at_once = |report: &Report| {
        let (outcome, said, _) = told(report);
        let lived = only_lane(only_ending(report)).lifetime.expect("a lifetime");
        assert_eq!((outcome, said), (Outcome::RequestFailed, vec![READ_ONLY]));
        assert!(lived.max_ms.is_none() && lived.min_ms < 1000, "at the first beat: {lived:?}");
    };
    at_once(&held(&postgres, worker(Some("beats"), true)).run().await);
    // A transaction id is assigned all the same: such a window needs a table to be seen.
    let report = held(&postgres, worker(None, true)).run().await;
    assert_eq!(only_ending(&report).outcome, Outcome::Survived);

    block_in_place(|| postgres.restart_as_standby());
    for (table, listen) in [(None, false), (None, true), (Some("beats"), false)] {
        at_once(&held(&postgres, worker(table, listen)).run().await);
    }
}
