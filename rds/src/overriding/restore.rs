//! A proxy is put back: as its tag says, and only where the value is still the one that we have set.

use super::{
    args::Wanted,
    calls,
    proxy::{Proxy, State},
    step::Step,
    trouble::Trouble,
};
use api::rds_proxy::overriding::{Mark, Outcome, OverrideStatus};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Looks from a call that failed to the next attempt.
const AGAIN: u32 = 2;
/// A value that AWS has taken is waited for so long, and then set once more: a change before it may have come after it.
const TAKEN: Duration = Duration::from_mins(2);

/// What is put back.
pub(super) struct Restore<'a> {
    proxy: &'a Proxy,
    key: String,
    /// What is to be put back, should there be no tag: somebody may have removed it and left the value.
    known: Option<Mark>,
    limit: Instant,
    end: Option<End>,
    /// AWS was asked to put it back.
    is_asked: bool,
    /// Somebody else had put it back before we asked.
    was_back: bool,
}

/// What is right about the value, when there is nothing left to do but to remove the tag.
#[derive(Clone, Copy)]
enum End {
    /// Nobody knows of a change.
    NoTag,
    /// It is as it was.
    Back(i64),
    /// Somebody else has set it.
    Others(i64),
}

/// Puts back what is wanted.
pub(super) async fn all(proxy: &Proxy, wanted: &Wanted) -> Vec<OverrideStatus> {
    let grace = wanted.common.grace;
    let keys = match &wanted.id {
        Some(id) => vec![format!("{}{id}", Mark::KEY)],
        None => match keys(proxy, Instant::now() + grace).await {
            Ok(keys) => keys,
            Err(trouble) => {
                let mut status = OverrideStatus::default();
                not_restored(&mut status, trouble.problem);
                return vec![status];
            }
        },
    };
    if keys.is_empty() {
        Step::NoTag { proxy: &proxy.spec.name }.print(proxy.clock);
    }
    let mut statuses = Vec::new();
    for key in keys {
        let mut status = OverrideStatus { seconds: wanted.seconds, ..OverrideStatus::default() };
        Restore::new(proxy, key, wanted.known.clone(), grace).put_back(&mut status).await;
        statuses.push(status);
    }
    statuses
}

/// The tags of all runs.
async fn keys(proxy: &Proxy, limit: Instant) -> Result<Vec<String>, Trouble> {
    let look = async || {
        let arn = proxy.state().await?.arn;
        proxy.tags(&arn).await
    };
    let tags = insist(proxy, limit, look).await?;
    Ok(tags.into_iter().map(|tag| tag.key).collect())
}

