//! The Job controller and the kubelet in miniature: what they make of the operator's Jobs.

use super::{
    api_server::{Key, State},
    guards::is_probe,
};
use crate::{pods::WORKLOADS_ANNOTATION, reports::interrupted};
use api::{
    Report,
    names::{INDEX_LABEL, RUN_LABEL},
};
use serde_json::{Value, json};

impl State {
    /// One step of what they do by themselves; whether there was something to do. Where they are abrupt, a pod
    /// ends and is gone before anybody can look.
    pub(super) fn tick(&mut self, abrupt: bool) -> bool {
        let jobs: Vec<(Key, Value)> =
            self.of("jobs").map(|(k, job)| (k.clone(), job.clone())).collect();
        jobs.iter().any(|(key, job)| self.tick_job(key, job, abrupt))
    }

    fn tick_job(&mut self, key: &Key, job: &Value, abrupt: bool) -> bool {
        let uid = &job["metadata"]["uid"];
        let of_job = |pod: &Value| pod["metadata"]["ownerReferences"][0]["uid"] == *uid;
        let pods: Vec<_> = self.of("pods").filter(|(_, pod)| of_job(pod)).collect();
        let guard = pods.first().map(|(key, _)| (*key).clone());
        if let Some(ticked) = self.tick_guard(key, job, guard.as_ref()) {
            return ticked;
        }
        let pods: Vec<_> = self.of("pods").filter(|(_, pod)| of_job(pod)).collect();
        let parting = pods.iter().find(|(_, pod)| has_ended(pod) && is_deleted(pod));
        if let Some(pod) = parting.map(|(key, _)| (*key).clone()) {
            self.remove(&pod);
            return true;
        }
        // What is deleted and does not end is on a lost node.
        let runs = |pod: &Value| !has_ended(pod) && !is_deleted(pod);
        let running: Vec<Key> =
            pods.iter().filter(|(_, pod)| runs(pod)).map(|(key, _)| (*key).clone()).collect();
        let indexes: Vec<String> = pods.iter().map(|(_, pod)| index(pod)).collect();
        if is_deleted(job) {
            if indexes.is_empty() {
                self.remove(key);
            }
            running.iter().for_each(|pod| self.interrupt(pod, None, abrupt));
            return indexes.is_empty() || !running.is_empty();
        }
        if job["status"]["conditions"].is_array() {
            return false;
        }
        let spec = &job["spec"];
        if !self.is_going(job) {
            let end =
                json!([{ "type": "Complete", "status": "True", "lastTransitionTime": self.now }]);
            self.change(key, |job| job["status"]["conditions"] = end);
            return true;
        }
        let next = self.open(job).find(|index| !indexes.contains(index));
        let next = next.filter(|_| spec["parallelism"].as_u64().unwrap() > running.len() as u64);
        next.iter().for_each(|index| self.start(job, index));
        next.is_some()
    }

