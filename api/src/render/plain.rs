//! Text for a terminal.

use super::document::{Block, Document, printable};

pub(crate) fn document(document: &Document) -> String {
    let mut text = format!("{}\n{}\n", printable(&document.title), inline(&document.summary));
    for section in &document.sections {
        text += &format!("\n{}:\n", section.title);
        section.blocks.iter().for_each(|block| text += &self::block(block));
    }
    text
}

fn block(block: &Block) -> String {
    match block {
        Block::Title(text) | Block::Text(text) => inline(text) + "\n",
        Block::List(points) => {
            points.iter().map(|point| format!("- {}\n", inline(point))).collect()
        }
        Block::Verbatim(text) => text.clone() + "\n",
        Block::Appendix(what, text) => format!("{}\n{text}\n", inline(what)),
        Block::Table(rows) => rows.iter().map(|row| inline(&row.join("  ")) + "\n").collect(),
    }
}

fn inline(text: &str) -> String {
    printable(&text.replace('`', ""))
}
