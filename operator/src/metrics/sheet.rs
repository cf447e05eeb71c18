//! Gauges of one moment: made for a scrape from what is known then, so that what is gone has no series.
//!
//! They are written as text at once. Ten thousand probes have hundreds of thousands of series, and an object
//! for each would take ten times the memory of its line.

use api::metrics::Metric;
use std::{collections::BTreeMap, fmt::Write};

/// Gauges in Prometheus' text format, by name.
#[derive(Default)]
pub(super) struct Sheet(BTreeMap<&'static str, String>);

impl Sheet {
    /// Tells a value, once for the same labels. There are as many as the metric has.
    pub(super) fn set(&mut self, metric: &Metric, labels: &[&str], value: f64) {
        debug_assert_eq!(metric.labels.len(), labels.len(), "labels of {}", metric.name);
        let family = self.0.entry(metric.name).or_insert_with(|| {
            format!("# HELP {name} {}\n# TYPE {name} gauge\n", metric.help, name = metric.name)
        });
        family.push_str(metric.name);
        let pairs = metric.labels.iter().zip(labels);
        for (position, (label, value)) in pairs.enumerate() {
            family.push(if position == 0 { '{' } else { ',' });
            family.push_str(label);
            family.push_str("=\"");
            push_escaped(family, value);
            family.push('"');
        }
        let end = if labels.is_empty() { "" } else { "}" };
        // Writing to a String does not fail.
        let _ = writeln!(family, "{end} {value}");
    }

    /// Everything.
    pub(super) fn into_text(self) -> impl Iterator<Item = String> {
        self.0.into_values()
    }
}

fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(character),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use api::metrics::{PROBES, STATE};

    #[test]
    fn lines_of_a_metric_stand_together_and_values_of_labels_are_escaped() {
        let mut sheet = Sheet::default();
        sheet.set(&STATE, &["ns", "a", "\"\\\n"], 1.0);
        sheet.set(&PROBES, &[], 2.0);
        sheet.set(&STATE, &["ns", "b", "Measured"], 0.5);
        let text: String = sheet.into_text().collect();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "connectionprobe_operator_probes 2",
                r#"connectionprobe_state{probe_namespace="ns",probe="a",reason="\"\\\n"} 1"#,
                r#"connectionprobe_state{probe_namespace="ns",probe="b",reason="Measured"} 0.5"#,
            ]
        );
    }
}
