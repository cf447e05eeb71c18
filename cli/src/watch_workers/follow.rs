//! Follows what the container in one pod says, until its report has come.

use super::{All, PATIENCE, lock, say};
use api::{
    sockets::{Heard, Line},
    text,
};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ContainerState, Pod};
use kube::{Api, api::LogParams};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// From one look at a pod to the next.
const LOOK: Duration = Duration::from_secs(1);
/// A kubelet or API server may not answer so often in a row.
const FAILURES: u32 = 30;
/// Why a container waits that will not start without a person.
const HOPELESS: [&str; 6] = [
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerConfigError",
    "CreateContainerError",
];

/// How far a container is.
enum Progress {
    Waiting,
    Running,
    /// Its exit code.
    Ended(i32),
}

/// Follows it. An error is a sentence on why no report has come.
pub(super) async fn follow(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    all: &All,
) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let (mut lines, mut failures) = (0, 0);
    loop {
        let progress = match pods.get_opt(pod).await {
            Ok(Some(found)) => progress(&found, container)?,
            Ok(None) => return Err(text::NOTHING_CAME.to_owned()),
            Err(error) if failures == FAILURES => return Err(error.to_string()),
            Err(_) => {
                failures += 1;
                sleep(LOOK).await;
                continue;
            }
        };
        match progress {
            Progress::Waiting if Instant::now() > deadline => {
                return Err(text::NOTHING_CAME.to_owned());
            }
            Progress::Waiting => {}
            Progress::Running | Progress::Ended(_) => {
                match read(pods, pod, container, all, &mut lines).await {
                    Ok(()) => failures = 0,
                    Err(error) => refusal(&error, pods.resource_url(), &mut failures)?,
                }
                if lock(all).get(pod).is_some_and(Heard::is_whole) {
                    return Ok(());
                }
                // What it wrote at last can be read a moment later; then there is no more.
                if let Progress::Ended(code) = progress {
                    return Err(text::container_ended(code, &last(pods, pod, container).await));
                }
            }
        }
        sleep(LOOK).await;
    }
}

/// Reads the log from its beginning and skips the `lines` that were heard before.
async fn read(
    pods: &Api<Pod>,
    pod: &str,
    container: &str,
    all: &All,
    lines: &mut usize,
) -> kube::Result<()> {
    let params =
        LogParams { follow: true, container: Some(container.to_owned()), ..LogParams::default() };
    let mut log = pods.log_stream(pod, &params).await?.lines();
    let mut number = 0;
    while let Ok(Some(line)) = log.try_next().await {
        number += 1;
        if number <= *lines {
            continue;
        }
        *lines = number;
        let Ok(line) = serde_json::from_str::<Line>(&line) else { continue };
        if let Some(heard) = lock(all).get_mut(pod) {
            heard.line(&line);
        }
        if let Some(words) = text::socket_event(&line.event) {
            say(pod, &format!("{} {words}", text::clock(line.time)));
        }
    }
    Ok(())
}

/// What stands last in the log: why it could not watch.
async fn last(pods: &Api<Pod>, pod: &str, container: &str) -> String {
    let params = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(1),
        ..LogParams::default()
    };
    pods.logs(pod, &params).await.unwrap_or_default()
}

/// A refusal is an answer; anything else is tried again.
fn refusal(error: &kube::Error, url: &str, failures: &mut u32) -> Result<(), String> {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            let namespace = url.split('/').skip_while(|part| *part != "namespaces").nth(1);
            let namespace = namespace.unwrap_or_default();
            Err(text::right_missing("get", "pods/log", namespace, &status.message))
        }
        error if *failures == FAILURES => Err(error.to_string()),
        _ => {
            *failures += 1;
            Ok(())
        }
    }
}

/// How far the container is. An error is a sentence on why it does not start.
fn progress(pod: &Pod, container: &str) -> Result<Progress, String> {
    let statuses = pod.status.as_ref().and_then(|s| s.ephemeral_container_statuses.as_deref());
    let mut statuses = statuses.unwrap_or_default().iter();
    let status = statuses.find(|status| status.name == container);
    match status.and_then(|status| status.state.as_ref()) {
        Some(ContainerState { terminated: Some(end), .. }) => Ok(Progress::Ended(end.exit_code)),
        Some(ContainerState { running: Some(_), .. }) => Ok(Progress::Running),
        Some(ContainerState { waiting: Some(waiting), .. }) => {
            let reason = waiting.reason.as_deref().unwrap_or_default();
            if !HOPELESS.contains(&reason) {
                return Ok(Progress::Waiting);
            }
            Err(text::container_waits(reason, waiting.message.as_deref().unwrap_or_default()))
        }
        _ => Ok(Progress::Waiting),
    }
}

#[cfg(test)]
mod tests;
