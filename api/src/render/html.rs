//! One page with figures. It loads nothing, runs nothing, and reads in any light.

use super::{
    Story, configuration,
    document::{Block, Document, SOCKETS, Section, parts, printable},
    evidence, observed, rds_proxy,
};
use figures::figures;
use maud::{DOCTYPE, Markup, PreEscaped, html};

mod axis;
mod bar;
mod curve;
mod figures;
mod lanes;
mod legend;
mod metrics;
mod pods;
mod real;
mod shape;
mod timeline;

const STYLE: &str = include_str!("html/style.css");
/// Whatever a server managed to say: nothing is loaded, nothing is run.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn page(story: &Story<'_>) -> String {
    let document = Document::of(story);
    let title = printable(&document.title);
    // What was found first, then the figures, then what it rests on.
    let rests = |section: &Section| {
        matches!(
            section.title,
            observed::TITLE | SOCKETS | rds_proxy::TITLE | evidence::TITLE | configuration::TITLE
        )
    };
    let found = document.sections.iter().take_while(|section| !rests(section)).count();
    let (found, others) = document.sections.split_at(found);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p.summary { (inline(&document.summary)) }
                }
                main {
                    @for section in found { h2 { (section.title) } (blocks(&section.blocks)) }
                    (figures(story))
                    @for section in others { h2 { (section.title) } (blocks(&section.blocks)) }
                }
            }
        }
    };
    page.into_string() + "\n"
}

fn blocks(blocks: &[Block]) -> Markup {
    html! {
        @for block in blocks {
            @match block {
                Block::Title(title) => h3 { (inline(title)) },
                Block::Text(text) => p { (inline(text)) },
                Block::List(points) => ul { @for point in points { li { (inline(point)) } } },
                Block::Verbatim(text) => (verbatim(text)),
                Block::Appendix(what, text) => details { summary { (inline(what)) } (verbatim(text)) },
                Block::Table(rows) => (table(rows)),
            }
        }
    }
}

fn verbatim(text: &str) -> Markup {
    html! { div.wide tabindex="0" { pre { (text) } } }
}

/// Scrolls on its own where the screen is narrow.
fn table(rows: &[Vec<String>]) -> Markup {
    let (head, body) = rows.split_at(1);
    html! {
        div.wide tabindex="0" {
            table {
                thead { @for row in head { tr { @for cell in row { th scope="col" { (inline(cell)) } } } } }
                tbody { @for row in body { tr { @for cell in row { td { (inline(cell)) } } } } }
            }
        }
    }
}

fn inline(text: &str) -> Markup {
    html! {
        @for (quoted, part) in parts(text) {
            @if quoted { code { (printable(part)) } } @else { (printable(part)) }
        }
    }
}
