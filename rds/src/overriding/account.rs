//! Whoever changes a proxy: with credentials that are renewed for as long as it takes.

use super::step::Step;
use crate::{aws, clock::Clock, credentials};
use api::rds_proxy::{RdsProxy, evidence::Gap};
use aws_config::SdkConfig;
use aws_sdk_rds::{Client, config::Credentials};
use jiff::Timestamp;
use std::{future::pending, path::PathBuf, time::Duration};
use tokio::{sync::Mutex, time::sleep};

/// Credentials are renewed so long before they expire,
const AHEAD: Duration = Duration::from_mins(10);
/// and where there are no better ones, asked for again so long afterwards,
const AGAIN: Duration = Duration::from_secs(30);
/// until only so much is left: putting a proxy back takes minutes.
const LAST: Duration = Duration::from_mins(3);
/// Those that expire so soon are not used any more.
const MARGIN: Duration = Duration::from_secs(30);

/// Who asks.
pub(super) struct Account {
    proxy: RdsProxy,
    /// The folder with its credentials.
    folder: Option<PathBuf>,
    config: SdkConfig,
    clock: Clock,
    kept: Mutex<Option<Kept>>,
}

/// Credentials, and a client that has them.
struct Kept {
    credentials: Credentials,
    rds: Client,
}

impl Account {
    pub(super) async fn new(proxy: &RdsProxy, folder: Option<PathBuf>, clock: Clock) -> Self {
        let config = aws::config(proxy).await;
        Self { proxy: proxy.clone(), folder, config, clock, kept: Mutex::default() }
    }

    /// A client with credentials that hold. Those of a folder are read each time, as nobody says when they are changed.
    ///
    /// # Errors
    /// There are none.
    pub(super) async fn rds(&self) -> Result<Client, Gap> {
        let mut kept = self.kept.lock().await;
        match &*kept {
            Some(it) if self.folder.is_none() && self.lasts(it, MARGIN) => Ok(it.rds.clone()),
            _ => self.renew(&mut kept).await,
        }
    }

    /// AWS does not accept the credentials: they are to be had anew.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    /// Keeps credentials that hold long enough to put a proxy back. Why, when that can't be done any longer.
    pub(super) async fn keep(&self) -> String {
        loop {
            let mut kept = self.kept.lock().await;
            let Some(left) = kept.as_ref().and_then(|it| self.left(it)) else {
                drop(kept);
                return pending().await;
            };
            if left > AHEAD {
                drop(kept);
                sleep(left.saturating_sub(AHEAD)).await;
                continue;
            }
            let problem = self.renew(&mut kept).await.err().map(|gap| gap.problem);
            match &*kept {
                Some(it) if self.lasts(it, AHEAD) => {
                    if let Some(until) = expiry(&it.credentials) {
                        Step::Renewed { until }.print(self.clock);
                    }
                }
                Some(it) if self.lasts(it, LAST) => {
                    drop(kept);
                    sleep(AGAIN).await;
                }
                _ => {
                    let problem = problem.unwrap_or_else(|| "There are no newer ones.".to_owned());
                    return format!("The credentials expire. {problem}");
                }
            }
        }
    }

    async fn renew(&self, kept: &mut Option<Kept>) -> Result<Client, Gap> {
        let credentials =
            credentials::find(&self.proxy, self.folder.as_deref(), &self.config).await?;
        if let Some(it) = &*kept
            && it.credentials == credentials
        {
            return Ok(it.rds.clone());
        }
        let rds = Client::new(&aws::with(&self.config, credentials.clone()));
        *kept = Some(Kept { credentials, rds: rds.clone() });
        Ok(rds)
    }

    fn lasts(&self, kept: &Kept, time: Duration) -> bool {
        self.left(kept).is_none_or(|left| left > time)
    }

    /// How long they hold, where that is known.
    fn left(&self, kept: &Kept) -> Option<Duration> {
        let left = expiry(&kept.credentials)?.duration_since(self.clock.now());
        Some(Duration::try_from(left).unwrap_or_default())
    }
}

fn expiry(credentials: &Credentials) -> Option<Timestamp> {
    Timestamp::try_from(credentials.expiry()?).ok()
}
