//! What PostgreSQL itself does to a session.

use super::{USER, assert_announced, codes, cut, done, holding, postgres_with};
use api::{
    close_form::{CloseWord, MessageKind, TcpEnd, TlsEnd},
    pattern::Pattern,
    report::{Outcome, Phase},
    target::TlsMode,
};
use lab::{
    certificates::Authority,
    holding::{only_ending, only_lane},
    postgres,
};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_ends_the_session() {
    let authority = Authority::default();
    let identity = authority.identity(&["127.0.0.1"]);
    let postgres = postgres_with(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    let plain = holding(postgres.port).start();
    let tls = holding(postgres.port).ca(&authority.pem()).tls(TlsMode::VerifyFull).start();
    block_in_place(|| postgres.backends(USER, 2));
    let sql =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'");
    let truth = done(|| drop(postgres.sql(&sql)));

    for (held, tls_end) in [(plain, None), (tls, Some(TlsEnd::CloseNotify))] {
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.tcp), (CloseWord::Message, TcpEnd::Fin));
        assert_eq!(form.tls, tls_end);
        assert_eq!(codes(form), ["57P01"]);
        assert_eq!(form.messages[0].severity, "FATAL");
        assert_eq!(form.messages[0].routine.as_deref(), Some("ProcessInterrupts"));
        assert_eq!(lane.phase, Phase::Hold);
        assert_announced(lane, truth);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_of_the_server_cut_the_pattern_they_are_for() {
    let postgres = postgres_with(&postgres::Options {
        settings: "idle_session_timeout = 600ms\nidle_in_transaction_session_timeout = 900ms",
        ..postgres::Options::default()
    });
    let beat = Pattern::Heartbeat { interval_ms: 200, statement: "SELECT 1".into() };
    let idle = holding(postgres.port).start();
    let in_transaction = holding(postgres.port)
        .pattern(Pattern::IdleInTransaction { statement: "SELECT 1".into() })
        .start();
    let variable = holding(postgres.port).pattern(Pattern::SessionVariable).start();
    let listen = holding(postgres.port).pattern(Pattern::Listen).start();
    let beat = holding(postgres.port).pattern(beat).start();

    let beat = beat.report().await;
    assert_eq!(only_ending(&beat).outcome, Outcome::Survived);

    for (held, code, timer) in [
        (idle, "57P05", 600),
        (in_transaction, "25P03", 900),
        (variable, "57P05", 600),
        (listen, "57P05", 600),
    ] {
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!(codes(form), [code]);
        let clocks = lane.clocks.expect("clocks");
        let silent = clocks.request_ms.expect("a login");
        // An answer that this busy machine read late makes the silence look shorter.
        assert!((timer - 50..timer + 250).contains(&silent), "{code} after {silent} ms");
        assert_eq!(clocks.begin_ms.is_some(), code == "25P03");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_and_listen_have_clocks_of_their_own() {
    let postgres = postgres_with(&postgres::Options {
        settings: "idle_session_timeout = 600ms",
        ..postgres::Options::default()
    });
    let listen = holding(postgres.port).pattern(Pattern::Listen).run().await;
    let set = holding(postgres.port).pattern(Pattern::SessionVariable).run().await;
    let clocks = |report| only_lane(only_ending(report)).clocks.expect("clocks");
    assert!(clocks(&listen).listen_ms.is_some() && clocks(&listen).set_ms.is_none());
    assert!(clocks(&set).set_ms.is_some() && clocks(&set).listen_ms.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_statement_is_no_drop() {
    let postgres = postgres_with(&postgres::Options::default());
    let beat = Pattern::Heartbeat { interval_ms: 300, statement: "SELECT no_such_column".into() };
    let report = holding(postgres.port).pattern(beat).run().await;
    let ending = only_ending(&report);
    assert_eq!(ending.outcome, Outcome::RequestFailed);
    let form = ending.form.as_ref().expect("a form");
    assert_eq!((codes(form), form.tcp), (vec!["42703"], TcpEnd::Open));
    let lane = only_lane(ending);
    assert_eq!(lane.phase, Phase::Hold);
    // It lived on to the proof.
    let lifetime = lane.lifetime.expect("a lifetime");
    assert!(lifetime.max_ms.is_none() && lifetime.min_ms >= 2000, "{lifetime:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immediate_shutdown_is_announced_by_a_notice() {
    let postgres = postgres_with(&postgres::Options::default());
    let held = holding(postgres.port).start();
    block_in_place(|| postgres.backends(USER, 1));
    let truth = done(|| postgres.signal("QUIT"));
    let report = held.report().await;
    let (form, lane) = cut(only_ending(&report));
    assert_eq!((codes(form), form.tcp), (vec!["57P01"], TcpEnd::Fin));
    assert_eq!(form.messages[0].kind, MessageKind::Notice);
    assert_announced(lane, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backend_says_nothing_and_its_neighbours_name_the_crash() {
    let authority = Authority::default();
    let identity = authority.identity(&["127.0.0.1"]);
    let postgres = postgres_with(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    for (mode, tls_end, word) in [
        (TlsMode::Disable, None, CloseWord::Fin),
        (TlsMode::Require, Some(TlsEnd::Truncated), CloseWord::Truncated),
    ] {
        let killed = holding(postgres.port).tls(mode).start();
        let pid = block_in_place(|| postgres.backends(USER, 1))[0];
        let neighbour = holding(postgres.port).tls(mode).start();
        block_in_place(|| postgres.backends(USER, 2));
        let truth = done(|| postgres.signal_backend(pid, "KILL"));

        let report = killed.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, &form.tls, form.tcp), (word, &tls_end, TcpEnd::Fin));
        assert_announced(lane, truth);

        let report = neighbour.report().await;
        let (form, _) = cut(only_ending(&report));
        assert_eq!(codes(form), ["57P02"]);
        assert_eq!(form.messages[0].severity, "WARNING");
        assert_eq!(form.tls, tls_end);
        // The server restarts by itself.
        block_in_place(|| postgres.wait_until_ready());
    }
}
