//! The sentence: choose the workloads, hold their connections, report.

use crate::{
    clock::Clock,
    exit::Exit,
    hold::Hold,
    http::{self, Board},
    mounts::Mounts,
    problem,
    recorder::Recorder,
    reporter::Reporter,
    stop::Stop,
    summary,
    termination::TerminationMessage,
};
use api::{
    report::{Arm, Inconclusive, Problem, Report},
    settings::{Settings, WorkloadSettings},
};
use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{select, task::JoinSet, time::Instant};

/// What to do, and with what.
#[derive(Debug)]
pub struct Setup {
    /// The settings, or what is wrong with them.
    pub settings: Result<Settings, Problem>,
    /// Where credentials are.
    pub mounts: Mounts,
    /// Which of the settings' indexes to hold; `None`: all workloads.
    pub index: Option<usize>,
    /// Where the termination message goes.
    pub termination_log: Option<PathBuf>,
    /// Where to serve readiness and metrics.
    pub listen: Option<SocketAddr>,
    /// How long to wait for credentials that are not there.
    pub wait: Duration,
    /// How long a request may take.
    pub answer_timeout: Duration,
}

/// Holds the connections until all have ended or `shutdown` comes.
pub async fn run(setup: Setup, clock: Clock, shutdown: impl Future<Output = ()>) -> Exit {
    let chosen = choose(&setup);
    let subjects: Vec<Subject> = match &chosen {
        Ok((settings, workloads)) => {
            let arms: Vec<Arm> = settings.arms().map(|(arm, _)| arm).collect();
            let subject = |w: &WorkloadSettings| (w.name.clone(), arms.clone(), w.connections);
            workloads.iter().map(subject).collect()
        }
        // Whose settings can't be read has no name, but a report.
        Err(_) => vec![(String::new(), Vec::new(), 0)],
    };
    let (reporters, chosen) = match open_reports(&setup, &subjects, clock) {
        Ok(reporters) => (reporters, chosen),
        Err(problem) => (reporters(&subjects, clock, None), Err(problem)),
    };
    let stop = Stop::default();
    let finished = async {
        let (settings, workloads) = chosen?;
        let _served = serve(&setup, &reporters, clock).await?;
        Hold { setup: &setup, settings: &settings, reporters: &reporters, stop: &stop }
            .run(&workloads)
            .await
    };
    let mut finished = std::pin::pin!(finished);
    let mut shutdown = std::pin::pin!(shutdown);
    let result = loop {
        select! {
            biased;
            result = &mut finished => break result,
            () = &mut shutdown, if stop.reason().is_none() => {
                stop.throw(Inconclusive::Interrupted);
            }
        }
    };
    let now = Instant::now();
    let (exit, reports): (_, Vec<Report>) = match result {
        Ok(exit) => (exit, reporters.iter().map(|r| r.finish(now)).collect()),
        Err(problem) => {
            let refuse = |r: &Arc<Reporter>| r.refuse(problem.clone(), now);
            (Exit::Misconfigured, reporters.iter().map(refuse).collect())
        }
    };
    if setup.index.is_none() {
        reports.iter().for_each(|report| eprint!("{}", summary::of(report)));
    }
    exit
}

/// A workload's name, arms, and connections in each.
type Subject = (String, Vec<Arm>, usize);

/// The workloads that this process is to hold.
fn choose(setup: &Setup) -> Result<(Settings, Vec<WorkloadSettings>), Problem> {
    let settings = setup.settings.clone()?;
    let workloads = match setup.index {
        None => settings.workloads.clone(),
        Some(index) => match settings.workload(index) {
            Some(workload) => vec![workload.clone()],
            None => {
                let message = format!("The settings know no index {index}.");
                return Err(problem::invalid(&message));
            }
        },
    };
    Ok((settings, workloads))
}

fn open_reports(
    setup: &Setup,
    subjects: &[Subject],
    clock: Clock,
) -> Result<Vec<Arc<Reporter>>, Problem> {
    let Some(path) = &setup.termination_log else {
        return Ok(reporters(subjects, clock, None));
    };
    if subjects.len() > 1 {
        return Err(problem::invalid(
            "A termination message holds the report of one workload. Write --index, or leave out \
             --termination-log.",
        ));
    }
    let message = TerminationMessage::open(path).map_err(|error| {
        problem::invalid(&format!("{} can't be written: {error}.", path.display()))
    })?;
    Ok(reporters(subjects, clock, Some(message)))
}

fn reporters(
    subjects: &[Subject],
    clock: Clock,
    mut message: Option<TerminationMessage>,
) -> Vec<Arc<Reporter>> {
    let now = Instant::now();
    subjects
        .iter()
        .map(|(name, arms, connections)| {
            let recorder = Recorder::new(name, arms, *connections, clock, now);
            Arc::new(Reporter::new(clock, recorder, message.take()))
        })
        .collect()
}

/// Starts the HTTP server, which stops when what is returned is dropped.
async fn serve(
    setup: &Setup,
    reporters: &[Arc<Reporter>],
    clock: Clock,
) -> Result<JoinSet<()>, Problem> {
    let mut served = JoinSet::new();
    if let Some(address) = setup.listen {
        let listener = http::listen(address).await.map_err(|error| {
            problem::invalid(&format!("Nothing can be served at {address}: {error}."))
        })?;
        let board = Board { reporters: reporters.to_vec(), start: clock.start() };
        served.spawn(async {
            let _ = http::serve(listener, board, std::future::pending()).await;
        });
    }
    Ok(served)
}
