//! A lane for each connection: opened, busy or silent, its last proof of life, its end.

use super::{
    axis::{Axis, WIDTH, time_of_day},
    lanes::{Arms, Bar, path},
};
use crate::{render::document::printable, report::Outcome};
use maud::{Markup, html};

/// Height of a lane.
const LANE: f64 = 15.0;
/// Height of the line that names a path.
const NAME: f64 = 16.0;
/// Room below, for the axis.
pub(super) const BELOW: f64 = 22.0;

/// When the connections lived. Those that are only known together are not in it.
pub(super) fn by_clock(arms: &Arms<'_>, axis: &Axis) -> Markup {
    let end =
        |bar: &Bar| bar.opened.map(|opened| time_of_day(opened + bar.over)).unwrap_or_default();
    drawing(arms, axis, "Connections by time of day", |bar| Some((bar.opened?, end(bar))))
}

/// How long they lived.
pub(super) fn by_age(arms: &Arms<'_>, axis: &Axis) -> Markup {
    drawing(arms, axis, "Connections by age", |bar| Some((0, bar.end.clone())))
}

/// `place` says where on the axis a bar begins and what stands at its end, if it has a place there.
fn drawing(
    arms: &Arms<'_>,
    axis: &Axis,
    what: &str,
    place: impl Fn(&Bar) -> Option<(i64, String)>,
) -> Markup {
    let mut y = 0.0;
    let mut body = Vec::new();
    for lanes in &arms.0 {
        y += NAME;
        body.push(html! { text.path x="2" y=(y - 4.0) { (path(lanes.report.arm)) } });
        for bar in &lanes.bars {
            if let Some((zero, end)) = place(bar) {
                y += LANE;
                body.push(lane(bar, axis, zero, &end, y - LANE / 2.0));
            }
        }
    }
    let titles: Vec<_> =
        arms.0.iter().flat_map(|lanes| &lanes.bars).map(|bar| printable(&bar.title)).collect();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", y + BELOW)) role="img" aria-label=(format!("{what}. {}", titles.join(". "))) {
            (axis.draw(y + 2.0))
            @for part in &body { (part) }
        }
    }
}

fn lane(bar: &Bar, axis: &Axis, zero: i64, end: &str, y: f64) -> Markup {
    let x = |age: i64| axis.x(zero + age);
    let over = x(bar.over);
    html! {
        g class=(class(bar.outcome)) {
            title { (printable(&bar.title)) }
            text.number x="24" y=(y + 3.5) { (bar.label) }
            @if bar.busy > 0 { line.busy x1=(x(0)) x2=(x(bar.busy)) y1=(y) y2=(y) {} }
            line.silent x1=(x(bar.busy)) x2=(x(bar.alive)) y1=(y) y2=(y) {}
            @if let Some(begin) = bar.begin {
                rect.open x=(x(begin)) y=(y - 4.0) width=(size(over - x(begin))) height="8" {}
            }
            @if bar.over > bar.alive {
                rect.unknown x=(x(bar.alive)) y=(y - 4.0) width=(size(over - x(bar.alive))) height="8" fill="url(#hatch)" {}
            }
            @if let Some(proof) = bar.proof { line.proof x1=(x(proof)) x2=(x(proof)) y1=(y - 5.0) y2=(y + 5.0) {} }
            @if bar.opened.is_some() { circle.opened cx=(x(0)) cy=(y) r="2.5" {} }
            @for (letter, age) in &bar.marks { text.letter x=(x(*age)) y=(y - 2.0) { (letter) } }
            (mark(bar.outcome, over, y))
            text.end x=(Axis::end()) y=(y + 3.5) { (end) }
        }
    }
}

/// Widths have a tenth of a pixel too.
fn size(width: f64) -> String {
    format!("{:.1}", width.max(0.0))
}

fn class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Survived => "alive",
        Outcome::Disconnected => "cut",
        Outcome::RequestFailed | Outcome::Deaf | Outcome::ConnectFailed | Outcome::Inconclusive => {
            "odd"
        }
    }
}

/// An end has a shape of its own, whatever its colour.
fn mark(outcome: Outcome, x: f64, y: f64) -> Markup {
    let path = match outcome {
        Outcome::Survived => "M-3-4L5 0L-3 4Z",
        Outcome::Disconnected => "M-4-4L4 4M-4 4L4-4",
        Outcome::RequestFailed => "M0-5L5 0L0 5L-5 0Z",
        Outcome::Deaf => "M-4-4H4V4H-4Z",
        Outcome::ConnectFailed => "M-5 0H5M0-5V5",
        Outcome::Inconclusive => "M-3-2A3 3 0 1 1 0 1V2M0 4V5",
    };
    html! { path.mark d=(path) transform=(format!("translate({x} {y})")) {} }
}

/// What the shapes mean. It also holds the pattern that all figures use.
pub(super) fn legend() -> Markup {
    let ends = [
        (Outcome::Disconnected, "cut"),
        (Outcome::Survived, "survived: lived at least so long"),
        (Outcome::RequestFailed, "alive, a request failed"),
        (Outcome::Deaf, "alive, but deaf"),
        (Outcome::ConnectFailed, "never established"),
        (Outcome::Inconclusive, "nothing can be said"),
    ];
    let sample = |drawing: Markup, words: &str| {
        html! { li { svg.sample viewBox="0 0 28 14" aria-hidden="true" { (drawing) } " " (words) } }
    };
    html! {
        svg.defs aria-hidden="true" {
            defs {
                pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line.hatch x1="0" x2="0" y1="0" y2="4" {}
                }
            }
        }
        ul.legend {
            @for (outcome, words) in ends {
                (sample(html! { g class=(class(outcome)) { (mark(outcome, 14.0, 7.0)) } }, words))
            }
            (sample(html! { circle.opened cx="14" cy="7" r="2.5" {} }, "opened"))
            (sample(html! { line.busy x1="1" x2="27" y1="7" y2="7" {} }, "sends requests"))
            (sample(html! { line.silent x1="1" x2="27" y1="7" y2="7" {} }, "is silent"))
            (sample(html! { line.proof x1="14" x2="14" y1="2" y2="12" {} }, "last answered request (of several: the median end)"))
            (sample(html! { rect.open x="2" y="3" width="24" height="8" {} }, "a transaction is open"))
            (sample(html! { rect.unknown x="2" y="3" width="24" height="8" fill="url(#hatch)" {} }, "it ended somewhere here"))
            (sample(html! { text.letter x="6" y="11" { "S L" } }, "SET, LISTEN"))
            (sample(html! { text.number x="26" y="11" { "+3" } }, "so many more, known by counts and quantiles"))
        }
    }
}
