//! `kubectl cprobe`: runs, follows, reports and compares ConnectionProbes.
//!
//! # Layout
//! - [`args`]: the command line. [`source`]: where a run is read from. [`cluster`]: what is asked of one.
//! - [`follow`], [`live`]: a run while it lasts. [`list`]: several of them.
//! - [`restore`]: an RDS Proxy that runs have left changed. [`watch_workers`]: the sockets of workers' pods.
//!
//! What is said of a run is `api`'s.

mod args;
mod clock;
mod cluster;
mod follow;
mod list;
mod live;
mod restore;
mod source;
mod watch_workers;

use anyhow::{Context, bail};
use api::{
    ConnectionProbe, Settings,
    compare::{self, Comparison},
    exit::Exit,
    forecast::Forecast,
    manifest,
    render::{self, Format},
    text,
};
use args::{Cli, Command, Compare, Place, Until};
use clap::{CommandFactory, Parser};
use clock::Clock;
use cluster::Cluster;
use follow::{follow, newest, next_run, within};
use kube::{ResourceExt, api::ListParams};
use live::Live;
use std::{
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    // The client must not have to guess its TLS stack.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let Cli { place, command } = Cli::parse();
    let exit = act(&place, command).await.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        Exit::Failed
    });
    exit.into()
}

async fn act(place: &Place, command: Command) -> anyhow::Result<Exit> {
    match command {
        Command::List { probe: Some(probe), output, .. } => {
            let runs = Cluster::connect(place).await?.runs(&probe).await?;
            print(&list::runs(&runs, output, Clock.now())?);
        }
        Command::List { probe: None, all_namespaces, output } => {
            let cluster = Cluster::connect(place).await?;
            let all = if all_namespaces { cluster.everywhere() } else { cluster.all() };
            let probes = all.list(&ListParams::default()).await?.items;
            print(&list::probes(&probes, all_namespaces, output, Clock.now())?);
        }
        Command::Plan { probe, file } => {
            return plan(place, probe.as_deref(), file.as_deref()).await;
        }
        Command::Run { probe, file, detach, until } => {
            return run(place, probe, file.as_deref(), detach, until).await;
        }
        Command::Watch { probe, until } => {
            let cluster = Cluster::connect(place).await?;
            return watch(&cluster, &probe, until, Some(Live::new(Clock))).await;
        }
        Command::Wait { probe, until } => {
            return watch(&Cluster::connect(place).await?, &probe, until, None).await;
        }
        Command::Report { run, output, workers } => {
            return report(place, &run, output.parse().unwrap_or_default(), &workers).await;
        }
        Command::Compare(order) => return compare(place, &order).await,
        Command::Cancel { probe } => {
            let cluster = Cluster::connect(place).await?;
            let status = cluster.probe(&probe).await?.status.unwrap_or_default();
            let current = status.current_run.context("no run goes on")?;
            cluster.cancel(&probe, current.number).await?;
            println!("Run {} is asked to end; what it measured is kept.", current.number);
        }
        Command::Restore { probe } => {
            return restore::restore(&Cluster::connect(place).await?, &probe).await;
        }
        Command::WatchWorkers(order) => {
            return watch_workers::watch(&Cluster::connect(place).await?, &order).await;
        }
        Command::Completion { shell } => {
            let mut words = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "kubectl-cprobe", &mut words);
            print(&String::from_utf8_lossy(&words));
        }
    }
    Ok(Exit::Complete)
}

/// Says what a probe would do.
async fn plan(place: &Place, probe: Option<&str>, file: Option<&Path>) -> anyhow::Result<Exit> {
    let probe = match (probe, file) {
        (Some(name), _) => Cluster::connect(place).await?.probe(name).await?,
        (None, Some(file)) => match read(file)? {
            Ok(probe) => probe,
            Err(exit) => return Ok(exit),
        },
        (None, None) => bail!("write a probe's name, or --file"),
    };
    let measurement = &probe.spec.measurement;
    match Settings::new(&probe.name_any(), measurement, Vec::new()) {
        Ok(settings) => {
            let order = measurement.order.unwrap_or_default();
            print(&Forecast { settings: &settings, order }.to_string());
            Ok(Exit::Complete)
        }
        Err(invalid) => {
            eprintln!("{}", text::refusal(&invalid));
            Ok(Exit::Misconfigured)
        }
    }
}

/// The manifest of a probe, or how the command ends because it is none.
fn read(file: &Path) -> anyhow::Result<Result<ConnectionProbe, Exit>> {
    let text = source::text(&file.display().to_string())?;
    Ok(manifest::parse(&text).map_err(|wrong| {
        eprintln!("{}: {wrong}", file.display());
        Exit::Misconfigured
    }))
}

