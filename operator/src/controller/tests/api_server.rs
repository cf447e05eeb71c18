//! A Kubernetes API in memory: one namespace, as far as the operator asks of it, with a garbage collector.
//! It can fail at any write.

use api::names::{ATTEMPT_LABEL, GROUP};
use http::{Method, Request, Response};
use jiff::Timestamp;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

/// The namespace of everything.
pub(super) const NAMESPACE: &str = "ns";

/// What happens at a write.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The operator is killed before it.
    KilledBefore,
    /// The operator is killed after it.
    KilledAfter,
    /// It is refused.
    Refused,
    /// It is done, and the answer does not arrive.
    AnswerLost,
    /// Somebody else has just written the object.
    Conflict,
}

impl Fault {
    pub(super) const ALL: [Self; 5] =
        [Self::KilledBefore, Self::KilledAfter, Self::Refused, Self::AnswerLost, Self::Conflict];
}

/// Plural of the kind, and name.
pub(super) type Key = (String, String);

/// The API server; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct ApiServer(Arc<Mutex<State>>);

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) now: Timestamp,
    pub(super) objects: BTreeMap<Key, Value>,
    /// What watches tell: the kind, whether the object is gone, its last state.
    pub(super) changes: Vec<(String, bool, Value)>,
    /// Resource version of the last change.
    pub(super) version: u64,
    /// How many writes the operator has asked for.
    pub(super) writes: usize,
    /// Which write fails, and how.
    pub(super) fault: Option<(usize, Fault)>,
    /// Which write that was: its method and the kind.
    pub(super) failed: Option<String>,
    /// The operator was killed: nothing that it says arrives.
    pub(super) killed: bool,
    /// All that was ever made of each kind.
    pub(super) made: BTreeMap<String, BTreeSet<String>>,
    /// Pods that ended, by Job and index.
    pub(super) ended: BTreeSet<(String, String)>,
    /// The largest number of cuts that a pod reported, by run and position of its workload.
    pub(super) cuts: BTreeMap<(String, String), i64>,
    /// IdleClientTimeout of the proxy, in seconds.
    pub(super) idle_client_timeout: i64,
    /// What must never happen, and did.
    pub(super) offences: Vec<String>,
}

/// No answer comes.
#[derive(Debug, thiserror::Error)]
#[error("the connection broke")]
struct Lost;

