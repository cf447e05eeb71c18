//! What the probe pods said, their last words included.
//!
//! An evicted pod's object is gone within a second, and its last event carries the report. So
//! deleted pods are remembered until their run has ended.

use crate::facts::{Answer, PodEnd, PodFacts, PodPhase, Stuck};
use api::{
    Inventory, Report,
    names::{ATTEMPT_LABEL, INDEX_LABEL, RDS_PROXY_LABEL, RUN_LABEL},
    rds_proxy::{Evidence, request::Moment},
    report::Inconclusive,
};
use aws::{OfAws, Overriding};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodCondition};
use kube::{ResourceExt, runtime::watcher::Event};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

mod aws;

pub(crate) use aws::LOOK_CONTAINER;

/// Annotation on pods: the positions of the workloads that their Job holds.
pub(crate) const WORKLOADS_ANNOTATION: &str = "probes.pulpproject.org/workloads";
/// Name of the container that holds the connections.
pub(crate) const CONTAINER: &str = "probe";
/// Name of the container that talks to AWS.
pub(crate) const RDS_CONTAINER: &str = "rds";
/// Name of the init container that takes the inventory.
pub(crate) const INVENTORY_CONTAINER: &str = "inventory";
/// Name of the sidecar that signs tokens of AWS IAM, where logins need them.
pub(crate) const IAM_CONTAINER: &str = "iam";

/// Facts of all probe pods, by run and pod.
#[derive(Default)]
pub(crate) struct Pods(Mutex<State>);

type RunKey = (String, String);

#[derive(Default)]
struct State {
    runs: BTreeMap<RunKey, BTreeMap<String, PodFacts>>,
    of_aws: OfAws,
    listed: BTreeSet<String>,
}

impl Pods {
    /// Takes in what the watch says now.
    pub(crate) fn observe(&self, event: &Event<Pod>, now: Timestamp) {
        let mut state = self.lock();
        match event {
            Event::Apply(pod) => state.keep(pod, false, now),
            Event::Delete(pod) => state.keep(pod, true, now),
            Event::Init => state.listed.clear(),
            Event::InitApply(pod) => {
                state.keep(pod, false, now);
                state.listed.insert(pod.uid().unwrap_or_default());
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut state.listed);
                state.of_aws.listed(&listed);
                let known = state.runs.values_mut().flatten();
                known
                    .filter(|(uid, _)| !listed.contains(*uid))
                    .for_each(|(_, pod)| pod.gone = true);
            }
        }
    }

    /// The pods of a run.
    pub(crate) fn of(&self, namespace: &str, run: &str) -> Vec<PodFacts> {
        let key = (namespace.to_owned(), run.to_owned());
        self.lock().runs.get(&key).map(|pods| pods.values().cloned().collect()).unwrap_or_default()
    }

    /// What pods of a run say that ask AWS then.
    pub(crate) fn answer(
        &self,
        namespace: &str,
        run: &str,
        moment: Moment,
    ) -> Option<Answer<Evidence>> {
        self.lock().of_aws.answer(&(namespace.to_owned(), run.to_owned()), moment)
    }

    /// What pods of a run say that change its proxy or put it back, by the uid of their Job.
    pub(crate) fn overriding(&self, namespace: &str, run: &str) -> BTreeMap<String, Overriding> {
        self.lock().of_aws.overriding(&(namespace.to_owned(), run.to_owned()))
    }

    /// Forgets the pods of a run that has ended.
    pub(crate) fn forget(&self, namespace: &str, run: &str) {
        let key = (namespace.to_owned(), run.to_owned());
        let mut state = self.lock();
        state.runs.remove(&key);
        state.of_aws.forget(&key);
    }

    /// Every change is one call on a map: a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn keep(&mut self, pod: &Pod, gone: bool, now: Timestamp) {
        let (Some(namespace), Some(run)) = (pod.namespace(), pod.labels().get(RUN_LABEL)) else {
            return;
        };
        let key = (namespace, run.clone());
        if let Some(role) = pod.labels().get(RDS_PROXY_LABEL) {
            return self.of_aws.keep(key, role, pod, gone);
        }
        let Some(mut facts) = distil(pod) else { return };
        let uid = pod.uid().unwrap_or_default();
        let known = self.runs.get(&key).and_then(|pods| pods.get(&uid));
        let same = known.filter(|known| known.phase == facts.phase);
        facts.heard = same.map_or(now, |known| known.heard);
        facts.gone = gone;
        if gone {
            // Of a run that was forgotten: nobody waits for it.
            let Some(pods) = self.runs.get_mut(&key) else { return };
            let replaces =
                |it: &PodFacts| it.workload == facts.workload && it.attempt > facts.attempt;
            if pods.values().any(replaces) {
                pods.remove(&uid);
            } else if let Some(known) = pods.get_mut(&uid) {
                *known = facts;
            }
        } else {
            self.runs.entry(key).or_default().insert(uid, facts);
        }
    }
}

