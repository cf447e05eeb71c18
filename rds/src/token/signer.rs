//! Tokens, and the credentials that sign them.

use crate::credentials;
use api::iam::TokenRequest;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_rds::{
    auth_token::{AuthTokenGenerator, Config},
    config::{Credentials, ProvideCredentials},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::{
    error::Error,
    path::PathBuf,
    time::{Duration, SystemTime},
};
use tokio::{sync::Mutex, time::timeout};

/// What stays as it is in a signed URL (AWS documentation, "Create a signed request", UriEncode).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Credentials that expire are asked for anew so long before.
const MARGIN: Duration = Duration::from_mins(1);
/// Credentials that could not be had are asked for again so long afterwards: until then all logins are told the same.
const PAUSE: Duration = Duration::from_secs(5);
/// Credentials may take so long: a login that waits for them gives up soon after.
const LIMIT: Duration = Duration::from_secs(5);
const NONE: &str = "no credentials of AWS";
/// Characters of an error that are told.
const MAX_ERROR: usize = 300;

/// Signs as one account.
pub(super) struct Signer {
    config: SdkConfig,
    /// The folder with its credentials.
    folder: Option<PathBuf>,
    /// What was last had without one.
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    result: Result<Credentials, String>,
    until: Option<SystemTime>,
}

impl Signer {
    /// For endpoints in `region`, by the credentials in `folder` or in the environment.
    pub(super) async fn new(region: String, folder: Option<PathBuf>) -> Self {
        let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region));
        Self { config: loader.load().await, folder, kept: Mutex::default() }
    }

    /// A token for one login, good for 15 minutes.
    ///
    /// # Errors
    /// Why there is none, in a sentence.
    pub(super) async fn token(&self, request: &TokenRequest) -> Result<String, String> {
        let host = request.host.to_ascii_lowercase();
        // It becomes a part of a URL.
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if host.is_empty() || !host.chars().all(is_name) {
            return Err("a token is for a host name, and that of this endpoint is none".to_owned());
        }
        let config = Config::builder()
            .credentials(self.credentials().await?)
            .hostname(host)
            .port(request.port.into())
            .username(utf8_percent_encode(&request.user, ENCODED).to_string())
            .build()
            .map_err(|error| told(&*error))?;
        let token = AuthTokenGenerator::new(config).auth_token(&self.config).await;
        Ok(token.map_err(|error| told(&*error))?.as_str().to_owned())
    }

    /// The credentials to sign with. Those of a folder are read each time, as nobody says when they are changed.
    ///
    /// # Errors
    /// Why there are none, in a sentence.
    pub(super) async fn credentials(&self) -> Result<Credentials, String> {
        if let Some(folder) = &self.folder {
            return credentials::from(folder).map_err(|why| format!("{NONE}: {why}"));
        }
        // Whoever comes meanwhile waits for the same answer.
        let mut kept = self.kept.lock().await;
        let now = self.now();
        if let Some(Kept { result, until }) = &*kept
            && until.is_none_or(|until| now < until)
        {
            return result.clone();
        }
        let result = self.provided().await;
        let until = match &result {
            Ok(credentials) => credentials.expiry().map(|expiry| expiry - MARGIN),
            Err(_) => Some(self.now() + PAUSE),
        };
        *kept = Some(Kept { result: result.clone(), until });
        result
    }

    async fn provided(&self) -> Result<Credentials, String> {
        let provider =
            self.config.credentials_provider().ok_or("there is no source of credentials")?;
        match timeout(LIMIT, provider.provide_credentials()).await {
            Ok(provided) => provided.map_err(|error| format!("{NONE}: {}", told(&error))),
            Err(_) => Err(format!("{NONE} within {} s", LIMIT.as_secs())),
        }
    }

    /// The clock that tokens are signed by.
    fn now(&self) -> SystemTime {
        self.config.time_source().map_or(SystemTime::UNIX_EPOCH, |clock| clock.now())
    }
}

/// What an error says, with its causes. That of an outer one is often only that there is an inner one.
fn told(error: &dyn Error) -> String {
    let (mut told, mut cause) = (vec![error.to_string()], error.source());
    while let Some(inner) = cause {
        told.push(inner.to_string());
        cause = inner.source();
    }
    told.join(": ").chars().take(MAX_ERROR).collect()
}
