//! What a report says, whatever it is written in.

use super::{
    Story, configuration, evidence, expectations, findings, gaps, observed, rds_proxy, results,
};
use crate::text;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The heading of what was seen of workers' sockets.
pub(super) const SOCKETS: &str = "Real workers' sockets";

/// A report in words. What others said stands in its texts between backticks, see [`quote`].
pub(crate) struct Document {
    pub(crate) title: String,
    /// One sentence: what was found.
    pub(crate) summary: String,
    pub(crate) sections: Vec<Section>,
}

/// A part with a heading.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) blocks: Vec<Block>,
}

/// A piece of a section.
pub(crate) enum Block {
    /// A heading below the section's.
    Title(String),
    /// A paragraph.
    Text(String),
    /// Points, one below the other.
    List(Vec<String>),
    /// Rows below a head.
    Table(Vec<Vec<String>>),
    /// Lines that stay as they are.
    Verbatim(String),
    /// The same, with a paragraph that says what they are: for those who ask.
    Appendix(String, String),
}

impl Document {
    pub(super) fn of(story: &Story<'_>) -> Self {
        let sections = [
            Some(results::section(story)),
            expectations::section(story),
            findings::section(story),
            observed::section(story),
            sockets(story),
            rds_proxy::section(story),
            evidence::section(story),
            Some(configuration::section(story)),
            Some(gaps::section(story)),
        ];
        let summary = story.status.summary.clone();
        Self {
            title: format!("Connection probe {}, run {}", story.probe(), story.run.spec.number),
            summary: summary.unwrap_or_else(|| "Nothing is known yet.".to_owned()),
            sections: sections.into_iter().flatten().filter(|s| !s.blocks.is_empty()).collect(),
        }
    }
}

/// What was seen of workers' sockets, a document of its own, as a part of this one. Absent if nobody watched them.
fn sockets(story: &Story<'_>) -> Option<Section> {
    if story.sockets.is_empty() {
        return None;
    }
    let Document { title, summary, sections } = super::sockets::document(story.sockets, true);
    let parts = sections
        .into_iter()
        .flat_map(|part| std::iter::once(Block::Title(part.title.to_owned())).chain(part.blocks));
    let blocks = std::iter::once(Block::Text(format!("{title}. {summary}"))).chain(parts).collect();
    Some(Section { title: SOCKETS, blocks })
}

/// What somebody else said, in a text of ours.
pub(crate) fn quote(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

/// A text in parts: ours, and what others said.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let parts = text.split('`').enumerate().map(|(i, part)| (i % 2 == 1, part));
    parts.filter(|(_, part)| !part.is_empty())
}

/// Without what would end a line or move a cursor, and without what XML can't say.
pub(crate) fn printable(text: &str) -> String {
    let unsayable = |c: char| matches!(c, '\u{fffe}' | '\u{ffff}');
    let line = |c: char| if c.is_control() || unsayable(c) { '\u{fffd}' } else { c };
    text.chars().map(|c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { line(c) }).collect()
}

/// A day and a time of it.
pub(crate) fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// From when to when a run went, and how long that was.
pub(crate) fn span(start: Option<&Time>, end: Option<&Time>) -> String {
    match (start, end) {
        (Some(Time(start)), Some(Time(end))) => {
            let length = text::duration(end.as_millisecond() - start.as_millisecond());
            format!("{} to {} ({length})", moment(*start), moment(*end))
        }
        (Some(Time(start)), None) => format!("since {}, and it goes on", moment(*start)),
        (None, _) => "not begun".to_owned(),
    }
}
