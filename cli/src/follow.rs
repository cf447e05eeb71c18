//! Following a run to its end.
//!
//! The run is asked for every two seconds: whoever follows needs no right but to get it, and the other
//! side of a lost connection answers the next time.

use crate::{args::Until, cluster::Cluster, live::Live};
use anyhow::bail;
use api::{
    ConnectionProbeRun, ConnectionProbeStatus, conditions::STALLED, exit::Exit, lifetime::ms,
    report::Inconclusive, text,
};
use std::time::Duration;
use tokio::time;

const INTERVAL: Duration = Duration::from_secs(2);
/// How often in a row the cluster may not answer: half a minute or so, as long as an API server restarts.
const PATIENCE: u32 = 15;

/// Follows a run until it has ended, can't go on without a person, or it takes too long. `live` is shown what
/// goes on.
///
/// # Errors
/// The cluster refuses, or does not answer any more.
pub(crate) async fn follow(
    cluster: &Cluster,
    name: &str,
    until: Until,
    mut live: Option<Live>,
) -> anyhow::Result<Exit> {
    let ended = async {
        loop {
            let run = patiently(async || cluster.run(name).await).await?;
            if let Some(live) = &mut live {
                live.look(cluster, &run).await;
            }
            if let Some(exit) = end(&run, until) {
                drop(live.take());
                println!("{}", run.status.and_then(|status| status.summary).unwrap_or_default());
                return Ok(exit);
            }
            time::sleep(INTERVAL).await;
        }
    };
    let Some(timeout) = until.timeout else { return ended.await };
    time::timeout(timeout, ended).await.unwrap_or_else(|_| {
        eprintln!("{name} had not ended after {}.", text::duration(ms(timeout)));
        Ok(Exit::TimedOut)
    })
}

/// Name of the first run of a probe after number `after`, once there is one.
///
/// # Errors
/// The cluster refuses, or does not answer any more.
pub(crate) async fn next_run(cluster: &Cluster, probe: &str, after: i64) -> anyhow::Result<String> {
    loop {
        let status =
            patiently(async || cluster.probe(probe).await).await?.status.unwrap_or_default();
        if let Some((_, name)) = newest(&status).filter(|(number, _)| *number > after) {
            return Ok(name.to_owned());
        }
        time::sleep(INTERVAL / 4).await;
    }
}

/// Number and name of the run that goes on, or else of the last one.
pub(crate) fn newest(status: &ConnectionProbeStatus) -> Option<(i64, &str)> {
    let last = status.last_run.as_ref().map(|run| (run.number, run.name.as_str()));
    status.current_run.as_ref().map(|run| (run.number, run.name.as_str())).or(last)
}

/// Asks again where the cluster does not answer; takes no for an answer.
async fn patiently<T>(ask: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let mut failures = 0;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if matches!(error.downcast_ref(), Some(kube::Error::Api(_)) | None) => {
                bail!(error)
            }
            Err(error) if failures == PATIENCE => bail!(error),
            Err(_) => failures += 1,
        }
        time::sleep(INTERVAL).await;
    }
}

/// How it ended, if it did.
fn end(run: &ConnectionProbeRun, until: Until) -> Option<Exit> {
    let status = run.status.as_ref()?;
    if !status.has_ended() {
        let stalled = status.conditions.iter().any(|c| c.type_ == STALLED && c.status == "True");
        return stalled.then_some(Exit::Inconclusive);
    }
    Some(match status.ended_early {
        Some(Inconclusive::Superseded | Inconclusive::Cancelled) => Exit::Interrupted,
        _ if !status.verdict().measured() => Exit::Inconclusive,
        _ if until.no_cuts && status.first_cut().is_some() => Exit::Cut,
        _ => Exit::Complete,
    })
}
