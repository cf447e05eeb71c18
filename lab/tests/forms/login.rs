//! How a connection is opened, and why it is not.

use super::{PASSWORD, USER, holding, ms, postgres_with};
use api::{
    close_form::TlsEnd,
    report::{Outcome, Phase},
    target::TlsMode,
};
use lab::{
    certificates::Authority,
    holding::{Holding, only_ending, only_lane},
    postgres,
    server::free_port,
};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_as_safe_as_they_can_be() {
    let authority = Authority::default();
    let identity = authority.identity(&["127.0.0.1", "localhost"]);
    let postgres = postgres_with(&postgres::Options {
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
        Holding::new(postgres.port, user, PASSWORD).ca(&ca).tls(mode).duration(ms(1000)).start()
    };
    use TlsMode::{Disable, Prefer, VerifyCA, VerifyFull};
    let wanted = [
        (held(USER, Disable), "ScramSha256", None),
        (held(USER, VerifyFull), "ScramSha256Plus", Some("TLSv1.3, VerifyFull")),
        (held(USER, VerifyCA), "ScramSha256Plus", Some("TLSv1.3, VerifyCA")),
        (held(USER, Prefer), "ScramSha256Plus", Some("TLSv1.3, Prefer")),
        (held("by_trust", Disable), "Trust", None),
        (held("by_md5", VerifyFull), "Md5", Some("TLSv1.3, VerifyFull")),
        (held("by_password", VerifyCA), "Cleartext", Some("TLSv1.3, VerifyCA")),
    ];
    for (held, auth, tls) in wanted {
        let report = held.report().await;
        assert_eq!(only_ending(&report).outcome, Outcome::Survived, "{auth} {tls:?} {report:?}");
        let server = report.arms[0].server.clone().expect("a server");
        assert_eq!((server.auth.as_deref(), server.tls.as_deref()), (Some(auth), tls));
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
async fn a_uri_alone_opens_a_connection() {
    let authority = Authority::default();
    let identity = authority.identity(&["127.0.0.1"]);
    let postgres = postgres_with(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    block_in_place(|| postgres.role("svc@uri", "p@ss/w+r d:#%?"));
    let by_password = |password: &str| {
        let place = format!("127.0.0.1:{}/postgres?sslmode=verify-full", postgres.port);
        Holding::of_uri(&format!("postgresql://svc%40uri:{password}@{place}\n"))
    };
    let right = by_password("p%40ss%2Fw+r%20d:#%25?");
    let report = right.ca(&authority.pem()).duration(ms(1000)).run().await;
    assert_eq!(only_ending(&report).outcome, Outcome::Survived);
    let server = report.arms[0].server.clone().expect("a server");
    assert_eq!(server.tls.as_deref(), Some("TLSv1.3, VerifyFull"));

    let report = by_password("p").ca(&authority.pem()).run().await;
    let message = &only_ending(&report).form.as_ref().expect("a form").messages[0];
    assert_eq!(message.text, "password authentication failed for user \"<user>\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_opens_a_connection_and_a_wrong_one_says_so() {
    let authority = Authority::default();
    let identity = authority.identity(&["127.0.0.1"]);
    let postgres = postgres_with(&postgres::Options {
        identity: Some(&identity),
        clients: Some(&authority),
        ..postgres::Options::default()
    });
    block_in_place(|| {
        ["by_certificate", "by_both"].iter().for_each(|role| postgres.role(role, PASSWORD));
    });
    let holding = |user: &str, mode| {
        let holding = Holding::new(postgres.port, user, PASSWORD).duration(ms(1000)).tls(mode);
        if mode == TlsMode::VerifyFull { holding.ca(&authority.pem()) } else { holding }
    };
    use TlsMode::{Require, VerifyFull};
    let own = authority.client("by_certificate");
    for (holding, auth) in [
        (holding("by_certificate", VerifyFull).certificate(&own).without_password(), "Certificate"),
        (holding("by_certificate", Require).certificate(&own).without_password(), "Certificate"),
        (
            holding("by_both", VerifyFull).certificate(&authority.client("by_both")),
            "ScramSha256Plus",
        ),
    ] {
        let report = holding.run().await;
        assert_eq!(only_ending(&report).outcome, Outcome::Survived, "{report:?}");
        let server = report.arms[0].server.clone().expect("a server");
        assert_eq!(server.auth.as_deref(), Some(auth));
    }
    // None, another role's.
    for (holding, wanted) in [
        (holding("by_certificate", VerifyFull), "connection requires a valid client certificate"),
        (
            holding("by_certificate", VerifyFull).certificate(&authority.client("other")),
            "certificate authentication failed for user \"<user>\"",
        ),
    ] {
        let report = holding.run().await;
        let ending = only_ending(&report);
        assert_eq!(ending.outcome, Outcome::ConnectFailed);
        let message = &ending.form.as_ref().expect("a form").messages[0];
        assert_eq!((message.code.as_str(), message.text.as_str()), ("28000", wanted));
    }
    // Another authority's: TLS 1.3 tells it behind the handshake.
    let foreign = Authority::default().client("by_certificate");
    let report = holding("by_certificate", VerifyFull).certificate(&foreign).run().await;
    let ending = only_ending(&report);
    assert_eq!(ending.outcome, Outcome::ConnectFailed);
    let form = ending.form.as_ref().expect("a form");
    assert!(matches!(form.tls, Some(TlsEnd::Alert(_))), "{form:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_cannot_be_opened_says_why() {
    let authority = Authority::default();
    let identity = authority.identity(&["db.example"]);
    let with_tls = postgres_with(&postgres::Options {
        identity: Some(&identity),
        ..postgres::Options::default()
    });
    let without_tls = postgres_with(&postgres::Options::default());
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
        (holding(without_tls.port).tls(TlsMode::Require), "SSLRequest: the server offers no TLS"),
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
    let report = holding(port).tls(TlsMode::VerifyCA).ca(&ca).duration(ms(1000)).run().await;
    assert_eq!(only_ending(&report).outcome, Outcome::Survived);
    // As libpq: no TLS at the server, or a handshake that fails, leaves Prefer a plain connection.
    let report = holding(without_tls.port).tls(TlsMode::Prefer).duration(ms(1000)).run().await;
    assert_eq!(report.arms[0].server.clone().expect("a server").tls, None);

    let report = Holding::new(port, USER, "wrong").connections(2).duration(ms(1000)).run().await;
    let ending = only_ending(&report);
    assert_eq!((ending.outcome, ending.n), (Outcome::ConnectFailed, 2));
    let message = &ending.form.as_ref().expect("a form").messages[0];
    assert_eq!(message.code, "28P01");
    assert_eq!(message.text, "password authentication failed for user \"<user>\"");
}
