//! The results table of the hand-written test plan, from a run's status.

use super::{
    document::printable,
    story::{Story, name},
};
use crate::{
    diagnosis,
    lifetime::{Lifetime, Spread},
    pattern::Pattern,
    report::{ArmReport, Outcome},
    run::WorkloadResult,
    settings::WorkloadSettings,
    text,
};

const HEAD: [&str; 6] = ["Test", "Duration", "Disconnect?", "mm:ss", "Error", "Pinned?"];

/// What the last column says.
const PINNED: &str = "Pinned? is the rule that AWS publishes for the statements that were \
    sent; `held`: an open transaction\nholds a server connection without pinning.";

/// What the column means, and whether an RDS Proxy's own count shows it: nothing on the wire does.
pub(super) fn pinned(story: &Story<'_>) -> String {
    let seen = diagnosis::pinned(&story.run.spec.measurement, &story.status);
    format!("{PINNED} {}", seen.unwrap_or_else(|| "It was not observed.".to_owned()))
}

/// The table as Markdown, with a line on what `Pinned?` means: nothing on the wire tells whether a
/// proxy pinned a session, so the column is the published rule for the statements that were sent.
pub(super) fn results(story: &Story<'_>) -> String {
    let remarks: String = remarks(story).into_iter().map(|remark| remark + "\n").collect();
    let findings: String = story
        .status
        .findings
        .iter()
        .map(|finding| format!("\n{}", diagnosis::told(finding)))
        .collect();
    let expected: String =
        story.expected.iter().map(|one| format!("{}: {}\n", one.word(), one.message)).collect();
    let expected = if expected.is_empty() { expected } else { format!("\nExpected:\n{expected}") };
    let (table, pinned) = (markdown(&all_rows(story)), pinned(story));
    format!("{table}\n{remarks}{pinned}\n{expected}{findings}")
}

/// The head, then a row for each workload and path.
pub(super) fn all_rows(story: &Story<'_>) -> Vec<[String; 6]> {
    let rows = story.workloads().flat_map(|(workload, named)| {
        let held = named.map_or(0, |named| i64::try_from(named.duration_ms).unwrap_or(i64::MAX));
        let pinned = match named.map(WorkloadSettings::pins) {
            Some(Some(true)) => "yes",
            _ if has_set_or_listens(workload) => "yes",
            Some(Some(false)) => "no",
            Some(None) if is_watcher(named) => "not told",
            Some(None) => "held",
            None => "unknown",
        };
        rows(workload, &text::mmss(held), pinned)
    });
    std::iter::once(HEAD.map(str::to_owned)).chain(rows).collect()
}

/// What the columns have no room for, a sentence each.
pub(super) fn remarks(story: &Story<'_>) -> Vec<String> {
    story.workloads().flat_map(|(workload, named)| remarks_on(workload, named)).collect()
}

/// Whether a connection was seen to: Django sets its time zone where the server has another one.
fn has_set_or_listens(workload: &WorkloadResult) -> bool {
    let arms = workload.report.iter().flat_map(|report| &report.arms);
    let lanes = arms.flat_map(|arm| &arm.endings).flat_map(|ending| &ending.lanes);
    let mut clocks = lanes.filter_map(|lane| lane.clocks);
    clocks.any(|clocks| clocks.set_ms.is_some() || clocks.listen_ms.is_some())
}

/// One line per arm, or one that says why there is none.
fn rows(workload: &WorkloadResult, duration: &str, pinned: &str) -> Vec<[String; 6]> {
    let row = |name: String, disconnect: String, when: String, error: String| {
        [name, duration.to_owned(), disconnect, when, error, pinned.to_owned()]
    };
    let arms = workload.report.iter().flat_map(|report| &report.arms);
    let mut rows: Vec<_> = arms
        .map(|arm| row(name(&workload.workload, arm.arm), disconnects(arm), when(arm), error(arm)))
        .collect();
    let observed = workload.report.as_ref().and_then(|report| report.observed.as_ref());
    for part in observed.iter().flat_map(|observed| observed.parts()) {
        let name = format!("{}: {}", workload.workload, text::session_role(part.role));
        let disconnect = cut_of(part.cut, part.conclusive);
        let longest = part.longest_ms.map(|min_ms| Lifetime { min_ms, max_ms: None });
        let when = part.first_cut_ms.map(text::mmss);
        let when = when.or_else(|| longest.as_ref().map(text::lifetime)).unwrap_or_default();
        rows.push(row(name, disconnect, when, part.fates()));
    }
    if rows.is_empty() {
        let why = workload.reason.map_or("", |reason| reason.as_str());
        rows.push(row(
            workload.workload.clone(),
            "unknown".to_owned(),
            "–".to_owned(),
            why.to_owned(),
        ));
    }
    rows
}

fn is_watcher(named: Option<&WorkloadSettings>) -> bool {
    named.is_some_and(|named| matches!(named.pattern, Pattern::Observe(_)))
}

