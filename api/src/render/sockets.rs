//! The connections of pods as a table, for a terminal or a ticket.

use super::{
    document::{Block, Document, Section, span},
    markdown, plain, table,
};
use crate::{
    sockets::{
        Fate, SocketLife, SocketsReport,
        judge::{leavers, silent_tasks},
    },
    text,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

const HEAD: [&str; 7] = [
    "Pod",
    "Port to peer",
    "Whose",
    "Lived",
    "Longest silence",
    "Sent / received",
    "What became of it",
];

/// Columns for a terminal, then what they say.
#[must_use]
pub fn plain(reports: &[SocketsReport]) -> String {
    let table = table::markdown(&rows(reports));
    format!("{table}\n{}", plain::document(&document(reports, false)))
}

/// For a ticket or a pull request.
#[must_use]
pub fn markdown(reports: &[SocketsReport]) -> String {
    markdown::document(&document(reports, true))
}

pub(super) fn document(reports: &[SocketsReport], with_table: bool) -> Document {
    let table = Block::Table(rows(reports).into_iter().map(Vec::from).collect());
    let said = vec![
        text::silent_tasks(&silent_tasks(reports)),
        text::leavers(&leavers(reports)),
        text::SOCKETS_DO_NOT_TELL.to_owned(),
    ];
    let how = reports.iter().map(how).chain([text::HOW_ROLES_ARE_TOLD.to_owned()]).collect();
    let sections = [
        with_table.then(|| Section { title: "Connections", blocks: vec![table] }),
        Some(Section { title: "What that says", blocks: vec![Block::List(said)] }),
        Some(Section { title: "How it was seen", blocks: vec![Block::List(how)] }),
    ];
    Document {
        title: text::of_pods(reports.len()),
        summary: summary(reports),
        sections: sections.into_iter().flatten().collect(),
    }
}

/// How many came to which end.
pub(super) fn summary(reports: &[SocketsReport]) -> String {
    let fates: Vec<Fate> =
        reports.iter().flat_map(|report| &report.sockets).map(Fate::of).collect();
    let n = |fate| fates.iter().filter(|one| **one == fate).count();
    let all =
        [Fate::CutIdle, Fate::CutActive, Fate::GaveUp, Fate::Left, Fate::Unknown, Fate::There];
    let parts = all.map(|fate| (n(fate), text::fate_in_a_word(fate)));
    text::of_fates(fates.len(), &parts)
}

fn rows(reports: &[SocketsReport]) -> Vec<[String; 7]> {
    let rows = reports.iter().flat_map(|report| {
        let pod = report.pod.as_deref().unwrap_or("–");
        report.sockets.iter().map(move |life| row(pod, life))
    });
    std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect()
}

fn row(pod: &str, life: &SocketLife) -> [String; 7] {
    let least = if life.born.is_some() { "" } else { ">= " };
    let again = match life.retransmits {
        0 => String::new(),
        n => format!(", {n} sent again"),
    };
    [
        pod.to_owned(),
        text::connection(life),
        text::whose(life),
        format!("{least}{}", text::mmss(life.lived_ms)),
        text::precisely(life.longest_silence_ms),
        format!("{} / {}{again}", life.sent_bytes, life.received_bytes),
        text::fate(life),
    ]
}

/// How one pod was watched.
fn how(report: &SocketsReport) -> String {
    let times = span(Some(&Time(report.started_at)), Some(&Time(report.ended_at)));
    let late = report.late.map(|late| text::late_looks(late.looks, late.longest_ms));
    let untold = (report.untold > 0).then(|| text::untold(report.untold));
    let parts = [
        Some(format!("{}: {times}", report.pod.as_deref().unwrap_or("–"))),
        report.cpu_ms.map(text::watching_took),
        Some(text::noticed(report.noticed).to_owned()),
        late,
        untold,
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ") + "."
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        beats::Rhythm,
        sockets::tests::{cut, left, life, report},
    };

    fn reports() -> Vec<SocketsReport> {
        let mut there = life(Rhythm::Beating, 3_600_000);
        there.born = None;
        vec![
            report("worker-0", vec![there, cut(Rhythm::Silent, 1_803_000, 1_800_200)]),
            report(
                "worker-1",
                vec![
                    left(Rhythm::Beating, 900_000, 9_000),
                    cut(Rhythm::Silent, 2_400_000, 1_800_300),
                ],
            ),
        ]
    }

    #[test]
    fn a_table_for_a_terminal() {
        insta::assert_snapshot!("sockets", plain(&reports()));
    }

    #[test]
    fn a_page_for_a_ticket() {
        insta::assert_snapshot!("sockets_markdown", markdown(&reports()));
    }

    #[test]
    fn of_nothing_it_says_that_there_was_nothing() {
        let text = plain(&[report("worker-0", Vec::new())]);
        assert!(text.contains("no connection of a task was seen"), "{text}");
        assert!(text.contains("nothing was seen that tells"), "{text}");
    }
}
