//! Markdown (GitHub's, with tables), to be pasted.

use super::document::{Block, Document, parts, printable};

pub(crate) fn document(document: &Document) -> String {
    let mut text = format!("# {}\n\n{}\n", inline(&document.title), inline(&document.summary));
    for section in &document.sections {
        text += &format!("\n## {}\n", section.title);
        section.blocks.iter().for_each(|block| text += &format!("\n{}", self::block(block)));
    }
    text
}

fn block(block: &Block) -> String {
    match block {
        Block::Title(title) => format!("### {}\n", inline(title)),
        Block::Text(text) => inline(text) + "\n",
        Block::List(points) => {
            points.iter().map(|point| format!("- {}\n", inline(point))).collect()
        }
        Block::Verbatim(text) => fenced(text),
        Block::Appendix(what, text) => format!("{}\n\n{}", inline(what), fenced(text)),
        Block::Table(rows) => {
            let line = |row: &Vec<String>| {
                let cells: Vec<_> = row.iter().map(|cell| in_table(cell)).collect();
                format!("| {} |\n", cells.join(" | "))
            };
            let rule = format!("|{}\n", " --- |".repeat(rows.first().map_or(0, Vec::len)));
            let mut lines = rows.iter().map(line);
            lines.next().into_iter().chain([rule]).chain(lines).collect()
        }
    }
}

fn fenced(text: &str) -> String {
    format!("```text\n{}\n```\n", text.replace("```", "'''"))
}

/// Ours with everything escaped that Markdown would read; of others as code, where it reads nothing.
fn inline(text: &str) -> String {
    spans(text, str::to_owned)
}

/// In a table a pipe ends a cell, even in code.
fn in_table(cell: &str) -> String {
    spans(cell, |code| code.replace('|', "\\|"))
}

fn spans(text: &str, code: fn(&str) -> String) -> String {
    let code = |text: &str| format!("`{}`", code(text));
    let word = |word: &str| if is_address(word) { code(word) } else { escaped(word) };
    let span = |(quoted, text): (bool, String)| match quoted {
        true => code(&text),
        false => text.split(' ').map(word).collect::<Vec<_>>().join(" "),
    };
    parts(text).map(|(quoted, part)| span((quoted, printable(part)))).collect()
}

/// GitHub makes a link of it, or calls somebody, and no escape stops it.
fn is_address(word: &str) -> bool {
    word.contains("://") || word.contains("www.") || word.contains('@')
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::new(), |mut escaped, c| {
        if "\\*[]<&|~#".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
        escaped
    })
}
