//! Which share of the connections lived how long.

use super::{
    axis::{Axis, WIDTH},
    bar::Curve,
    timeline::BELOW,
};
use crate::{
    survival::{self, Step},
    text,
};
use maud::{Markup, html};

const HEIGHT: f64 = 110.0;
const TOP: f64 = 8.0;
/// From one line of words to the next.
const LINE: f64 = 12.0;

/// A drawing, and what it shows.
pub(super) struct Drawn {
    pub(super) drawing: Markup,
    pub(super) caption: String,
}

/// Nothing if nothing is known.
pub(super) fn draw(curves: &[Curve], axis: &Axis) -> Option<Drawn> {
    let all: Vec<&Curve> = curves.iter().filter(|curve| !curve.lives.is_empty()).collect();
    if all.is_empty() {
        return None;
    }
    let medians = all.iter().map(|Curve { name, lives }| {
        let median = match survival::median(&survival::steps(lives)) {
            None => "not reached".to_owned(),
            Some((from, to)) if from == to => text::mmss(to),
            Some((from, to)) => format!("{}–{}", text::mmss(from), text::mmss(to)),
        };
        let n: i32 = lives.iter().map(|lives| lives.n).sum();
        format!("{name} {median} (n = {n})")
    });
    let medians = medians.collect::<Vec<_>>().join(", ");
    let caption = format!("Share that lives on, by age. Half of them: {medians}");
    let drawing = html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", HEIGHT + BELOW)) role="img" aria-label=(caption) {
            (axis.draw(HEIGHT))
            @for share in [0.0, 0.5, 1.0] {
                text.number x=(Axis::label()) y=(y(share) + 3.5) { (format!("{:.0}", share * 100.0)) "%" }
            }
            @for (curve, below) in all.iter().zip([3.0, 3.0 + LINE]) { (line(curve, axis, below)) }
        }
    };
    Some(Drawn { drawing, caption })
}

/// Where a share is.
fn y(share: f64) -> f64 {
    ((HEIGHT - share * (HEIGHT - TOP)) * 10.0).round() / 10.0
}

fn line(Curve { name, lives }: &Curve, axis: &Axis, below: f64) -> Markup {
    let steps = survival::steps(lives);
    let mut trace = format!("M{} {}", axis.x(0), y(1.0));
    for step in &steps {
        trace += &format!("H{}L{} {}", axis.x(step.from_ms), axis.x(step.to_ms), y(step.left));
    }
    let censored = lives.iter().filter(|lives| lives.max_ms.is_none());
    let last =
        lives.iter().map(|lives| lives.max_ms.unwrap_or(lives.min_ms)).max().unwrap_or_default();
    trace += &format!("H{}", axis.x(last));
    let share = steps.last().map_or(1.0, |step| step.left);
    let before = |i: usize| if i == 0 { 1.0 } else { steps[i - 1].left };
    let vague = steps.iter().enumerate().filter(|(_, step)| step.from_ms < step.to_ms);
    html! {
        g class=(name) {
            @for (i, step) in vague {
                rect.unknown x=(axis.x(step.from_ms)) y=(y(before(i))) fill="url(#hatch)"
                    width=(format!("{:.1}", axis.x(step.to_ms) - axis.x(step.from_ms)))
                    height=(format!("{:.1}", y(step.left) - y(before(i)))) {}
            }
            path.curve d=(trace) {}
            @for lives in censored {
                path.censored d=(format!("M{} {}v8", axis.x(lives.min_ms), y(at(&steps, lives.min_ms)) - 4.0)) {}
            }
            text.end x=(Axis::end()) y=(y(share).min(HEIGHT - 14.0) + below) { (name) ": " (format!("{:.0}", share * 100.0)) "%" }
        }
    }
}

/// The share that lives on at an age.
fn at(steps: &[Step], age: i64) -> f64 {
    steps.iter().rev().find(|step| step.to_ms <= age).map_or(1.0, |step| step.left)
}
