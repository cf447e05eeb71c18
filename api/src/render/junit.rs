//! JUnit's XML: a test case for each workload and path, and for each age that is to be explained. One fails
//! only if what its probe expects was missed: a cut is a finding, no failure. It has an error where nothing is
//! known, so that a pipeline does not take silence for success.

use super::{
    Story,
    document::printable,
    story::name,
    table::{disconnects, error, when},
};
use crate::{
    diagnosis,
    report::{Arm, ArmReport},
};
use maud::{Markup, PreEscaped, html};

/// What became of a test case.
enum Verdict {
    Passed,
    Missed(String),
    Unknown { kind: &'static str, message: String },
}

/// A workload on a path.
struct Case {
    name: String,
    seconds: f64,
    verdict: Verdict,
    /// What was seen.
    seen: String,
}

pub(super) fn suite(story: &Story<'_>) -> String {
    let cases = cases(story);
    let failures = cases.iter().filter(|case| matches!(case.verdict, Verdict::Missed(_))).count();
    let errors =
        cases.iter().filter(|case| matches!(case.verdict, Verdict::Unknown { .. })).count();
    let suite = format!("{}, run {}", story.probe(), story.run.spec.number);
    let start = story.status.start_time.as_ref().map(|start| start.0);
    let end = story.status.end_time.as_ref().map(|end| end.0);
    let time = start.zip(end).map(|(start, end)| end.duration_since(start).as_secs_f64());
    let markup = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        testsuites {
            testsuite name=(printable(&suite)) tests=(cases.len()) failures=(failures) errors=(errors)
                time=[time.map(|time| format!("{time:.3}"))]
                timestamp=[start.map(|start| start.strftime("%Y-%m-%dT%H:%M:%S").to_string())] {
                @for case in &cases { (self::case(story.probe(), case)) }
                system-out { (told(story)) }
            }
        }
    };
    markup.into_string() + "\n"
}

fn case(probe: &str, case: &Case) -> Markup {
    html! {
        testcase classname=(printable(probe)) name=(printable(&case.name)) time=(format!("{:.3}", case.seconds)) {
            @match &case.verdict {
                Verdict::Passed => {}
                Verdict::Missed(message) => failure type="Missed" message=(printable(message)) {}
                Verdict::Unknown { kind, message } => error type=(kind) message=(printable(message)) {}
            }
            @if !case.seen.is_empty() { system-out { (printable(&case.seen)) } }
        }
    }
}

/// The run in a few lines: it is where a pipeline shows what was found.
fn told(story: &Story<'_>) -> String {
    let findings = story.status.findings.iter().map(diagnosis::short);
    let lines: Vec<_> = story.status.summary.iter().cloned().chain(findings).collect();
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

fn cases(story: &Story<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (result, settings) in story.workloads() {
        let seconds = settings.map_or(0.0, |settings| settings.duration().as_secs_f64());
        let arms = result.report.iter().flat_map(|report| &report.arms);
        let known = cases.len();
        cases.extend(arms.map(|arm| Case {
            name: name(&result.workload, arm.arm),
            seconds,
            verdict: verdict(story, &result.workload, arm),
            seen: seen(arm),
        }));
        if cases.len() == known {
            let kind = result.reason.map_or("Running", |reason| reason.as_str());
            let message = result.message.clone().unwrap_or_else(|| "nothing is known".to_owned());
            let verdict = Verdict::Unknown { kind, message };
            cases.push(Case {
                name: result.workload.clone(),
                seconds,
                verdict,
                seen: String::new(),
            });
        }
    }
    let workloads = &story.status.workloads;
    let others = story.expected.iter().map(|one| one.about.as_str());
    let mut others: Vec<_> =
        others.filter(|about| workloads.iter().all(|result| result.workload != *about)).collect();
    others.dedup();
    cases.extend(others.into_iter().map(|about| Case {
        name: about.to_owned(),
        seconds: 0.0,
        verdict: expected(story, about),
        seen: String::new(),
    }));
    cases
}

fn verdict(story: &Story<'_>, workload: &str, arm: &ArmReport) -> Verdict {
    if arm.counts.conclusive() == 0 {
        return Verdict::Unknown { kind: "Inconclusive", message: error(arm) };
    }
    match arm.arm {
        Arm::Target => expected(story, workload),
        Arm::Control => Verdict::Passed,
    }
}

/// What came of all that is expected of it; nothing may be.
fn expected(story: &Story<'_>, about: &str) -> Verdict {
    let sentences = |met: Option<bool>| {
        let those = story.expected.iter().filter(|one| one.about == about && one.met == met);
        let those: Vec<_> = those.map(|one| one.message.as_str()).collect();
        (!those.is_empty()).then(|| those.join(" "))
    };
    match (sentences(Some(false)), sentences(None)) {
        (Some(message), _) => Verdict::Missed(message),
        (None, Some(message)) => Verdict::Unknown { kind: "NotKnown", message },
        (None, None) => Verdict::Passed,
    }
}

/// How its connections ended.
fn seen(arm: &ArmReport) -> String {
    format!("cut: {}, after {}, error: {}", disconnects(arm), when(arm), error(arm))
}
