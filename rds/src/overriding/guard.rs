//! A change of a proxy, from the first look until it is as it was.

use super::{
    args::Common,
    calls,
    claim::{Claim, LIMIT, told},
    proxy::Proxy,
    readiness,
    restore::Restore,
    step::Step,
    trouble::Trouble,
};
use crate::stop::Stop;
use api::rds_proxy::overriding::{Order, Outcome, OverrideStatus};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    select,
    time::{Instant, sleep},
};

/// What is to be changed, and how long.
pub(crate) struct Guard {
    pub(super) order: Order,
    /// The value for the run.
    pub(super) to: i64,
    /// Nothing is changed.
    pub(super) is_dry: bool,
    /// Where connections are taken while it is in force.
    pub(super) listen: SocketAddr,
    pub(super) common: Common,
}

/// A change under way.
struct Change<'a> {
    guard: &'a Guard,
    proxy: &'a Proxy,
    claim: Claim,
    /// Whether the proxy may be changed.
    is_changed: bool,
}

impl Guard {
    /// Changes the proxy, holds that, and puts it back: what became of it.
    pub(super) async fn live(&self, proxy: &Proxy, stop: &mut Stop) -> OverrideStatus {
        let Order { run, until, .. } = &self.order;
        let (name, region) = (&proxy.spec.name, &proxy.spec.region);
        Step::Started { run, proxy: name, region, seconds: self.to, until: *until }
            .print(proxy.clock);
        let mut status = OverrideStatus { seconds: self.to, ..OverrideStatus::default() };
        let claim = stop.unless(self.look(proxy)).await.unwrap_or_else(|| Err(told()));
        let claim = match claim {
            Ok(claim) => claim,
            Err(trouble) => {
                status.outcome = Some(Outcome::NotChanged);
                status.problem = Some(trouble.problem);
                return status;
            }
        };
        status.original_seconds = Some(claim.mark.from);
        if self.is_dry {
            status.calls = calls::all(&proxy.spec, &claim.key, &claim.mark);
            status.outcome = Some(Outcome::DryRun);
            return status;
        }
        let is_changed = claim.is_old;
        let mut change = Change { guard: self, proxy, claim, is_changed };
        let ended = change.go_on(stop, &mut status).await;
        status.problem = ended.err().map(String::from);
        change.end(&mut status).await;
        status
    }

    /// Only reads, but for making sure that a tag could be removed.
    async fn look(&self, proxy: &Proxy) -> Result<Claim, Trouble> {
        let claim = Claim::find(&self.order, self.to, proxy).await?;
        if !self.is_dry && !claim.is_old {
            claim.is_removable(proxy).await?;
        }
        Ok(claim)
    }
}

impl Change<'_> {
    /// Changes the proxy and holds that.
    ///
    /// # Errors
    /// It ended before its time.
    async fn go_on(&mut self, stop: &mut Stop, status: &mut OverrideStatus) -> Result<(), Trouble> {
        if self.left().is_zero() {
            return Err(Trouble::lasting("The run's time is over.".to_owned()));
        }
        let state = self.claim.stake(self.proxy, stop).await?;
        // Where the value is right already nothing is changed; the tag keeps others from changing it.
        if state.seconds != self.claim.mark.to {
            self.modify(stop).await?;
        }
        self.await_force(stop).await?;
        // A value that was right already has been in force as well: it is not that nothing came of it.
        self.is_changed = true;
        status.in_force_at = Some(self.proxy.clock.now());
        Step::InForce { seconds: self.claim.mark.to }.print(self.proxy.clock);
        self.hold(stop).await
    }

    /// Until AWS takes it. A call under way is never given up: it could be carried out after we have put the proxy back.
    async fn modify(&mut self, stop: &mut Stop) -> Result<(), Trouble> {
        let (from, to) = (self.claim.mark.from, self.claim.mark.to);
        let limit = Instant::now() + LIMIT;
        Step::Changing { from, to }.print(self.proxy.clock);
        loop {
            let Err(trouble) = self.proxy.modify(to).await else {
                self.is_changed = true;
                return Ok(());
            };
            // Whatever has no answer, or an odd one, may have been carried out.
            self.is_changed |= !trouble.is_refusal();
            if !trouble.passes() || Instant::now() >= limit {
                return Err(trouble);
            }
            Step::Again { problem: &trouble.problem }.print(self.proxy.clock);
            stop.pause(self.proxy.pace).await.ok_or_else(told)?;
        }
    }

    /// Until the new value is in force.
    async fn await_force(&self, stop: &mut Stop) -> Result<(), Trouble> {
        let (from, to) = (self.claim.mark.from, self.claim.mark.to);
        // Any other value than the old one: a third one is somebody else's, and will not go away.
        let is_new = |seconds: i64| from == to || seconds != from;
        let state = self.proxy.state_once(Instant::now() + LIMIT, |it| is_new(it.seconds));
        match stop.unless(state).await.ok_or_else(told)?? {
            state if state.seconds == to => Ok(()),
            state => Err(Trouble::lasting(format!(
                "Somebody else has set IdleClientTimeout to {} s while it was changed. Start the run again.",
                state.seconds
            ))),
        }
    }

    /// Until we are told to stop, or the time is over, or credentials could no longer be had to put it back.
    async fn hold(&self, stop: &mut Stop) -> Result<(), Trouble> {
        let listen = self.guard.listen;
        let listener = readiness::bind(listen).await.map_err(|error| {
            Trouble::lasting(format!("Port {} can't be listened at: {error}.", listen.port()))
        })?;
        select! {
            () = stop.told() => Ok(()),
            () = sleep(self.left()) => Ok(()),
            why = self.proxy.account.keep() => Err(Trouble::lasting(why)),
            () = readiness::serve(&listener) => Ok(()),
        }
    }

    /// Puts it back.
    async fn end(self, status: &mut OverrideStatus) {
        let Claim { arn, key, mark, .. } = self.claim;
        let why = status.problem.as_deref();
        Step::PuttingBack { key: &key, why }.print(self.proxy.clock);
        let known = Some(mark);
        let restore = Restore::new(self.proxy, key, known, self.guard.common.grace);
        if self.is_changed {
            restore.put_back(status).await;
        } else {
            restore.withdraw(&arn, status).await;
        }
    }

    /// How long it may still last.
    fn left(&self) -> Duration {
        let left = self.guard.order.until.duration_since(self.proxy.clock.now());
        Duration::try_from(left).unwrap_or_default()
    }
}
