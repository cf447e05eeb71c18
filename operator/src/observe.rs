//! The observe step: what is known of a probe, from caches that watches feed. Reads no API.

use crate::{
    cache::Cache,
    controller::now,
    facts::{AskFacts, JobFacts, OverrideFacts, OverrideJob, RunFacts},
    kind::Kind,
    metrics::{Metrics, UNREADABLE},
    pods::{Pods, WORKLOADS_ANNOTATION, parse_workloads},
};
use api::{
    ConnectionProbe, ConnectionProbeRun,
    names::{
        ATTEMPT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, PROBE_ANNOTATION, RDS_PROXY_LABEL, RUN_LABEL,
        job_prefix, run_prefix,
    },
    rds_proxy::{overriding::Role, request::Moment},
};
use futures::{
    Stream, StreamExt, TryStreamExt,
    channel::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded},
        oneshot,
    },
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{batch::v1::Job, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        WatchStreamExt,
        reflector::ObjectRef,
        watcher::{self, Event, watcher},
    },
};
use std::{convert::identity, sync::Arc};

/// Everything that the operator knows of its children, and its own writes to probes.
#[derive(Default)]
pub(crate) struct World {
    /// Probes as our own writes left them: newer than the watch for a moment.
    pub(crate) probes: Cache<ConnectionProbe>,
    /// Runs.
    pub(crate) runs: Cache<ConnectionProbeRun>,
    /// Jobs of runs.
    pub(crate) jobs: Cache<Job>,
    /// Pods of Jobs.
    pub(crate) pods: Pods,
}

/// Where to look: in one namespace, or in all.
pub(crate) struct Scope {
    /// The API.
    pub(crate) client: Client,
    /// The namespace.
    pub(crate) namespace: Option<String>,
    /// Where interruptions are counted.
    pub(crate) metrics: Arc<Metrics>,
}

impl Scope {
    /// The objects of a kind, as they change, for ever. One that can't be read, since another version wrote
    /// it, is as if it were gone: it must not keep the others from being seen.
    pub(crate) fn events<K: Kind>(
        &self,
        config: watcher::Config,
    ) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static {
        let api = match &self.namespace {
            Some(namespace) => {
                Api::<DeserializeGuard<K>>::namespaced(self.client.clone(), namespace)
            }
            None => Api::all(self.client.clone()),
        };
        let (metrics, kind) = (self.metrics.clone(), K::kind(&()));
        metrics.watch_restarted(&kind, 0);
        let events = watcher(api, config).default_backoff().inspect_err(move |error| {
            metrics.watch_restarted(&kind, 1);
            tracing::warn!(%kind, %error, "watch interrupted, resuming");
        });
        let metrics = self.metrics.clone();
        let events =
            events.try_filter_map(move |event| std::future::ready(Ok(readable(event, &metrics))));
        events.modify(K::trim)
    }
}

/// An event of an object that could be read.
fn readable<K: Kind>(event: Event<DeserializeGuard<K>>, metrics: &Metrics) -> Option<Event<K>> {
    let read = |DeserializeGuard(object): DeserializeGuard<K>| {
        object.map_err(|InvalidObject { error, metadata }| {
            let name = metadata.name.as_deref().unwrap_or_default();
            let namespace = metadata.namespace.as_deref().unwrap_or_default();
            tracing::warn!(kind = %K::kind(&()), namespace, name, error, "can't be read, left alone");
            metrics.failed(UNREADABLE);
            let mut gone = K::default();
            *gone.meta_mut() = metadata;
            gone
        })
    };
    match event {
        Event::Apply(object) => Some(read(object).map_or_else(Event::Delete, Event::Apply)),
        Event::Delete(object) => Some(Event::Delete(read(object).unwrap_or_else(identity))),
        Event::Init => Some(Event::Init),
        Event::InitApply(object) => read(object).ok().map(Event::InitApply),
        Event::InitDone => Some(Event::InitDone),
    }
}

impl World {
    /// The runs of a probe in the order of their numbers, each with its Jobs, and with its pods until it
    /// has ended.
    pub(crate) fn runs_of(&self, probe: &ConnectionProbe) -> Vec<RunFacts> {
        let namespace = probe.namespace().unwrap_or_default();
        let uid = probe.uid();
        let prefix = run_prefix(&probe.name_any(), uid.as_deref().unwrap_or_default());
        let mut runs = self.runs.named(&namespace, &prefix);
        runs.retain(|run| owned_by(run.as_ref(), uid.as_deref()));
        runs.sort_by_key(|run| run.spec.number);
        runs.into_iter()
            .map(|run| {
                let name = run.name_any();
                if run.status.as_ref().is_some_and(|status| status.has_ended()) {
                    // After a restart they are listed once more.
                    self.pods.forget(&namespace, &name);
                }
                let mut jobs = self.jobs.named(&namespace, &job_prefix(&name));
                jobs.retain(|job| owned_by(job.as_ref(), run.uid().as_deref()));
                let pods = self.pods.of(&namespace, &name);
                let asked = jobs.iter().filter_map(|job| {
                    let (moment, created_at, finished_at) = ask_facts(job)?;
                    let answer = self.pods.answer(&namespace, &name, moment);
                    Some(AskFacts { moment, created_at, finished_at, answer })
                });
                let asked = asked.collect();
                let overriding = self.overriding(&namespace, &name, &jobs);
                let jobs = jobs.iter().filter_map(|job| job_facts(job)).collect();
                RunFacts { run, jobs, pods, asked, overriding }
            })
            .collect()
    }

