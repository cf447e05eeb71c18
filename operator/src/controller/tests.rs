//! The operator before an API server in memory: killed before and after every write of whole histories,
//! refused, outrun, doubled, and confronted with objects that others or nobody would write.

mod api_server;
mod faults;
mod fuzz;
mod guards;
mod history;
mod kubelet;
mod others;

use super::*;
use crate::{metrics::Metrics, observe::World, reports::START};
use api::{
    ConnectionProbeRun,
    names::{MANAGED_BY, MANAGED_BY_LABEL},
};
use api_server::{ApiServer, Fault, Key, NAMESPACE, State};
use history::{History, history};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{events::Reporter, watcher::Event as Change},
};
use proptest::{
    prelude::*,
    test_runner::{TestCaseResult, TestRunner},
};
use serde_json::{Value, from_value, json};
use std::{cell::Cell, sync::LazyLock};

/// An operator process, and how many changes its watches have told it.
struct Operator(Context, Cell<usize>);

impl Operator {
    /// Starts with nothing but what the API server has.
    async fn start(server: &ApiServer) -> Self {
        static METRICS: LazyLock<Arc<Metrics>> =
            LazyLock::new(|| Arc::new(Metrics::new().unwrap()));
        let (client, metrics) = (server.client(), METRICS.clone());
        let namespace = Some(NAMESPACE.to_owned());
        let world = Arc::<World>::default();
        let heard = {
            let mut state = server.state();
            state.killed = false;
            Cell::new(state.changes.len())
        };
        list::<ConnectionProbeRun>(&client, |run| world.runs.observe(run)).await;
        list::<Job>(&client, |job| world.jobs.observe(job)).await;
        let now = server.state().now;
        list::<Pod>(&client, |pod| world.pods.observe(&pod, now)).await;
        let context = Context {
            recorder: Recorder::new(client.clone(), Reporter::from(MANAGED_BY)),
            scope: Scope { client, namespace, metrics },
            world,
            versions: Versions {
                operator: "1".into(),
                image: "image:1".into(),
                rds_image: Some("rds:1".into()),
            },
            failing: Failing::default(),
        };
        Self(context, heard)
    }

    /// Takes in what its watches say.
    fn hear(&self, state: &State) {
        let world = &self.0.world;
        let heard = self.1.replace(state.changes.len());
        for (plural, gone, object) in &state.changes[heard..] {
            match plural.as_str() {
                "connectionproberuns" => world.runs.observe(change(object, *gone)),
                "jobs" => world.jobs.observe(change(object, *gone)),
                "pods" => world.pods.observe(&change(object, *gone), state.now),
                _ => {}
            }
        }
    }

    /// Works, and is started again where it was killed, until nothing is left to do by anybody, not even
    /// to write what is stored.
    async fn rest(&mut self, server: &ApiServer, abrupt: bool) {
        for _ in 0..100 {
            let so_far = |state: &State| (state.version, state.writes);
            let before = so_far(&server.state());
            if server.state().killed {
                *self = Self::start(server).await;
            }
            let result = self.reconcile(server).await;
            let mut state = server.state();
            let ticked = result.is_ok() && !state.killed && state.tick(abrupt);
            if result.is_ok() && !ticked && !state.killed && so_far(&state) == before {
                return;
            }
        }
        panic!("no rest: {:?}", self.reconcile(server).await);
    }

    async fn reconcile(&self, server: &ApiServer) -> Result<Action, Error> {
        let probe = {
            let state = server.state();
            self.hear(&state);
            let Some(probe) = state.objects.get(&probe_key()) else {
                return Ok(Action::await_change());
            };
            from_value(probe.clone()).unwrap()
        };
        carry_through(Arc::new(probe), &self.0, || server.state().now).await
    }
}

async fn list<K: crate::kind::Kind>(client: &Client, observe: impl Fn(Change<K>)) {
    let ours = ListParams::default().labels(&format!("{MANAGED_BY_LABEL}={MANAGED_BY}"));
    let listed = Api::<K>::namespaced(client.clone(), NAMESPACE).list(&ours).await.unwrap();
    observe(Change::Init);
    listed.items.into_iter().for_each(|object| observe(Change::InitApply(object)));
    observe(Change::InitDone);
}

fn change<K: serde::de::DeserializeOwned>(object: &Value, gone: bool) -> Change<K> {
    let object = from_value(object.clone()).unwrap();
    if gone { Change::Delete(object) } else { Change::Apply(object) }
}

fn probe_key() -> Key {
    ("connectionprobes".to_owned(), "t".to_owned())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Tries random cases, fewer by this factor than the usual number; how many they were.
fn try_random<S: Strategy>(cases: S, fewer: u32, test: impl Fn(S::Value) -> TestCaseResult) -> u32 {
    let all = ProptestConfig::default();
    let n = (all.cases / fewer).max(1);
    let config = ProptestConfig { cases: n, failure_persistence: None, ..all };
    TestRunner::new(config).run(&cases, test).unwrap();
    n
}
