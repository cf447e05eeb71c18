//! A figure, in the table and in JSON.

use anyhow::Result;
use serde::Serialize;
use std::{fs, path::Path};

/// One line of the table.
#[derive(Serialize)]
pub(crate) struct Figure {
    figure: String,
    unit: &'static str,
    #[serde(flatten)]
    ours: Values,
    n: usize,
    #[serde(flatten)]
    baseline: Option<Baseline>,
}

/// The same, measured of something else in the same run.
#[derive(Serialize)]
pub(crate) struct Baseline {
    baseline_name: &'static str,
    /// The value, or the median.
    baseline: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_p99: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_max: Option<f64>,
}

#[derive(Default, Serialize)]
struct Values {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p99: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
}

impl Figure {
    pub(crate) fn value(name: &str, unit: &'static str, value: f64, n: usize) -> Self {
        let ours = Values { value: Some(value), ..Values::default() };
        Self { figure: name.to_owned(), unit, ours, n, baseline: None }
    }

    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    pub(crate) fn count(name: &str, unit: &'static str, count: usize, n: usize) -> Self {
        Self::value(name, unit, count as f64, n)
    }

    pub(crate) fn spread(name: &str, unit: &'static str, values: Vec<f64>) -> Self {
        let n = values.len();
        Self { figure: name.to_owned(), unit, ours: Values::spread(values), n, baseline: None }
    }

    pub(crate) fn beside(self, baseline: Baseline) -> Self {
        Self { baseline: Some(baseline), ..self }
    }

    fn row(&self) -> [String; 8] {
        let Values { value, p50, p99, max } = self.ours;
        let baseline = self.baseline.as_ref().map_or_else(String::new, |b| {
            let spread = [b.baseline, b.baseline_p99, b.baseline_max].into_iter().flatten();
            let spread: Vec<String> = spread.map(|number| show(Some(number))).collect();
            format!("{}: {}", b.baseline_name, spread.join(" / "))
        });
        let [value, p50, p99, max] = [value, p50, p99, max].map(show);
        let n = self.n.to_string();
        [self.figure.clone(), self.unit.to_owned(), value, p50, p99, max, n, baseline]
    }
}

impl Baseline {
    pub(crate) fn value(name: &'static str, value: f64) -> Self {
        let baseline = Some(value);
        Self { baseline_name: name, baseline, baseline_p99: None, baseline_max: None }
    }

    pub(crate) fn spread(name: &'static str, values: Vec<f64>) -> Self {
        let Values { p50, p99, max, .. } = Values::spread(values);
        Self { baseline_name: name, baseline: p50, baseline_p99: p99, baseline_max: max }
    }
}

impl Values {
    fn spread(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        // The smallest value that so many percent do not exceed.
        let at = |percent: usize| {
            values.get((values.len() * percent).div_ceil(100).saturating_sub(1)).copied()
        };
        Self { value: None, p50: at(50), p99: at(99), max: at(100) }
    }
}

/// Prints the figures of an area and writes its file.
pub(crate) fn publish(area: &str, figures: &[Figure]) -> Result<()> {
    let head = [area, "unit", "value", "p50", "p99", "max", "n", "baseline (p50 / p99 / max)"];
    print(&head.map(str::to_owned));
    figures.iter().for_each(|figure| print(&figure.row()));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{area}.json")), serde_json::to_string_pretty(figures)?)?;
    Ok(())
}

fn print([figure, unit, value, p50, p99, max, n, baseline]: &[String; 8]) {
    println!("{figure:30} {unit:8} {value:>8} {p50:>8} {p99:>8} {max:>8} {n:>6}  {baseline}");
}

/// Three digits, and no less than the whole number.
fn show(number: Option<f64>) -> String {
    let Some(number) = number else { return String::new() };
    match number.abs() {
        0.0..1.0 => format!("{number:.3}"),
        1.0..10.0 => format!("{number:.2}"),
        10.0..100.0 => format!("{number:.1}"),
        _ => format!("{number:.0}"),
    }
}
