//! Clients of AWS's services.

use crate::credentials;
use api::rds_proxy::{RdsProxy, evidence::Gap};
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_rds::config::{Credentials, SharedCredentialsProvider};
use std::{path::Path, time::Duration};

/// How often a call is made before it is given up.
pub(crate) const ATTEMPTS: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The clients.
pub(crate) struct Aws {
    pub(crate) rds: aws_sdk_rds::Client,
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
}

impl Aws {
    /// Clients with credentials, from a folder or from the environment: they last for longer than it takes to ask.
    ///
    /// # Errors
    /// There are none.
    pub(crate) async fn new(proxy: &RdsProxy, folder: Option<&Path>) -> Result<Self, Gap> {
        let config = config(proxy).await;
        let credentials = credentials::find(proxy, folder, &config).await?;
        let config = with(&config, credentials);
        Ok(Self {
            rds: aws_sdk_rds::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
        })
    }
}

/// Where and how a proxy is asked about, by nobody yet.
pub(crate) async fn config(proxy: &RdsProxy) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT);
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(proxy.region.clone()))
        .no_credentials()
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(timeouts.build());
    let loader = match &proxy.endpoint_url {
        Some(url) => loader.endpoint_url(url),
        None => loader,
    };
    loader.load().await
}

/// The same, by whoever has these credentials.
pub(crate) fn with(config: &SdkConfig, credentials: Credentials) -> SdkConfig {
    let provider = SharedCredentialsProvider::new(credentials);
    config.to_builder().credentials_provider(provider).build()
}