    /// Indexes whose pods have not ended.
    fn open(&self, job: &Value) -> impl Iterator<Item = String> {
        let all = 0..job["spec"]["completions"].as_u64().unwrap_or(0);
        let name = job["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let indexes = all.map(move |index| (name.clone(), index.to_string()));
        indexes.filter(|index| !self.ended.contains(index)).map(|(_, index)| index)
    }

    /// Whether a pod of a Job has yet to end.
    fn is_going(&self, job: &Value) -> bool {
        self.open(job).next().is_some()
    }

    /// Whether a Job holds connections, or will: those of a lost node can't be known.
    pub(super) fn holds(&self, job: &Value) -> bool {
        let name = job["metadata"]["name"].as_str().unwrap_or_default();
        let mut pods = self.open(job).map(|index| ("pods".to_owned(), format!("{name}-{index}")));
        pods.any(|pod| self.objects.get(&pod).is_none_or(|pod| !is_deleted(pod)))
    }

    fn start(&mut self, job: &Value, index: &str) {
        self.watch_the_value(job);
        let template = &job["spec"]["template"]["metadata"];
        let mut labels = template["labels"].clone();
        labels[INDEX_LABEL] = json!(index);
        let owner = json!({
            "apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"], "controller": true,
        });
        let job_name = job["metadata"]["name"].as_str().unwrap();
        let name = format!("{job_name}-{index}");
        if let Some((_, other)) = self.holding().iter().find(|(_, pod)| !pod.starts_with(job_name))
        {
            self.offences.push(format!("{name} holds connections beside {other}"));
        }
        let container = json!({
            "name": "probe", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "started": true,
            "state": { "running": { "startedAt": self.now } },
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": name, "labels": labels, "annotations": template["annotations"],
                "ownerReferences": [owner],
            },
            "spec": { "nodeName": "node-7", "containers": [] },
            "status": { "phase": "Running", "conditions": [], "containerStatuses": [container] },
        });
        self.create(&("pods".to_owned(), name), &pod);
    }

    /// Pods whose connections are held.
    pub(super) fn holding(&self) -> Vec<Key> {
        let holding = self.of("pods").filter(|(_, pod)| is_probe(pod));
        let holding = holding.filter(|(_, pod)| !has_ended(pod) && !is_deleted(pod));
        holding.map(|(key, _)| key.clone()).collect()
    }

    /// A connection of this pod is cut.
    pub(super) fn cut(&mut self, pod: &Key) {
        let now = self.now;
        self.change(pod, |pod| {
            pod["status"]["conditions"] =
                json!([{ "type": "ContainersReady", "status": "False", "lastTransitionTime": now }]);
        });
    }

    /// A pod's process ends.
    pub(super) fn end(&mut self, pod: &Key, exit_code: i32, report: &Report) {
        let now = self.now;
        let message = report.to_message();
        self.change(pod, |pod| {
            pod["status"]["phase"] = json!(if exit_code == 0 { "Succeeded" } else { "Failed" });
            pod["status"]["containerStatuses"][0]["state"] = json!({ "terminated": {
                "exitCode": exit_code, "reason": "Error", "finishedAt": now, "message": message,
            } });
        });
        let object = &self.objects[pod];
        let job = object["metadata"]["ownerReferences"][0]["name"].as_str().unwrap().to_owned();
        let index = index(object);
        let labels = &object["metadata"]["labels"];
        let workloads = object["metadata"]["annotations"][WORKLOADS_ANNOTATION].as_str().unwrap();
        let position = workloads.split(',').nth(index.parse().unwrap()).unwrap().to_owned();
        let workload = (labels[RUN_LABEL].as_str().unwrap().to_owned(), position);
        let cut = report.arms.first().map_or(0, |arm| i64::from(arm.counts.disconnected));
        let cuts = self.cuts.entry(workload).or_default();
        *cuts = cut.max(*cuts);
        self.ended.insert((job, index));
    }

    /// A pod's node stops answering: nobody will see its end.
    pub(super) fn lose(&mut self, pod: &Key) {
        let now = self.now;
        self.change(pod, |pod| {
            pod["metadata"]["deletionTimestamp"] = json!(now);
            pod["status"]["conditions"] = json!([
                { "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager" },
            ]);
        });
    }

    /// A pod is deleted, for a reason that its conditions say: it gets SIGTERM, says its last words, and goes.
    pub(super) fn interrupt(&mut self, pod: &Key, disruption: Option<&str>, abrupt: bool) {
        let was_cut = self.objects[pod]["status"]["conditions"][0].is_object();
        let now = self.now;
        self.end(pod, 5, &interrupted("w", i32::from(was_cut)));
        self.change(pod, |pod| {
            pod["metadata"]["deletionTimestamp"] = json!(now);
            if let Some(reason) = disruption {
                pod["status"]["conditions"] =
                    json!([{ "type": "DisruptionTarget", "status": "True", "reason": reason }]);
            }
        });
        if abrupt {
            self.remove(pod);
        }
    }
}

fn has_ended(pod: &Value) -> bool {
    pod["status"]["containerStatuses"][0]["state"]["terminated"].is_object()
}

fn is_deleted(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

fn index(pod: &Value) -> String {
    pod["metadata"]["labels"][INDEX_LABEL].as_str().unwrap().to_owned()
}
