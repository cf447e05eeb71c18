//! What the shapes mean. It also holds the pattern that all figures use.

use super::shape::Shape;
use maud::{Markup, html};

/// `has_real`: whether connections are drawn that real workers hold, too.
pub(super) fn legend(has_real: bool) -> Markup {
    let sample = |drawing: Markup, words: &str| {
        html! { li { svg.sample viewBox="0 0 28 14" aria-hidden="true" { (drawing) } " " (words) } }
    };
    let ends = Shape::ALL.into_iter().filter(|(shape, _)| has_real || *shape != Shape::Left);
    html! {
        svg.defs aria-hidden="true" {
            defs {
                pattern id="hatch" width="4" height="4" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line.hatch x1="0" x2="0" y1="0" y2="4" {}
                }
            }
        }
        ul.legend {
            @for (shape, words) in ends {
                (sample(html! { g class=(shape.class()) { (shape.draw(14.0, 7.0)) } }, words))
            }
            (sample(html! { circle.opened cx="14" cy="7" r="2.5" {} }, "opened"))
            (sample(html! { line.busy x1="1" x2="27" y1="7" y2="7" {} }, "sends requests"))
            (sample(html! { line.silent x1="1" x2="27" y1="7" y2="7" {} }, "is silent"))
            (sample(html! { line.proof x1="14" x2="14" y1="2" y2="12" {} }, "last answered request (of several: the median end)"))
            (sample(html! { rect.open x="2" y="3" width="24" height="8" {} }, "a transaction is open"))
            (sample(html! { rect.unknown x="2" y="3" width="24" height="8" fill="url(#hatch)" {} }, "it ended somewhere here"))
            (sample(html! { text.letter x="6" y="11" { "S L" } }, "SET, LISTEN"))
            @if has_real {
                (sample(html! { text.letter x="10" y="11" { "R" } }, "the worker's row is gone"))
                (sample(html! { line.restart x1="14" x2="14" y1="0" y2="14" {} }, "the server was started anew"))
                (sample(html! { line.silent x1="1" x2="27" y1="7" y2="7" {} }, "without a beginning: it was there already"))
            }
            (sample(html! { text.number x="26" y="11" { "+3" } }, "so many more, known by counts and quantiles"))
        }
    }
}
