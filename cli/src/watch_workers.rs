//! Watches the sockets of workers' pods: adds an ephemeral container to each, follows what it says, and says what that
//! means. Nothing else of a pod is touched, and a container that was added stays in the pod's spec.

use crate::{cluster::Cluster, print};
use anyhow::{Context, bail};
use api::{
    ConnectionProbeRun,
    exit::Exit,
    render,
    sockets::{Heard, SocketsReport},
    text,
};
use clap::{Args, builder::PossibleValuesParser};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{select, signal::ctrl_c, task::JoinSet, time::sleep};

mod container;
mod follow;

/// A container has so long to start, and its report to come after its time is over.
const PATIENCE: Duration = Duration::from_secs(180);

/// Whose sockets to watch.
#[derive(Debug, Args)]
pub(crate) struct WatchWorkers {
    /// The pods
    #[arg(required_unless_present = "selector", conflicts_with = "selector")]
    pods: Vec<String>,
    /// The pods with these labels, such as app.kubernetes.io/component=worker
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    selector: Option<String>,
    /// For how long. A task's connection must be silent for longer than a timer to be cut by it
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::args::duration, default_value = "10m")]
    length: Duration,
    /// The image of the operator and the probe. Absent: that of the namespace's last run
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// The database's port as the pods see it; it may be written several times
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values_t = [5432, 6432])]
    port: Vec<u16>,
    /// The container of each pod whose processes the new one sees; its sockets are seen in any case
    #[arg(long, short, value_name = "CONTAINER")]
    container: Option<String>,
    /// Also writes what was seen to this file, for `kubectl cprobe report --workers`
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How it is set down
    #[arg(long, short, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["table", "markdown", "json"]), default_value = "table")]
    output: String,
}

/// What was heard, by pod.
type All = Arc<Mutex<BTreeMap<String, Heard>>>;

/// Watches until the time is over, or somebody presses Ctrl-C.
pub(crate) async fn watch(cluster: &Cluster, order: &WatchWorkers) -> anyhow::Result<Exit> {
    let pods = pods(cluster, order).await?;
    let image = match &order.image {
        Some(image) => image.clone(),
        None => last_image(cluster).await?,
    };
    let all = All::default();
    let mut followed = JoinSet::new();
    let added = join_all(pods.iter().map(|pod| add(cluster, order, &image, pod))).await;
    for (pod, name) in pods.iter().map(ResourceExt::name_any).zip(added) {
        let name = match name {
            Ok(name) => name,
            Err(why) => {
                say(&pod, &format!("{why:#}"));
                continue;
            }
        };
        lock(&all).insert(pod.clone(), Heard::default());
        let (api, all) = (cluster.all::<Pod>(), Arc::clone(&all));
        followed.spawn(async move {
            if let Err(why) = follow::follow(&api, &pod, &name, &all).await {
                say(&pod, &why);
            }
        });
    }
    if followed.is_empty() {
        return Ok(Exit::Failed);
    }
    let is_stopped = select! {
        () = async { while followed.join_next().await.is_some() {} } => false,
        () = sleep(order.length + 2 * PATIENCE) => false,
        _ = ctrl_c() => true,
    };
    followed.abort_all();
    let heard = lock(&all).clone();
    let going = heard.iter().filter(|(_, heard)| !heard.is_whole()).map(|(pod, _)| pod.as_str());
    let going: Vec<&str> = going.collect();
    if is_stopped && !going.is_empty() {
        eprintln!("{}", text::stopped_following(container::PREFIX, &going));
    }
    tell(&heard, order)?;
    Ok(match heard.values().any(Heard::is_whole) {
        _ if is_stopped => Exit::Interrupted,
        true => Exit::Complete,
        false => Exit::Inconclusive,
    })
}

/// Sets down what was seen.
fn tell(heard: &BTreeMap<String, Heard>, order: &WatchWorkers) -> anyhow::Result<()> {
    let report = |(pod, heard): (&String, &Heard)| {
        let report = heard.report(pod);
        if report.is_none() {
            say(pod, text::NOTHING_CAME);
        }
        report
    };
    let reports: Vec<SocketsReport> = heard.iter().filter_map(report).collect();
    let json = serde_json::to_string_pretty(&reports)? + "\n";
    if let Some(file) = &order.json {
        fs::write(file, &json).with_context(|| file.display().to_string())?;
    }
    print(&match order.output.as_str() {
        "json" => json,
        "markdown" => render::sockets::markdown(&reports),
        _ => render::sockets::plain(&reports),
    });
    Ok(())
}

/// The pods that run; others are told.
async fn pods(cluster: &Cluster, order: &WatchWorkers) -> anyhow::Result<Vec<Pod>> {
    let api = cluster.all::<Pod>();
    let found = match &order.selector {
        Some(selector) => api.list(&ListParams::default().labels(selector)).await?.items,
        None => {
            let mut found = Vec::new();
            for name in &order.pods {
                let pod = api.get(name).await;
                found.push(
                    pod.with_context(|| format!("{name} in namespace {}", cluster.namespace))?,
                );
            }
            found
        }
    };
    let mut running = Vec::new();
    for pod in found {
        let name = pod.name_any();
        let phase = pod.status.as_ref().and_then(|status| status.phase.clone()).unwrap_or_default();
        if phase != "Running" {
            say(&name, &text::not_running(&phase));
            continue;
        }
        if pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true) {
            say(&name, text::ON_HOST_NETWORK);
        }
        running.push(pod);
    }
    if running.is_empty() {
        let which = order
            .selector
            .as_ref()
            .map_or_else(|| order.pods.join(", "), |selector| format!("has the labels {selector}"));
        bail!(text::no_workers(&which, &cluster.namespace));
    }
    Ok(running)
}

/// The image of the newest run: the probe's own.
async fn last_image(cluster: &Cluster) -> anyhow::Result<String> {
    let runs = match cluster.all::<ConnectionProbeRun>().list(&ListParams::default()).await {
        Ok(runs) => runs.items,
        // The resource is not known here.
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let newest = runs.into_iter().max_by_key(|run| run.metadata.creation_timestamp.clone());
    let image = newest.map(|run| run.spec.versions.image).filter(|image| !image.is_empty());
    image.with_context(|| text::no_image(&cluster.namespace))
}

/// Adds the container; its name.
async fn add(
    cluster: &Cluster,
    order: &WatchWorkers,
    image: &str,
    pod: &Pod,
) -> anyhow::Result<String> {
    let container = container::of(pod, order, image);
    let name = container.name.clone();
    let patch = Patch::Strategic(container::patch(&container));
    let pods = cluster.all::<Pod>();
    let added =
        pods.patch_ephemeral_containers(&pod.name_any(), &PatchParams::default(), &patch).await;
    match added {
        Ok(_) => Ok(name),
        Err(kube::Error::Api(status)) if status.code == 403 => {
            let seen = status.message.clone();
            bail!(text::right_missing(
                "patch",
                "pods/ephemeralcontainers",
                &cluster.namespace,
                &seen
            ))
        }
        Err(error) => Err(error).with_context(|| pod.name_any()),
    }
}

/// Tells a person something of a pod.
fn say(pod: &str, words: &str) {
    eprintln!("{pod}: {words}");
}

fn lock(all: &All) -> MutexGuard<'_, BTreeMap<String, Heard>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}
