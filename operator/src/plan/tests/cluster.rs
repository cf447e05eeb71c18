//! A cluster that does what a plan says, and what a test says happens to it.

use super::super::{Action, Plan, has_ended, plan};
use crate::{
    facts::{
        Answer, AskFacts, JobFacts, OverrideFacts, OverrideJob, PodEnd, PodFacts, PodPhase,
        RunFacts,
    },
    reports::START,
};
use api::{
    ConnectionProbe, ConnectionProbeRun, ConnectionProbeSpec, ConnectionProbeStatus, Inventory,
    Report, conditions,
    measurement::Measurement,
    names,
    rds_proxy::{
        Evidence,
        overriding::{OverrideStatus, Role},
        request::Moment,
    },
    report::{Inconclusive, Problem, ProblemReason},
    run::Versions,
    target::Target,
    workload::{Idle, Workload},
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;

pub(super) use crate::reports::{interrupted, no_login, report, survivors};

pub(super) struct Cluster {
    pub(super) probe: ConnectionProbe,
    pub(super) runs: Vec<RunFacts>,
    pub(super) now: Timestamp,
}

/// A status as the API server gives it back: its times have whole seconds.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(status: &T) -> T {
    serde_json::from_value(serde_json::to_value(status).unwrap()).unwrap()
}

impl Cluster {
    /// A probe named `t` with workloads of these names.
    pub(super) fn with_probe(workloads: &str) -> Self {
        let workload = |name: &str| Workload {
            name: name.trim().to_owned(),
            idle: Some(Idle::default()),
            ..Workload::default()
        };
        let target = Target { secret_name: "pulp-db".into(), ..Target::default() };
        let measurement = Measurement {
            target,
            workloads: workloads.split(',').map(workload).collect(),
            ..Measurement::default()
        };
        let mut probe =
            ConnectionProbe::new("t", ConnectionProbeSpec { measurement, ..Default::default() });
        probe.metadata.uid = Some("abcde-fffff".into());
        probe.metadata.namespace = Some("ns".into());
        probe.metadata.generation = Some(1);
        Self { probe, runs: Vec::new(), now: START }
    }

    /// A probe whose first run holds its connections.
    pub(super) fn running(workloads: &str) -> Self {
        let mut cluster = Self::with_probe(workloads);
        cluster.settle();
        for position in 0..cluster.probe.spec.measurement.workloads.len() {
            cluster.pod(position, PodPhase::Running { unready_since: None, since: START });
        }
        cluster.settle();
        cluster
    }

    pub(super) fn plan(&self) -> Plan {
        let versions = Versions {
            operator: "1".into(),
            image: "image:1".into(),
            rds_image: Some("rds:1".into()),
        };
        plan(&self.probe, &self.runs, &versions, self.now)
    }

    /// Plans once and does what the plan says, as the controller would.
    pub(super) fn step(&mut self) -> Vec<String> {
        let plan = self.plan();
        let at_rest = plan.actions.is_empty();
        let takes_pods_along = plan.takes_pods_along();
        for (name, status) in plan.run_statuses {
            if at_rest || takes_pods_along || status.has_ended() || status.ended_early.is_some() {
                let run = self.runs.iter_mut().find(|facts| super::super::name(&facts.run) == name);
                Arc::make_mut(&mut run.unwrap().run).status = Some(stored(&status));
            }
        }
        if at_rest {
            self.probe.status = Some(stored(&plan.status));
        }
        plan.actions.iter().for_each(|action| self.act(action));
        plan.actions.iter().map(ToString::to_string).collect()
    }