impl ApiServer {
    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.map_err(|_| Lost)?;
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let (code, answer) = server.state().answer(&head.method, head.uri.path(), &body)?;
                let answer = Body::from(answer.to_string().into_bytes());
                Ok::<_, Lost>(Response::builder().status(code).body(answer).unwrap())
            }
        });
        Client::new(service, NAMESPACE)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> Result<(u16, Value), Lost> {
        if self.killed {
            return Err(Lost);
        }
        let Some((_, path)) = path.split_once(&format!("/namespaces/{NAMESPACE}/")) else {
            return Ok(refusal(404));
        };
        let mut parts = path.split('/').map(str::to_owned);
        let plural = parts.next().unwrap();
        let name = parts.next().or_else(|| Some(body["metadata"]["name"].as_str()?.to_owned()));
        let key = name.map(|name| (plural.clone(), name));
        if method == Method::GET {
            return Ok(match key {
                None => (200, self.list(&plural)),
                Some(key) => {
                    self.objects.get(&key).map_or_else(|| refusal(404), |o| (200, o.clone()))
                }
            });
        }
        let key = key.unwrap();
        let fault = self.fault.take_if(|(write, _)| *write == self.writes).map(|(_, fault)| fault);
        self.writes += 1;
        if fault.is_some() {
            self.failed = Some(format!("{method} {plural}"));
        }
        match fault {
            Some(Fault::KilledBefore) => {
                self.killed = true;
                return Err(Lost);
            }
            Some(Fault::Refused) => return Ok(refusal(500)),
            Some(Fault::Conflict) => self.change(&key, |_| ()),
            Some(Fault::KilledAfter | Fault::AnswerLost) | None => {}
        }
        let answer = match method.as_str() {
            "POST" => self.create(&key, body),
            "PUT" => self.replace_status(&key, body),
            "DELETE" => self.delete(&key, body),
            _ if plural != "events" => self.finalize(&key, body),
            // Events are patched by what is the whole of them.
            _ => {
                self.change(&key, |event| event.clone_from(body));
                (200, body.clone())
            }
        };
        match fault {
            Some(Fault::KilledAfter) => self.killed = true,
            Some(Fault::AnswerLost) => {}
            Some(Fault::KilledBefore | Fault::Refused | Fault::Conflict) | None => {
                return Ok(answer);
            }
        }
        Err(Lost)
    }

    fn list(&self, plural: &str) -> Value {
        let items: Vec<_> = self.of(plural).map(|(_, object)| object.clone()).collect();
        json!({ "metadata": { "resourceVersion": self.version.to_string() }, "items": items })
    }

    /// All objects of a kind.
    pub(super) fn of(&self, plural: &str) -> impl Iterator<Item = (&Key, &Value)> {
        self.objects.iter().filter(move |((kind, _), _)| kind == plural)
    }

    /// Makes an object, as the API server fills it in.
    pub(super) fn create(&mut self, key: &Key, object: &Value) -> (u16, Value) {
        if self.objects.contains_key(key) {
            return refusal(409);
        }
        self.watch_for_offences(key, object);
        let uid = format!("abcde{:03}-{}", self.version % 1000, key.1);
        let mut object = object.clone();
        let own = json!({
            "namespace": NAMESPACE, "uid": uid, "generation": 1, "creationTimestamp": self.now,
        });
        object["metadata"].as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
        if key.0 != "pods" {
            object.as_object_mut().unwrap().remove("status");
        }
        self.objects.insert(key.clone(), object);
        self.change(key, |_| ());
        (201, self.objects[key].clone())
    }

    /// Neither a name twice, nor two runs or two Jobs at once.
    fn watch_for_offences(&mut self, key: &Key, object: &Value) {
        let (plural, name) = key;
        if !self.made.entry(plural.clone()).or_default().insert(name.clone()) {
            self.offences.push(format!("{name} was made twice"));
        }
        let measures = object["metadata"]["labels"][ATTEMPT_LABEL].is_string();
        let going = |(_, object): (&Key, &Value)| match plural.as_str() {
            "connectionproberuns" => object["status"]["endTime"].is_null(),
            "jobs" if measures => {
                object["metadata"]["deletionTimestamp"].is_null() && self.holds(object)
            }
            _ => false,
        };
        if self.of(plural).any(going) {
            self.offences.push(format!("{name} was made beside another"));
        }
    }

    fn replace_status(&mut self, key: &Key, body: &Value) -> (u16, Value) {
        let Some(object) = self.objects.get(key) else { return refusal(404) };
        if object["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
            return refusal(409);
        }
        if object["status"] != body["status"] {
            self.change(key, |object| object["status"] = body["status"].clone());
        }
        (200, self.objects[key].clone())
    }

    fn finalize(&mut self, key: &Key, body: &Value) -> (u16, Value) {
        let Some(object) = self.objects.get(key) else { return refusal(404) };
        if object["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
            return refusal(409);
        }
        let finalizers = body["metadata"]["finalizers"].clone();
        self.change(key, |object| object["metadata"]["finalizers"] = finalizers);
        let object = self.objects[key].clone();
        if object["metadata"]["deletionTimestamp"].is_string() {
            self.remove(key);
        }
        (200, object)
    }

    fn delete(&mut self, key: &Key, options: &Value) -> (u16, Value) {
        if !self.objects.contains_key(key) {
            return refusal(404);
        }
        if options["propagationPolicy"] == "Foreground" {
            let now = json!(self.now);
            self.change(key, |object| object["metadata"]["deletionTimestamp"] = now);
            return (200, self.objects[key].clone());
        }
        self.remove(key);
        (200, json!({ "kind": "Status", "status": "Success", "metadata": {} }))
    }

    /// Takes an object away, and what it owns. One with finalizers is only marked.
    pub(super) fn remove(&mut self, key: &Key) {
        let finalizers = |object: &Value| object["metadata"]["finalizers"].as_array().cloned();
        let held = self.objects.get(key).and_then(finalizers).is_some_and(|it| !it.is_empty());
        if held {
            let now = json!(self.now);
            return self.change(key, |object| object["metadata"]["deletionTimestamp"] = now);
        }
        self.change(key, |_| ());
        let Some(object) = self.objects.remove(key) else { return };
        self.changes.last_mut().unwrap().1 = true;
        let uid = &object["metadata"]["uid"];
        let owned = |object: &Value| object["metadata"]["ownerReferences"][0]["uid"] == *uid;
        let children: Vec<Key> =
            self.objects.iter().filter(|(_, o)| owned(o)).map(|(key, _)| key.clone()).collect();
        children.iter().for_each(|child| self.remove(child));
    }

    /// Changes an object, if it is there, and tells the watch.
    pub(super) fn change(&mut self, key: &Key, change: impl FnOnce(&mut Value)) {
        let Some(object) = self.objects.get_mut(key) else { return };
        self.version += 1;
        change(object);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.changes.push((key.0.clone(), false, object.clone()));
    }
}

fn refusal(code: u16) -> (u16, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code,
        "reason": format!("{GROUP} {code}"), "message": "as the test wants it",
    });
    (code, status)
}
