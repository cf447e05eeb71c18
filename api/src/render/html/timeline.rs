//! A lane for each connection: opened, busy or silent, its last proof of life, its end.

use super::{
    axis::{Axis, WIDTH, time_of_day},
    bar::{Bar, Group},
};
use crate::render::document::printable;
use maud::{Markup, html};

/// Height of a lane.
const LANE: f64 = 15.0;
/// Height of the line that names a group.
const NAME: f64 = 16.0;
/// Room below, for the axis.
pub(super) const BELOW: f64 = 22.0;
/// So many digits of a number have room in the size of other words.
const DIGITS: usize = 5;

/// When the connections lived; `restarts`: when their server was started anew. Those that are only known together
/// are not in it: nothing if no other is there.
pub(super) fn by_clock(groups: &[Group], restarts: &[i64], axis: &Axis) -> Option<Markup> {
    let mut bars = groups.iter().flat_map(|group| &group.bars);
    bars.any(|bar| bar.opened.is_some()).then(|| {
        let end =
            |bar: &Bar| bar.opened.map(|opened| time_of_day(opened + bar.over)).unwrap_or_default();
        let place = |bar: &Bar| Some((bar.opened?, end(bar)));
        drawing(groups, restarts, axis, "Connections by time of day", place)
    })
}

/// How long they lived.
pub(super) fn by_age(groups: &[Group], axis: &Axis) -> Markup {
    drawing(groups, &[], axis, "Connections by age", |bar| Some((0, bar.end.clone())))
}

/// `place` says where on the axis a bar begins and what stands at its end, if it has a place there.
fn drawing(
    groups: &[Group],
    lines: &[i64],
    axis: &Axis,
    what: &str,
    place: impl Fn(&Bar) -> Option<(i64, String)>,
) -> Markup {
    let mut y = 0.0;
    let mut body = Vec::new();
    for group in groups {
        y += NAME;
        body.push(html! { text.path x="2" y=(y - 4.0) { (group.name) } });
        for bar in &group.bars {
            if let Some((zero, end)) = place(bar) {
                y += LANE;
                body.push(lane(bar, axis, zero, &end, y - LANE / 2.0));
            }
        }
    }
    let titles: Vec<_> =
        groups.iter().flat_map(|group| &group.bars).map(|bar| printable(&bar.title)).collect();
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {}", y + BELOW)) role="img" aria-label=(format!("{what}. {}", titles.join(". "))) {
            (axis.draw(y + 2.0))
            @for at in lines { line.restart x1=(axis.x(*at)) x2=(axis.x(*at)) y1="4" y2=(y + 2.0) {} }
            @for part in &body { (part) }
        }
    }
}

fn lane(bar: &Bar, axis: &Axis, zero: i64, end: &str, y: f64) -> Markup {
    let x = |age: i64| axis.x(zero + age);
    let over = x(bar.over);
    let is_opening_seen = bar.opened.is_some() && bar.watched.is_none();
    let number = if bar.label.len() > DIGITS { "number small" } else { "number" };
    html! {
        g class=(bar.shape.class()) {
            title { (printable(&bar.title)) }
            text class=(number) x=(Axis::label()) y=(y + 3.5) { (bar.label) }
            @if bar.busy > 0 { line.busy x1=(x(0)) x2=(x(bar.busy)) y1=(y) y2=(y) {} }
            line.silent x1=(x(bar.busy)) x2=(x(bar.alive)) y1=(y) y2=(y) {}
            @if let Some(begin) = bar.begin {
                rect.open x=(x(begin)) y=(y - 4.0) width=(size(over - x(begin))) height="8" {}
            }
            @if bar.over > bar.alive {
                rect.unknown x=(x(bar.alive)) y=(y - 4.0) width=(size(over - x(bar.alive))) height="8" fill="url(#hatch)" {}
            }
            @if let Some(proof) = bar.proof { line.proof x1=(x(proof)) x2=(x(proof)) y1=(y - 5.0) y2=(y + 5.0) {} }
            @if is_opening_seen { circle.opened cx=(x(0)) cy=(y) r="2.5" {} }
            @for (letter, age) in &bar.marks { text.letter x=(x(*age)) y=(y - 2.0) { (letter) } }
            (bar.shape.draw(over, y))
            text.end x=(Axis::end()) y=(y + 3.5) { (end) }
        }
    }
}

/// Widths have a tenth of a pixel too.
fn size(width: f64) -> String {
    format!("{:.1}", width.max(0.0))
}
