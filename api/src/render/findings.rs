//! Why connections were cut: what was observed, how sure that is, what supports it, and what to do next.

use super::{
    Story,
    document::{Block, Section, printable, quote},
};
use crate::{
    diagnosis::{self, Experiment, Finding},
    report::Arm,
};

/// Absent if nothing was found: the run goes on, or measured nothing.
pub(super) fn section(story: &Story<'_>) -> Option<Section> {
    let blocks: Vec<_> = story.status.findings.iter().flat_map(blocks).collect();
    (!blocks.is_empty()).then_some(Section { title: "Findings", blocks })
}

fn blocks(finding: &Finding) -> Vec<Block> {
    let Finding { confidence, arm, observed, meaning, next_step, page, .. } = finding;
    let path = match arm {
        Arm::Target => "",
        Arm::Control => ", on the control",
    };
    let mut blocks = vec![
        Block::Title(format!("{}{path}", diagnosis::short(finding))),
        Block::Text(format!("{} {}", plain(observed), plain(meaning))),
        Block::Text(format!("How sure: {}, {}.", confidence.as_str(), confidence.meaning())),
    ];
    let (n, of) = (finding.n, finding.of);
    let lists = [
        (format!("Evidence, from {n} of {of} connections:"), &finding.evidence),
        ("Not excluded:".to_owned(), &finding.not_excluded),
    ];
    for (title, lines) in lists.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        blocks.push(Block::Text(title));
        blocks.push(Block::List(lines.iter().map(|line| plain(line)).collect()));
    }
    blocks.push(Block::Text(format!(
        "What to do next: {} How to confirm it, what cures it, how to prove the cure: {}.",
        plain(next_step),
        quote(page)
    )));
    blocks.extend(finding.experiment.as_ref().map(experiment));
    blocks
}

fn experiment(experiment: &Experiment) -> Block {
    let what = format!("The next experiment. {}", plain(&experiment.question));
    match &experiment.manifest {
        Some(manifest) => {
            let lines: Vec<_> = manifest.trim_end().lines().map(printable).collect();
            Block::Appendix(what, lines.join("\n"))
        }
        None => Block::Text(what),
    }
}

/// A sentence of a status: it may hold what a server said, and marks nothing.
fn plain(sentence: &str) -> String {
    sentence.replace('`', "'")
}
