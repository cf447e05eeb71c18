//! Logins by tokens of AWS IAM: of our sidecar, against a server that asks botocore what they must be.

#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

mod server;
mod signing;

use api::{
    iam::TokenRequest,
    report::{Outcome, ProblemReason, Report},
    target::TlsMode,
};
use jiff::SignedDuration;
use lab::{
    certificates::Authority,
    holding::{Holding, only_ending, span},
};
use probe::exit::Exit;
use server::{Rules, Server};
use signing::{Credentials, KEY, SESSION, Sidecar, ask, parameter, signed_at};
use std::{
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

const USER: &str = "svc_probe";
const RULES: Rules =
    Rules { credentials: KEY, host: "127.0.0.1", scram: false, echoes: false, cut_after: None };

/// A server and who vouches for it.
fn served(rules: Rules) -> (Server, Authority) {
    let authority = Authority::default();
    let server = Server::start(&authority.identity(&["127.0.0.1", "localhost"]), rules);
    (server, authority)
}

fn holding(server: &Server, authority: &Authority, socket: &Path) -> Holding {
    Holding::new(server.port, USER, "")
        .iam(socket)
        .tls(TlsMode::VerifyFull)
        .ca(&authority.pem())
        .duration(Duration::from_millis(500))
}

fn detail(report: &Report) -> &str {
    let ending = only_ending(report);
    assert_eq!(ending.outcome, Outcome::ConnectFailed, "{report:?}");
    ending.detail.as_deref().expect("a detail")
}

fn silent_about_tokens(report: &Report) {
    let text = serde_json::to_string(report).expect("a report");
    for secret in ["X-Amz", "AKID", "rds-db", KEY.secret] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn a_token_is_what_botocore_signs() {
    let at =
        |host: &str, port, user: &str| TokenRequest { host: host.into(), port, user: user.into() };
    let proxy = "pulp.proxy-c0ffee.us-east-1.rds.amazonaws.com";
    let requests =
        [at(proxy, 5432, "pulp"), at(proxy, 6432, "a b&c=d+e/é%"), at("10.0.0.7", 5432, "x_1-y.z")];
    let sidecars = [
        (KEY, Sidecar::start(KEY)),
        (KEY, Sidecar::of_secret(KEY)),
        (SESSION, Sidecar::start(SESSION)),
        (SESSION, Sidecar::of_secret(SESSION)),
    ];
    for (credentials, sidecar) in &sidecars {
        for request in &requests {
            let answer = sidecar.ask(&serde_json::to_string(request).expect("a request"));
            let answer: serde_json::Value = serde_json::from_str(&answer).expect("an answer");
            let token = answer["token"].as_str().expect("a token");
            let date = parameter(token, "X-Amz-Date").expect("a date");
            // The order of the parameters is left open; each must be the same, the signature over all of them too.
            let sorted = |token: &str| {
                let mut parts: Vec<_> = token.split(['?', '&']).map(str::to_owned).collect();
                parts.sort();
                parts
            };
            assert_eq!(sorted(token), sorted(&credentials.botocore(request, date)));
            assert_eq!(parameter(token, "X-Amz-Expires"), Some("900"));
        }
    }
}

#[test]
fn the_socket_is_for_the_pods_user_alone_and_nonsense_is_answered() {
    let sidecar = Sidecar::start(KEY);
    let mode = fs::metadata(sidecar.socket()).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(sidecar.ask("GET / HTTP/1.1").starts_with(r#"{"error":"the request can't be read"#));
    let spaced = r#"{"host":"a b","port":1,"user":"u"}"#;
    assert!(sidecar.ask(spaced).starts_with(r#"{"error":"a token is for a host name"#));
    let socket = sidecar.socket();
    assert_eq!((sidecar.stop(), socket.exists()), (Some(0), false));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_login_has_a_token_of_its_own_the_one_after_a_cut_too() {
    let sidecar = Sidecar::start(KEY);
    let rules = Rules { cut_after: Some(Duration::from_millis(1200)), ..RULES };
    let (server, authority) = served(rules);
    let holding = holding(&server, &authority, &sidecar.socket()).duration(Duration::from_secs(3));
    let report = holding.run().await;
    assert_eq!(only_ending(&report).outcome, Outcome::Disconnected);
    assert_eq!(report.arms[0].server.as_ref().and_then(|it| it.auth.as_deref()), Some("AwsIam"));
    silent_about_tokens(&report);
    let seen = server.seen();
    assert!(seen.passwords.iter().all(|(_, admitted)| *admitted), "{:?}", seen.passwords);
    let signed: Vec<_> = seen.passwords.iter().map(|(token, _)| signed_at(token)).collect();
    assert!(signed.len() == 2 && signed[0] < signed[1], "{signed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_logs_in_by_a_token_too() {
    let sidecar = Sidecar::of_secret(KEY);
    let (server, authority) = served(RULES);
    holding(&server, &authority, &sidecar.socket()).inventory().await;
    assert!(matches!(&server.seen().passwords[..], [(_, true)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_another_key_host_or_time_is_refused_in_the_servers_words() {
    let thief = Credentials { secret: "another", ..KEY };
    let other_key = Sidecar::start(thief);
    let ours = Sidecar::start(KEY);
    for (rules, socket) in [
        (RULES, other_key.socket()),
        (Rules { echoes: true, ..RULES }, other_key.socket()),
        (Rules { host: "pulp.proxy-c0ffee.us-east-1.rds.amazonaws.com", ..RULES }, ours.socket()),
    ] {
        let echoes = rules.echoes;
        let (server, authority) = served(rules);
        let report = holding(&server, &authority, &socket).run().await;
        let ending = only_ending(&report);
        assert_eq!(ending.outcome, Outcome::ConnectFailed, "{report:?}");
        let message = &ending.form.as_ref().expect("a form").messages[0];
        let said = match echoes {
            true => format!("<host>:{}/?Action=connect&DBUser=<user>&<token>", server.port),
            false => "<user>".to_owned(),
        };
        assert_eq!(message.text, format!("PAM authentication failed for user \"{said}\""));
        silent_about_tokens(&report);
        assert!(matches!(&server.seen().passwords[..], [(_, false)]));
    }

    let (server, authority) = served(RULES);
    let request = TokenRequest { host: "127.0.0.1".into(), port: server.port, user: USER.into() };
    let date = (lab::holding::now() - SignedDuration::from_mins(16))
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string();
    let late = Instead::answering(format!(r#"{{"token":"{}"}}"#, KEY.botocore(&request, &date)));
    let report = holding(&server, &authority, &late.socket()).run().await;
    assert_eq!(only_ending(&report).outcome, Outcome::ConnectFailed);
    assert!(matches!(&server.seen().passwords[..], [(_, false)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_whom_nobody_vouches_for_or_who_asks_for_a_password() {
    let sidecar = Sidecar::start(KEY);
    let (server, _) = served(RULES);
    // Without a CA.
    let unverified =
        Holding::new(server.port, USER, "").iam(&sidecar.socket()).tls(TlsMode::Require).ca("");
    let (exit, report) = unverified.start().end().await;
    assert_eq!(exit, Exit::Misconfigured);
    assert_eq!(report.problem.expect("a problem").reason, ProblemReason::CaNotFound);
    // With another one.
    let report = holding(&server, &Authority::default(), &sidecar.socket()).run().await;
    assert!(detail(&report).starts_with("TLS handshake: "), "{report:?}");
    assert!(server.seen().passwords.is_empty());

    let (server, authority) = served(Rules { scram: true, ..RULES });
    let report = holding(&server, &authority, &sidecar.socket()).run().await;
    assert!(detail(&report).contains("GRANT rds_iam TO the role"), "{report:?}");
    assert!(server.seen().passwords.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_no_token_says_why() {
    let (server, authority) = served(RULES);
    let sidecar = Sidecar::without_credentials();
    let report = holding(&server, &authority, &sidecar.socket()).run().await;
    assert!(
        detail(&report).starts_with("login: no IAM token: no credentials of AWS"),
        "{report:?}"
    );

    let broken = Instead::answering("{".to_owned());
    let report = holding(&server, &authority, &broken.socket()).run().await;
    assert!(
        detail(&report).starts_with("login: no IAM token, as its service failed"),
        "{report:?}"
    );

    let nobody = holding(&server, &authority, Path::new("/nowhere/iam.sock"));
    let (exit, report) = nobody.start().end().await;
    let problem = report.problem.expect("a problem");
    assert_eq!((exit, problem.reason), (Exit::Misconfigured, ProblemReason::TokenServiceNotFound));
    assert!(problem.message.contains("/nowhere/iam.sock, and nobody listens there"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_is_noticed_while_another_connection_waits_for_its_token() {
    // The first is let in and cut after 1.2 s; the second waits for its token as long as anybody does.
    let sidecar = Sidecar::start(KEY);
    let rules = Rules { cut_after: Some(Duration::from_millis(1200)), ..RULES };
    let (server, authority) = served(rules);
    let slow = Instead::once(sidecar.socket());
    let report = holding(&server, &authority, &slow.socket())
        .connections(2)
        .duration(Duration::from_secs(3))
        .reconnect_after(&[])
        .run()
        .await;
    let cut = server.seen().cut.expect("a cut");
    let endings = &report.arms[0].endings;
    let of = |outcome| endings.iter().find(|ending| ending.outcome == outcome).expect("an ending");
    let waited = of(Outcome::ConnectFailed).detail.as_deref().expect("a detail");
    assert!(waited.starts_with("login: no IAM token, as its service gave none in 7 s"), "{waited}");
    let (_, noticed) = span(&of(Outcome::Disconnected).lanes[0]);
    let late = noticed.duration_since(cut);
    assert!(late < SignedDuration::from_millis(100), "{late:?}");
}

/// Who is asked in place of a sidecar.
struct Instead(tempfile::TempDir);

impl Instead {
    fn socket(&self) -> PathBuf {
        self.0.path().join("iam.sock")
    }

    /// Gives always this answer.
    fn answering(answer: String) -> Self {
        Self::serving(move |_, _| Some(answer.clone()))
    }

    /// Passes the first request on, and leaves the others without an answer.
    fn once(sidecar: PathBuf) -> Self {
        Self::serving(move |number, line| (number == 0).then(|| ask(&sidecar, line)))
    }

    fn serving(answer: impl Fn(usize, &str) -> Option<String> + Send + 'static) -> Self {
        let instead = Self(tempfile::tempdir().expect("a folder"));
        let listener = UnixListener::bind(instead.socket()).expect("a socket");
        thread::spawn(move || {
            let mut waiting = Vec::new();
            for (number, mut stream) in listener.incoming().flatten().enumerate() {
                let mut line = String::new();
                let _ =
                    std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut line);
                match answer(number, line.trim()) {
                    Some(answer) => {
                        let _ = stream.write_all(answer.as_bytes());
                    }
                    None => waiting.push(stream),
                }
            }
        });
        instead
    }
}
