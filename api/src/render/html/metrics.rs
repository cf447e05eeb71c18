//! What CloudWatch counted of an RDS Proxy, as steps over the same time of day as the connections.

use super::{
    axis::{Axis, WIDTH},
    bar::Group,
    shape::Shape,
    timeline::BELOW,
};
use crate::{
    rds_proxy::{
        metrics::{Metric, MetricKind, Metrics},
        points::Point,
    },
    text,
};
use maud::{Markup, html};

/// Height of the steps.
const HEIGHT: f64 = 56.0;
/// Where the highest value is: below the name.
const TOP: f64 = 22.0;

/// A drawing for each metric that has a value in this time, and when connections were cut.
pub(super) fn charts<'a>(
    metrics: &Metrics,
    all: impl Iterator<Item = &'a Group>,
    axis: &Axis,
) -> Markup {
    let cuts = cuts(all, axis);
    let drawn = Metric::ALL.into_iter().filter_map(|metric| chart(metric, metrics, &cuts, axis));
    let of = match metrics.minutes() {
        1 => "A step is a minute.".to_owned(),
        n => format!(
            "A step is {n} minutes: the highest of a gauge or a latency, the sum of a count."
        ),
    };
    let until = match metrics.known_until {
        Some(until) => format!(" CloudWatch's data reach to {}.", text::clock(until)),
        None => String::new(),
    };
    html! {
        h3 { "RDS Proxy" }
        p.told {
            (of) " Where there is no step CloudWatch had no value, which is not zero." (until)
            " Dotted: connections were cut."
        }
        div.figures { @for drawing in drawn { figure { (drawing) } } }
    }
}

/// Where connections of the measured path were cut, each place once.
fn cuts<'a>(all: impl Iterator<Item = &'a Group>, axis: &Axis) -> Vec<f64> {
    let bars = all.filter(|group| group.is_measured).flat_map(|group| &group.bars);
    let cut = bars.filter(|bar| bar.shape == Shape::Cut);
    let mut cuts: Vec<f64> =
        cut.filter_map(|bar| Some(axis.x(bar.opened?.saturating_add(bar.over)))).collect();
    cuts.sort_by(f64::total_cmp);
    cuts.dedup();
    cuts
}

fn chart(metric: Metric, metrics: &Metrics, cuts: &[f64], axis: &Axis) -> Option<Markup> {
    let points = metrics.points(metric);
    let seen = points.iter().filter(|point| axis.x(point.from) < axis.x(point.to));
    let values: Vec<i64> = seen.filter_map(|point| point.value).collect();
    let (least, most) = (*values.iter().min()?, *values.iter().max()?);
    let told = |value: i64| match metric.kind() {
        MetricKind::Latency => text::micros(value),
        MetricKind::Gauge | MetricKind::Count => value.to_string(),
    };
    let last = values.last().map(|last| told(*last)).unwrap_or_default();
    let what = format!("{}: {} to {}", metric.as_str(), told(least), told(most));
    Some(html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + BELOW)) role="img" aria-label=(what) {
            (axis.draw(HEIGHT))
            text.path x="2" y="12" { (metric.as_str()) }
            text.number x=(Axis::label()) y=(HEIGHT - 1.0) { "0" }
            @for x in cuts { path.when d=(format!("M{x} {TOP}V{HEIGHT}")) {} }
            path.step d=(steps(&points, most, axis)) {}
            text.end x=(Axis::end()) y=(HEIGHT - 4.0) { "last " (last) }
            text.end x=(Axis::end()) y=(TOP + 3.5) { "at most " (told(most)) }
        }
    })
}

/// A line that breaks where there is no value.
#[expect(clippy::cast_precision_loss, reason = "tenths of a pixel")]
fn steps(points: &[Point], most: i64, axis: &Axis) -> String {
    let mut line = String::new();
    let mut is_down = false;
    for point in points {
        let (from, to) = (axis.x(point.from), axis.x(point.to));
        let Some(value) = point.value.filter(|_| from < to) else {
            is_down = false;
            continue;
        };
        let share = value as f64 / most.max(1) as f64;
        let y = ((HEIGHT - share * (HEIGHT - TOP)) * 10.0).round() / 10.0;
        line += &match is_down {
            true => format!("V{y}H{to}"),
            false => format!("M{from} {y}H{to}"),
        };
        is_down = true;
    }
    line
}
