//! Ends that lie with us.

use super::{USER, holding, ms, postgres_with};
use api::report::Inconclusive;
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
    block_in_place(|| postgres.backends(USER, 1));
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
