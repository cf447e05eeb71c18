//! Every close form, caused for real: PostgreSQL 15, PgBouncer, and a relay with faults, on
//! loopback. The report must say what was done, and its time must contain when it was done.

#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use api::{
    close_form::{CloseForm, CloseWord, MessageKind, TcpEnd, TlsEnd},
    report::{Ending, Inconclusive, LaneEnd, Outcome, Phase},
    settings::Pattern,
    target::TlsMode,
};
use jiff::Timestamp;
use lab::{
    certificates::Authority,
    holding::{Holding, now, only_ending, only_lane, span},
    pgbouncer::{self, PgBouncer},
    postgres::{self, Postgres},
    relay::{Fault, Relay},
    server::free_port,
};
use probe::exit::Exit;
use std::time::Duration;
use tokio::{task::block_in_place, time::sleep};

const USER: &str = "svc_probe";
const PASSWORD: &str = "s3cret-of-the-test";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A PostgreSQL with our role.
fn postgres(options: &postgres::Options<'_>) -> Postgres {
    block_in_place(|| {
        let postgres = Postgres::start(options);
        postgres.role(USER, PASSWORD);
        postgres
    })
}

fn holding(port: u16) -> Holding {
    Holding::new(port, USER, PASSWORD)
}

/// Does something blocking, and returns when it began and when it had been done.
fn done(act: impl FnOnce()) -> (Timestamp, Timestamp) {
    let before = now();
    block_in_place(act);
    (before, now())
}

/// What was announced is exact, up to a stall of this busy machine: it lies where it was done. A
/// signal takes a while until its process acts on it.
#[track_caller]
fn assert_announced(lane: &LaneEnd, (before, after): (Timestamp, Timestamp)) {
    let (first, last) = span(lane);
    let (rounding, after) = (ms(1), after + ms(200));
    assert!(before <= last + rounding, "{lane:?} was done at {before}");
    assert!(first <= after, "{lane:?} was done by {after}");
    assert!(
        last.duration_since(first) < jiff::SignedDuration::from_millis(300),
        "{lane:?}"
    );
}

/// What only a write or a time-out revealed is an interval, from the last answer on, in which it
/// was done.
#[track_caller]
fn assert_revealed(lane: &LaneEnd, (before, after): (Timestamp, Timestamp)) {
    let (first, last) = span(lane);
    assert!(
        first <= before && after <= last,
        "{lane:?} was done {before} to {after}"
    );
    let unknown = last.duration_since(first).as_millis();
    let since_answer = i128::from(lane.clocks.expect("clocks").request_ms.expect("a login"));
    assert!((unknown - since_answer).abs() <= 2, "{lane:?}");
}

/// Checks an ending of one cut connection, and gives its form and lane.
#[track_caller]
fn cut(ending: &Ending) -> (&CloseForm, &LaneEnd) {
    assert_eq!(ending.outcome, Outcome::Disconnected, "{ending:#?}");
    (ending.form.as_ref().expect("a form"), only_lane(ending))
}

