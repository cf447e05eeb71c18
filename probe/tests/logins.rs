//! Logins against servers that misbehave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what goes wrong here is a failed test"
)]

mod fake;

use api::settings::TcpSettings;
use fake::{Fake, GOODBYE, WELCOME, fatal};
use probe::{
    client::Manner,
    connect::{self, Dialer, Opened, Path, Refusal},
    password::Password,
    scrub::Scrubber,
    session::Observer,
    stall::Attention,
    target::{Encryption, Endpoint, Proof},
    tls::{Tls, Verification},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::time::Instant;

const PASSWORD: &str = "s3cret-of-the-test";
const MD5_REQUEST: &[u8] = b"R\0\0\0\x0c\0\0\0\x05salt";
const CLEARTEXT_REQUEST: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const SASL_REQUEST: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";

fn endpoint(port: u16, encryption: Encryption) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".into(),
        port,
        database: "d".into(),
        user: "u".into(),
        proof: Proof::Password(Some(Password::new(PASSWORD))),
        encryption,
        hidden: Vec::new(),
    }
}

async fn connect(server: &Fake, encryption: Encryption) -> Result<Opened, Refusal> {
    let endpoint = endpoint(server.port, encryption);
    let addresses = connect::resolve(&endpoint.host, endpoint.port).await.unwrap();
    dialer(endpoint, addresses).connect(0).await
}

fn dialer(endpoint: Endpoint, addresses: Vec<SocketAddr>) -> Dialer {
    let observer = Arc::new(Observer {
        attention: Arc::new(Attention::new(Instant::now())),
        scrubber: Scrubber::of(std::iter::once(&endpoint)),
        answer_timeout: Duration::from_secs(2),
        meter: Arc::default(),
    });
    let path = Arc::new(Path { endpoint, addresses: Ok(addresses) });
    let (tcp, manner) = (TcpSettings::default(), Manner::Raw);
    Dialer { path, observer, tcp, manner, application_name: None }
}

async fn refused(server: &Fake) -> Refusal {
    let Err(refusal) = connect(server, Encryption::Never).await else {
        panic!("it was let in");
    };
    refusal
}

fn unverified() -> Tls {
    Tls::new("127.0.0.1", Verification::None, "Prefer", None).unwrap()
}

#[tokio::test]
async fn no_password_and_no_hash_of_it_goes_to_an_unverified_server() {
    for request in [MD5_REQUEST, CLEARTEXT_REQUEST] {
        let server = Fake::start(move |_, mut peer| {
            peer.read();
            peer.write(request);
            while !peer.read().is_empty() {}
        });
        let refusal = refused(&server).await;
        assert!(refusal.detail.contains("was not sent"), "{}", refusal.detail);
        // Start-up and Terminate, and no password message between.
        let got = server.received_to(&[b"\0\0", GOODBYE].concat());
        assert!(!got.contains(&b'p'), "{got:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_prove_that_it_knows_the_password_is_not_trusted() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        peer.write(SASL_REQUEST);
        peer.read();
        peer.write(WELCOME);
        peer.read();
    });
    let refusal = refused(&server).await;
    assert_eq!(refusal.detail, "login: the server left its part of SCRAM undone");
}

#[tokio::test]
async fn an_unknown_method_is_named() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        peer.write(b"R\0\0\0\x08\0\0\0\x07");
        peer.read();
    });
    let refusal = refused(&server).await;
    assert_eq!(refusal.detail, "login: the server asks for GSSAPI, which is not supported");
}

#[tokio::test]
async fn prefer_goes_on_without_tls_as_libpq_does() {
    // The server can't; or it says it can, and fails.
    for answer in [b"N".as_slice(), b"S\x15\x03\x03\0\x02\x02\x50"] {
        let server = Fake::start(move |number, mut peer| {
            if number == 0 {
                peer.read();
                peer.write(answer);
            }
            if answer == b"N" || number == 1 {
                peer.welcome();
                peer.serve();
            }
        });
        let opened = connect(&server, Encryption::IfOffered(unverified())).await;
        let opened = opened.unwrap_or_else(|refusal| panic!("{refusal:?}"));
        assert_eq!(opened.server.tls, None);
    }
}

#[tokio::test]
async fn a_handshake_that_fails_is_told_with_its_alert() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        peer.write(b"S");
        peer.read();
        peer.write(b"\x15\x03\x03\0\x02\x02\x50");
        peer.read();
    });
    let result = connect(&server, Encryption::Always(unverified())).await;
    let refusal = result.err().expect("a refusal");
    assert_eq!(refusal.detail, "TLS handshake: received fatal alert: InternalError");
}

#[tokio::test]
async fn bytes_behind_the_answer_to_ssl_request_are_not_taken_for_a_server() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        peer.write(&[b"S".as_slice(), WELCOME].concat());
        while !peer.read().is_empty() {}
    });
    let result = connect(&server, Encryption::Always(unverified())).await;
    let refusal = result.err().expect("a refusal");
    assert!(refusal.detail.starts_with("TLS handshake: "), "{}", refusal.detail);
    assert!(!server.received().windows(4).any(|bytes| bytes == b"user"));
}

#[tokio::test]
async fn what_the_server_said_before_it_hung_up_is_kept() {
    let server = Fake::start(|_, mut peer| {
        peer.read();
        peer.write(&fatal("53300", "sorry, too many clients already"));
    });
    let refusal = refused(&server).await;
    assert_eq!(refusal.reason, Some(api::report::Inconclusive::PoolExhausted));
    assert_eq!(refusal.form.expect("a form").messages[0].code, "53300");
}

#[tokio::test]
async fn lanes_are_spread_over_all_addresses_and_pass_by_a_dead_one() {
    let servers = [Fake::obliging(), Fake::obliging()];
    let mut addresses: Vec<SocketAddr> =
        servers.iter().map(|server| SocketAddr::from(([127, 0, 0, 1], server.port))).collect();
    let (first, second) = (addresses[0], addresses[1]);
    let peer = |opened: Result<Opened, Refusal>| {
        opened.unwrap_or_else(|refusal| panic!("{refusal:?}")).session.link().addresses().1.unwrap()
    };
    let spread = dialer(endpoint(0, Encryption::Never), addresses.clone());
    for (lane, expected) in [(0, first), (1, second), (2, first)] {
        assert_eq!(peer(spread.connect(lane).await), expected);
    }
    // Nobody listens there.
    addresses[0] = SocketAddr::from(([127, 0, 0, 1], 1));
    let past = dialer(endpoint(0, Encryption::Never), addresses);
    assert_eq!(peer(past.connect(0).await), second);
}
