//! What a pooler, a load balancer or a firewall does to a connection.

use super::{
    PASSWORD, USER, assert_announced, assert_revealed, codes, cut, done, holding, ms,
    pgbouncer_with, postgres_with,
};
use api::{
    close_form::{CloseWord, TcpEnd, TlsEnd},
    pattern::Pattern,
    report::Phase,
    target::TlsMode,
};
use lab::{
    certificates::Authority,
    holding::only_ending,
    pgbouncer::{self, PgBouncer},
    postgres,
    relay::{Fault, Relay},
};
use tokio::{task::block_in_place, time::sleep};

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncers_idle_timer_names_itself_under_every_tls() {
    let postgres = postgres_with(&postgres::Options::default());
    let authority = Authority::default();
    let identity = authority.identity(&["localhost"]);
    for (protocols, version) in
        [(None, None), (Some("tlsv1.2"), Some("TLSv1.2")), (Some("tlsv1.3"), Some("TLSv1.3"))]
    {
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
            holding = holding.host("localhost").ca(&authority.pem()).tls(TlsMode::VerifyFull);
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
        assert!(lived.max_ms.expect("an end") - lived.min_ms < 300, "{lived:?}");

        let server = report.arms[0].server.clone().expect("a server");
        assert_eq!(server.auth.as_deref(), Some("ScramSha256"));
        assert_eq!(server.tls, version.map(|version| format!("{version}, VerifyFull")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncers_timer_on_transactions_names_itself() {
    let postgres = postgres_with(&postgres::Options::default());
    for mode in ["session", "transaction"] {
        let settings = format!("pool_mode = {mode}\nidle_transaction_timeout = 1");
        let pgbouncer = pgbouncer_with(&postgres, &settings);
        let statement = "SELECT 1".into();
        let held = holding(pgbouncer.port).pattern(Pattern::IdleInTransaction { statement });
        let report = held.duration(ms(6000)).run().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!(
            (codes(form), &*form.messages[0].text),
            (vec!["08P01"], "idle transaction timeout")
        );
        assert_eq!((form.tcp, lane.phase), (TcpEnd::Fin, Phase::Hold));
        assert!(lane.clocks.expect("clocks").begin_ms.expect("a BEGIN") >= 900, "{lane:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncers_administrator_removes_the_database() {
    let postgres = postgres_with(&postgres::Options::default());
    let pgbouncer = pgbouncer_with(&postgres, &format!("admin_users = {USER}"));
    let held = holding(pgbouncer.port).start();
    sleep(ms(1000)).await;
    let truth = done(|| pgbouncer.console((USER, PASSWORD), "KILL postgres"));
    let report = held.report().await;
    let (form, lane) = cut(only_ending(&report));
    assert_eq!((codes(form), &*form.messages[0].text), (vec!["08P01"], "database removed"));
    assert_announced(lane, truth);
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncer_adds_a_second_message_when_its_server_connection_dies() {
    let postgres = postgres_with(&postgres::Options::default());
    let pgbouncer = pgbouncer_with(&postgres, "pool_mode = session");
    // In a transaction, so that a server connection is linked.
    let held = holding(pgbouncer.port)
        .pattern(Pattern::IdleInTransaction { statement: "SELECT 1".into() })
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
    let postgres = postgres_with(&postgres::Options::default());
    let pgbouncer = pgbouncer_with(&postgres, "");
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
    let serving = |version: &str| {
        postgres_with(&postgres::Options {
            identity: Some(&identity),
            settings: &format!("ssl_max_protocol_version = '{version}'"),
            ..postgres::Options::default()
        })
    };
    let (old, new) = (serving("TLSv1.2"), serving("TLSv1.3"));
    let (plain, tls) = (TlsMode::Disable, TlsMode::Require);
    for (server, mode, fault, word, tls_end, tcp) in [
        (&new, plain, Fault::Fin, CloseWord::Fin, None, TcpEnd::Fin),
        (&new, plain, Fault::Rst, CloseWord::Rst, None, TcpEnd::Rst),
        (&old, tls, Fault::Fin, CloseWord::Truncated, Some(TlsEnd::Truncated), TcpEnd::Fin),
        (&new, tls, Fault::Fin, CloseWord::Truncated, Some(TlsEnd::Truncated), TcpEnd::Fin),
        (&old, tls, Fault::Rst, CloseWord::Rst, Some(TlsEnd::Open), TcpEnd::Rst),
        (&new, tls, Fault::Rst, CloseWord::Rst, Some(TlsEnd::Open), TcpEnd::Rst),
    ] {
        let relay = Relay::start(server.port).await;
        let held = holding(relay.port).tls(mode).start();
        sleep(ms(1000)).await;
        let truth = done(|| relay.fault(fault));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, &form.tls, form.tcp), (word, &tls_end, tcp), "{fault:?}");
        assert!(form.messages.is_empty() && !form.on_write);
        assert_announced(lane, truth);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_flow_and_a_black_hole_only_show_at_the_next_request() {
    let postgres = postgres_with(&postgres::Options::default());
    for (fault, word, tcp) in [
        (Fault::Forget, CloseWord::RstOnWrite, TcpEnd::Rst),
        (Fault::BlackHole, CloseWord::TimedOut, TcpEnd::Open),
    ] {
        let relay = Relay::start(postgres.port).await;
        let held = holding(relay.port).reconnect_after(&[]).start();
        sleep(ms(1000)).await;
        let truth = done(|| relay.fault(fault));
        let report = held.report().await;
        let (form, lane) = cut(only_ending(&report));
        assert_eq!((form.word, form.tcp, form.on_write), (word, tcp, true), "{fault:?}");
        assert_eq!(lane.phase, Phase::Proof);
        assert_revealed(lane, truth);
    }
}
