//! How the operator itself is doing, for Prometheus.

use prometheus::{
    Histogram, HistogramOpts, HistogramTimer, IntCounter, IntCounterVec, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// The operator's metrics. All series of a label that is an enum exist from the start.
#[derive(Clone)]
pub(crate) struct Metrics {
    registry: Registry,
    duration: Histogram,
    reconciles: IntCounter,
    errors: IntCounterVec,
}

const ERRORS: [&str; 5] = ["Act", "Settings", "Conflict", "Record", "Restless"];
const PREFIX: &str = "connectionprobe_operator";

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// A name that is taken or malformed: a mistake in this file.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let named = |name: &str| format!("{PREFIX}_{name}");
        let duration = Histogram::with_opts(
            HistogramOpts::new(named("reconcile_duration_seconds"), "Time of one reconciliation.")
                .buckets(vec![0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
        )?;
        let reconciles = IntCounter::new(named("reconciles_total"), "Reconciliations.")?;
        let errors = IntCounterVec::new(
            Opts::new(named("reconcile_errors_total"), "Reconciliations that failed, by reason."),
            &["reason"],
        )?;
        for reason in ERRORS {
            errors.with_label_values(&[reason]).reset();
        }
        let build = IntGaugeVec::new(
            Opts::new("connectionprobe_build_info", "Always 1; the version is the label."),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(reconciles.clone()))?;
        registry.register(Box::new(errors.clone()))?;
        registry.register(Box::new(build))?;
        Ok(Self { registry, duration, reconciles, errors })
    }

    /// Counts and times one reconciliation: until what is returned is dropped.
    pub(crate) fn reconciling(&self) -> HistogramTimer {
        self.reconciles.inc();
        self.duration.start_timer()
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, reason: &str) {
        self.errors.with_label_values(&[reason]).inc();
    }

    /// Everything in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}
