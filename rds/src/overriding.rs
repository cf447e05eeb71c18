//! Another IdleClientTimeout for as long as a run lasts: a guard changes the proxy, holds that, and puts back what was
//! there; what a guard could not put back is restored.
//!
//! What is to be put back stands in a tag on the proxy, from before it is changed until after it is as it was. So whoever
//! is killed at any moment leaves enough behind for the next one.

mod account;
mod args;
mod calls;
mod claim;
mod guard;
mod proxy;
mod readiness;
mod restore;
mod step;
mod trouble;

pub(crate) use args::{Guarding, Restoring};

use crate::{clock::Clock, misconfigured, run, stop::Stop, write};
use api::{
    exit::Exit,
    rds_proxy::overriding::{Outcome, OverrideStatus},
};
use proxy::Proxy;
use std::{
    io::{self, Write},
    path::Path,
};

/// Changes a proxy, holds that, and puts it back.
pub(crate) fn guard(guarding: Guarding) -> io::Result<Exit> {
    let guard = match guarding.guard() {
        Ok(guard) => guard,
        Err(problem) => return Ok(misconfigured(&problem)),
    };
    crate::end_by_panic();
    let (status, is_told) = run(async {
        let mut stop = Stop::listen()?;
        let proxy = Proxy::new(&guard.order.proxy, &guard.common, Clock::read()).await;
        let status = guard.live(&proxy, &mut stop).await;
        io::Result::Ok((status, stop.is_told()))
    })??;
    let exit = match (exit(&status), is_told) {
        (Exit::Failed, true) => Exit::Interrupted,
        (exit, _) => exit,
    };
    tell(&status, guard.common.termination_log.as_deref()).map(|()| exit)
}

/// Puts a proxy back, as its tags say.
pub(crate) fn restore(restoring: Restoring) -> io::Result<Exit> {
    let wanted = match restoring.wanted() {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(misconfigured(&problem)),
    };
    crate::end_by_panic();
    let statuses = run(async {
        let proxy = Proxy::new(&wanted.proxy, &wanted.common, Clock::read()).await;
        restore::all(&proxy, &wanted).await
    })?;
    let log = wanted.common.termination_log.as_deref();
    statuses.iter().try_for_each(|status| tell(status, log))?;
    let exits = statuses.iter().map(exit);
    Ok(exits.max_by_key(|exit| exit.code()).unwrap_or(Exit::Complete))
}

fn exit(status: &OverrideStatus) -> Exit {
    match status.outcome {
        Some(Outcome::Restored | Outcome::LeftToOthers | Outcome::DryRun) => Exit::Complete,
        Some(Outcome::NotChanged) => Exit::Failed,
        Some(Outcome::NotRestored) | None => Exit::Inconclusive,
    }
}

/// The last line, and the termination message.
fn tell(status: &OverrideStatus, log: Option<&Path>) -> io::Result<()> {
    let message = status.to_message();
    // That nobody reads it is no reason to fail.
    let _ = writeln!(io::stdout().lock(), "{message}");
    log.map_or(Ok(()), |path| write(path, &message))
}
