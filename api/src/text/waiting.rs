//! What is said of a run that can't go on.

use super::clock;
use crate::conditions::WaitingReason;
use jiff::Timestamp;

/// What a run waits for, and what to do about it. `seen` is what Kubernetes or the probe said.
#[must_use]
pub fn waiting(reason: WaitingReason, workload: &str, seen: &str) -> String {
    let seen = seen.trim().trim_end_matches('.');
    match reason {
        // The probe's own message says what to do.
        WaitingReason::Problem(_) => format!("{seen}."),
        WaitingReason::ImageUnavailable => format!(
            "The pod of {workload} can't start its image: {seen}. Make the image available to the \
             node, or name an imagePullSecret in spec.podTemplate.",
        ),
        WaitingReason::Unschedulable => format!(
            "No node takes the pod of {workload}: {seen}. Change nodeSelector, tolerations, \
             affinity or resources in spec.podTemplate, or make room.",
        ),
        WaitingReason::PodRefused => format!(
            "The pod of {workload} can't be made: {seen}. Change the namespace's quota or policy, \
             or spec.podTemplate.",
        ),
        WaitingReason::NameConflict => format!(
            "{seen} exists and is not ours, so it was left alone. Delete it, or rename the probe.",
        ),
        WaitingReason::ProxyNotRestored => {
            format!(
                "The proxy's IdleClientTimeout is not put back yet, and it is tried again: {seen}."
            )
        }
    }
}

/// When the next attempt is made.
#[must_use]
pub fn next_attempt(at: Timestamp) -> String {
    format!("The next attempt is at {}.", clock(at))
}
