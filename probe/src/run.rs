//! The sentence: wait for the credentials, open the lanes, watch, report.

use crate::{
    clock::Clock,
    connect::{self, Dialer},
    end::End,
    exit::Exit,
    http::{self, Board},
    lane::{self, Course},
    mounts::Mounts,
    problem,
    recorder::Recorder,
    reporter::Reporter,
    session::Observer,
    stall::{Attention, GRACE},
    stop::Stop,
    summary,
    target::Endpoint,
    termination::TerminationMessage,
};
use api::{
    report::{Inconclusive, Problem, ProblemReason, Report},
    settings::{Settings, WorkloadSettings},
};
use std::{future::Future, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    select,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// Mounts are looked at so often while something is missing.
const POLL: Duration = Duration::from_secs(1);
/// A stall of the process is told when it was at least so long.
const TELL_STALL: Duration = Duration::from_secs(1);

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
    let names = match &chosen {
        Ok((settings, workloads)) => workloads
            .iter()
            .map(|workload| (workload.name.clone(), settings.connections))
            .collect(),
        // Whose settings can't be read has no name, but a report.
        Err(_) => vec![(String::new(), 0)],
    };
    let (reporters, chosen) = match open_reports(&setup, &names, clock) {
        Ok(reporters) => (reporters, chosen),
        Err(problem) => (reporters(&names, clock, None), Err(problem)),
    };
    let stop = Stop::default();
    let finished = async {
        let (settings, workloads) = chosen?;
        let _served = serve(&setup, &reporters, clock).await?;
        Hold {
            setup: &setup,
            settings: &settings,
            reporters: &reporters,
            stop: &stop,
        }
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
        reports
            .iter()
            .for_each(|report| eprint!("{}", summary::of(report)));
    }
    exit
}

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
    names: &[(String, usize)],
    clock: Clock,
) -> Result<Vec<Arc<Reporter>>, Problem> {
    let Some(path) = &setup.termination_log else {
        return Ok(reporters(names, clock, None));
    };
    if names.len() > 1 {
        return Err(problem::invalid(
            "A termination message holds the report of one workload. Write --index, or leave out \
             --termination-log.",
        ));
    }
    let message = TerminationMessage::open(path).map_err(|error| {
        problem::invalid(&format!("{} can't be written: {error}.", path.display()))
    })?;
    Ok(reporters(names, clock, Some(message)))
}

fn reporters(
    names: &[(String, usize)],
    clock: Clock,
    mut message: Option<TerminationMessage>,
) -> Vec<Arc<Reporter>> {
    let now = Instant::now();
    names
        .iter()
        .map(|(name, connections)| {
            let recorder = Recorder::new(name, *connections, clock, now);
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
        let listener = TcpListener::bind(address).await.map_err(|error| {
            problem::invalid(&format!("Nothing can be served at {address}: {error}."))
        })?;
        let board = Board {
            reporters: reporters.to_vec(),
            start: clock.start(),
        };
        served.spawn(async {
            let _ = http::serve(listener, board, std::future::pending()).await;
        });
    }
    Ok(served)
}

/// All that holding needs.
struct Hold<'a> {
    setup: &'a Setup,
    settings: &'a Settings,
    reporters: &'a [Arc<Reporter>],
    stop: &'a Stop,
}

impl Hold<'_> {
    async fn run(&self, workloads: &[WorkloadSettings]) -> Result<Exit, Problem> {
        let mut stop = self.stop.clone();
        let dialer = select! {
            biased;
            reason = stop.thrown() => {
                self.let_go(reason);
                return Ok(Exit::Interrupted);
            }
            dialer = self.dialer() => Arc::new(dialer?),
        };
        let observer = Arc::clone(&dialer.observer);
        let mut lanes = JoinSet::new();
        let start = Instant::now();
        for (workload, reporter) in workloads.iter().zip(self.reporters) {
            let course = Arc::new(Course {
                run: self.settings.run.clone(),
                pattern: workload.pattern.clone(),
                hold: self.settings.duration(),
                start,
                dialer: Arc::clone(&dialer),
                reporter: Arc::clone(reporter),
            });
            let (connections, duration) = (self.settings.connections, self.settings.duration_ms);
            reporter.started(&self.settings.run, connections, duration, start);
            for lane in 0..connections {
                lanes.spawn(lane::run(Arc::clone(&course), lane, self.stop.clone()));
            }
        }
        let mut failed = false;
        let watch = watch(&observer.attention, self.reporters);
        let mut watch = std::pin::pin!(watch);
        loop {
            select! {
                () = &mut watch => {}
                ended = lanes.join_next() => match ended {
                    Some(ended) => failed |= ended.is_err(),
                    None => break,
                },
            }
        }
        Ok(match (failed, self.stop.reason()) {
            (true, _) => Exit::Internal,
            (false, Some(Inconclusive::Interrupted)) => Exit::Interrupted,
            (false, _) => Exit::Complete,
        })
    }

    /// Ends all lanes before they began.
    fn let_go(&self, reason: Inconclusive) {
        let now = Instant::now();
        for reporter in self.reporters {
            for lane in 0..self.settings.connections {
                reporter.ended(lane, End::unconnected(reason, now));
            }
        }
    }

    async fn dialer(&self) -> Result<Dialer, Problem> {
        let endpoint = self.endpoint().await?;
        let addresses = connect::resolve(&endpoint.host, endpoint.port).await;
        Ok(Dialer {
            addresses: addresses.map_err(|error| error.to_string()),
            observer: Arc::new(Observer {
                scrubber: endpoint.scrubber(),
                answer_timeout: self.setup.answer_timeout,
                attention: Attention::new(Instant::now()),
            }),
            endpoint,
        })
    }

    /// Waits for what is missing, as long as it may come. What is there and wrong is refused at
    /// once.
    async fn endpoint(&self) -> Result<Endpoint, Problem> {
        let target = &self.settings.target;
        let deadline = Instant::now() + self.setup.wait;
        let mut told = None;
        loop {
            let problem = match Endpoint::new(target, &self.setup.mounts.read(target)) {
                Ok(endpoint) => return Ok(endpoint),
                Err(problem) => problem,
            };
            let now = Instant::now();
            if problem.reason == ProblemReason::InvalidValue || now >= deadline {
                return Err(problem);
            }
            if told.as_ref() != Some(&problem) {
                self.reporters.iter().for_each(|r| r.waiting(&problem, now));
                told = Some(problem);
            }
            sleep(POLL).await;
        }
    }
}

/// Ticks for ever: watches for stalls of our own and writes what is due.
async fn watch(attention: &Attention, reporters: &[Arc<Reporter>]) {
    let mut due = Instant::now();
    loop {
        sleep_until(due).await;
        let now = Instant::now();
        let late = now.saturating_duration_since(due);
        due = attention.tick(now);
        reporters.iter().for_each(|reporter| reporter.tick(now));
        if late >= TELL_STALL.max(GRACE) {
            reporters
                .iter()
                .for_each(|reporter| reporter.stalled(late, now));
        }
    }
}
