//! What pods say that talk to AWS.

use super::{
    PodEnd, PodPhase, RDS_CONTAINER, RunKey, condition, container, disruption, phase, short,
};
use crate::facts::Answer;
use api::{
    rds_proxy::{
        Evidence,
        overriding::{Outcome, OverrideStatus, Role},
        request::Moment,
    },
    report::Inconclusive,
    text,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use std::collections::{BTreeMap, BTreeSet};

/// Name of the init container that looks at a proxy before it is changed.
pub(crate) const LOOK_CONTAINER: &str = "look";
/// Label that the Job controller sets on pods: the uid of their Job.
const JOB_UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
/// What is said of a pod whose node is lost.
const LOST: &str = "its node stopped answering";

/// What they said, by run.
#[derive(Default)]
pub(super) struct OfAws {
    /// Those that ask, by moment.
    answers: BTreeMap<RunKey, BTreeMap<Moment, Answer<Evidence>>>,
    /// Those that change the proxy or put it back, by the uid of their Job.
    overriding: BTreeMap<RunKey, BTreeMap<String, Overriding>>,
}

/// What the newest pod of a Job says that changes a proxy, or puts it back.
#[derive(Clone, Debug)]
pub(crate) struct Overriding {
    /// Which of the two.
    pub(crate) role: Role,
    /// How far it is.
    pub(crate) answer: Answer<OverrideStatus>,
    /// What it found before it changed anything.
    pub(crate) found: Option<Box<OverrideStatus>>,
    pod: String,
}

impl OfAws {
    /// Takes in a pod of a run that has this `role`. One that told something is not undone by its end.
    pub(super) fn keep(&mut self, key: RunKey, role: &str, pod: &Pod, gone: bool) {
        if let Ok(moment) = role.parse::<Moment>() {
            let known = self.answers.get(&key).and_then(|answers| answers.get(&moment));
            if !gone && !matches!(known, Some(Answer::Told(_))) {
                let answer = answer(pod, |message| Evidence::parse(message).ok());
                self.answers.entry(key).or_default().insert(moment, answer);
            }
        } else if let (Ok(role), Some(job)) =
            (role.parse::<Role>(), pod.labels().get(JOB_UID_LABEL))
        {
            let known = self.overriding.get(&key).and_then(|jobs| jobs.get(job));
            let told =
                |known: &Overriding| matches!(&known.answer, Answer::Told(told) if told.is_over());
            // Of a run that was forgotten: nobody waits for it.
            if !known.is_some_and(told) && (known.is_some() || !gone) {
                let pod = overriding(pod, role, gone);
                self.overriding.entry(key).or_default().insert(job.clone(), pod);
            }
        }
    }

    /// Pods that are not `listed` any more are gone.
    pub(super) fn listed(&mut self, listed: &BTreeSet<String>) {
        let gone = self.overriding.values_mut().flat_map(BTreeMap::values_mut);
        for pod in gone.filter(|it| !listed.contains(&it.pod)) {
            if matches!(pod.answer, Answer::Starting(_) | Answer::Working { .. }) {
                pod.answer = Answer::Silent(text::NO_WORD.to_owned());
            }
        }
    }

    pub(super) fn answer(&self, key: &RunKey, moment: Moment) -> Option<Answer<Evidence>> {
        self.answers.get(key)?.get(&moment).cloned()
    }

    pub(super) fn overriding(&self, key: &RunKey) -> BTreeMap<String, Overriding> {
        self.overriding.get(key).cloned().unwrap_or_default()
    }

    pub(super) fn forget(&mut self, key: &RunKey) {
        self.answers.remove(key);
        self.overriding.remove(key);
    }
}

fn overriding(pod: &Pod, role: Role, gone: bool) -> Overriding {
    let parse = |message: &str| OverrideStatus::parse(message).ok();
    let looked =
        container(pod, LOOK_CONTAINER).and_then(|it| it.state.as_ref()?.terminated.as_ref());
    let found = looked.and_then(|end| parse(end.message.as_deref()?)).map(Box::new);
    let is_lost = pod.metadata.deletion_timestamp.is_some()
        && disruption(pod) == Some(Inconclusive::NodeLost);
    let is_untouched = |answer: &Answer<OverrideStatus>| {
        let is_told = matches!(answer, Answer::Told(_));
        role == Role::Guard && gone && !is_lost && looked.is_none() && !is_told
    };
    let answer = match (looked.filter(|end| end.exit_code != 0), &found) {
        (Some(_), Some(found)) => Answer::Told(found.clone()),
        (Some(end), None) => Answer::Silent(short(end.message.as_deref().unwrap_or(text::NO_WORD))),
        (None, _) => match answer(pod, parse) {
            // A guard looks before it changes anything.
            answer if is_untouched(&answer) => {
                let seen = match answer {
                    Answer::Starting(seen) => seen,
                    Answer::Silent(seen) => Some(seen),
                    Answer::Working { .. } | Answer::Told(_) => None,
                };
                Answer::Told(Box::new(OverrideStatus {
                    outcome: Some(Outcome::NotChanged),
                    problem: seen.map(|seen| text::guard_failed(&seen)),
                    ..OverrideStatus::default()
                }))
            }
            Answer::Starting(_) | Answer::Working { .. } if gone => {
                Answer::Silent(text::NO_WORD.to_owned())
            }
            Answer::Starting(_) | Answer::Working { .. } if is_lost => {
                Answer::Silent(LOST.to_owned())
            }
            answer => answer,
        },
    };
    Overriding { role, answer, found, pod: pod.uid().unwrap_or_default() }
}

/// How far a pod is, whose message is read by `parse`.
fn answer<T>(pod: &Pod, parse: impl FnOnce(&str) -> Option<T>) -> Answer<T> {
    let deleting = pod.metadata.deletion_timestamp.is_some();
    let end = container(pod, RDS_CONTAINER).and_then(|it| it.state.as_ref()?.terminated.as_ref());
    if let Some(told) = end.and_then(|end| parse(end.message.as_deref()?)) {
        return Answer::Told(Box::new(told));
    }
    match phase(pod, RDS_CONTAINER, deleting) {
        PodPhase::Starting => Answer::Starting(None),
        PodPhase::Stuck { seen, .. } => Answer::Starting(Some(seen)),
        PodPhase::Running { .. } => Answer::Working { ready_since: ready_since(pod) },
        PodPhase::Ended(PodEnd { seen, reason, .. }) => {
            Answer::Silent(if seen.is_empty() { reason } else { seen })
        }
    }
}

fn ready_since(pod: &Pod) -> Option<jiff::Timestamp> {
    let ready = condition(pod, "ContainersReady").filter(|c| c.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}
