//! Gauges of one moment: made for a scrape from what is known then, so that what is gone has no series.

use api::metrics::Metric;
use prometheus::{GaugeVec, Opts, Registry, proto::MetricFamily};
use std::collections::BTreeMap;

/// Gauges by name.
#[derive(Default)]
pub(super) struct Sheet {
    registry: Registry,
    gauges: BTreeMap<&'static str, GaugeVec>,
}

impl Sheet {
    /// Sets a value.
    ///
    /// # Errors
    /// There are more or fewer labels than the metric has.
    pub(super) fn set(
        &mut self,
        metric: &Metric,
        labels: &[&str],
        value: f64,
    ) -> prometheus::Result<()> {
        let gauge = match self.gauges.get(metric.name) {
            Some(gauge) => gauge,
            None => {
                let gauge = GaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?;
                self.registry.register(Box::new(gauge.clone()))?;
                self.gauges.entry(metric.name).or_insert(gauge)
            }
        };
        gauge.get_metric_with_label_values(labels)?.set(value);
        Ok(())
    }

    /// Everything.
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

/// Prometheus knows no other numbers; a count is exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "no count here is as large")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

/// Milliseconds in seconds.
#[expect(clippy::cast_precision_loss, reason = "no time here is as long")]
pub(super) fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}