    pub(super) fn act(&mut self, action: &Action) {
        match action {
            Action::StartRun(run) => {
                assert!(self.runs.iter().all(has_ended), "two runs at once");
                let mut run = run.as_ref().clone();
                run.metadata.creation_timestamp = Some(Time(self.now));
                self.probe.metadata.finalizers = run.metadata.finalizers.clone();
                self.runs.push(RunFacts {
                    run: Arc::new(run),
                    jobs: vec![],
                    pods: vec![],
                    asked: vec![],
                    overriding: vec![],
                });
            }
            Action::StartJob { run, attempt, workloads, node: _ } => {
                let name = super::super::name(run);
                let facts = self.runs.iter_mut().find(|f| super::super::name(&f.run) == name);
                let job = JobFacts {
                    name: names::job_name(&name, *attempt),
                    attempt: *attempt,
                    workloads: workloads.clone(),
                    created_at: self.now,
                    finished_at: None,
                    deleting: false,
                };
                let jobs = &mut facts.unwrap().jobs;
                assert!(jobs.iter().all(|job| job.finished_at.is_some()), "two Jobs at once");
                jobs.push(job);
            }
            Action::AskAws { run, request } => {
                let name = super::super::name(run);
                let facts = self.runs.iter_mut().find(|f| super::super::name(&f.run) == name);
                facts.unwrap().asked.push(AskFacts {
                    moment: request.moment,
                    created_at: self.now,
                    finished_at: None,
                    answer: None,
                });
            }
            Action::Override { run, role, .. } => {
                let name = super::super::name(run);
                let facts = self.runs.iter_mut().find(|f| super::super::name(&f.run) == name);
                let job =
                    OverrideJob { created_at: self.now, finished_at: None, deleting_since: None };
                let overriding = &mut facts.unwrap().overriding;
                assert!(
                    overriding.iter().all(|it| it.job.is_none() || it.role != *role),
                    "two Jobs at once"
                );
                overriding.push(OverrideFacts {
                    role: *role,
                    job: Some(job),
                    answer: None,
                    found: None,
                });
            }
            Action::Release { run: Some(run) } => {
                let name = super::super::name(run);
                let run = self.runs.iter_mut().find(|f| super::super::name(&f.run) == name);
                Arc::make_mut(&mut run.unwrap().run).metadata.finalizers = None;
            }
            Action::Release { run: None } => self.probe.metadata.finalizers = None,
            Action::DropJob { name } if name.ends_with("-guard") || name.ends_with("-restore") => {
                self.of_job(name).job = None;
            }
            Action::DeleteJob { name } if name.ends_with("-guard") => {
                let now = self.now;
                self.of_job(name).job.as_mut().unwrap().deleting_since = Some(now);
            }
            Action::DropJob { name } => {
                self.runs.iter_mut().for_each(|facts| facts.jobs.retain(|job| job.name != *name));
            }
            Action::DeleteJob { name } => {
                let mut jobs = self.runs.iter_mut().flat_map(|facts| &mut facts.jobs);
                jobs.find(|job| job.name == *name).unwrap().deleting = true;
            }
            Action::DeleteRun { name } => {
                self.runs.retain(|facts| super::super::name(&facts.run) != *name);
            }
        }
    }

    fn of_job(&mut self, name: &str) -> &mut OverrideFacts {
        let jobs = self.runs.iter_mut().flat_map(|facts| &mut facts.overriding);
        jobs.filter(|it| it.job.is_some())
            .find(|it| name.ends_with(it.role.as_str()))
            .expect("a Job that is there")
    }

    /// The pod of the newest Job of this role gets so far.
    pub(super) fn overrides(&mut self, role: Role, answer: Answer<OverrideStatus>) {
        let now = self.now;
        let of_run = &mut self.runs.last_mut().unwrap().overriding;
        let it = of_run.iter_mut().rfind(|it| it.role == role).unwrap();
        let ended = matches!(answer, Answer::Told(_) | Answer::Silent(_));
        it.answer = Some(answer);
        // Foreground deletion: the Job goes when its pod has ended.
        if ended && it.job.as_ref().is_some_and(|job| job.deleting_since.is_some()) {
            it.job = None;
        } else if ended {
            it.job.iter_mut().for_each(|job| job.finished_at = Some(now));
        }
    }