/// What matters of a pod; `None` if it is not a probe pod of ours.
fn distil(pod: &Pod) -> Option<PodFacts> {
    let attempt = pod.labels().get(ATTEMPT_LABEL)?.parse().ok()?;
    let index: usize = pod.labels().get(INDEX_LABEL)?.parse().ok()?;
    let workload =
        parse_workloads(pod.annotations().get(WORKLOADS_ANNOTATION)?).get(index).copied()?;
    let deleting = pod.metadata.deletion_timestamp.is_some();
    Some(PodFacts {
        attempt,
        workload,
        phase: phase(pod, CONTAINER, deleting),
        heard: Timestamp::UNIX_EPOCH,
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        inventory: inventory(pod),
        disruption: disruption(pod),
        deleting,
        gone: false,
    })
}

/// Reads [`WORKLOADS_ANNOTATION`].
pub(crate) fn parse_workloads(text: &str) -> Vec<usize> {
    text.split(',').filter_map(|position| position.parse().ok()).collect()
}

/// All containers of a pod, init containers first.
fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|s| s.init_container_statuses.iter().chain(&s.container_statuses)).flatten()
}

/// A container by its name, init containers included.
fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    containers(pod).find(|container| container.name == name)
}

fn inventory(pod: &Pod) -> Option<Box<Inventory>> {
    let state = container(pod, INVENTORY_CONTAINER)?.state.as_ref()?;
    let message = state.terminated.as_ref()?.message.as_deref()?;
    Inventory::parse(message).ok().map(Box::new)
}

/// How far a pod is, by its main container.
fn phase(pod: &Pod, main: &str, deleting: bool) -> PodPhase {
    let status = pod.status.as_ref();
    let container = container(pod, main);
    let state = container.and_then(|container| container.state.as_ref());
    if let Some(end) = state.and_then(|state| state.terminated.as_ref()) {
        let message = end.message.clone().unwrap_or_default();
        let report = Report::parse(&message).ok();
        let cut = || report.is_none().then(|| cut(pod, &message)).flatten();
        let reason = pod_reason(pod).or_else(cut).or_else(|| end.reason.clone());
        return PodPhase::Ended(PodEnd {
            at: end.finished_at.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
            exit_code: Some(end.exit_code),
            reason: reason.unwrap_or_default(),
            seen: if report.is_some() { String::new() } else { short(&message) },
            report: report.map(Box::new),
        });
    }
    if status.and_then(|status| status.phase.as_deref()) == Some("Failed") {
        let first = failed_before(pod);
        return PodPhase::Ended(PodEnd {
            at: created(pod),
            exit_code: first.map(|end| end.exit_code),
            reason: pod_reason(pod).or_else(|| first?.reason.clone()).unwrap_or_default(),
            seen: first
                .and_then(|end| end.message.as_deref().map(short))
                .or_else(|| waiting_message(container))
                .or_else(|| status?.message.clone())
                .unwrap_or_default(),
            report: None,
        });
    }
    if let Some(running) = state.and_then(|state| state.running.as_ref()) {
        let since = running.started_at.as_ref().map_or_else(|| created(pod), |time| time.0);
        return PodPhase::Running { unready_since: unready_since(pod, container, deleting), since };
    }
    stuck(pod, main).unwrap_or(PodPhase::Starting)
}