    /// What is known of Jobs that change a run's proxy or put it back, those that are gone included.
    fn overriding(&self, namespace: &str, run: &str, jobs: &[Arc<Job>]) -> Vec<OverrideFacts> {
        let mut said = self.pods.overriding(namespace, run);
        let there = jobs.iter().filter_map(|job| {
            let role = job.labels().get(RDS_PROXY_LABEL)?.parse::<Role>().ok()?;
            let said = job.uid().and_then(|uid| said.remove(&uid));
            let (answer, found) = said.map_or((None, None), |it| (Some(it.answer), it.found));
            let job = OverrideJob {
                created_at: time(job.metadata.creation_timestamp.as_ref()),
                finished_at: finished_at(job),
                deleting_since: job.metadata.deletion_timestamp.as_ref().map(|time| time.0),
            };
            Some(OverrideFacts { role, job: Some(job), answer, found })
        });
        let mut known: Vec<_> = there.collect();
        known.extend(said.into_values().map(|it| OverrideFacts {
            role: it.role,
            job: None,
            answer: Some(it.answer),
            found: it.found,
        }));
        known
    }

    /// Watches runs, Jobs and pods for as long as the process lives. Returns when all of them have
    /// been listed once: who decides before that would take every run for lost. The stream yields
    /// the probe that each change is about, after the change was taken in.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        scope: &Scope,
    ) -> UnboundedReceiver<ObjectRef<ConnectionProbe>> {
        let (sender, receiver) = unbounded();
        let (runs, jobs, pods) = (self.clone(), self.clone(), self.clone());
        let listed = [
            watch::<ConnectionProbeRun>(scope, &sender, move |event| runs.observe_run(event)),
            watch::<Job>(scope, &sender, move |event| jobs.jobs.observe(event)),
            watch::<Pod>(scope, &sender, move |event| pods.pods.observe(&event, now())),
        ];
        for listed in listed {
            // An error means that the watch has ended, and with it the process.
            let _ = listed.await;
        }
        receiver
    }

    fn observe_run(&self, event: Event<ConnectionProbeRun>) {
        if let Event::Delete(run) = &event {
            self.pods.forget(&run.namespace().unwrap_or_default(), &run.name_any());
        }
        self.runs.observe(event);
    }
}

/// Whether an object's controller has this uid.
pub(crate) fn owned_by<K: Resource>(object: &K, uid: Option<&str>) -> bool {
    let mut owners = object.owner_references().iter();
    uid.is_some() && owners.any(|o| o.controller == Some(true) && Some(o.uid.as_str()) == uid)
}

/// Watches our children of one kind: the label keeps strangers out of our memory. What is returned
/// resolves when they have been listed once.
fn watch<K: Kind>(
    scope: &Scope,
    changes: &UnboundedSender<ObjectRef<ConnectionProbe>>,
    observe: impl Fn(Event<K>) + Send + 'static,
) -> oneshot::Receiver<()> {
    let ours = watcher::Config::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let events = scope.events::<K>(ours);
    let (done, listed) = oneshot::channel();
    let (mut done, changes) = (Some(done), changes.clone());
    tokio::spawn(events.for_each(move |event| {
        let (about, is_listed) = match &event {
            Ok(Event::Apply(object) | Event::Delete(object) | Event::InitApply(object)) => {
                (probe_of(object), false)
            }
            Ok(Event::InitDone) => (None, true),
            Ok(Event::Init) | Err(_) => (None, false),
        };
        event.into_iter().for_each(&observe);
        // Nobody listens any more: the process is about to end.
        let _ = about.map(|probe| changes.unbounded_send(probe));
        let _ = done.take_if(|_| is_listed).map(|done| done.send(()));
        std::future::ready(())
    }));
    listed
}

/// The probe that a child belongs to.
pub(crate) fn probe_of<K: Resource>(child: &K) -> Option<ObjectRef<ConnectionProbe>> {
    let name = child.annotations().get(PROBE_ANNOTATION)?;
    Some(ObjectRef::new(name).within(&child.namespace()?))
}

fn job_facts(job: &Job) -> Option<JobFacts> {
    let attempt = job.labels().get(ATTEMPT_LABEL)?.parse().ok()?;
    job.labels().get(RUN_LABEL)?;
    Some(JobFacts {
        name: job.name_any(),
        attempt,
        workloads: parse_workloads(job.annotations().get(WORKLOADS_ANNOTATION)?),
        created_at: time(job.metadata.creation_timestamp.as_ref()),
        finished_at: finished_at(job),
        deleting: job.metadata.deletion_timestamp.is_some(),
    })
}

/// Of a Job that asks AWS: in which moment, when it was made, when it ended.
fn ask_facts(job: &Job) -> Option<(Moment, Timestamp, Option<Timestamp>)> {
    let moment = job.labels().get(RDS_PROXY_LABEL)?.parse().ok()?;
    Some((moment, time(job.metadata.creation_timestamp.as_ref()), finished_at(job)))
}

fn finished_at(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_ref());
    let end = conditions.into_iter().flatten().find(|condition| {
        condition.status == "True" && matches!(condition.type_.as_str(), "Complete" | "Failed")
    });
    end.map(|condition| time(condition.last_transition_time.as_ref()))
}

fn time(time: Option<&Time>) -> Timestamp {
    time.map_or(Timestamp::UNIX_EPOCH, |time| time.0)
}

#[cfg(test)]
mod tests;
