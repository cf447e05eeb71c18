//! JUnit's XML: a test case for each workload and path. One fails if a connection of it was cut, was
//! refused a request, or is deaf; it has an error if it says nothing.

use super::{
    Story,
    document::printable,
    story::name,
    table::{disconnects, error, when},
};
use crate::report::ArmReport;
use maud::{Markup, PreEscaped, html};

/// What became of a test case.
enum Verdict {
    Passed,
    Failed { kind: &'static str, message: String },
    Unknown { kind: String, message: String },
}

/// A workload on a path.
struct Case {
    name: String,
    seconds: f64,
    verdict: Verdict,
}

pub(super) fn suite(story: &Story<'_>) -> String {
    let cases = cases(story);
    let failures =
        cases.iter().filter(|case| matches!(case.verdict, Verdict::Failed { .. })).count();
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
                system-out { (printable(story.status.summary.as_deref().unwrap_or_default())) }
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
                Verdict::Failed { kind, message } => failure type=(kind) message=(printable(message)) {}
                Verdict::Unknown { kind, message } => error type=(kind) message=(printable(message)) {}
            }
        }
    }
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
            verdict: verdict(arm),
        }));
        if cases.len() == known {
            let kind = result.reason.map_or("Running", |reason| reason.as_str()).to_owned();
            let message = result.message.clone().unwrap_or_else(|| "nothing is known".to_owned());
            let verdict = Verdict::Unknown { kind, message };
            cases.push(Case { name: result.workload.clone(), seconds, verdict });
        }
    }
    cases
}

fn verdict(arm: &ArmReport) -> Verdict {
    let counts = &arm.counts;
    if counts.conclusive() == 0 {
        return Verdict::Unknown { kind: "Inconclusive".to_owned(), message: error(arm) };
    }
    let failed = [
        (counts.disconnected, "Disconnected"),
        (counts.request_failed, "RequestFailed"),
        (counts.deaf, "Deaf"),
    ];
    let Some((n, kind)) = failed.into_iter().find(|(n, _)| *n > 0) else {
        return Verdict::Passed;
    };
    let told = match kind {
        "Disconnected" => format!("disconnected: {}, after {}", disconnects(arm), when(arm)),
        _ => format!("{n} of {} {kind}", arm.connections),
    };
    Verdict::Failed { kind, message: format!("{told}: {}", error(arm)) }
}