/// Says that the kubelet cut this message, if it did: the containers of a pod share 12 KiB, so that a
/// mesh's two beside ours leave 3 KiB for each (`normalizeStatus` in its status_manager.go).
fn cut(pod: &Pod, message: &str) -> Option<String> {
    let count = containers(pod).count();
    let share = (12 * 1024_usize).checked_div(count)?;
    (message.len() == share).then(|| {
        format!("the kubelet cut its report to {share} bytes, as the pod has {count} containers")
    })
}

/// The init container's end, where that kept the connections from being held.
fn failed_before(pod: &Pod) -> Option<&ContainerStateTerminated> {
    let state = container(pod, INVENTORY_CONTAINER)?.state.as_ref()?;
    state.terminated.as_ref().filter(|end| end.exit_code != 0)
}

/// Why the whole pod failed, where that is more than its container's end: DeadlineExceeded, Evicted.
fn pod_reason(pod: &Pod) -> Option<String> {
    pod.status.as_ref()?.reason.clone()
}

/// When a pod whose container runs, and which nobody is deleting, turned unready. `ContainersReady` is heeded, not `Ready`: the node controller sets
/// the latter when a node stops answering, and that is no cut.
fn unready_since(
    pod: &Pod,
    container: Option<&ContainerStatus>,
    deleting: bool,
) -> Option<Timestamp> {
    let unready = condition(pod, "ContainersReady").filter(|c| c.status == "False")?;
    let started = container?.started == Some(true);
    let since = unready.last_transition_time.as_ref()?.0;
    // A pod is unready until its first successful check, too.
    let was_ready = container?.state.as_ref()?.running.as_ref()?.started_at.as_ref()?.0 < since;
    // Where it is ready itself, a sidecar is not.
    let is_ready = container?.ready;
    (started && was_ready && !is_ready && !deleting).then_some(since)
}

fn stuck(pod: &Pod, main: &str) -> Option<PodPhase> {
    if let Some(scheduled) = condition(pod, "PodScheduled").filter(|c| c.status == "False") {
        return Some(PodPhase::Stuck {
            cause: Stuck::Unschedulable,
            seen: short(scheduled.message.as_deref().unwrap_or_default()),
            since: scheduled.last_transition_time.as_ref().map_or_else(|| created(pod), |t| t.0),
        });
    }
    // The last two have the same image, and the init container needs it first.
    [IAM_CONTAINER, INVENTORY_CONTAINER, main].into_iter().find_map(|name| {
        let container = container(pod, name);
        let reason = container?.state.as_ref()?.waiting.as_ref()?.reason.as_deref()?;
        // A sidecar that fails is restarted: the probe says that it waits for it, and for how long.
        let passes = ["ContainerCreating", "PodInitializing", "CrashLoopBackOff"];
        (!passes.contains(&reason)).then_some(())?;
        let seen = waiting_message(container)?;
        Some(PodPhase::Stuck { cause: Stuck::Image, seen, since: created(pod) })
    })
}

fn waiting_message(container: Option<&ContainerStatus>) -> Option<String> {
    let waiting = container?.state.as_ref()?.waiting.as_ref()?;
    let message = waiting.message.as_deref().unwrap_or_default();
    Some(short(&format!("{} {message}", waiting.reason.as_deref().unwrap_or_default())))
}

fn disruption(pod: &Pod) -> Option<Inconclusive> {
    let target = condition(pod, "DisruptionTarget").filter(|c| c.status == "True")?;
    Some(match target.reason.as_deref().unwrap_or_default() {
        "PreemptionByScheduler" => Inconclusive::Preempted,
        "DeletionByTaintManager" | "DeletionByPodGC" => Inconclusive::NodeLost,
        _ => Inconclusive::Evicted,
    })
}

fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|c| c.type_ == type_)
}

fn created(pod: &Pod) -> Timestamp {
    pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

/// What Kubernetes says, for a sentence.
fn short(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    api::report::shorten(&mut text, 300);
    text
}

#[cfg(test)]
mod tests;