    /// Steps until nothing is left to do: what is written down may lead to more.
    pub(super) fn settle(&mut self) {
        for _ in 0..10 {
            let written = |facts: &RunFacts| facts.run.status.clone();
            let before: Vec<_> = self.runs.iter().map(written).collect();
            if self.step().is_empty() && before == self.runs.iter().map(written).collect::<Vec<_>>()
            {
                let Plan { run_statuses, status, .. } = self.plan();
                assert!(run_statuses.is_empty(), "written, and to be written again");
                assert_eq!(Some(status), self.probe.status, "written, and to be written again");
                return;
            }
        }
        panic!("the plan does not come to rest: {:?}", self.plan().actions);
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut ConnectionProbeSpec)) {
        change(&mut self.probe.spec);
        self.probe.metadata.generation = self.probe.metadata.generation.map(|g| g + 1);
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    pub(super) fn at(&self, second: i64) -> Timestamp {
        START.checked_add(SignedDuration::from_secs(second)).unwrap()
    }

    /// Starts a run if one is due, and lets all of its connections survive.
    pub(super) fn finish_run(&mut self) {
        self.settle();
        for position in 0..self.probe.spec.measurement.workloads.len() {
            self.ends(position, survivors("idle", 5, 60_000));
        }
        self.job_finishes();
        self.settle();
    }

    pub(super) fn pod(&mut self, workload: usize, phase: PodPhase) {
        self.pod_of(1, workload, phase);
    }

    pub(super) fn pod_of(&mut self, attempt: i32, workload: usize, phase: PodPhase) {
        let pods = &mut self.runs.last_mut().unwrap().pods;
        pods.retain(|pod| (pod.attempt, pod.workload) != (attempt, workload));
        let (deleting, gone) = (false, false);
        let (inventory, disruption) = (None, None);
        let node = Some("node-7".to_owned());
        pods.push(PodFacts {
            attempt,
            workload,
            phase,
            heard: START,
            node,
            inventory,
            disruption,
            deleting,
            gone,
        });
    }

    /// After an outage, what a pod of the first attempt is like is heard of only now.
    pub(super) fn hears_now(&mut self, workload: usize) {
        let now = self.now;
        let pods = self.runs.last_mut().unwrap().pods.iter_mut();
        pods.filter(|pod| pod.workload == workload).for_each(|pod| pod.heard = now);
    }

    /// The first pod has taken an inventory, in which there is only a problem.
    pub(super) fn takes_inventory(&mut self, problem: &str) {
        let inventory = Inventory::of_problem(self.now, problem.into());
        self.runs.last_mut().unwrap().pods[0].inventory = Some(Box::new(inventory));
    }

    pub(super) fn ends(&mut self, workload: usize, report: Report) {
        self.ends_in(1, workload, report);
    }

    pub(super) fn ends_in(&mut self, attempt: i32, workload: usize, report: Report) {
        self.ends_by(attempt, workload, 0, Some(report));
    }

    fn ends_by(&mut self, attempt: i32, w: usize, exit_code: i32, report: Option<Report>) {
        let end = PodEnd {
            at: self.now,
            exit_code: Some(exit_code),
            reason: "Completed".into(),
            seen: String::new(),
            report: report.map(Box::new),
        };
        self.pod_of(attempt, w, PodPhase::Ended(end));
    }

    pub(super) fn is_interrupted(&mut self, workload: usize, report: Report) {
        self.ends_by(1, workload, 5, Some(report));
    }

    pub(super) fn fails_with_problem(&mut self, w: usize, reason: ProblemReason, message: &str) {
        self.fails_in(1, w, reason, message);
    }

    pub(super) fn fails_in(&mut self, attempt: i32, w: usize, reason: ProblemReason, text: &str) {
        let problem = Problem { reason, message: text.into() };
        self.ends_by(attempt, w, 2, Some(Report::of_problem("idle", self.now, problem)));
        self.job_finishes();
    }

    /// How many Jobs of the last run there are.
    pub(super) fn jobs(&self) -> i32 {
        i32::try_from(self.runs.last().unwrap().jobs.len()).unwrap()
    }

    /// A pod of the newest attempt is evicted while its connections are held.
    pub(super) fn evict(&mut self, workload: usize, report: Report) {
        self.ends_by(self.attempt(), workload, 5, Some(report));
        self.evict_ended(workload);
    }

    pub(super) fn evict_ended(&mut self, workload: usize) {
        let attempt = self.attempt();
        let pods = &mut self.runs.last_mut().unwrap().pods;
        let of_attempt = |pod: &&mut PodFacts| (pod.attempt, pod.workload) == (attempt, workload);
        let pod = pods.iter_mut().find(of_attempt).unwrap();
        pod.disruption = Some(Inconclusive::Evicted);
        pod.gone = true;
    }

    /// The node of a pod of the newest attempt stops answering, and its toleration is over.
    pub(super) fn loses_node(&mut self, workload: usize) {
        let attempt = self.attempt();
        let pods = &mut self.runs.last_mut().unwrap().pods;
        let of_attempt = |pod: &&mut PodFacts| (pod.attempt, pod.workload) == (attempt, workload);
        for pod in pods.iter_mut().filter(of_attempt) {
            pod.disruption = Some(Inconclusive::NodeLost);
            pod.deleting = true;
        }
    }

    /// A pod that asks AWS gets so far.
    pub(super) fn aws(&mut self, moment: Moment, answer: &Answer<Evidence>) {
        let asked = self.runs.last_mut().unwrap().asked.iter_mut();
        let asked = asked.filter(|asked| asked.moment == moment);
        asked.for_each(|asked| asked.answer = Some(answer.clone()));
    }

    fn attempt(&self) -> i32 {
        let jobs = self.runs.last().unwrap().jobs.iter();
        jobs.map(|job| job.attempt).max().unwrap_or(1)
    }

    /// Sets an annotation of the probe.
    pub(super) fn annotate(&mut self, annotation: &str, value: &str) {
        let annotations = self.probe.metadata.annotations.get_or_insert_default();
        annotations.insert(annotation.to_owned(), value.to_owned());
    }

    pub(super) fn forget_pods(&mut self) {
        self.runs.last_mut().unwrap().pods.clear();
    }

    pub(super) fn job_finishes(&mut self) {
        let now = self.now;
        let jobs = self.runs.last_mut().into_iter().flat_map(|facts| &mut facts.jobs);
        jobs.for_each(|job| job.finished_at = Some(job.finished_at.unwrap_or(now)));
    }

    pub(super) fn job_goes(&mut self) {
        let facts = self.runs.last_mut().unwrap();
        facts.jobs.clear();
        facts.pods.iter_mut().for_each(|pod| pod.gone = true);
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    pub(super) fn run(&self, number: i64) -> ConnectionProbeRun {
        let run = self.runs.iter().find(|facts| facts.run.spec.number == number);
        run.unwrap().run.as_ref().clone()
    }

    pub(super) fn status(&self) -> ConnectionProbeStatus {
        self.probe.status.clone().unwrap_or_default()
    }

    pub(super) fn summary(&self) -> String {
        self.status().summary.unwrap_or_default()
    }

    pub(super) fn ready(&self) -> String {
        let conditions = self.status().conditions;
        let ready = conditions::find(&conditions, conditions::READY).unwrap();
        format!("{} {}", ready.status, ready.reason)
    }

    pub(super) fn has(&self, type_: &str) -> bool {
        self.status().conditions.iter().any(|c| c.type_ == type_)
    }
}
