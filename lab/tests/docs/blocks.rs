//! Blocks of code in the documents, and the exceptions from what is done with them.

use crate::{documents, read, root};
use std::fs;

pub(crate) const NOT_RUN: &str = "docs/commands-not-run.md";

/// A block of code.
pub(crate) struct Block {
    /// Where it is, for messages.
    pub(crate) place: String,
    pub(crate) language: String,
    pub(crate) text: String,
}

pub(crate) fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for document in documents() {
        let name = document.strip_prefix(root()).unwrap().display().to_string();
        let text = fs::read_to_string(&document).unwrap();
        let mut open: Option<Block> = None;
        for (number, line) in text.lines().enumerate() {
            match (&mut open, line.trim_start().strip_prefix("```")) {
                (None, Some(language)) => {
                    let place = format!("{name}:{}", number + 1);
                    open =
                        Some(Block { place, language: language.to_owned(), text: String::new() });
                }
                (Some(block), None) => block.text += &format!("{line}\n"),
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{name}: a block does not end");
    }
    blocks
}

pub(crate) fn of(language: &str) -> Vec<Block> {
    blocks().into_iter().filter(|block| block.language == language).collect()
}

/// The commands of the `sh` blocks, one a line.
pub(crate) fn commands() -> Vec<String> {
    let lines = |block: Block| block.text.lines().map(str::to_owned).collect::<Vec<_>>();
    let lines = of("sh").into_iter().flat_map(lines);
    lines.filter(|line| !line.trim().is_empty()).collect()
}

/// The first cells of the tables of exceptions: commands, and the first lines of blocks.
pub(crate) fn not_run() -> Vec<String> {
    let text = read(NOT_RUN);
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split("` | ").next()).map(|cell| cell.replace("\\|", "|")).collect()
}
