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
        Block::Text(text) => inline(text) + "\n",
        Block::List(points) => {
            points.iter().map(|point| format!("- {}\n", inline(point))).collect()
        }
        Block::Verbatim(text) => format!("```text\n{}\n```\n", text.replace("```", "'''")),
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

/// Ours with everything escaped that Markdown would read; of others as code, where it reads nothing.
fn inline(text: &str) -> String {
    parts(text)
        .map(|(quoted, part)| match (quoted, printable(part)) {
            (true, part) => format!("`{part}`"),
            (false, part) => part.chars().fold(String::new(), |mut escaped, c| {
                if "\\*[]<&|~#".contains(c) {
                    escaped.push('\\');
                }
                escaped.push(c);
                escaped
            }),
        })
        .collect()
}

/// In a table a pipe ends a cell, even in code.
fn in_table(cell: &str) -> String {
    parts(cell)
        .map(|(quoted, part)| match quoted {
            true => format!("`{}`", printable(part).replace('|', "\\|")),
            false => inline(part),
        })
        .collect()
}
