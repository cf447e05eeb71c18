//! The sentence: choose the workloads, hold their connections, report.

use crate::{
    clock::Clock,
    exit::Exit,
    hold::Hold,
    http::{self, Board},
    mounts::Mounts,
    problem,
    progress::{Agenda, Standing},
    recorder::Recorder,
    reporter::Reporter,
    stop::Stop,
    termination::TerminationMessage,
    voice::{Output, Voice},
};
use api::{
    measurement::Order,
    pattern::Pattern,
    report::{Arm, Inconclusive, Problem, Report},
    settings::{Settings, WorkloadSettings},
};
use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    select,
    task::JoinSet,
    time::{Instant, sleep},
};

/// What to do, and with what.
#[derive(Debug)]
pub struct Setup {
    /// The settings, or what is wrong with them.
    pub settings: Result<Settings, Problem>,
    /// In which order workloads are held that this process holds.
    pub order: Order,
    /// Who is told what happens.
    pub output: Output,
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
    /// When to connect anew after a cut, from when it was noticed.
    pub reconnect_after: Vec<Duration>,
}

/// Holds the connections until all have ended or `shutdown` comes, and reports of each workload.
pub async fn run(
    setup: Setup,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> (Exit, Vec<Report>) {
    let voice = Arc::new(Voice::new(setup.output));
    let chosen = choose(&setup);
    let subjects: Vec<Subject> = match &chosen {
        Ok((settings, workloads)) => {
            let arms: Vec<Arm> = settings.arms().map(|(arm, _)| arm).collect();
            let subject = |w: &WorkloadSettings| match w.pattern {
                Pattern::Observe(_) => (w.name.clone(), Vec::new(), 0),
                _ => (w.name.clone(), arms.clone(), w.connections),
            };
            workloads.iter().map(subject).collect()
        }
        // Whose settings can't be read has no name, but a report.
        Err(_) => vec![(String::new(), Vec::new(), 0)],
    };
    let (reporters, chosen) = match open_reports(&setup, &subjects, clock, &voice) {
        Ok(reporters) => (reporters, chosen),
        Err(problem) => (reporters(&subjects, clock, &voice, None), Err(problem)),
    };
    let agenda = chosen.as_ref().map(|(_, workloads)| Agenda::new(workloads, setup.order));
    let agenda = agenda.unwrap_or_default();
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
    let mut shown = std::pin::pin!(show(&voice, &agenda, &reporters, clock));
    let result = loop {
        select! {
            biased;
            result = &mut finished => break result,
            () = &mut shutdown, if stop.reason().is_none() => {
                stop.throw(Inconclusive::Interrupted);
            }
            () = &mut shown => {}
        }
    };
    voice.end();
    let now = Instant::now();
    match result {
        Ok(exit) => (exit, reporters.iter().map(|r| r.finish(now)).collect()),
        Err(problem) => {
            let refuse = |r: &Arc<Reporter>| r.refuse(problem.clone(), now);
            (Exit::Misconfigured, reporters.iter().map(refuse).collect())
        }
    }
}

/// Shows a person every second how far things are.
async fn show(voice: &Voice, agenda: &Agenda, reporters: &[Arc<Reporter>], clock: Clock) {
    let Voice::Words(screen) = voice else { return std::future::pending().await };
    loop {
        let now = Instant::now();
        let standings: Vec<_> = reporters.iter().map(|r| r.look(Standing::of)).collect();
        screen.show(&agenda.lines(now.saturating_duration_since(clock.start()), &standings), now);
        sleep(Duration::from_secs(1)).await;
    }
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
    voice: &Arc<Voice>,
) -> Result<Vec<Arc<Reporter>>, Problem> {
    let Some(path) = &setup.termination_log else {
        return Ok(reporters(subjects, clock, voice, None));
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
    Ok(reporters(subjects, clock, voice, Some(message)))
}

fn reporters(
    subjects: &[Subject],
    clock: Clock,
    voice: &Arc<Voice>,
    mut message: Option<TerminationMessage>,
) -> Vec<Arc<Reporter>> {
    let now = Instant::now();
    subjects
        .iter()
        .map(|(name, arms, connections)| {
            let recorder = Recorder::new(name, arms, *connections, clock, now);
            Arc::new(Reporter::new(clock, recorder, Arc::clone(voice), message.take()))
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
