//! Waits for the credentials, opens the lanes and watches until the last one has ended.

use crate::{
    announcer::Announcer,
    client::Manner,
    clock::Reading,
    connect::{self, Dialer, Path},
    end::End,
    exit::Exit,
    lane::{self, Course},
    observe::{self, Watcher},
    reconnect::Reconnector,
    reporter::Reporter,
    run::Setup,
    scrub::Scrubber,
    session::Observer,
    stall::{Attention, GRACE},
    stop::Stop,
    target::Endpoint,
};
use api::{
    measurement::Order,
    pattern::{Pattern, Watched},
    report::{Arm, Inconclusive, Problem, ProblemReason},
    settings::{Settings, TargetSettings, WorkloadSettings},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    select,
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

/// Mounts are looked at so often while something is missing.
const POLL: Duration = Duration::from_secs(1);
/// The wall clock and the time of suspension are read so often while nothing happens: with each tick they would be half
/// of what holding idle connections costs.
const CLOCKS: Duration = Duration::from_secs(1);
/// A NOTIFY that is under way when the last lane ends may take so long.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// All that holding needs.
pub struct Hold<'a> {
    /// What to do, and with what.
    pub setup: &'a Setup,
    /// The settings.
    pub settings: &'a Settings,
    /// A reporter for each workload.
    pub reporters: &'a [Arc<Reporter>],
    /// Tells all lanes to let go.
    pub stop: &'a Stop,
}

