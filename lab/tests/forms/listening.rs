//! Connections that listen: whether they hear, and what follows if they do not.

use super::{USER, codes, cut, done, holding, ms, pgbouncer_with, postgres_with};
use api::{
    close_form::CloseWord,
    pattern::Pattern,
    report::{ArmReport, Notifications, Outcome, Phase},
};
use futures::future::join_all;
use lab::{
    holding::span,
    postgres,
    relay::{Fault, Relay},
    server::free_port,
};
use tokio::{task::block_in_place, time::sleep};

const LANES: usize = 3;
const NOTIFY: Pattern = Pattern::ListenNotify { interval_ms: 300 };

fn outcomes(arm: &ArmReport) -> Vec<(Outcome, i32)> {
    arm.endings.iter().map(|ending| (ending.outcome, ending.n)).collect()
}

/// What was sent and heard, if no connection missed anything.
#[track_caller]
fn complete(arm: &ArmReport) -> Notifications {
    let told = arm.notifications.expect("notifications");
    assert_eq!((told.send_failed, told.heard_by_sender), (0, told.sent), "{told:?}");
    assert_eq!(told.received, told.expected, "{told:?}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_deaf_if_only_its_sender_hears() {
    use Outcome::{Deaf, Survived};
    let postgres = postgres_with(&postgres::Options::default());
    let session = pgbouncer_with(&postgres, "pool_mode = session");
    // Each request goes to whichever server connection is free: LISTEN stays with one of them.
    let transaction = pgbouncer_with(&postgres, "pool_mode = transaction");
    let cases = [
        (postgres.port, None, Survived),
        (session.port, None, Survived),
        (transaction.port, None, Deaf),
        (transaction.port, Some(postgres.port), Deaf),
    ];
    let held = cases.map(|(target, control, outcome)| {
        let held = holding(target).name(&format!("{outcome:?}-{target}-{}", control.is_some()));
        let held = held.connections(LANES).pattern(Pattern::Listen).duration(ms(1500));
        control.into_iter().fold(held, |held, control| held.control(control)).run()
    });
    for (report, (_, control, outcome)) in join_all(held).await.iter().zip(cases) {
        let lanes = i32::try_from(LANES).expect("few");
        let target = &report.arms[0];
        assert_eq!(outcomes(target), [(outcome, lanes)], "{report:#?}");
        let told = target.notifications.expect("notifications");
        assert_eq!((told.send_failed, told.heard_by_sender), (0, told.sent), "{told:?}");
        assert!(told.expected >= lanes, "{told:?}");
        assert_eq!(told.received, if outcome == Deaf { 0 } else { told.expected });
        let ending = &target.endings[0];
        assert!(ending.lanes.iter().all(|lane| lane.phase == Phase::Proof));
        // It answered at its end: it lives.
        let lifetime = ending.lanes[0].lifetime.expect("a lifetime");
        assert!(lifetime.max_ms.is_none() && lifetime.min_ms >= 1500, "{lifetime:?}");
        if control.is_some() {
            assert_eq!(outcomes(&report.arms[1]), [(Survived, lanes)]);
            complete(&report.arms[1]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_fails_says_nothing_about_those_who_listen() {
    let postgres = postgres_with(&postgres::Options::default());
    let held = holding(postgres.port).control(free_port()).pattern(Pattern::Listen);
    let report = held.duration(ms(1000)).run().await;
    let target = &report.arms[0];
    assert_eq!(outcomes(target), [(Outcome::Survived, 1)]);
    let detail = target.endings[0].detail.as_deref().unwrap_or_default();
    assert!(detail.contains("NOTIFY failed: TCP connect"), "{detail}");
    let told = Notifications { send_failed: 1, ..Notifications::default() };
    assert_eq!(target.notifications, Some(told));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_hears_everything_until_it_is_cut() {
    let postgres = postgres_with(&postgres::Options::default());
    let held = holding(postgres.port).connections(LANES).pattern(NOTIFY).duration(ms(4000)).start();
    sleep(ms(2000)).await;
    let kill = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'
         AND query LIKE 'LISTEN%' AND query NOT LIKE '%NOTIFY%' LIMIT 1"
    );
    assert_eq!(block_in_place(|| postgres.sql(&kill)), "t");
    let report = held.report().await;
    let arm = &report.arms[0];
    assert_eq!(outcomes(arm), [(Outcome::Disconnected, 1), (Outcome::Survived, 2)]);
    assert_eq!(codes(arm.endings[0].form.as_ref().expect("a form")), ["57P01"]);
    let told = complete(arm);
    // Two heard nearly all, one half of it.
    assert!(told.sent >= 10 && told.received > 2 * told.sent, "{told:?}");
    assert!(told.received < 3 * told.sent, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_whose_flow_is_lost_is_cut_and_not_deaf() {
    let postgres = postgres_with(&postgres::Options::default());
    let faults = [(Fault::Forget, CloseWord::RstOnWrite), (Fault::BlackHole, CloseWord::TimedOut)];
    let held = faults.map(async |(fault, word)| {
        let relay = Relay::start(postgres.port).await;
        let held = holding(relay.port).name(&format!("{fault:?}")).control(postgres.port);
        let held = held.pattern(NOTIFY).duration(ms(3000)).start();
        sleep(ms(1500)).await;
        let truth = done(|| relay.fault(fault));
        let report = held.report().await;
        let [target, control] = &report.arms[..] else { panic!("{report:#?}") };
        let (form, lane) = cut(&target.endings[0]);
        assert_eq!((form.word, form.on_write, lane.phase), (word, true, Phase::Proof));
        let (first, last) = span(lane);
        assert!(first <= truth.0 && truth.1 <= last, "{lane:?} was done {truth:?}");
        // It had heard before.
        let clocks = lane.clocks.expect("clocks");
        assert!(clocks.server_byte_ms < clocks.listen_ms, "{clocks:?}");
        assert_eq!(outcomes(control), [(Outcome::Survived, 1)]);
        complete(control);
    });
    join_all(held).await;
}
