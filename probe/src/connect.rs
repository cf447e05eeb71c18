//! Opens one connection, each phase timed, under one deadline.

use crate::{
    auth::{self, Failure},
    client::Manner,
    close,
    link::Link,
    session::{Observer, Session},
    target::{Encryption, Endpoint},
    tls::Tls,
};
use api::{
    close_form::CloseForm,
    report::{Inconclusive, Server, TcpTimers},
    settings::{TcpSettings, WorkloadSettings},
    text,
};
use bytes::BytesMut;
use postgres_protocol::message::frontend;
use serde::Serialize;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};

mod resolve;
mod tcp_options;

pub use resolve::resolve;

/// One attempt, from TCP to ready, may take so long: as long as servers give a client to log in
/// (PostgreSQL's authentication_timeout, PgBouncer's client_login_timeout).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// A path under test.
pub struct Path {
    /// Where, and as whom.
    pub endpoint: Endpoint,
    /// The host's addresses, over which lanes are spread, or why there are none.
    pub addresses: Result<Vec<SocketAddr>, String>,
}

/// Opens a workload's connections on one path.
pub struct Dialer {
    /// The path.
    pub path: Arc<Path>,
    /// What its sessions share.
    pub observer: Arc<Observer>,
    /// TCP's timers.
    pub tcp: TcpSettings,
    /// Whose way of talking they have.
    pub manner: Manner,
    /// What the connections call themselves.
    pub application_name: Option<String>,
}

/// An open connection.
pub struct Opened {
    /// The session, ready for a query.
    pub session: Session,
    /// How long each phase took.
    pub phases: Phases,
    /// What the server told.
    pub server: Server,
    /// TCP's timers that are in force, if the kernel tells.
    pub tcp: Option<TcpTimers>,
}

/// Milliseconds that each phase took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Phases {
    /// The TCP handshake.
    pub tcp_ms: f64,
    /// SSLRequest and its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_request_ms: Option<f64>,
    /// The TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_ms: Option<f64>,
    /// From the start-up message until the server was ready.
    pub login_ms: f64,
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub struct Refusal {
    /// A reason on our own side, if it is one.
    pub reason: Option<Inconclusive>,
    /// How the peer ended it, if it did.
    pub form: Option<Box<CloseForm>>,
    /// In words.
    pub detail: String,
    /// The address that was tried.
    pub peer: Option<SocketAddr>,
}

impl Refusal {
    /// What is told of it: how the peer ended it, or else the detail.
    #[must_use]
    pub fn words(self) -> String {
        self.form.map_or(self.detail, |form| text::form(&form))
    }
}

impl Dialer {
    /// For the connections of this workload.
    #[must_use]
    pub fn new(path: &Arc<Path>, workload: &WorkloadSettings, observer: Observer) -> Self {
        Self {
            path: Arc::clone(path),
            observer: Arc::new(observer),
            tcp: workload.tcp,
            manner: Manner::of(workload),
            application_name: workload.application_name.clone(),
        }
    }

    /// Opens the connection of a lane.
    ///
    /// # Errors
    /// Why it could not be opened.
    pub async fn connect(&self, lane: usize) -> Result<Opened, Refusal> {
        let mut attempt = Attempt { dialer: self, phase: "TCP connect", peer: None };
        let opened = timeout(CONNECT_TIMEOUT, attempt.run(lane)).await;
        let result = opened.unwrap_or_else(|_| {
            Err(attempt.refusal(&format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())))
        });
        result.map_err(|mut refusal| {
            refusal.detail = self.observer.scrubber.clean(&refusal.detail);
            refusal
        })
    }
}

/// One attempt and how far it came.
struct Attempt<'a> {
    dialer: &'a Dialer,
    phase: &'static str,
    peer: Option<SocketAddr>,
}