impl Hold<'_> {
    /// Holds these workloads.
    ///
    /// # Errors
    /// The configuration can't be carried out.
    pub async fn run(&self, workloads: &[WorkloadSettings]) -> Result<Exit, Problem> {
        let mut stop = self.stop.clone();
        let arms = select! {
            biased;
            reason = stop.thrown() => {
                self.let_go(workloads, reason);
                return Ok(Exit::Interrupted);
            }
            arms = self.endpoints() => arms?,
        };
        let attention = Arc::new(Attention::new(Instant::now()));
        let observer = Observer {
            // A server of one path may well name the other's host or role.
            scrubber: Scrubber::of(arms.iter().map(|(_, endpoint)| endpoint)),
            answer_timeout: self.setup.answer_timeout,
            attention: Arc::clone(&attention),
            meter: Arc::default(),
        };
        let arms = resolved(arms).await;
        let all: Vec<_> = workloads.iter().zip(self.reporters).collect();
        let together = match self.setup.order {
            Order::Parallel => all.len().max(1),
            Order::Sequential => 1,
        };
        let mut failed = false;
        for together in all.chunks(together) {
            failed |= self.hold(together, &arms, &observer).await;
        }
        Ok(match (failed, self.stop.reason()) {
            (true, _) => Exit::Internal,
            (false, Some(Inconclusive::Interrupted)) => Exit::Interrupted,
            (false, _) => Exit::Complete,
        })
    }

    /// Holds these workloads at the same time, and tells whether a lane failed by itself. Where all
    /// are to let go, their lanes end before they began.
    async fn hold(
        &self,
        workloads: &[(&WorkloadSettings, &Arc<Reporter>)],
        arms: &[(Arm, Arc<Path>)],
        observer: &Observer,
    ) -> bool {
        let mut lanes = JoinSet::new();
        let (over, lanes_over) = watch::channel(());
        let (mut announcers, mut reconnectors) = (JoinSet::new(), JoinSet::new());
        let start = Instant::now();
        for (workload, reporter) in workloads {
            reporter.started(&self.settings.run, workload.connections, workload.duration_ms, start);
            if let Pattern::Observe(watched) = &workload.pattern {
                if let Some(watcher) = self.watcher(watched, workload, arms, observer, reporter) {
                    lanes.spawn(watcher.run(start + workload.last_end()));
                }
                continue;
            }
            for (arm, path) in arms {
                let observer = Observer { meter: reporter.meter(*arm), ..observer.clone() };
                let name = format!("{}_{}_{}", self.settings.run, workload.name, arm.as_str());
                // From elsewhere, if there is an elsewhere.
                let from = arms.last().map_or(path, |(_, path)| path);
                let announcer = Announcer::of(
                    workload,
                    &name,
                    *arm,
                    Dialer::new(from, workload, observer.clone()),
                    reporter,
                    self.stop,
                );
                let announcer = announcer.map(Arc::new);
                if let Some(announcer) = announcer.clone() {
                    let over = lanes_over.clone();
                    announcers.spawn(async move { announcer.run(over).await });
                }
                let (cuts, cut) = mpsc::unbounded_channel();
                let reconnector = Reconnector {
                    arm: *arm,
                    dialer: Dialer {
                        manner: Manner::Raw,
                        ..Dialer::new(path, workload, observer.clone())
                    },
                    delays: self.setup.reconnect_after.clone(),
                    reporter: Arc::clone(reporter),
                    stop: self.stop.clone(),
                };
                reconnectors.spawn(reconnector.run(cut));
                let course = Arc::new(Course {
                    name,
                    workload: (*workload).clone(),
                    arm: *arm,
                    start,
                    dialer: Dialer::new(path, workload, observer),
                    reporter: Arc::clone(reporter),
                    announcer,
                    cuts,
                });
                for lane in 0..workload.connections {
                    lanes.spawn(lane::run(Arc::clone(&course), lane, self.stop.clone()));
                }
            }
        }
        let mut failed = false;
        let reporters: Vec<_> = workloads.iter().map(|(_, reporter)| *reporter).collect();
        let ended = async {
            while let Some(ended) = lanes.join_next().await {
                failed |= ended.is_err();
            }
            drop(over);
            let last_words = async {
                while let Some(ended) = announcers.join_next().await {
                    failed |= ended.is_err();
                }
            };
            let _ = timeout(LAST_WORDS, last_words).await;
            // No lane is left that could be cut: each reconnector ends after its last attempt.
            while let Some(ended) = reconnectors.join_next().await {
                failed |= ended.is_err();
            }
        };
        select! {
            () = watch(&observer.attention, &reporters) => {}
            () = ended => {}
        }
        failed
    }

    /// The watcher of a workload that holds nothing: it asks over the path that is nearest to the server.
    fn watcher(
        &self,
        watched: &Watched,
        workload: &WorkloadSettings,
        arms: &[(Arm, Arc<Path>)],
        observer: &Observer,
        reporter: &Arc<Reporter>,
    ) -> Option<Watcher> {
        let (arm, path) = arms.last()?;
        let observer = Observer {
            answer_timeout: observe::ANSWER_TIMEOUT,
            meter: Arc::default(),
            ..observer.clone()
        };
        Some(Watcher {
            watched: watched.clone(),
            arm: *arm,
            dialer: Dialer { manner: Manner::Raw, ..Dialer::new(path, workload, observer) },
            reporter: Arc::clone(reporter),
            mounts: self.setup.mounts.clone(),
            clock: reporter.clock(),
            stop: self.stop.clone(),
        })
    }

    /// Ends all lanes before they began.
    fn let_go(&self, workloads: &[WorkloadSettings], reason: Inconclusive) {
        let now = Instant::now();
        for (workload, reporter) in workloads.iter().zip(self.reporters) {
            for (arm, _) in self.settings.arms() {
                for lane in 0..workload.connections {
                    reporter.ended(arm, lane, End::unconnected(reason, now));
                }
            }
        }
    }

    async fn endpoints(&self) -> Result<Vec<(Arm, Endpoint)>, Problem> {
        let mut endpoints = Vec::new();
        for (arm, target) in self.settings.arms() {
            endpoints.push((arm, self.endpoint(target).await?));
        }
        Ok(endpoints)
    }

    /// Waits for what is missing, as long as it may come. What is there and wrong is refused at
    /// once.
    async fn endpoint(&self, target: &TargetSettings) -> Result<Endpoint, Problem> {
        let deadline = Instant::now() + self.setup.wait;
        let mut told = None;
        loop {
            let endpoint = Endpoint::new(target, &self.setup.mounts.read(target));
            let problem = match endpoint.and_then(|it| it.check().map(|()| it)) {
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

async fn resolved(endpoints: Vec<(Arm, Endpoint)>) -> Vec<(Arm, Arc<Path>)> {
    let mut paths = Vec::new();
    for (arm, endpoint) in endpoints {
        let addresses = connect::resolve(&endpoint.host, endpoint.port).await;
        let addresses = addresses.map_err(|error| error.to_string());
        paths.push((arm, Arc::new(Path { endpoint, addresses })));
    }
    paths
}

/// Ticks for ever: watches for stalls of our own and steps of the clock, and writes what is due.
async fn watch(attention: &Attention, reporters: &[&Arc<Reporter>]) {
    let mut due = Instant::now();
    let mut before = Reading::now();
    let mut clocks_due = due + CLOCKS;
    loop {
        sleep_until(due).await;
        let now = Instant::now();
        // In between the last reading will do: whoever notices an end reads the clocks himself.
        let reading = if now < clocks_due { before } else { Reading::now() };
        if now >= clocks_due {
            clocks_due = now + CLOCKS;
        }
        let late = now.saturating_duration_since(due);
        let suspended = reading.suspended_since(&before);
        due = attention.tick(now, &reading);
        for reporter in reporters {
            reporter.tick(now);
            if late.max(suspended) > GRACE {
                reporter.stalled(late, suspended, now);
            }
            if let Some(ms) = reading.step_since(&before) {
                reporter.clock_stepped(ms, now);
            }
        }
        before = reading;
    }
}
