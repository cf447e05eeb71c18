//! What is asked of the cluster.

use crate::args::Place;
use anyhow::{Context, bail};
use api::{
    ConnectionProbe, ConnectionProbeRun,
    expect::Expect,
    names::{
        CANCEL_ANNOTATION, PROBE_ANNOTATION, PROBE_LABEL, REQUESTED_AT_ANNOTATION, probe_label,
    },
};
use kube::{
    Api, Client, Config, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    config::KubeConfigOptions,
};
use serde::de::DeserializeOwned;
use serde_json::json;
use std::fmt::Debug;

/// A namespace of a cluster.
pub(crate) struct Cluster {
    client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    pub(crate) async fn connect(place: &Place) -> anyhow::Result<Self> {
        let options =
            KubeConfigOptions { context: place.context.clone(), ..KubeConfigOptions::default() };
        let config = match Config::from_kubeconfig(&options).await {
            Ok(config) => config,
            Err(error) if place.context.is_some() => return Err(error).context("the kubeconfig"),
            Err(_) => Config::infer().await.context("there is no cluster to be found")?,
        };
        let namespace = place.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        Ok(Self { client: Client::try_from(config)?, namespace })
    }

    /// The namespace's objects of a kind.
    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Every namespace's.
    pub(crate) fn everywhere<K>(&self) -> Api<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    pub(crate) async fn probe(&self, name: &str) -> anyhow::Result<ConnectionProbe> {
        self.get(name).await
    }

    /// The run of this name, or the last one of the probe of this name.
    pub(crate) async fn run(&self, name: &str) -> anyhow::Result<ConnectionProbeRun> {
        if let Some(run) = self.all::<ConnectionProbeRun>().get_opt(name).await? {
            return Ok(run);
        }
        let Some(probe) = self.all::<ConnectionProbe>().get_opt(name).await? else {
            bail!("there is neither a run nor a probe {name} in namespace {}", self.namespace);
        };
        let status = probe.status.unwrap_or_default();
        let current = status.current_run.map(|run| run.name);
        match status.last_run.map(|run| run.name).or(current) {
            Some(run) => self.get(&run).await,
            None => bail!("the probe {name} has no run yet"),
        }
    }

    /// What the probe of a run expects now.
    pub(crate) async fn expect(&self, run: &ConnectionProbeRun) -> anyhow::Result<Option<Expect>> {
        let Some(probe) = run.annotations().get(PROBE_ANNOTATION) else { return Ok(None) };
        let probe = self.all::<ConnectionProbe>().get_opt(probe).await?;
        Ok(probe.and_then(|probe| probe.spec.expect))
    }

    /// The runs of a probe, the newest first.
    pub(crate) async fn runs(&self, probe: &str) -> anyhow::Result<Vec<ConnectionProbeRun>> {
        let labelled =
            ListParams::default().labels(&format!("{PROBE_LABEL}={}", probe_label(probe)));
        let runs = self.all::<ConnectionProbeRun>().list(&labelled).await?;
        let mut runs = runs.items;
        runs.retain(|run| {
            run.annotations().get(PROBE_ANNOTATION).is_some_and(|name| name == probe)
        });
        runs.sort_by_key(|run| std::cmp::Reverse(run.spec.number));
        Ok(runs)
    }

    /// Makes or changes a probe as its manifest says, and asks for a run: it is the one that a change starts, if it
    /// starts one.
    pub(crate) async fn apply(&self, probe: &ConnectionProbe, token: &str) -> anyhow::Result<()> {
        let mut probe = probe.clone();
        probe.annotations_mut().insert(REQUESTED_AT_ANNOTATION.to_owned(), token.to_owned());
        let manager = PatchParams::apply("kubectl-cprobe").force();
        let probes = self.all::<ConnectionProbe>();
        probes.patch(&probe.name_any(), &manager, &Patch::Apply(&probe)).await?;
        Ok(())
    }

    /// Asks for another run.
    pub(crate) async fn request(&self, probe: &str, token: &str) -> anyhow::Result<()> {
        self.annotate(probe, REQUESTED_AT_ANNOTATION, token).await
    }

    /// Asks for the end of a run.
    pub(crate) async fn cancel(&self, probe: &str, number: i64) -> anyhow::Result<()> {
        self.annotate(probe, CANCEL_ANNOTATION, &number.to_string()).await
    }

    async fn annotate(&self, probe: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let patch = json!({ "metadata": { "annotations": { key: value } } });
        let probes = self.all::<ConnectionProbe>();
        probes.patch(probe, &PatchParams::default(), &Patch::Merge(patch)).await?;
        Ok(())
    }

    async fn get<K>(&self, name: &str) -> anyhow::Result<K>
    where
        K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + Clone
            + DeserializeOwned
            + Debug,
    {
        self.all()
            .get(name)
            .await
            .with_context(|| format!("{name} in namespace {}", self.namespace))
    }
}
