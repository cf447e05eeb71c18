//! Tokens of AWS IAM: a fresh one for each login, from whoever signs them beside the probe.

use crate::{password::Password, problem};
use api::{
    iam::{TokenAnswer, TokenRequest},
    report::Problem,
};
use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::{sleep, timeout},
};

/// A token must be there in so long: less than what any login may take, so that the server is not blamed.
const PATIENCE: Duration = Duration::from_secs(7);
/// Between two attempts to reach a signer that is being started.
const PAUSE: Duration = Duration::from_millis(100);
/// An answer is not longer, in bytes: a token with a session of its own has some 2,000.
const MAX_ANSWER: u64 = 64 * 1024;

/// Who signs tokens.
#[derive(Clone, Debug)]
pub struct TokenService {
    /// The Unix socket that it listens at.
    pub socket: PathBuf,
}

impl TokenService {
    /// Whether somebody has been there.
    ///
    /// # Errors
    /// Nobody has, and what to do.
    pub fn check(&self) -> Result<(), Problem> {
        if self.socket.exists() {
            return Ok(());
        }
        Err(problem::token_service_not_found(&self.socket))
    }

    /// A token for one login.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub async fn token(&self, request: &TokenRequest) -> Result<Password, String> {
        match timeout(PATIENCE, self.ask(request)).await {
            Ok(Ok(TokenAnswer::Token(token))) => Ok(Password::new(&token)),
            Ok(Ok(TokenAnswer::Error(why))) => Err(format!("no IAM token: {why}")),
            Ok(Err(error)) => Err(format!("no IAM token, as its service failed: {error}")),
            Err(_) => {
                Err(format!("no IAM token, as its service gave none in {} s", PATIENCE.as_secs()))
            }
        }
    }

    async fn ask(&self, request: &TokenRequest) -> io::Result<TokenAnswer> {
        let mut stream = self.connect().await?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Connects, as soon as it can be: it may be starting, or have more callers than it has room for.
    async fn connect(&self) -> io::Result<UnixStream> {
        loop {
            match UnixStream::connect(&self.socket).await {
                Err(error) if may_pass(error.kind()) => sleep(PAUSE).await,
                result => return result,
            }
        }
    }
}

fn may_pass(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::WouldBlock)
}