/// Tries until it is done, or there is no more time: whatever is wrong may be set right meanwhile. Only a proxy that is
/// not there does not come back.
async fn insist<T>(
    proxy: &Proxy,
    limit: Instant,
    mut attempt: impl AsyncFnMut() -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    loop {
        let trouble = match attempt().await {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        let pause = proxy.pace * AGAIN;
        if trouble.is_missing_proxy() || Instant::now() + pause >= limit {
            return Err(trouble);
        }
        Step::Again { problem: &trouble.problem }.print(proxy.clock);
        sleep(pause).await;
    }
}

impl<'a> Restore<'a> {
    pub(super) fn new(proxy: &'a Proxy, key: String, known: Option<Mark>, grace: Duration) -> Self {
        let limit = Instant::now() + grace;
        Self { proxy, key, known, limit, end: None, is_asked: false, was_back: false }
    }

    /// Sets the value that was there, and removes the tag.
    pub(super) async fn put_back(mut self, status: &mut OverrideStatus) {
        status.until = Some(self.proxy.clock.now());
        let (proxy, limit) = (self.proxy, self.limit);
        let done = insist(proxy, limit, async || self.attempt().await).await;
        if let Some(mark) = &self.known {
            (status.seconds, status.original_seconds) = (mark.to, Some(mark.from));
        }
        match done {
            Ok(()) => {}
            Err(trouble) if trouble.is_missing_proxy() => {
                status.outcome = Some(Outcome::LeftToOthers);
                status.problem = Some(trouble.problem);
                return;
            }
            Err(trouble) => return not_restored(status, self.advice(&trouble)),
        }
        status.outcome = Some(Outcome::Restored);
        let key = &self.key;
        // Only who saw the new value in force knows that it went before its time.
        let went_early = self.was_back && status.in_force_at.is_some();
        match self.end {
            Some(End::Back(seconds)) if !went_early => {
                Step::Restored { key, seconds }.print(proxy.clock);
            }
            Some(End::Back(seconds) | End::Others(seconds)) => {
                Step::LeftToOthers { key, seconds }.print(proxy.clock);
                status.outcome = Some(Outcome::LeftToOthers);
                status.found_seconds = Some(seconds);
            }
            Some(End::NoTag) | None => Step::NoTag { proxy: &proxy.spec.name }.print(proxy.clock),
        }
    }

    /// Removes the tag of a run that has changed nothing, and leaves the value alone.
    pub(super) async fn withdraw(self, arn: &str, status: &mut OverrideStatus) {
        let (proxy, key) = (self.proxy, &self.key);
        match insist(proxy, self.limit, async || proxy.remove_tag(arn, key).await).await {
            Ok(()) => {
                Step::Untagged { key }.print(proxy.clock);
                status.outcome = Some(Outcome::NotChanged);
            }
            Err(Trouble { problem, .. }) => not_restored(
                status,
                format!(
                    "Nothing was changed, but the tag {key} is still there: `kubectl cprobe restore` removes it. {problem}"
                ),
            ),
        }
    }

    /// One attempt, from whatever is done by now.
    async fn attempt(&mut self) -> Result<(), Trouble> {
        let state = self.proxy.state_once(self.limit, |_| true).await?;
        let end = match self.end {
            Some(end) => end,
            None => self.value(&state).await?,
        };
        self.end = Some(end);
        match end {
            End::NoTag => Ok(()),
            End::Back(_) | End::Others(_) => self.proxy.remove_tag(&state.arn, &self.key).await,
        }
    }

    /// Sets the value right.
    async fn value(&mut self, state: &State) -> Result<End, Trouble> {
        let tags = self.proxy.tags(&state.arn).await?;
        if let Some(tag) = tags.iter().find(|tag| tag.key == self.key) {
            Step::Found { key: &self.key, tag: &tag.value }.print(self.proxy.clock);
            match (tag.mark(), &self.known) {
                (Ok(mark), _) => self.known = Some(mark),
                (Err(trouble), None) => return Err(trouble),
                // Whoever has set the tag knows what was in it.
                (Err(_), Some(_)) => {}
            }
        } else if let Some(Mark { to, .. }) = self.known
            && tags.iter().any(|tag| tag.mark().is_ok_and(|other| other.from != to))
        {
            // Another run has it, and did not begin from our value: that had been put back before.
            return Ok(End::Others(state.seconds));
        }
        let Some(Mark { from, to, .. }) = self.known else { return Ok(End::NoTag) };
        // Where both are the same nothing was changed.
        let is_ours = state.seconds == to || state.seconds == from;
        if from == to || !is_ours {
            return Ok(if is_ours { End::Back(from) } else { End::Others(state.seconds) });
        }
        // Where it is as it was, too: a change that is still on its way would come afterwards.
        self.was_back |= !self.is_asked && state.seconds == from;
        self.is_asked = true;
        self.proxy.modify(from).await?;
        // While it is being modified it is waited for; only one that is available with our value is set once more.
        let again = Instant::now() + TAKEN;
        let is_settled = |it: &State| it.seconds != to || Instant::now() >= again;
        let state = self.proxy.state_once(self.limit, is_settled).await?;
        if state.seconds == to {
            return Err(Trouble::passing(format!("IdleClientTimeout is still {to} s.")));
        }
        let is_back = state.seconds == from;
        Ok(if is_back { End::Back(from) } else { End::Others(state.seconds) })
    }

    /// What a person can do where we could not.
    fn advice(&self, trouble: &Trouble) -> String {
        let problem = &trouble.problem;
        match (self.end, &self.known) {
            (None, Some(Mark { from, .. })) => {
                let call = calls::modify(&self.proxy.spec, *from);
                format!(
                    "Put it back by `kubectl cprobe restore` or `{call}`: it could not be. {problem}"
                )
            }
            (Some(End::Back(seconds) | End::Others(seconds)), _) => format!(
                "IdleClientTimeout is {seconds} s, which is right, but the tag {} is still there: `kubectl cprobe restore` removes it. {problem}",
                self.key
            ),
            _ => problem.clone(),
        }
    }
}

/// Sets down that the proxy still needs something.
fn not_restored(status: &mut OverrideStatus, problem: String) {
    status.outcome = Some(Outcome::NotRestored);
    status.problem = Some(problem);
}
