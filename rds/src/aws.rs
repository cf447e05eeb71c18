//! Clients of AWS's services.

use crate::{args::Order, credentials};
use api::rds_proxy::evidence::Gap;
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use std::time::Duration;

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
    /// Clients with credentials.
    ///
    /// # Errors
    /// There are none.
    pub(crate) async fn new(order: &Order) -> Result<Self, Gap> {
        let config = config(order).await;
        let credentials = credentials::find(order, &config).await?;
        let provider = aws_sdk_rds::config::SharedCredentialsProvider::new(credentials);
        let config = config.into_builder().credentials_provider(provider).build();
        Ok(Self {
            rds: aws_sdk_rds::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            logs: aws_sdk_cloudwatchlogs::Client::new(&config),
        })
    }
}

async fn config(order: &Order) -> SdkConfig {
    let proxy = &order.request.proxy;
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
