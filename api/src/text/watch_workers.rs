//! What `kubectl cprobe watch-workers` says of pods, before and while it watches them.

/// Nobody said which image to add to a pod.
#[must_use]
pub fn no_image(namespace: &str) -> String {
    format!(
        "No run in namespace {namespace} says which image to use: write --image, that of the operator and the probe."
    )
}

/// No pod is to be watched.
#[must_use]
pub fn no_workers(which: &str, namespace: &str) -> String {
    format!("No running pod {which} in namespace {namespace}.")
}

/// A pod that can't be watched since it does not run.
#[must_use]
pub fn not_running(phase: &str) -> String {
    format!("not watched: it is {phase}")
}

/// Other pods' connections are seen, too.
pub const ON_HOST_NETWORK: &str = "on its node's network: the connections of the node and of all its pods that are on \
    it, too, are seen as this one's";

/// A right is missing. `seen`: what the API server said.
#[must_use]
pub fn right_missing(verb: &str, resource: &str, namespace: &str, seen: &str) -> String {
    format!("It takes the right to {verb} {resource} in namespace {namespace}: {seen}")
}

/// The container can't start.
#[must_use]
pub fn container_waits(reason: &str, message: &str) -> String {
    let message = message.trim();
    match message {
        "" => format!("the container does not start: {reason}"),
        _ => format!("the container does not start: {reason}: {message}"),
    }
}

/// The container ended without a report.
#[must_use]
pub fn container_ended(code: i32, said: &str) -> String {
    match said.trim() {
        "" => format!("the container ended by {code} and left no report"),
        said => format!("the container ended by {code}: {said}"),
    }
}

/// Nobody follows any more; the containers do not know.
#[must_use]
pub fn stopped_following(container: &str, pods: &[&str]) -> String {
    format!(
        "Not followed any more. The containers {container}* go on until their time is over, and can't be removed from \
         their pods: {}.",
        pods.join(", ")
    )
}

/// Nothing came of a pod in time.
pub const NOTHING_CAME: &str = "nothing came of it in time";
