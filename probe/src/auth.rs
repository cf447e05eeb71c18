//! Start-up and login (PostgreSQL documentation, "Message Flow: Start-up").
//!
//! SCRAM-SHA-256-PLUS where there is TLS, SCRAM-SHA-256 otherwise. A password that would go over
//! as it is, or as an MD5 hash that can be replayed, is only sent to a server whose certificate
//! was checked: a probe must not hand out what an application would have kept. A token of AWS IAM only goes over
//! as it is.

use crate::{
    client::Manner,
    password::Password,
    session::{Session, Sign},
    target::{Endpoint, Proof},
    tls,
    wire::{Auth, Frame},
};
use bytes::BytesMut;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256},
    },
    message::frontend,
};
use std::io;

/// What a login told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggedIn {
    /// How it was done, as in [`api::report::Server::auth`].
    pub auth: &'static str,
    /// server_version, as the server announced it.
    pub version: Option<String>,
    /// TimeZone, as the server announced it.
    pub time_zone: Option<String>,
}

/// Why a login failed.
#[derive(Debug)]
pub enum Failure {
    /// The server ended it.
    Ended(Sign),
    /// We ended it, for this reason.
    Refused(String),
}

/// Sends the start-up message, answers until the session is ready, and says what the client says
/// first.
///
/// # Errors
/// The server refused, or it asked for what must not be sent.
pub async fn log_in(
    session: &mut Session,
    endpoint: &Endpoint,
    manner: Manner,
    application_name: Option<&str>,
    verified: bool,
) -> Result<LoggedIn, Failure> {
    let mut message = BytesMut::new();
    let parameters = [("user", &*endpoint.user), ("database", &*endpoint.database)];
    let name = application_name.map(|name| ("application_name", name));
    let parameters = parameters.into_iter().chain(manner.start_up()).chain(name);
    frontend::startup_message(parameters, &mut message)?;
    session.send(&message).await?;

    let mut done = LoggedIn { auth: "Trust", ..LoggedIn::default() };
    let (mut scram, mut greeted) = (None, false);
    loop {
        message.clear();
        match session.frame().await? {
            Frame::Said(said) if said.is_error() => return Err(session.fatal().into()),
            Frame::Ready(_) if greeted => {
                session.has_set();
                return Ok(done);
            }
            Frame::Ready(_) => match manner.greeting(done.time_zone.as_deref()) {
                Some(sql) => {
                    frontend::query(sql, &mut message)?;
                    greeted = true;
                }
                None => return Ok(done),
            },
            Frame::Parameter { name, value } if name == "server_version" => {
                done.version = Some(value);
            }
            Frame::Parameter { name, value } if name == "TimeZone" => {
                done.time_zone = Some(value);
            }
            Frame::Auth(Auth::Ok) => {
                // Whoever skips the proof that it knows the password is not the server.
                if scram.is_some() {
                    return Err(refused("the server left its part of SCRAM undone"));
                }
            }
            Frame::Auth(Auth::Cleartext) => {
                check(verified, "in clear text")?;
                let password = match &endpoint.proof {
                    Proof::Password(_) => {
                        done.auth = "Cleartext";
                        password(endpoint)?.clone()
                    }
                    Proof::Token(service) => {
                        done.auth = "AwsIam";
                        let token = service.token(&endpoint.token_request()).await;
                        token.map_err(Failure::Refused)?
                    }
                };
                frontend::password_message(password.reveal().as_bytes(), &mut message)?;
            }
            Frame::Auth(Auth::Md5(salt)) => {
                done.auth = "Md5";
                check(verified, "as an MD5 hash")?;
                let password = password(endpoint)?;
                let (user, password) = (endpoint.user.as_bytes(), password.reveal().as_bytes());
                let hash = md5_hash(user, password, salt);
                frontend::password_message(hash.as_bytes(), &mut message)?;
            }
            Frame::Auth(Auth::Sasl(offered)) => {
                let password = password(endpoint)?.reveal().as_bytes();
                let (mechanism, binding) = choose(&offered, session)?;
                done.auth = match mechanism {
                    SCRAM_SHA_256_PLUS => "ScramSha256Plus",
                    _ => "ScramSha256",
                };
                let first = ScramSha256::new(password, binding);
                frontend::sasl_initial_response(mechanism, first.message(), &mut message)?;
                scram = Some(first);
            }
            Frame::Auth(Auth::SaslContinue(data)) => {
                let hashed = hash(scram.take(), data).await?;
                frontend::sasl_response(hashed.message(), &mut message)?;
                scram = Some(hashed);
            }
            Frame::Auth(Auth::SaslFinal(data)) => {
                let mut last = scram.take().ok_or_else(|| refused("SCRAM out of order"))?;
                last.finish(&data)?;
            }
            Frame::Auth(Auth::Unsupported(method)) => {
                let text = format!("the server asks for {method}, which is not supported");
                return Err(refused(&text));
            }
            Frame::Said(_)
            | Frame::Parameter { .. }
            | Frame::Complete(_)
            | Frame::Row(_)
            | Frame::Answer
            | Frame::Notification { .. }
            | Frame::Aside => {}
        }
        if !message.is_empty() {
            session.send(&message).await?;
        }
    }
}

fn refused(text: &str) -> Failure {
    Failure::Refused(text.to_owned())
}

fn password(endpoint: &Endpoint) -> Result<&Password, Failure> {
    match &endpoint.proof {
        Proof::Password(Some(password)) => Ok(password),
        Proof::Password(None) => Err(refused(
            "the server asks for a password, and the Secret has none under a known key or in a URI: \
             name its key in spec.target.keys.password",
        )),
        Proof::Token(_) => Err(refused(
            "the server asks for the proof of a password and takes no IAM token: GRANT rds_iam TO the \
             role, and let the proxy require IAM",
        )),
    }
}

/// Refuses a method that shows the password to whoever answers, if nobody has verified who that is.
fn check(verified: bool, how: &str) -> Result<(), Failure> {
    if verified {
        return Ok(());
    }
    Err(Failure::Refused(format!(
        "the server asks for the password {how}; it was not sent, because the server is not \
         verified: write spec.target.tls with mode VerifyFull and its CA"
    )))
}

/// The best mechanism that is offered, and its channel binding.
fn choose(
    offered: &[String],
    session: &Session,
) -> Result<(&'static str, ChannelBinding), Failure> {
    let has = |mechanism| offered.iter().any(|name| name == mechanism);
    let binding = session.link().tls().and_then(tls::server_end_point);
    match binding {
        Some(binding) if has(SCRAM_SHA_256_PLUS) => {
            Ok((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(binding)))
        }
        // Tells the server that we could have: if it offered PLUS, somebody removed it.
        Some(_) if has(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unrequested())),
        None if has(SCRAM_SHA_256) => Ok((SCRAM_SHA_256, ChannelBinding::unsupported())),
        _ => Err(refused("the server offers no SASL mechanism that is supported")),
    }
}

/// Some milliseconds of hashing, on another thread: on this one they would delay the notice of
/// every connection that is cut meanwhile.
async fn hash(scram: Option<ScramSha256>, data: Vec<u8>) -> Result<ScramSha256, Failure> {
    let mut scram = scram.ok_or_else(|| refused("SCRAM out of order"))?;
    let hashed = tokio::task::spawn_blocking(move || scram.update(&data).map(|()| scram)).await;
    Ok(hashed.map_err(io::Error::other)??)
}

impl From<Sign> for Failure {
    fn from(sign: Sign) -> Self {
        Self::Ended(sign)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Refused(error.to_string())
    }
}
