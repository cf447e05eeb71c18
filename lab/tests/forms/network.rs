//! What a network does that loses packets, and what the kernel makes of it.

use super::{cut, done, holding, ms, postgres_with};
use api::{
    close_form::{CloseWord, TcpEnd},
    pattern::Pattern,
    report::{LaneEnd, Phase, TcpInfo},
    settings::TcpSettings,
};
use jiff::Timestamp;
use lab::{
    holding::{Holding, only_ending, span},
    namespace::{Loss, in_namespace, lose},
    postgres,
};
use tokio::time::sleep;

fn keepalive() -> TcpSettings {
    TcpSettings {
        keepalive_idle_s: Some(1),
        keepalive_interval_s: Some(1),
        keepalive_count: Some(2),
        user_timeout_ms: None,
    }
}

/// Connects no more afterwards: in a black hole each attempt takes its time.
fn idle(port: u16) -> Holding {
    holding(port).reconnect_after(&[]).duration(ms(20_000))
}

fn beating(port: u16) -> Holding {
    idle(port).pattern(Pattern::Heartbeat { interval_ms: 600, statement: "SELECT 1".into() })
}

/// The truth lies in the interval, which begins at the last acknowledgement.
#[track_caller]
fn assert_acknowledged(lane: &LaneEnd, (before, after): (Timestamp, Timestamp)) -> TcpInfo {
    let (first, last) = span(lane);
    assert!(first <= before && after <= last, "{lane:?} was done {before} to {after}");
    let info = lane.tcp_info.expect("the kernel's word");
    let width = i64::try_from(last.duration_since(first).as_millis()).expect("a width");
    assert!((width - info.last_ack_recv_ms).abs() <= 20, "{lane:?}");
    info
}

#[test]
fn keepalive_notices_a_black_hole_on_an_idle_connection() {
    in_namespace(async || {
        let postgres = postgres_with(&postgres::Options::default());
        let held = idle(postgres.port).tcp(keepalive()).start();
        sleep(ms(3300)).await;
        let truth = done(|| lose(Loss::BlackHole, postgres.port));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.tcp), (CloseWord::TimedOut, TcpEnd::TimedOut));
        assert_eq!((form.on_write, lane.phase), (false, Phase::Hold));
        let info = assert_acknowledged(lane, truth);
        assert_eq!(info.probes, 2);
        let since_login = lane.clocks.expect("clocks").request_ms.expect("a login");
        assert!(info.last_ack_recv_ms + 1000 < since_login, "keepalive narrows it: {lane:?}");
    });
}

#[test]
fn a_flow_that_was_forgotten_is_found_by_keepalive_within_an_interval() {
    in_namespace(async || {
        let postgres = postgres_with(&postgres::Options::default());
        let held = idle(postgres.port).tcp(keepalive()).start();
        sleep(ms(2300)).await;
        let truth = done(|| lose(Loss::Reset, postgres.port));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.tcp), (CloseWord::Rst, TcpEnd::Rst));
        assert_acknowledged(lane, truth);
    });
}

#[test]
fn a_request_into_a_forgotten_flow_is_reset() {
    in_namespace(async || {
        let postgres = postgres_with(&postgres::Options::default());
        let held = beating(postgres.port).start();
        sleep(ms(1500)).await;
        let truth = done(|| lose(Loss::Reset, postgres.port));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.on_write), (CloseWord::RstOnWrite, true));
        assert_eq!(lane.requests, Some(2));
        assert_acknowledged(lane, truth);
    });
}

#[test]
fn the_user_timeout_notices_a_black_hole_under_a_request() {
    in_namespace(async || {
        let postgres = postgres_with(&postgres::Options::default());
        let tcp = TcpSettings { user_timeout_ms: Some(1000), ..TcpSettings::default() };
        let held = beating(postgres.port).tcp(tcp).start();
        sleep(ms(1500)).await;
        let truth = done(|| lose(Loss::BlackHole, postgres.port));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.tcp), (CloseWord::TimedOut, TcpEnd::TimedOut));
        assert!(form.on_write);
        assert!(assert_acknowledged(lane, truth).retransmits > 0, "{lane:?}");
    });
}

#[test]
fn without_timers_a_black_hole_is_a_request_that_nobody_acknowledges() {
    in_namespace(async || {
        let postgres = postgres_with(&postgres::Options::default());
        let held = beating(postgres.port).start();
        sleep(ms(1500)).await;
        let truth = done(|| lose(Loss::BlackHole, postgres.port));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.tcp), (CloseWord::TimedOut, TcpEnd::Open));
        let info = assert_acknowledged(lane, truth);
        assert!(info.unacked > 0 && info.backoff > 0, "{info:?}");
    });
}
