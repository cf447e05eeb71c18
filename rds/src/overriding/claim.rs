//! What a run takes possession of before it changes a proxy: by a tag, as AWS has no lock.
//!
//! Whoever wants to change it looks at the value, then at the tags; leaves a tag of its own; waits; and goes on only where
//! that one is alone. Of two that have left theirs at once, the one with the larger key withdraws; the other one waits for
//! that, once. So at most one goes on, and perhaps none.

use super::{
    proxy::{OurTag, Proxy, State},
    step::Step,
    trouble::Trouble,
};
use crate::stop::Stop;
use api::rds_proxy::overriding::{Mark, Order};
use std::time::Duration;
use tokio::time::Instant;

/// A proxy that is being changed, or is modified by somebody else, is waited for so long.
pub(super) const LIMIT: Duration = Duration::from_mins(10);
/// Looks from a tag that is set to one that everybody sees.
const SETTLED: u32 = 2;
/// Why it ended, where somebody wanted it to.
const TOLD: &str = "It was told to stop before the new value was in force.";

/// What is to be put back, and where that is written down.
pub(super) struct Claim {
    pub(super) arn: String,
    pub(super) key: String,
    pub(super) mark: Mark,
    /// Whether it was on the proxy already: a pod before this one may have changed it.
    pub(super) is_old: bool,
}

impl Claim {
    /// Looks at a proxy without changing anything: what would be claimed.
    ///
    /// # Errors
    /// Another run has it, or AWS can't be asked.
    pub(super) async fn find(order: &Order, to: i64, proxy: &Proxy) -> Result<Self, Trouble> {
        let State { arn, seconds, .. } = proxy.state_once(Instant::now() + LIMIT, |_| true).await?;
        let (tags, key) = (proxy.tags(&arn).await?, order.tag_key());
        if let Some(tag) = tags.iter().find(|tag| tag.key == key) {
            Step::Found { key: &key, tag: &tag.value }.print(proxy.clock);
            return Ok(Self { mark: tag.mark()?, arn, key, is_old: true });
        }
        if let Some(tag) = tags.first() {
            return Err(tag.refusal());
        }
        let mark = Mark { from: seconds, to, until: order.until, run: order.run.clone() };
        Ok(Self { arn, key, mark, is_old: false })
    }

    /// Makes sure that its tag can be removed: before there is one. AWS does not mind that there is none.
    ///
    /// # Errors
    /// It can't.
    pub(super) async fn is_removable(&self, proxy: &Proxy) -> Result<(), Trouble> {
        match proxy.remove_tag(&self.arn, &self.key).await {
            Err(trouble) if trouble.is_refusal() => Err(trouble),
            _ => Ok(()),
        }
    }

    /// Leaves the tag, and makes sure that it is alone. How the proxy is then.
    ///
    /// # Errors
    /// Somebody else was there, or AWS can't be asked.
    pub(super) async fn stake(&self, proxy: &Proxy, stop: &mut Stop) -> Result<State, Trouble> {
        let Self { arn, key, mark: Mark { from, to, .. }, is_old } = self;
        if !is_old {
            proxy.add_tag(arn, key, &self.mark).await?;
            Step::Tagged { key, from: *from, to: *to }.print(proxy.clock);
        }
        if let Some(first) = self.other(proxy, stop).await? {
            if first.key < *key {
                return Err(first.refusal());
            }
            if let Some(other) = self.other(proxy, stop).await? {
                return Err(other.refusal());
            }
        }
        let state = stop.unless(proxy.state_once(Instant::now() + LIMIT, |_| true)).await;
        let state = state.ok_or_else(told)??;
        if state.seconds == *from || *is_old && state.seconds == *to {
            return Ok(state);
        }
        let seconds = state.seconds;
        Err(Trouble::lasting(format!(
            "Somebody else has set IdleClientTimeout from {from} s to {seconds} s meanwhile. Start the run again."
        )))
    }

    /// The first of the tags beside ours, after a while.
    async fn other(&self, proxy: &Proxy, stop: &mut Stop) -> Result<Option<OurTag>, Trouble> {
        stop.pause(proxy.pace * SETTLED).await.ok_or_else(told)?;
        let mut tags = proxy.tags(&self.arn).await?;
        if !tags.iter().any(|tag| tag.key == self.key) {
            return Err(Trouble::lasting(
                "The tag was removed, or AWS does not show it yet. Start the run again.".to_owned(),
            ));
        }
        tags.retain(|tag| tag.key != self.key);
        Ok(tags.into_iter().min_by(|a, b| a.key.cmp(&b.key)))
    }
}

pub(super) fn told() -> Trouble {
    Trouble::lasting(TOLD.to_owned())
}

impl OurTag {
    /// What it says.
    ///
    /// # Errors
    /// Somebody has written something else into it.
    pub(super) fn mark(&self) -> Result<Mark, Trouble> {
        self.value.parse().map_err(|why| {
            let key = &self.key;
            Trouble::lasting(format!(
                "The proxy's tag {key} can't be read: {why}. Set IdleClientTimeout to what it was, and remove the tag."
            ))
        })
    }

    /// Why nobody else may change the proxy.
    fn refusal(&self) -> Trouble {
        self.mark().map_or_else(
            |trouble| trouble,
            |Mark { run, until, .. }| {
                Trouble::lasting(format!(
                    "Run {run} changes IdleClientTimeout of the proxy until {until:.0}. Wait until then; or, if that run is gone, put it back by `kubectl cprobe restore`."
                ))
            },
        )
    }
}
