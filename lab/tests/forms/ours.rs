//! Ends that lie with us.

use super::{USER, holding, ms, pgbouncer_with, postgres_with};
use api::{pattern::Pattern, report::Inconclusive};
use lab::{holding::now, postgres};
use probe::exit::Exit;
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_run_out_are_not_a_finding() {
    let postgres = postgres_with(&postgres::Options::default());
    block_in_place(|| postgres.sql(&format!("ALTER ROLE {USER} CONNECTION LIMIT 2")));
    let begin = now();
    let held = holding(postgres.port).connections(5).duration(ms(20_000)).start();
    let report = held.report().await;
    assert!(now().duration_since(begin).as_secs() < 10, "it let go at once");
    let arm = &report.arms[0];
    assert_eq!(arm.counts.inconclusive, 5, "{arm:#?}");
    assert!(arm.endings.iter().all(|e| e.reason == Some(Inconclusive::PoolExhausted)));
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_leaves_politely_and_reports_what_it_knows() {
    let postgres = postgres_with(&postgres::Options::default());
    let mut held = holding(postgres.port).connections(3).duration(ms(60_000)).start();
    block_in_place(|| postgres.backends(USER, 3));
    held.stop();
    let (exit, report) = held.end().await;
    assert_eq!(exit, Exit::Interrupted);
    let arm = &report.arms[0];
    assert_eq!(arm.counts.inconclusive, 3, "{arm:#?}");
    assert!(report.ended_at.is_some());
    assert!(arm.endings.iter().all(|e| e.reason == Some(Inconclusive::Interrupted)));
    let log = block_in_place(|| {
        postgres.backends(USER, 0);
        postgres.log()
    });
    assert!(!log.contains("unexpected EOF") && !log.contains("reset by peer"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_runs_dry_is_not_a_finding() {
    let postgres = postgres_with(&postgres::Options::default());
    let settings = "pool_mode = session\ndefault_pool_size = 1\nquery_wait_timeout = 1";
    let pgbouncer = pgbouncer_with(&postgres, settings);
    let statement = "SELECT 1".into();
    let held = holding(pgbouncer.port)
        .pattern(Pattern::IdleInTransaction { statement })
        .connections(2)
        .duration(ms(20_000));
    let begin = now();
    let arm = held.run().await.arms.remove(0);
    assert!(now().duration_since(begin).as_secs() < 15, "it let go at once");
    assert_eq!((arm.counts.inconclusive, arm.reconnect), (2, None), "{:#?}", arm.endings);
    assert!(arm.endings.iter().all(|e| e.reason == Some(Inconclusive::PoolExhausted)));
    let mut messages = arm.endings.iter().flat_map(|e| &e.form).flat_map(|form| &form.messages);
    assert!(messages.any(|message| message.text == "query_wait_timeout"), "{:#?}", arm.endings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_that_finds_none_free_makes_all_let_go() {
    let postgres = postgres_with(&postgres::Options::default());
    let held = holding(postgres.port).connections(2).duration(ms(20_000)).start();
    let pid = block_in_place(|| {
        let pid = postgres.backends(USER, 2)[0];
        postgres.sql(&format!("ALTER ROLE {USER} CONNECTION LIMIT 1"));
        postgres.sql(&format!("SELECT pg_terminate_backend({pid})"));
        pid
    });
    let report = held.report().await;
    let arm = &report.arms[0];
    assert_eq!((arm.counts.disconnected, arm.counts.inconclusive), (1, 1), "{pid} {arm:#?}");
    assert!(arm.endings.iter().any(|e| e.reason == Some(Inconclusive::PoolExhausted)));
    let error = arm.reconnect.clone().expect("an attempt").last_error.expect("an error");
    assert!(error.contains("53300"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_connects_no_more() {
    let postgres = postgres_with(&postgres::Options::default());
    let mut held = holding(postgres.port).reconnect_after(&[ms(0), ms(60_000)]).start();
    block_in_place(|| postgres.backends(USER, 1));
    postgres.signal("QUIT");
    tokio::time::sleep(ms(3000)).await;
    let begin = now();
    held.stop();
    let (exit, report) = held.end().await;
    assert!(now().duration_since(begin).as_secs() < 20, "it stopped at once");
    assert_eq!((exit, report.arms[0].counts.disconnected), (Exit::Interrupted, 1));
}