fn codes(form: &CloseForm) -> Vec<&str> {
    form.messages
        .iter()
        .map(|message| message.code.as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_ends_the_session() {
    let authority = Authority::default();
    let identity = authority.identity(&["127.0.0.1"]);
    let postgres = postgres(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    let plain = holding(postgres.port).start();
    let tls = holding(postgres.port)
        .ca(&authority.pem())
        .tls(TlsMode::VerifyFull)
        .start();
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
        assert_eq!(
            form.messages[0].routine.as_deref(),
            Some("ProcessInterrupts")
        );
        assert_eq!(lane.phase, Phase::Hold);
        assert_announced(lane, truth);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_of_the_server_cut_the_pattern_they_are_for() {
    let postgres = postgres(&postgres::Options {
        settings: "idle_session_timeout = 600ms\nidle_in_transaction_session_timeout = 900ms",
        ..postgres::Options::default()
    });
    let beat = Pattern::Heartbeat {
        interval_ms: 200,
        statement: "SELECT 1".into(),
    };
    let idle = holding(postgres.port).start();
    let in_transaction = holding(postgres.port)
        .pattern(Pattern::IdleInTransaction)
        .start();
    let variable = holding(postgres.port)
        .pattern(Pattern::SessionVariable)
        .start();
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
        assert!(
            (timer - 2..timer + 250).contains(&silent),
            "{code} after {silent} ms"
        );
        assert_eq!(clocks.begin_ms.is_some(), code == "25P03");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_and_listen_have_clocks_of_their_own() {
    let postgres = postgres(&postgres::Options {
        settings: "idle_session_timeout = 600ms",
        ..postgres::Options::default()
    });
    let listen = holding(postgres.port).pattern(Pattern::Listen).run().await;
    let set = holding(postgres.port)
        .pattern(Pattern::SessionVariable)
        .run()
        .await;
    let clocks = |report| only_lane(only_ending(report)).clocks.expect("clocks");
    assert!(clocks(&listen).listen_ms.is_some() && clocks(&listen).set_ms.is_none());
    assert!(clocks(&set).set_ms.is_some() && clocks(&set).listen_ms.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_statement_is_no_drop() {
    let postgres = postgres(&postgres::Options::default());
    let beat = Pattern::Heartbeat {
        interval_ms: 300,
        statement: "SELECT no_such_column".into(),
    };
    let report = holding(postgres.port).pattern(beat).run().await;
    let ending = only_ending(&report);
    assert_eq!(ending.outcome, Outcome::RequestFailed);
    let form = ending.form.as_ref().expect("a form");
    assert_eq!((codes(form), form.tcp), (vec!["42703"], TcpEnd::Open));
    let lane = only_lane(ending);
    assert_eq!(lane.phase, Phase::Hold);
    // It lived on to the proof.
    let lifetime = lane.lifetime.expect("a lifetime");
    assert!(
        lifetime.max_ms.is_none() && lifetime.min_ms >= 2000,
        "{lifetime:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immediate_shutdown_is_announced_by_a_notice() {
    let postgres = postgres(&postgres::Options::default());
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
    let postgres = postgres(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    for (mode, tls_end, word) in [
        (TlsMode::Disable, None, CloseWord::Fin),
        (
            TlsMode::Require,
            Some(TlsEnd::Truncated),
            CloseWord::Truncated,
        ),
    ] {
        let killed = holding(postgres.port).tls(mode).start();
        let pid = block_in_place(|| postgres.backends(USER, 1))[0];
        let neighbour = holding(postgres.port).tls(mode).start();
        block_in_place(|| postgres.backends(USER, 2));
        let truth = done(|| postgres.signal_backend(pid, "KILL"));

        let report = killed.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!(
            (form.word, &form.tls, form.tcp),
            (word, &tls_end, TcpEnd::Fin)
        );
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

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncers_idle_timer_names_itself_under_every_tls() {
    let postgres = postgres(&postgres::Options::default());
    let authority = Authority::default();
    let identity = authority.identity(&["localhost"]);
    for (protocols, version) in [
        (None, None),
        (Some("tlsv1.2"), Some("TLSv1.2")),
        (Some("tlsv1.3"), Some("TLSv1.3")),
    ] {
        let protocols_line =
            protocols.map_or_else(String::new, |p| format!("client_tls_protocols = {p}"));
        let pgbouncer = block_in_place(|| {
            PgBouncer::start(
                &postgres,
                &pgbouncer::Options {
                    settings: &format!(
                        "pool_mode = session\nclient_idle_timeout = 1\n{protocols_line}"
                    ),
                    users: &[(USER, PASSWORD)],
                    identity: protocols.map(|_| &identity),
                },
            )
        });
        let mut holding = holding(pgbouncer.port);
        if version.is_some() {
            holding = holding
                .host("localhost")
                .ca(&authority.pem())
                .tls(TlsMode::VerifyFull);
        }
        // It checks now and then, and it restarts the clock at the login's end.
        let report = holding.duration(ms(4000)).run().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!(codes(form), ["08P01"]);
        assert_eq!(form.messages[0].text, "client_idle_timeout");
        assert_eq!(form.messages[0].routine, None);
        assert_eq!(form.tcp, TcpEnd::Fin);
        assert_eq!(form.tls, version.map(|_| TlsEnd::CloseNotify));
        let lived = lane.lifetime.expect("a lifetime");
        assert!((900..3900).contains(&lived.min_ms), "{lived:?}");
        assert!(
            lived.max_ms.expect("an end") - lived.min_ms < 300,
            "{lived:?}"
        );

        let server = report.arms[0].server.clone().expect("a server");
        assert_eq!(server.auth.as_deref(), Some("ScramSha256"));
        assert_eq!(
            server.tls,
            version.map(|version| format!("{version}, VerifyFull"))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncer_adds_a_second_message_when_its_server_connection_dies() {
    let postgres = postgres(&postgres::Options::default());
    let pgbouncer = block_in_place(|| {
        PgBouncer::start(
            &postgres,
            &pgbouncer::Options {
                settings: "pool_mode = session",
                users: &[(USER, PASSWORD)],
                ..pgbouncer::Options::default()
            },
        )
    });
    // In a transaction, so that a server connection is linked.
    let held = holding(pgbouncer.port)
        .pattern(Pattern::IdleInTransaction)
        .start();
    let pid = block_in_place(|| postgres.backends_in(USER, "idle in transaction", 1))[0];
    let truth = done(|| drop(postgres.sql(&format!("SELECT pg_terminate_backend({pid})"))));
    let report = held.report().await;
    let (form, lane) = cut(only_ending(&report));
    assert_eq!(codes(form), ["57P01", "08P01"]);
    assert_eq!(form.messages[1].text, "server conn crashed?");
    assert_announced(lane, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_is_killed_leaves_a_bare_fin() {
    let postgres = postgres(&postgres::Options::default());
    let pgbouncer = block_in_place(|| {
        PgBouncer::start(
            &postgres,
            &pgbouncer::Options {
                users: &[(USER, PASSWORD)],
                ..pgbouncer::Options::default()
            },
        )
    });
    let held = holding(pgbouncer.port).start();
    sleep(ms(1000)).await;
    let truth = done(|| pgbouncer.signal("KILL"));
    let report = held.report().await;
    let (form, lane) = cut(only_ending(&report));
    assert_eq!((form.word, form.tcp), (CloseWord::Fin, TcpEnd::Fin));
    assert_announced(lane, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_between_closes_or_resets_and_is_noticed_at_once() {
    let identity = Authority::default().identity(&["127.0.0.1"]);
    let postgres = postgres(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    let (plain, tls) = (TlsMode::Disable, TlsMode::Require);
    for (mode, fault, word, tls_end, tcp) in [
        (plain, Fault::Fin, CloseWord::Fin, None, TcpEnd::Fin),
        (plain, Fault::Rst, CloseWord::Rst, None, TcpEnd::Rst),
        (
            tls,
            Fault::Fin,
            CloseWord::Truncated,
            Some(TlsEnd::Truncated),
            TcpEnd::Fin,
        ),
        (
            tls,
            Fault::Rst,
            CloseWord::Rst,
            Some(TlsEnd::Open),
            TcpEnd::Rst,
        ),
    ] {
        let relay = Relay::start(postgres.port).await;
        let held = holding(relay.port).tls(mode).start();
        sleep(ms(1000)).await;
        let truth = done(|| relay.fault(fault));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!(
            (form.word, &form.tls, form.tcp),
            (word, &tls_end, tcp),
            "{fault:?}"
        );
        assert!(form.messages.is_empty() && !form.on_write);
        assert_announced(lane, truth);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_flow_and_a_black_hole_only_show_at_the_next_request() {
    let postgres = postgres(&postgres::Options::default());
    for (fault, word, tcp) in [
        (Fault::Forget, CloseWord::RstOnWrite, TcpEnd::Rst),
        (Fault::BlackHole, CloseWord::TimedOut, TcpEnd::Open),
    ] {
        let relay = Relay::start(postgres.port).await;
        let held = holding(relay.port).start();
        sleep(ms(1000)).await;
        let truth = done(|| relay.fault(fault));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!(
            (form.word, form.tcp, form.on_write),
            (word, tcp, true),
            "{fault:?}"
        );
        assert_eq!(lane.phase, Phase::Proof);
        assert_revealed(lane, truth);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_as_safe_as_they_can_be() {
    let authority = Authority::default();
    let identity = authority.identity(&["127.0.0.1", "localhost"]);
    let postgres = postgres(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    block_in_place(|| {
        postgres.role("by_password", PASSWORD);
        postgres.role("by_trust", PASSWORD);
        postgres.sql(&format!(
            "SET password_encryption = md5; CREATE ROLE by_md5 LOGIN PASSWORD '{PASSWORD}'"
        ));
    });
    let ca = authority.pem();
    let held = |user: &str, mode| {
        Holding::new(postgres.port, user, PASSWORD)
            .ca(&ca)
            .tls(mode)
            .duration(ms(1000))
            .start()
    };
    use TlsMode::{Disable, Prefer, VerifyCA, VerifyFull};
    let wanted = [
        (held(USER, Disable), "ScramSha256", None),
        (
            held(USER, VerifyFull),
            "ScramSha256Plus",
            Some("TLSv1.3, VerifyFull"),
        ),
        (
            held(USER, VerifyCA),
            "ScramSha256Plus",
            Some("TLSv1.3, VerifyCA"),
        ),
        (
            held(USER, Prefer),
            "ScramSha256Plus",
            Some("TLSv1.3, Prefer"),
        ),
        (held("by_trust", Disable), "Trust", None),
        (
            held("by_md5", VerifyFull),
            "Md5",
            Some("TLSv1.3, VerifyFull"),
        ),
        (
            held("by_password", VerifyCA),
            "Cleartext",
            Some("TLSv1.3, VerifyCA"),
        ),
    ];
    for (held, auth, tls) in wanted {
        let report = held.report().await;
        assert_eq!(
            only_ending(&report).outcome,
            Outcome::Survived,
            "{auth} {tls:?} {report:?}"
        );
        let server = report.arms[0].server.clone().expect("a server");
        assert_eq!(
            (server.auth.as_deref(), server.tls.as_deref()),
            (Some(auth), tls)
        );
        assert!(server.version.expect("a version").starts_with("15."));
    }
    for user in ["by_md5", "by_password"] {
        for mode in [Disable, Prefer] {
            let report = held(user, mode).report().await;
            let ending = only_ending(&report);
            assert_eq!(ending.outcome, Outcome::ConnectFailed);
            let detail = ending.detail.as_deref().expect("a detail");
            assert!(
                detail.contains("was not sent, because the server is not verified"),
                "{detail}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_opened_says_why() {
    let authority = Authority::default();
    let identity = authority.identity(&["db.example"]);
    let with_tls = postgres(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    let without_tls = postgres(&postgres::Options::default());
    let (ca, other_ca) = (authority.pem(), Authority::default().pem());
    let port = with_tls.port;
    let details = [
        (holding(free_port()), "TCP connect: Connection refused"),
        (holding(port).host("no-such-host.invalid"), "name lookup: "),
        (
            holding(port).tls(TlsMode::VerifyCA).ca(&other_ca),
            "TLS handshake: invalid peer certificate: ",
        ),
        (
            holding(port).tls(TlsMode::VerifyFull).ca(&ca),
            "TLS handshake: invalid peer certificate: ",
        ),
        (
            holding(without_tls.port).tls(TlsMode::Require),
            "SSLRequest: the server offers no TLS",
        ),
    ];
    for (holding, wanted) in details {
        let report = holding.run().await;
        let ending = only_ending(&report);
        assert_eq!(ending.outcome, Outcome::ConnectFailed);
        let detail = ending.detail.as_deref().expect("a detail");
        assert!(detail.starts_with(wanted), "{detail}");
        assert_eq!(only_lane(ending).lifetime, None);
        assert_eq!(only_lane(ending).phase, Phase::Connect);
    }
    // Verified against the right authority it opens, whatever its name.
    let report = holding(port)
        .tls(TlsMode::VerifyCA)
        .ca(&ca)
        .duration(ms(1000))
        .run()
        .await;
    assert_eq!(only_ending(&report).outcome, Outcome::Survived);
    // As libpq: no TLS at the server, or a handshake that fails, leaves Prefer a plain connection.
    let report = holding(without_tls.port)
        .tls(TlsMode::Prefer)
        .duration(ms(1000))
        .run()
        .await;
    assert_eq!(report.arms[0].server.clone().expect("a server").tls, None);

    let report = Holding::new(port, USER, "wrong")
        .connections(2)
        .duration(ms(1000))
        .run()
        .await;
    let ending = only_ending(&report);
    assert_eq!((ending.outcome, ending.n), (Outcome::ConnectFailed, 2));
    let message = &ending.form.as_ref().expect("a form").messages[0];
    assert_eq!(message.code, "28P01");
    assert_eq!(
        message.text,
        "password authentication failed for user \"<user>\""
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_run_out_are_not_a_finding() {
    let postgres = postgres(&postgres::Options::default());
    block_in_place(|| postgres.sql(&format!("ALTER ROLE {USER} CONNECTION LIMIT 2")));
    let begin = now();
    let held = holding(postgres.port)
        .connections(5)
        .duration(ms(20_000))
        .start();
    let report = held.report().await;
    assert!(
        now().duration_since(begin).as_secs() < 10,
        "it let go at once"
    );
    let arm = &report.arms[0];
    assert_eq!(arm.counts.inconclusive, 5, "{arm:#?}");
    assert!(
        arm.endings
            .iter()
            .all(|e| e.reason == Some(Inconclusive::PoolExhausted))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_leaves_politely_and_reports_what_it_knows() {
    let postgres = postgres(&postgres::Options::default());
    let mut held = holding(postgres.port)
        .connections(3)
        .duration(ms(60_000))
        .start();
    block_in_place(|| postgres.backends(USER, 1));
    held.stop();
    let (exit, report) = held.end().await;
    assert_eq!(exit, Exit::Interrupted);
    let arm = &report.arms[0];
    assert_eq!(arm.counts.inconclusive, 3, "{arm:#?}");
    assert!(report.ended_at.is_some());
    assert!(
        arm.endings
            .iter()
            .all(|e| e.reason == Some(Inconclusive::Interrupted))
    );
    let log = block_in_place(|| {
        postgres.backends(USER, 0);
        postgres.log()
    });
    assert!(
        !log.contains("unexpected EOF") && !log.contains("reset by peer"),
        "{log}"
    );
}
