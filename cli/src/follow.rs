//! Following a run to its end.
//!
//! The run is asked for every two seconds: whoever follows needs no right but to get it, and the other
//! side of a lost connection answers the next time.

use crate::{args::Until, cluster::Cluster, live::Live};
use anyhow::bail;
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeStatus,
    conditions::{self, STALLED},
    exit::Exit,
    lifetime::ms,
    report::Inconclusive,
    text,
};
use std::{future::Future, time::Duration};
use tokio::time;

const INTERVAL: Duration = Duration::from_secs(2);
/// How often in a row the cluster may not answer: half a minute or so, as long as an API server restarts.
const PATIENCE: u32 = 15;

/// Follows a run until it has ended, or can't go on without a person. `live` is shown what goes on.
///
/// # Errors
/// The cluster refuses, or does not answer any more.
pub(crate) async fn follow(
    cluster: &Cluster,
    name: &str,
    until: Until,
    mut live: Option<Live>,
) -> anyhow::Result<Exit> {
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
}

/// Gives up after a time.
///
/// # Errors
/// Those of what is done.
pub(crate) async fn within(
    timeout: Option<Duration>,
    name: &str,
    done: impl Future<Output = anyhow::Result<Exit>>,
) -> anyhow::Result<Exit> {
    let Some(timeout) = timeout else { return done.await };
    time::timeout(timeout, done).await.unwrap_or_else(|_| {
        eprintln!("{name} had not ended after {}.", text::duration(ms(timeout)));
        Ok(Exit::TimedOut)
    })
}

/// Name of the first run of a probe after number `after`, once there is one; or how it ends since none will come,
/// which a person is told. `token`: that of the request for it.
///
/// # Errors
/// The cluster refuses, or does not answer any more.
pub(crate) async fn next_run(
    cluster: &Cluster,
    name: &str,
    after: i64,
    token: Option<&str>,
) -> anyhow::Result<Result<String, Exit>> {
    let mut looks = 0;
    loop {
        let probe = patiently(async || cluster.probe(name).await).await?;
        let status = probe.status.clone().unwrap_or_default();
        if let Some((_, run)) = newest(&status).filter(|(number, _)| *number > after) {
            return Ok(Ok(run.to_owned()));
        }
        if let Some((exit, why)) = obstacle(&probe, token) {
            eprintln!("{why}");
            return Ok(Err(exit));
        }
        looks += 1;
        if looks == 4 * PATIENCE {
            eprintln!("Nothing answers yet: does the operator run? Waiting.");
        }
        time::sleep(INTERVAL / 4).await;
    }
}

/// Why no run comes.
fn obstacle(probe: &ConnectionProbe, token: Option<&str>) -> Option<(Exit, String)> {
    let name = probe.metadata.name.as_deref().unwrap_or_default();
    let status = probe.status.as_ref()?;
    if status.observed_generation != probe.metadata.generation {
        return None;
    }
    let is_stalled = conditions::is_true(&status.conditions, STALLED);
    if is_stalled && status.current_run.is_none() {
        return Some((Exit::Misconfigured, status.summary.clone().unwrap_or_default()));
    }
    let is_refused = token.is_some() && status.last_handled_request.as_deref() == token;
    let why = match (&status.current_run, &status.next_schedule_time) {
        _ if token.is_some() && !is_refused => return None,
        (Some(run), _) => format!(
            "Run {} of {name} goes on, and no change asks for another: watch, wait for or cancel it.",
            run.number
        ),
        _ if probe.spec.suspend == Some(true) => format!("{name} is suspended: nothing starts."),
        (None, Some(next)) => {
            format!("{name} has not run yet. Its schedule starts a run at {}.", next.0)
        }
        (None, None) => return None,
    };
    Some((Exit::Inconclusive, why))
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
        let stalled = conditions::is_true(&status.conditions, STALLED);
        return stalled.then_some(Exit::Inconclusive);
    }
    Some(match status.ended_early {
        Some(Inconclusive::Superseded | Inconclusive::Cancelled) => Exit::Interrupted,
        _ if !status.verdict().measured() => Exit::Inconclusive,
        _ if until.no_cuts && status.first_cut().is_some() => Exit::Cut,
        _ => Exit::Complete,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn probe(spec: &Value, status: &Value) -> ConnectionProbe {
        let mut probe = json!({
            "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
            "metadata": { "name": "p", "generation": 2 }, "status": status,
            "spec": { "target": { "secretName": "s" }, "workloads": [{ "name": "idle", "idle": {} }] },
        });
        let spec = spec.as_object().unwrap().clone();
        probe["spec"].as_object_mut().unwrap().extend(spec);
        from_value(probe).unwrap()
    }

    #[test]
    fn where_no_run_comes_it_is_said_why() {
        let going = json!({ "number": 3, "name": "p-3", "startTime": "2026-01-01T00:00:00Z" });
        let stalled = json!([{ "type": "Stalled", "status": "True", "reason": "Invalid", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
        let next = "2026-01-01T03:00:00Z";
        let table = [
            (
                "not seen yet",
                json!({}),
                json!({ "observedGeneration": 1, "conditions": stalled }),
                Some("t"),
                None,
            ),
            (
                "not answered yet",
                json!({}),
                json!({ "observedGeneration": 2, "currentRun": going }),
                Some("t"),
                None,
            ),
            (
                "invalid",
                json!({}),
                json!({ "observedGeneration": 2, "conditions": stalled, "summary": "No such schedule." }),
                Some("t"),
                Some("No such schedule."),
            ),
            (
                "refused in a run",
                json!({}),
                json!({ "observedGeneration": 2, "currentRun": going, "lastHandledRequest": "t" }),
                Some("t"),
                Some("Run 3 of p goes on"),
            ),
            (
                "refused when suspended",
                json!({ "suspend": true }),
                json!({ "observedGeneration": 2, "lastHandledRequest": "t" }),
                Some("t"),
                Some("p is suspended"),
            ),
            (
                "a schedule, and asked for",
                json!({ "schedule": "0 3 * * *" }),
                json!({ "observedGeneration": 2, "nextScheduleTime": next }),
                Some("t"),
                None,
            ),
            (
                "a schedule, and nobody asked",
                json!({ "schedule": "0 3 * * *" }),
                json!({ "observedGeneration": 2, "nextScheduleTime": next }),
                None,
                Some("at 2026-01-01T03:00:00Z"),
            ),
            ("about to start", json!({}), json!({ "observedGeneration": 2 }), None, None),
        ];
        for (name, spec, status, token, said) in table {
            let why = obstacle(&probe(&spec, &status), token).map(|(_, why)| why);
            match said {
                Some(said) => {
                    assert!(why.as_ref().is_some_and(|why| why.contains(said)), "{name}: {why:?}")
                }
                None => assert_eq!(why, None, "{name}"),
            }
        }
    }
}
