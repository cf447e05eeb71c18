//! What Prometheus gets: what the operator counts while it lives, and what the statuses say at the
//! moment of the scrape.

use crate::observe::World;
use api::{
    ConnectionProbe, ConnectionProbeRun,
    metrics::{
        API_REQUESTS, BUILD_INFO, Metric, PROBES, RECONCILE_DURATION, RECONCILE_ERRORS, RECONCILES,
        WATCH_RESTARTS,
    },
};
use ended_runs::EndedRuns;
use kube::{ResourceExt, runtime::reflector::Store};
use prometheus::{
    Histogram, HistogramOpts, HistogramTimer, IntCounterVec, Opts, Registry, TextEncoder,
    process_collector::ProcessCollector,
};
use sheet::Sheet;
use std::sync::{Arc, Mutex, PoisonError};

mod ended_runs;
mod sheet;
mod statuses;

/// The operator's metrics. All series of a label that is an enum exist from the start.
pub(crate) struct Metrics {
    registry: Registry,
    duration: Histogram,
    reconciles: IntCounterVec,
    errors: IntCounterVec,
    requests: IntCounterVec,
    restarts: IntCounterVec,
    ended_runs: EndedRuns,
    scopes: Mutex<Vec<Scope>>,
}

/// What is known of the probes of one namespace, or of all.
struct Scope {
    probes: Store<ConnectionProbe>,
    world: Arc<World>,
}

/// How a reconciliation went.
#[derive(Clone, Copy)]
pub(crate) enum Reconciled {
    /// It was carried through.
    Success,
    /// It failed.
    Error,
    /// It decided on an old version, and decides anew.
    Conflict,
}

impl Reconciled {
    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::Conflict => "conflict",
        }
    }
}

/// The reason of an object that can't be read: no reconciliation fails, for there is none.
pub(crate) const UNREADABLE: &str = "Unreadable";
const REASONS: [&str; 6] = ["Act", "Settings", "Conflict", "Record", "Restless", UNREADABLE];
const RECONCILE_BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name that is taken or malformed: a mistake in the catalogue.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let duration = HistogramOpts::new(RECONCILE_DURATION.name, RECONCILE_DURATION.help);
        let duration = Histogram::with_opts(duration.buckets(RECONCILE_BUCKETS.to_vec()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let [reconciles, errors, requests, restarts] =
            [&RECONCILES, &RECONCILE_ERRORS, &API_REQUESTS, &WATCH_RESTARTS]
                .map(|metric| counter(metric, &registry));
        let (reconciles, errors) = (reconciles?, errors?);
        for result in [Reconciled::Success, Reconciled::Error, Reconciled::Conflict] {
            reconciles.with_label_values(&[result.as_str()]).reset();
        }
        REASONS.iter().for_each(|reason| errors.with_label_values(&[reason]).reset());
        Ok(Self {
            duration,
            reconciles,
            errors,
            requests: requests?,
            restarts: restarts?,
            ended_runs: EndedRuns::new(&registry)?,
            scopes: Mutex::default(),
            registry,
        })
    }

    /// Times one reconciliation, until what is returned is dropped.
    pub(crate) fn reconciling(&self) -> HistogramTimer {
        self.duration.start_timer()
    }

    /// Counts a reconciliation.
    pub(crate) fn reconciled(&self, result: Reconciled) {
        self.reconciles.with_label_values(&[result.as_str()]).inc();
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, reason: &str) {
        self.errors.with_label_values(&[reason]).inc();
    }

    /// Counts a request to the API server, by its status code or "error".
    pub(crate) fn requested(&self, verb: &str, code: &str) {
        self.requests.with_label_values(&[verb, code]).inc();
    }

    /// There is a watch of this kind, and it was interrupted so many times more.
    pub(crate) fn watch_restarted(&self, kind: &str, times: u64) {
        self.restarts.with_label_values(&[kind]).inc_by(times);
    }

    /// Counts what became of the connections of a run that has just ended.
    pub(crate) fn run_ended(&self, run: &ConnectionProbeRun) {
        self.ended_runs.observe(run);
    }

    /// Counts scheduled runs of a probe that were not started.
    pub(crate) fn schedule_missed(&self, probe: &ConnectionProbe, times: usize) {
        if times > 0 {
            self.ended_runs.miss(probe, times);
        }
    }

    /// From now on these probes are told of.
    pub(crate) fn tell_of(&self, probes: Store<ConnectionProbe>, world: Arc<World>) {
        self.scopes().push(Scope { probes, world });
    }

    /// Everything in Prometheus' text format.
    pub(crate) fn render(&self) -> prometheus::Result<String> {
        let scopes = self.scopes();
        let probes: Vec<_> = scopes.iter().flat_map(|scope| scope.probes.state()).collect();
        let runs: Vec<_> = scopes.iter().flat_map(|scope| scope.world.runs.all()).collect();
        self.ended_runs.keep(&probes, &runs);
        let mut sheet = Sheet::default();
        sheet.set(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        sheet.set(&PROBES, &[], sheet::count(probes.len()));
        statuses::write(&mut sheet, &probes, &runs);
        let mut text = TextEncoder::new().encode_to_string(&self.registry.gather())?;
        text.extend(sheet.into_text());
        Ok(text)
    }

    /// A list that only grows: a panic elsewhere leaves nothing half done.
    fn scopes(&self) -> std::sync::MutexGuard<'_, Vec<Scope>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn counter(metric: &Metric, registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let counter = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// The uid of the probe that a run belongs to.
fn owner(run: &ConnectionProbeRun) -> Option<&str> {
    let owner = run.owner_references().iter().find(|owner| owner.controller == Some(true));
    owner.map(|owner| owner.uid.as_str())
}

#[cfg(test)]
mod tests;
