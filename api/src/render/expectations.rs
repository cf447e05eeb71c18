//! Whether the run shows what its probe expects of it.

use super::{
    Story,
    document::{Block, Section},
};

/// Absent if nothing is expected.
pub(super) fn section(story: &Story<'_>) -> Option<Section> {
    let points = story.expected.iter().map(|one| format!("{}: {}", one.word(), one.message));
    let points: Vec<_> = points.collect();
    (!points.is_empty())
        .then(|| Section { title: "What was expected", blocks: vec![Block::List(points)] })
}
