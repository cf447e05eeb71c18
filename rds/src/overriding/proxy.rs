//! A proxy, and the five calls that change it for a while.

use super::{account::Account, args::Common, step::Step, trouble::Trouble};
use crate::{clock::Clock, failure::Failure, scrub::Scrubber};
use api::rds_proxy::{RdsProxy, overriding::Mark};
use aws_sdk_rds::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::Tag,
};
use std::{error::Error, time::Duration};
use tokio::time::{Instant, sleep};

/// A proxy, and who asks about it.
pub(super) struct Proxy {
    pub(super) spec: RdsProxy,
    pub(super) account: Account,
    pub(super) clock: Clock,
    /// From one look to the next.
    pub(super) pace: Duration,
}

/// How it is.
pub(super) struct State {
    pub(super) arn: String,
    status: String,
    /// Its IdleClientTimeout.
    pub(super) seconds: i64,
}

/// A tag of ours on it.
pub(super) struct OurTag {
    pub(super) key: String,
    pub(super) value: String,
}

impl Proxy {
    pub(super) async fn new(spec: &RdsProxy, common: &Common, clock: Clock) -> Self {
        let account = Account::new(spec, common.credentials.clone(), clock).await;
        Self { spec: spec.clone(), account, clock, pace: common.pace }
    }

    /// How it is now.
    pub(super) async fn state(&self) -> Result<State, Trouble> {
        let name = &self.spec.name;
        let call = |rds: Client| rds.describe_db_proxies().db_proxy_name(name).send();
        let answer = self.ask("rds:DescribeDBProxies", call).await?;
        let told = answer.db_proxies().first().and_then(|it| {
            Some(State {
                arn: it.db_proxy_arn()?.to_owned(),
                status: it.status()?.as_str().to_owned(),
                seconds: it.idle_client_timeout()?.into(),
            })
        });
        told.ok_or_else(|| {
            Trouble::lasting(format!("AWS does not tell the IdleClientTimeout of {name}."))
        })
    }

    /// Looks until it is `available`, and right at that. So long it may take, and calls that fail in passing.
    pub(super) async fn state_once(
        &self,
        limit: Instant,
        is_right: impl Fn(&State) -> bool,
    ) -> Result<State, Trouble> {
        let mut is_told = false;
        loop {
            let trouble = match self.state().await {
                Ok(state) if state.status == "available" && is_right(&state) => return Ok(state),
                Ok(State { status, seconds, .. }) => {
                    if !is_told {
                        Step::Waiting { status: &status, seconds }.print(self.clock);
                        is_told = true;
                    }
                    let name = &self.spec.name;
                    Trouble::passing(format!(
                        "The proxy {name} is {status} with an IdleClientTimeout of {seconds} s, and stayed so. Look at its events."
                    ))
                }
                Err(trouble) => trouble,
            };
            if !trouble.passes() || Instant::now() >= limit {
                return Err(trouble);
            }
            sleep(self.pace).await;
        }
    }

    /// Sets its IdleClientTimeout. That AWS takes it does not mean yet that it is in force.
    pub(super) async fn modify(&self, seconds: i64) -> Result<(), Trouble> {
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        let name = &self.spec.name;
        let call = |rds: Client| {
            rds.modify_db_proxy().db_proxy_name(name).idle_client_timeout(seconds).send()
        };
        self.ask("rds:ModifyDBProxy", call).await.map(drop)
    }

    /// The tags of all runs.
    pub(super) async fn tags(&self, arn: &str) -> Result<Vec<OurTag>, Trouble> {
        let call = |rds: Client| rds.list_tags_for_resource().resource_name(arn).send();
        let answer = self.ask("rds:ListTagsForResource", call).await?;
        let tags = answer.tag_list().iter().filter_map(|tag| {
            let key = tag.key().filter(|key| key.starts_with(Mark::KEY))?;
            Some(OurTag { key: key.to_owned(), value: tag.value().unwrap_or_default().to_owned() })
        });
        Ok(tags.collect())
    }

    pub(super) async fn add_tag(&self, arn: &str, key: &str, mark: &Mark) -> Result<(), Trouble> {
        let tag = Tag::builder().key(key).value(mark.to_string()).build();
        let call = |rds: Client| rds.add_tags_to_resource().resource_name(arn).tags(tag).send();
        self.ask("rds:AddTagsToResource", call).await.map(drop)
    }

    /// Removes a tag. One that is not there is none that AWS would complain about.
    pub(super) async fn remove_tag(&self, arn: &str, key: &str) -> Result<(), Trouble> {
        let call =
            |rds: Client| rds.remove_tags_from_resource().resource_name(arn).tag_keys(key).send();
        self.ask("rds:RemoveTagsFromResource", call).await.map(drop)
    }

    async fn ask<T, E, C>(
        &self,
        permission: &str,
        call: impl FnOnce(Client) -> C,
    ) -> Result<T, Trouble>
    where
        E: Error + ProvideErrorMetadata + 'static,
        C: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let answer = call(self.account.rds().await?).await;
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let failure = Failure::of(&error);
        if matches!(failure, Failure::Expired(_) | Failure::Unknown(_)) {
            self.account.forget().await;
        }
        let gap = failure.gap(permission, &self.spec, &Scrubber::default());
        Err(Trouble::of(&failure, gap))
    }
}
