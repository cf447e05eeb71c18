//! An RDS Proxy, and the pods that change it and put it back, in miniature.

use super::api_server::{Key, State};
use api::{
    names::{INDEX_LABEL, RDS_PROXY_LABEL},
    rds_proxy::overriding::{Outcome, OverrideStatus},
};
use serde_json::{Value, json};

/// IdleClientTimeout as it is, in seconds.
pub(super) const ORIGINAL: i64 = 1800;
/// As it is for a run.
const CHANGED: i64 = 3600;

impl State {
    /// One step of a Job that changes the proxy or puts it back; nothing if it is none.
    pub(super) fn tick_guard(&mut self, key: &Key, job: &Value, pod: Option<&Key>) -> Option<bool> {
        let role = job["metadata"]["labels"][RDS_PROXY_LABEL].as_str()?;
        if !["guard", "restore"].contains(&role) {
            return None;
        }
        let is_deleted = job["metadata"]["deletionTimestamp"].is_string();
        let is_over = job["status"]["conditions"].is_array();
        let was_there = self.ended.contains(&(key.1.clone(), role.to_owned()));
        Some(match pod {
            Some(pod) if is_deleted && self.objects[pod]["status"]["phase"] == "Running" => {
                self.put_back(pod);
                true
            }
            Some(pod) if is_deleted => {
                self.remove(&pod.clone());
                true
            }
            None if is_deleted => {
                self.remove(key);
                true
            }
            _ if is_over => false,
            Some(pod) if self.objects[pod]["status"]["phase"] == "Running" => false,
            None if !was_there => {
                self.start_guard(key, job, role);
                true
            }
            _ => {
                let now = self.now;
                let end =
                    json!([{ "type": "Complete", "status": "True", "lastTransitionTime": now }]);
                self.change(key, |job| job["status"]["conditions"] = end);
                true
            }
        })
    }

    fn start_guard(&mut self, job_key: &Key, job: &Value, role: &str) {
        let mut labels = job["spec"]["template"]["metadata"]["labels"].clone();
        labels["batch.kubernetes.io/controller-uid"] = job["metadata"]["uid"].clone();
        let owner = json!({
            "apiVersion": "batch/v1", "kind": "Job", "name": job_key.1, "uid": job["metadata"]["uid"],
            "controller": true,
        });
        let container = json!({
            "name": "rds", "image": "i", "imageID": "", "ready": true, "restartCount": 0, "started": true,
            "state": { "running": { "startedAt": self.now } },
        });
        let look = json!({
            "name": "look", "image": "i", "imageID": "", "ready": true, "restartCount": 0,
            "state": { "terminated": { "exitCode": 0, "reason": "Completed" } },
        });
        let ready =
            json!({ "type": "ContainersReady", "status": "True", "lastTransitionTime": self.now });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": format!("{}-x", job_key.1), "labels": labels, "ownerReferences": [owner],
                "annotations": job["spec"]["template"]["metadata"]["annotations"],
            },
            "spec": { "nodeName": "node-7", "containers": [] },
            "status": {
                "phase": "Running", "conditions": [ready], "initContainerStatuses": [look],
                "containerStatuses": [container],
            },
        });
        let key = ("pods".to_owned(), format!("{}-x", job_key.1));
        self.ended.insert((job_key.1.clone(), role.to_owned()));
        self.create(&key, &pod);
        match role {
            "guard" => self.idle_client_timeout = CHANGED,
            _ => self.put_back(&key),
        }
    }

    /// A pod puts the proxy back and says so.
    fn put_back(&mut self, pod: &Key) {
        self.idle_client_timeout = ORIGINAL;
        let told = OverrideStatus {
            seconds: CHANGED,
            original_seconds: Some(ORIGINAL),
            until: Some(self.now),
            outcome: Some(Outcome::Restored),
            ..OverrideStatus::default()
        };
        let now = self.now;
        self.change(pod, |pod| {
            pod["status"]["phase"] = json!("Succeeded");
            pod["status"]["containerStatuses"][0]["state"] = json!({ "terminated": {
                "exitCode": 0, "reason": "Completed", "finishedAt": now, "message": told.to_message(),
            } });
        });
    }

    /// A guard is killed, and nobody puts anything back.
    pub(super) fn kill_guard(&mut self) {
        let is_guard = |pod: &Value| pod["metadata"]["labels"][RDS_PROXY_LABEL] == "guard";
        let guard = self.of("pods").find(|(_, pod)| is_guard(pod)).map(|(key, _)| key.clone());
        guard.iter().for_each(|guard| self.remove(guard));
    }

    /// What must never be of a proxy: changed when no run goes on, or not changed where connections are opened for it.
    pub(super) fn offences_of_proxy(&self) -> Option<String> {
        let goes_on = |run: &Value| run["status"]["endTime"].is_null();
        let is_free = !self.of("connectionproberuns").any(|(_, run)| goes_on(run));
        let is_changed = self.idle_client_timeout != ORIGINAL;
        (is_free && is_changed).then(|| "the proxy is left changed".to_owned())
    }

    pub(super) fn watch_the_value(&mut self, job: &Value) {
        let run = job["metadata"]["ownerReferences"][0]["name"].as_str().unwrap_or_default();
        let run = &self.objects[&("connectionproberuns".to_owned(), run.to_owned())];
        let asked = &run["spec"]["measurement"]["settled"]["rdsProxy"]["override"];
        if asked.is_object() && self.idle_client_timeout != CHANGED {
            self.offences
                .push(format!("{} holds connections under another value", job["metadata"]["name"]));
        }
    }
}

/// Whether a pod holds connections.
pub(super) fn is_probe(pod: &Value) -> bool {
    pod["metadata"]["labels"][INDEX_LABEL].is_string()
}

/// A proxy that runs change.
pub(super) fn proxy() -> Value {
    json!({
        "name": "pulp", "region": "us-east-1", "serviceAccountName": "a",
        "override": { "idleClientTimeout": format!("{CHANGED}s"), "allowModify": true },
    })
}