/// Starts a run, and follows it.
async fn run(
    place: &Place,
    name: Option<String>,
    file: Option<&Path>,
    detach: bool,
    until: Until,
) -> anyhow::Result<Exit> {
    let mut cluster = Cluster::connect(place).await?;
    let manifest = match file.map(read).transpose()? {
        Some(Err(exit)) => return Ok(exit),
        Some(Ok(manifest)) => Some(manifest),
        None => None,
    };
    if let Some(namespace) = manifest.as_ref().and_then(ResourceExt::namespace) {
        cluster.namespace = place.namespace.clone().unwrap_or(namespace);
    }
    let name = manifest.as_ref().map(ResourceExt::name_any).or(name).unwrap_or_default();
    let before = cluster.all::<ConnectionProbe>().get_opt(&name).await?;
    let status = before.and_then(|probe| probe.status).unwrap_or_default();
    let after = newest(&status).map_or(0, |(number, _)| number);
    let token = Clock.now().to_string();
    match &manifest {
        Some(manifest) => cluster.apply(manifest, &token).await?,
        None => cluster.request(&name, &token).await?,
    }
    let done = async {
        let run = match next_run(&cluster, &name, after, Some(&token)).await? {
            Ok(run) => run,
            Err(exit) => return Ok(exit),
        };
        println!("{run} has started.");
        if detach {
            return Ok(Exit::Complete);
        }
        follow(&cluster, &run, until, Some(Live::new(Clock))).await
    };
    within(until.timeout, &name, done).await
}

/// Follows the run that goes on, or else tells of the last one.
async fn watch(
    cluster: &Cluster,
    probe: &str,
    until: Until,
    live: Option<Live>,
) -> anyhow::Result<Exit> {
    let done = async {
        match next_run(cluster, probe, 0, None).await? {
            Ok(run) => follow(cluster, &run, until, live).await,
            Err(exit) => Ok(exit),
        }
    };
    within(until.timeout, probe, done).await
}

/// Prints a run, beside what was seen of workers' sockets.
async fn report(
    place: &Place,
    run: &str,
    format: Format,
    workers: &[PathBuf],
) -> anyhow::Result<Exit> {
    let sockets = match source::sockets(workers, format) {
        Ok(sockets) => sockets,
        Err(wrong) => {
            eprintln!("{wrong}");
            return Ok(Exit::Misconfigured);
        }
    };
    let (run, expect) = source::judged(place, run).await?;
    print(&render::beside(&run, expect.as_ref(), &sockets, format));
    Ok(Exit::Complete)
}

/// Says what moved.
async fn compare(place: &Place, order: &Compare) -> anyhow::Result<Exit> {
    let comparison = sides(place, order).await?;
    if !comparison.unlike.is_empty() && !order.unlike {
        eprintln!("Not measured alike; --unlike compares all the same:");
        comparison.unlike.iter().for_each(|what| eprintln!("- {what}"));
        return Ok(Exit::Misconfigured);
    }
    print(&match order.output.as_str() {
        "json" => serde_json::to_string_pretty(&comparison)? + "\n",
        "markdown" => compare::markdown(&comparison),
        _ => compare::plain(&comparison),
    });
    Ok(Exit::Complete)
}

async fn sides(place: &Place, order: &Compare) -> anyhow::Result<Comparison> {
    let Compare { before, after, paths, workloads, changed, .. } = order;
    if let Some([one, other]) = workloads.as_deref() {
        return Ok(compare::workloads(&source::run(place, before).await?, one, other));
    }
    if *paths {
        return Ok(compare::paths(&source::run(place, before).await?));
    }
    if let Some(after) = after {
        let (before, after) = (source::run(place, before).await?, source::run(place, after).await?);
        return Ok(compare::runs(&before, &after, changed));
    }
    if source::is_file(before) {
        bail!("write a second run, --paths or --workloads");
    }
    let runs = Cluster::connect(place).await?.runs(before).await?;
    let mut ended = runs.iter().filter(|run| run.status.as_ref().is_some_and(|s| s.has_ended()));
    match (ended.next(), ended.next()) {
        (Some(last), Some(earlier)) => Ok(compare::runs(earlier, last, changed)),
        _ => bail!("{before} has no two runs that ended"),
    }
}

/// Writes to standard output. That nobody reads to the end is no failure of ours.
fn print(text: &str) {
    let _ = stdout().lock().write_all(text.as_bytes());
}
