//! A run as a document: a table for a terminal, Markdown for a ticket, JSON for programs, JUnit for
//! pipelines, and one HTML file for everybody else.
//!
//! What is said is gathered once, as a [`document`], from the run and what is expected of it; the formats
//! only differ in how it is set down. Texts of servers are data here: each format escapes everything.

use crate::{ConnectionProbeRun, expect::Expect, sockets::SocketsReport};
use document::Document;
use std::str::FromStr;
use story::Story;
pub(crate) use story::name;

mod configuration;
pub(crate) mod document;
mod evidence;
mod expectations;
mod findings;
mod gaps;
mod html;
mod junit;
pub(crate) mod markdown;
mod observed;
pub(crate) mod plain;
mod rds_proxy;
mod results;
pub mod sockets;
mod story;
pub(crate) mod table;

/// How a run is set down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The results table, for a terminal.
    #[default]
    Table,
    /// Everything that is known, for a ticket or a pull request.
    Markdown,
    /// The ConnectionProbeRun itself: `docs/connectionproberun.schema.json` is its schema.
    Json,
    /// A test case for each workload and path, judged by what is expected, for pipelines.
    Junit,
    /// One page with figures, which needs nothing else.
    Html,
}

impl Format {
    /// The words for all of them.
    pub const NAMES: [&str; 5] = ["table", "markdown", "json", "junit", "html"];
    const ALL: [Self; 5] = [Self::Table, Self::Markdown, Self::Json, Self::Junit, Self::Html];

    /// Itself, if what was seen of workers' sockets has a place in it.
    ///
    /// # Errors
    /// A sentence: JSON is the run itself, and JUnit has nothing but cases.
    pub fn beside_sockets(self) -> Result<Self, String> {
        match self {
            Self::Table | Self::Markdown | Self::Html => Ok(self),
            Self::Json | Self::Junit => Err(
                "--workers goes with the formats table, markdown and html: json is the run itself, and junit has \
                 nothing but its cases."
                    .to_owned(),
            ),
        }
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().position(|known| *known == name);
        known
            .map(|i| Self::ALL[i])
            .ok_or_else(|| format!("write one of {}", Self::NAMES.join(", ")))
    }
}

/// The run in this format, ending in a line break. `expect`: what its probe expects, where that is known.
#[must_use]
pub fn run(run: &ConnectionProbeRun, expect: Option<&Expect>, format: Format) -> String {
    beside(run, expect, &[], format)
}

/// The same, beside what was seen of real workers' sockets; [`Format::beside_sockets`] says where that has a place.
#[must_use]
pub fn beside(
    run: &ConnectionProbeRun,
    expect: Option<&Expect>,
    sockets: &[SocketsReport],
    format: Format,
) -> String {
    let story = Story { sockets, ..Story::of(run, expect) };
    match format {
        Format::Table if sockets.is_empty() => table::results(&story),
        Format::Table => format!("{}\n{}", table::results(&story), self::sockets::plain(sockets)),
        Format::Markdown => markdown::document(&Document::of(&story)),
        Format::Json => serde_json::to_string_pretty(run).unwrap_or_default() + "\n",
        Format::Junit => junit::suite(&story),
        Format::Html => html::page(&story),
    }
}