fn remarks_on(workload: &WorkloadResult, named: Option<&WorkloadSettings>) -> Vec<String> {
    let arms = workload.report.iter().flat_map(|report| &report.arms);
    let seen = arms.flat_map(|arm| {
        let name = name(&workload.workload, arm.arm);
        let ladder = text::ladder(&arm.ladder).map(|seen| format!("{name}: {seen}."));
        let heard = arm.notifications.as_ref().map(text::notifications);
        ladder.into_iter().chain(heard.map(|heard| format!("{name} {heard}.")))
    });
    let left_out = match named.map(|named| &named.pattern) {
        Some(Pattern::IdleLadder { left_out_ms, .. }) => text::left_out(left_out_ms),
        _ => None,
    };
    seen.chain(left_out.map(|left_out| format!("{}: {left_out}.", workload.workload))).collect()
}

pub(super) fn disconnects(arm: &ArmReport) -> String {
    cut_of(arm.counts.disconnected, arm.counts.conclusive())
}

fn cut_of(cut: i32, conclusive: i32) -> String {
    match (cut, conclusive) {
        (_, 0) => "unknown".to_owned(),
        (0, n) => format!("no (0 of {n})"),
        (cut, n) => format!("yes ({cut} of {n})"),
    }
}

pub(crate) fn when(arm: &ArmReport) -> String {
    match arm.cut_lifetime {
        Some(Spread { min_ms, max_ms, .. }) if text::mmss(min_ms) == text::mmss(max_ms) => {
            text::mmss(min_ms)
        }
        Some(Spread { min_ms, max_ms, .. }) => {
            format!("{}–{}", text::mmss(min_ms), text::mmss(max_ms))
        }
        None => text::survivors(arm).map_or_else(
            || "–".to_owned(),
            |min_ms| text::lifetime(&Lifetime { min_ms, max_ms: None }),
        ),
    }
}

pub(super) fn error(arm: &ArmReport) -> String {
    match arm.leading() {
        Some(ending) if ending.outcome != Outcome::Survived || ending.detail.is_some() => {
            text::ending(ending)
        }
        _ => "none".to_owned(),
    }
}

/// Columns of equal width, cells free of what Markdown would read.
pub(crate) fn markdown<const N: usize>(table: &[[String; N]]) -> String {
    let cell = |text: &String| printable(text).replace('|', "\\|");
    let table: Vec<[String; N]> = table.iter().map(|row| row.each_ref().map(cell)).collect();
    let width = |column: usize| {
        table.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = widths.map(|width| "-".repeat(width));
    let body: String = table.iter().skip(1).map(line).collect();
    format!("{}{}{body}", table.first().map(line).unwrap_or_default(), line(&rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Report, by_hand, manifest, report::Rung};
    use jiff::Timestamp;
    use serde_json::{from_value, json};

    fn report(workload: &str, set_ms: Option<i64>) -> Report {
        let at = "2026-01-01T00:00:00Z";
        let clocks = json!({ "connectMs": 3_000_000, "setMs": set_ms });
        let lane = json!({ "lane": 0, "phase": "Proof", "at": at, "clocks": clocks });
        let endings =
            vec![from_value(json!({ "outcome": "Survived", "n": 1, "lanes": [lane] })).unwrap()];
        let arms = vec![ArmReport { endings, ..ArmReport::default() }];
        Report { workload: workload.into(), arms, ..Report::default() }
    }

    #[test]
    fn what_pins_depends_on_what_the_client_sent() {
        let probe = manifest::parse(
            "{ apiVersion: probes.pulpproject.org/v1alpha1, kind: ConnectionProbe, metadata: { name: p }, \
             spec: { target: { secretName: s }, workloads: [ \
             { name: raw, idle: {} }, { name: quiet, client: Django, idle: {} }, \
             { name: set, client: Django, idle: {} }, { name: beat, client: Psycopg, heartbeat: {} }] } }",
        );
        let reports = [("raw", None), ("quiet", None), ("set", Some(1)), ("beat", None)];
        let reports = reports.map(|(workload, set_ms)| report(workload, set_ms)).to_vec();
        let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let table = results(&Story::of(
            &by_hand::run("p-1", &probe.unwrap(), reports, None, times, false),
            None,
        ));
        let pinned =
            table.lines().skip(2).take(4).map(|row| row.split_whitespace().rev().nth(1).unwrap());
        assert_eq!(pinned.collect::<Vec<_>>(), ["no", "no", "yes", "held"], "{table}");
    }

    #[test]
    fn a_ladder_says_between_which_silences_its_timer_lies() {
        let probe = manifest::parse(
            "{ apiVersion: probes.pulpproject.org/v1alpha1, kind: ConnectionProbe, metadata: { name: p }, \
             spec: { target: { secretName: s }, duration: 20m, \
             workloads: [ { name: ladder, idleLadder: { rungs: [14m, 16m, 29m] } } ] } }",
        );
        let mut report = report("ladder", None);
        let rung =
            |minutes: i64, cut| Rung { silence_ms: minutes * 60_000, cut, survived: 2 - cut };
        report.arms[0].ladder = vec![rung(14, 0), rung(16, 2)];
        let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let run = by_hand::run("p-1", &probe.unwrap(), vec![report], None, times, false);
        let seen =
            "ladder: cut after a silence of 14:00 to 16:00 (2 of 2 at 16:00; 0 of 2 at 14:00).";
        let table = results(&Story::of(&run, None));
        let left_out = "ladder: the duration is too short for a silence of 29:00.";
        assert!(table.contains(&format!("\n\n{seen}\n{left_out}\nPinned?")), "{table}");
        let summary = run.status.and_then(|status| status.summary).unwrap_or_default();
        assert!(summary.contains(seen), "{summary}");
    }
}
