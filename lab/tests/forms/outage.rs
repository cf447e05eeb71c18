//! What is to be had after a cut.

use super::{USER, done, holding, ms, pgbouncer_with, postgres_with};
use api::{Report, close_form::CloseWord, report::Reconnect};
use lab::{
    holding::only_ending,
    postgres,
    relay::{Fault, Relay},
};
use tokio::{task::block_in_place, time::sleep};

fn reconnect(report: &Report) -> Reconnect {
    report.arms[0].reconnect.clone().expect("an attempt")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_follows_many_cuts_and_tells_who_answers() {
    let postgres = postgres_with(&postgres::Options::default());
    let held = holding(postgres.port).connections(3).duration(ms(5000)).start();
    let started: i64 = block_in_place(|| {
        postgres.backends(USER, 3);
        postgres.sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'"
        ));
        let sql = "SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000)::bigint";
        postgres.sql(sql).parse().expect("a number")
    });
    let report = held.report().await;
    assert_eq!((only_ending(&report).n, report.arms[0].connections), (3, 3));
    let Reconnect { outages, attempts, longest_outage_ms, .. } = reconnect(&report);
    // All three within a moment; a busy machine may make two of it.
    assert!(outages == attempts && (1..=3).contains(&outages), "{report:?}");
    assert!(longest_outage_ms.expect("an end") < 4000, "{report:?}");
    let Reconnect { server_started_at, in_recovery, server_address, .. } = reconnect(&report);
    assert_eq!(server_started_at.expect("a time").as_millisecond(), started);
    assert_eq!((in_recovery, server_address.as_deref()), (Some(false), Some("127.0.0.1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_ends_when_a_connection_answers() {
    let postgres = postgres_with(&postgres::Options::default());
    let relay = Relay::start(postgres.port).await;
    let delays = [ms(0), ms(500), ms(1000), ms(8000)];
    let held = holding(relay.port).reconnect_after(&delays).start();
    sleep(ms(1000)).await;
    let (cut, _) = done(|| relay.fault(Fault::Rst));
    sleep(ms(2500)).await;
    let (back, _) = done(|| relay.fault(Fault::None));
    let report = held.report().await;
    assert_eq!(only_ending(&report).form.as_ref().expect("a form").word, CloseWord::Rst);
    let told = reconnect(&report);
    assert!(told.attempts > 1 && told.last_error.is_some(), "{told:?}");
    let truth = i64::try_from(back.duration_since(cut).as_millis()).expect("short");
    // The cut is noticed a moment after it was done.
    assert!(told.longest_outage_ms.expect("an end") > truth - 500, "{truth} {told:?}");
    assert_eq!(told.unended_after_ms, None);
    // The connection's end is the workload's, however long was tried afterwards.
    let ended = report.ended_at.expect("an end").duration_since(cut);
    assert!(ended.as_millis() < 2500, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poolers_login_does_not_end_an_outage() {
    let postgres = postgres_with(&postgres::Options::default());
    let pgbouncer = pgbouncer_with(&postgres, "pool_mode = session\nserver_login_retry = 1");
    let statement = "SELECT 1".into();
    let held = holding(pgbouncer.port)
        .pattern(api::pattern::Pattern::IdleInTransaction { statement })
        .start();
    block_in_place(|| postgres.backends_in(USER, "idle in transaction", 1));
    postgres.signal("QUIT");
    let told = reconnect(&held.report().await);
    assert_eq!((told.longest_outage_ms, told.attempts), (None, 2), "{told:?}");
    assert!(told.unended_after_ms.expect("an attempt") > 0, "{told:?}");
}