impl Attempt<'_> {
    async fn run(&mut self, lane: usize) -> Result<Opened, Refusal> {
        match &self.dialer.path.endpoint.encryption {
            Encryption::Never => self.open(lane, None).await,
            Encryption::Always(tls) => self.open(lane, Some((tls, true))).await,
            // As libpq: a TLS handshake that fails is followed by one attempt without TLS, which
            // the report shows as a plain connection.
            Encryption::IfOffered(tls) => match self.open(lane, Some((tls, false))).await {
                Err(_) if self.phase == "TLS handshake" => self.open(lane, None).await,
                result => result,
            },
        }
    }

    async fn open(&mut self, lane: usize, tls: Option<(&Tls, bool)>) -> Result<Opened, Refusal> {
        let mut lap = Lap(Instant::now());
        let mut phases = Phases::default();
        self.phase = "TCP connect";
        let tcp = self.tcp(lane).await?;
        let established = Instant::now();
        phases.tcp_ms = lap.lap();
        let timers = tcp_options::in_force(&tcp).ok();

        let mut link = Link::new(tcp);
        let mut server = Server::default();
        let (mut verified, mut shown) = (false, false);
        if let Some((tls, required)) = tls {
            self.phase = "SSLRequest";
            let offered = ssl_request(&mut link).await.map_err(|error| self.failed(&error))?;
            phases.ssl_request_ms = Some(lap.lap());
            if offered {
                self.phase = "TLS handshake";
                link.handshake(Arc::clone(&tls.config), tls.name.clone())
                    .await
                    .map_err(|error| self.failed(&error))?;
                phases.tls_ms = Some(lap.lap());
                verified = tls.verified;
                shown = tls.certificate.as_ref().is_some_and(|own| own.was_shown());
                let version = link.tls().and_then(|tls| tls.protocol_version());
                server.tls =
                    version.map(|version| format!("{}, {}", tls_version(version), tls.word));
            } else if required {
                return Err(self.refusal(
                    "the server offers no TLS; write spec.target.tls.mode: Disable if that is \
                     meant to be so",
                ));
            }
        }

        self.phase = "login";
        let Dialer { path, observer, manner, application_name, .. } = self.dialer;
        let mut session = Session::new(link, established, *manner, Arc::clone(observer));
        let name = application_name.as_deref();
        match auth::log_in(&mut session, &path.endpoint, *manner, name, verified).await {
            Ok(logged_in) => {
                phases.login_ms = lap.lap();
                let clean = |text: String| observer.scrubber.clean(&text);
                server.version = logged_in.version.map(clean).map(|v| v.chars().take(64).collect());
                // No password was asked for: if the server saw a certificate, that is why.
                let auth =
                    if shown && logged_in.auth == "Trust" { "Certificate" } else { logged_in.auth };
                server.auth = Some(auth.to_owned());
                Ok(Opened { session, phases, server, tcp: timers })
            }
            Err(Failure::Refused(text)) => {
                session.leave(None).await;
                Err(self.refusal(&text))
            }
            Err(Failure::Ended(sign)) if sign.is_garbage() => {
                Err(self.refusal("what answers is no PostgreSQL server"))
            }
            Err(Failure::Ended(sign)) => {
                let verdict = close::classify(session.drain(sign).await);
                Err(Refusal {
                    reason: verdict.reason,
                    form: Some(Box::new(verdict.form)),
                    ..self.refusal("ended by the peer")
                })
            }
        }
    }

    /// Connects to the lane's address. Where that can't be reached, the others are tried in turn,
    /// as libpq does: a host name may have addresses of a family that the pod has no route for.
    async fn tcp(&mut self, lane: usize) -> Result<TcpStream, Refusal> {
        let addresses = match &self.dialer.path.addresses {
            Ok(addresses) => addresses,
            Err(error) => {
                self.phase = "name lookup";
                return Err(self.refusal(error));
            }
        };
        let mut refusal = None;
        for turn in 0..addresses.len() {
            let address = addresses[(lane + turn) % addresses.len()];
            self.peer = Some(address);
            let share = CONNECT_TIMEOUT / u32::try_from(addresses.len()).unwrap_or(1);
            let failure = match timeout(share, dial(address, self.dialer.tcp)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => self.failed(&error),
                Err(_) => self.refusal(&format!("no answer within {} s", share.as_secs())),
            };
            if failure.reason.is_some() {
                return Err(failure);
            }
            refusal.get_or_insert(failure);
        }
        Err(refusal.unwrap_or_else(|| self.refusal("the host name has no address")))
    }

    fn refusal(&self, what: &str) -> Refusal {
        Refusal {
            reason: None,
            form: None,
            detail: format!("{}: {what}", self.phase),
            peer: self.peer,
        }
    }

    fn failed(&self, error: &io::Error) -> Refusal {
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "the peer closed the connection".to_owned(),
            // Rust appends its number, which says no more than the words.
            _ => match error.to_string().split_once(" (os error") {
                Some((words, _)) => words.to_owned(),
                None => error.to_string(),
            },
        };
        Refusal {
            reason: is_local_limit(error).then_some(Inconclusive::LocalLimit),
            ..self.refusal(&what)
        }
    }
}

async fn dial(address: SocketAddr, tcp: TcpSettings) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Both as libpq.
    socket.set_keepalive(true)?;
    socket.set_nodelay(true)?;
    tcp_options::set(&socket, tcp)?;
    socket.connect(address).await
}

/// Asks for TLS; whether the server will.
async fn ssl_request(link: &mut Link) -> io::Result<bool> {
    let mut message = BytesMut::new();
    frontend::ssl_request(&mut message);
    link.send(&message).await?;
    match link.read_byte().await? {
        b'S' => Ok(true),
        b'N' => Ok(false),
        _ => Err(io::Error::other("what answers is no PostgreSQL server")),
    }
}

/// Whether our own side ran out of something: descriptors (EMFILE, ENFILE), ports
/// (EADDRNOTAVAIL), memory for sockets (ENOBUFS, ENOMEM). Numbers of Linux.
fn is_local_limit(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(24 | 23 | 99 | 105 | 12))
}

fn tls_version(version: rustls::ProtocolVersion) -> &'static str {
    match version {
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "TLSv1.3",
    }
}

/// Times one phase after the other.
struct Lap(Instant);

impl Lap {
    /// Milliseconds since the last call, to the microsecond.
    fn lap(&mut self) -> f64 {
        let now = Instant::now();
        let elapsed = now.duration_since(self.0);
        self.0 = now;
        (elapsed.as_secs_f64() * 1e6).round() / 1e3
    }
}
