//! HAProxy in TCP mode: it closes without a word, and its timers count bytes in either direction.

use super::{assert_announced, cut, done, holding, ms, postgres_with};
use api::{
    close_form::{CloseWord, TcpEnd},
    pattern::Pattern,
    report::{ArmReport, Outcome},
};
use futures::future::join_all;
use lab::{
    haproxy::HaProxy,
    holding::only_ending,
    postgres::{self, Postgres},
};
use tokio::{task::block_in_place, time::sleep};

fn haproxy(postgres: &Postgres, settings: &str) -> HaProxy {
    block_in_place(|| HaProxy::start(postgres, settings))
}

fn outcome(arm: &ArmReport) -> Outcome {
    arm.endings[0].outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxys_timers_cut_who_moves_no_bytes_and_spare_who_is_notified() {
    let postgres = postgres_with(&postgres::Options::default());
    let idle_timers = haproxy(&postgres, " timeout client 2s\n timeout server 2s");
    // Once both sides have sent something, this one takes the place of the others.
    let tunnel = haproxy(&postgres, " timeout client 30s\n timeout server 30s\n timeout tunnel 2s");
    let (cut_by_it, spared) = (Outcome::Disconnected, Outcome::Survived);
    let silent = [
        (Pattern::Idle, cut_by_it),
        (Pattern::IdleInTransaction { statement: "SELECT 1".into() }, cut_by_it),
        (Pattern::Listen, cut_by_it),
        (Pattern::SlowStatement, cut_by_it),
        (Pattern::Heartbeat { interval_ms: 500, statement: "SELECT 1".into() }, spared),
    ];
    // After the others: these listen on the same channel.
    let notified = [(Pattern::ListenNotify { interval_ms: 500 }, spared)];
    for haproxy in [&idle_timers, &tunnel] {
        judge(haproxy.port, &postgres, &silent).await;
        judge(haproxy.port, &postgres, &notified).await;
    }
}

/// Holds patterns side by side for twice as long as the timers, and compares how they end.
async fn judge(port: u16, postgres: &Postgres, cases: &[(Pattern, Outcome)]) {
    let held = cases.iter().map(|(pattern, _)| {
        let held = holding(port).control(postgres.port).pattern(pattern.clone());
        held.duration(ms(4000)).run()
    });
    for (report, (pattern, expected)) in join_all(held).await.iter().zip(cases) {
        let (target, control) = (&report.arms[0], &report.arms[1]);
        assert_eq!(outcome(control), Outcome::Survived, "{pattern:?}");
        assert_eq!(outcome(target), *expected, "{pattern:?}");
        if *expected == Outcome::Disconnected {
            let (form, lane) = cut(&target.endings[0]);
            assert_eq!((form.word, form.tcp), (CloseWord::Fin, TcpEnd::Fin), "{pattern:?}");
            assert!(form.messages.is_empty());
            let silent = lane.clocks.expect("clocks").server_byte_ms.expect("a login");
            assert!((1900..3000).contains(&silent), "{pattern:?}: {lane:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_that_is_stopped_leaves_a_bare_fin() {
    let postgres = postgres_with(&postgres::Options::default());
    for signal in ["TERM", "KILL"] {
        let haproxy = haproxy(&postgres, " timeout client 30s\n timeout server 30s");
        let held = holding(haproxy.port).reconnect_after(&[]).start();
        sleep(ms(1000)).await;
        let truth = done(|| haproxy.signal(signal));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.tcp, form.on_write), (CloseWord::Fin, TcpEnd::Fin, false));
        assert_announced(lane, truth);
    }
}
