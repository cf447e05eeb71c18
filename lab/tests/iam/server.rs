//! A server that lets in by tokens, as RDS does: it knows the account's key and signs what it is to be given itself.

use super::signing::{Credentials, PYTHON, parameter, signed_at};
use api::iam::TokenRequest;
use jiff::Timestamp;
use lab::{certificates::Identity, holding::now};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, LazyLock, Mutex},
    thread,
    time::Duration,
};

const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
const SCRAM: &[u8] = b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0";
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x17server_version\09.6\0Z\0\0\0\x05I";
const DONE: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
/// How long a token is good for (AWS documentation, "IAM database authentication").
const VALID_SECONDS: i64 = 900;

/// What it does.
#[derive(Clone)]
pub(crate) struct Rules {
    /// Whose tokens it takes.
    pub(crate) credentials: Credentials,
    /// The name by which AWS knows it.
    pub(crate) host: &'static str,
    /// Asks for the proof of a password in place of a token.
    pub(crate) scram: bool,
    /// Says to whom it refuses what that one sent.
    pub(crate) echoes: bool,
    /// Cuts the first that is let in so long afterwards.
    pub(crate) cut_after: Option<Duration>,
}

/// A server.
pub(crate) struct Server {
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What it saw.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Passwords that it was given, and whether it let in by them.
    pub(crate) passwords: Vec<(String, bool)>,
    /// When it cut the first.
    pub(crate) cut: Option<Timestamp>,
}

impl Server {
    /// On loopback.
    pub(crate) fn start(identity: &Identity, rules: Rules) -> Self {
        Self::start_at("127.0.0.1", identity, rules)
    }

    pub(crate) fn start_at(address: &str, identity: &Identity, rules: Rules) -> Self {
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("a certificate")], key);
        let config = Arc::new(config.expect("a configuration"));
        // Made now, if it is not there: a login does not wait for that.
        LazyLock::force(&PYTHON);
        let listener = TcpListener::bind((address, 0)).expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let all = Arc::clone(&seen);
        thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let (config, seen, rules) = (Arc::clone(&config), Arc::clone(&all), rules.clone());
                // Whoever leaves early, or does not trust it, ends this.
                thread::spawn(move || {
                    let _ = Peer { port, rules, seen }.serve(tcp, config);
                });
            }
        });
        Self { port, seen }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic").clone()
    }
}

struct Peer {
    port: u16,
    rules: Rules,
    seen: Arc<Mutex<Seen>>,
}

impl Peer {
    fn serve(&self, mut tcp: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
        let ssl_request = frame(&mut tcp)?;
        assert_eq!(ssl_request, [4, 210, 22, 47], "nothing in the clear");
        tcp.write_all(b"S")?;
        let tls = ServerConnection::new(config).expect("a session");
        let mut tls = StreamOwned::new(tls, tcp);
        let start_up = frame(&mut tls)?;
        let mut words = start_up[4..].split(|byte| *byte == 0).map(String::from_utf8_lossy);
        words.find(|word| word == "user");
        let user = words.next().unwrap_or_default().into_owned();
        tls.write_all(if self.rules.scram { SCRAM } else { CLEARTEXT })?;
        if byte(&mut tls)? != b'p' {
            return Ok(());
        }
        let password = frame(&mut tls)?;
        let password = String::from_utf8_lossy(&password).trim_end_matches('\0').to_owned();
        let admitted = self.admits(&user, &password);
        let first = {
            let passwords = &mut self.seen.lock().expect("no panic").passwords;
            passwords.push((password.clone(), admitted));
            passwords.len() == 1
        };
        if !admitted {
            let said = if self.rules.echoes { &password } else { &user };
            return tls
                .write_all(&fatal(&format!("PAM authentication failed for user \"{said}\"")));
        }
        tls.write_all(WELCOME)?;
        if let Some(after) = self.rules.cut_after.filter(|_| first) {
            thread::sleep(after);
            self.seen.lock().expect("no panic").cut = Some(now());
            return tls.sock.shutdown(std::net::Shutdown::Both);
        }
        while byte(&mut tls)? == b'Q' {
            frame(&mut tls)?;
            tls.write_all(DONE)?;
        }
        Ok(())
    }

    /// Whether AWS would: a token of ours, for this very endpoint and role, signed within the last 15 minutes.
    fn admits(&self, user: &str, token: &str) -> bool {
        let (Some(date), Some(signed)) = (parameter(token, "X-Amz-Date"), signed_at(token)) else {
            return false;
        };
        let age = now().as_second() - signed;
        let request =
            TokenRequest { host: self.rules.host.into(), port: self.port, user: user.into() };
        (0..=VALID_SECONDS).contains(&age)
            && token == self.rules.credentials.botocore(&request, date)
    }
}

fn byte(stream: &mut impl Read) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte).map(|()| byte[0])
}

/// What a length says that follows it.
fn frame(stream: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).saturating_sub(4)];
    stream.read_exact(&mut body).map(|()| body)
}

/// An ErrorResponse in the words of PostgreSQL, whose RDS asks PAM about tokens.
fn fatal(text: &str) -> Vec<u8> {
    let body = format!("SFATAL\0VFATAL\0C28000\0M{text}\0\0");
    let length = u32::try_from(body.len() + 4).expect("short");
    [b"E", &length.to_be_bytes()[..], body.as_bytes()].concat()
}
