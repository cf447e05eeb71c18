//! Whether a run met what is expected of it.

use super::Expect;
use crate::{
    diagnosis::{Clock, Confidence, Finding, since},
    pattern::millis,
    report::{Arm, ArmReport, Outcome, shorten},
    run::ConnectionProbeRunStatus,
    text,
};
use kube::core::Duration;

/// Whether expectations are met, and the sentence that says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Nothing: it can't be said.
    pub met: Option<bool>,
    /// A word for the condition.
    pub reason: &'static str,
    /// What was expected and what was seen.
    pub message: String,
}

/// One thing that is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Name of the workload, or an age that is to be explained, such as `explains 40:49`.
    pub about: String,
    /// Nothing: it can't be said.
    pub met: Option<bool>,
    /// What was seen.
    pub message: String,
}

/// Sentences that a condition has room for.
const MOST: usize = 4;
const MAX_MESSAGE: usize = 512;

/// Judges the last run that ended; there may be none yet.
#[must_use]
pub fn judge(expect: &Expect, run: Option<&ConnectionProbeRunStatus>) -> Expectation {
    let Some(run) = run else {
        return Expectation { met: None, reason: "NoRunYet", message: text::no_run_to_judge() };
    };
    let judged = judge_each(expect, run);
    let any = |wanted: Option<bool>| judged.iter().any(|one| one.met == wanted);
    let met = if any(Some(false)) {
        Some(false)
    } else if any(None) {
        None
    } else {
        Some(true)
    };
    let sentences: Vec<String> =
        judged.into_iter().filter(|one| one.met == met).map(|one| one.message).collect();
    let mut message = sentences.iter().take(MOST).cloned().collect::<Vec<_>>().join(" ");
    if sentences.len() > MOST {
        message += &text::and_more(sentences.len() - MOST);
    }
    shorten(&mut message, MAX_MESSAGE);
    Expectation { met, reason: word(met), message }
}

/// Judges everything that is expected by itself.
#[must_use]
pub fn judge_each(expect: &Expect, run: &ConnectionProbeRunStatus) -> Vec<Judged> {
    let mut judged = Vec::new();
    for workload in &run.workloads {
        let name = workload.workload.as_str();
        let own = expect.workloads.iter().find(|own| own.name == name);
        let min_lifetime = own.and_then(|own| own.min_lifetime).or(expect.min_lifetime);
        let survives = own.and_then(|own| own.survives).or(expect.survives);
        let arm = workload.report.as_ref().and_then(|report| report.arm(Arm::Target));
        judged.extend(min_lifetime.map(|least| lived(name, arm, ms(least))));
        judged.extend(survives.map(|survives| survived(name, arm, survives)));
    }
    for own in &expect.workloads {
        if !run.workloads.iter().any(|workload| workload.workload == own.name) {
            judged.push(Judged::new(&own.name, None, text::no_such_workload(&own.name)));
        }
    }
    judged.extend(expect.explains.iter().map(|age| explained(run, ms(*age))));
    judged
}

impl Judged {
    fn new(about: &str, met: Option<bool>, message: String) -> Self {
        Self { about: about.to_owned(), met, message }
    }

    /// The word for it, as it stands in the condition.
    #[must_use]
    pub fn word(&self) -> &'static str {
        word(self.met)
    }
}

fn word(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "Met",
        Some(false) => "Missed",
        None => "NotKnown",
    }
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(millis(Some(duration))).unwrap_or(i64::MAX)
}

/// Whether every connection lived so long.
fn lived(workload: &str, arm: Option<&ArmReport>, least: i64) -> Judged {
    let Some(arm) = arm else {
        return Judged::new(workload, None, text::not_measured(workload));
    };
    let cut = arm.endings.iter().filter(|ending| ending.outcome == Outcome::Disconnected);
    // An interval counts with its end here: what ended before that surely lived less.
    let shortest = cut.clone().filter_map(|ending| ending.lifetime).map(|l| l.min_ms).min();
    if let Some(shortest) = shortest.filter(|shortest| *shortest < least) {
        return Judged::new(workload, Some(false), text::lived_less(workload, shortest, least));
    }
    let lanes = cut.flat_map(|ending| &ending.lanes).filter_map(|lane| lane.lifetime);
    let alive = arm.endings.iter().filter(|ending| is_alive(ending.outcome));
    let alive = alive.filter_map(|ending| ending.lifetime).map(|lifetime| lifetime.min_ms);
    let surely = lanes.map(|lifetime| lifetime.min_ms).chain(alive).min();
    match surely {
        Some(surely) if surely >= least && arm.counts.conclusive() == arm.connections => {
            Judged::new(workload, Some(true), text::lived_enough(workload, surely, least))
        }
        _ => {
            Judged::new(workload, None, text::seen_too_short(workload, surely.unwrap_or(0), least))
        }
    }
}

fn is_alive(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Survived | Outcome::RequestFailed | Outcome::Deaf)
}

/// Whether all connections answered at the end, or not all, as it is expected.
fn survived(workload: &str, arm: Option<&ArmReport>, all: bool) -> Judged {
    let Some(arm) = arm else {
        return Judged::new(workload, None, text::not_measured(workload));
    };
    let (survived, failed) = (arm.counts.survived, arm.counts.conclusive() - arm.counts.survived);
    let said = text::survived(workload, survived, arm.connections);
    let met = match (failed > 0, survived == arm.connections) {
        (true, _) => Some(!all),
        (false, true) => Some(all),
        (false, false) => None,
    };
    Judged::new(workload, met, said)
}

/// Whether what was found cuts connections at that age.
fn explained(run: &ConnectionProbeRunStatus, age: i64) -> Judged {
    let about = text::explains(age);
    let found = run
        .findings
        .iter()
        .filter(|finding| finding.arm == Arm::Target && finding.confidence != Confidence::Open);
    if let Some(said) = found.clone().find_map(|finding| explains(finding, age)) {
        return Judged::new(&about, Some(true), said);
    }
    let arms = run.arms(Arm::Target).map(|(_, arm)| arm);
    let ages = arms.flat_map(|arm| &arm.endings).filter_map(|ending| ending.lifetime);
    let oldest = ages.map(|lifetime| lifetime.max_ms).max().unwrap_or(0);
    if oldest < age {
        return Judged::new(&about, None, text::too_short_to_explain(age, oldest));
    }
    Judged::new(&about, Some(false), text::explained_by_nothing(age))
}

/// How this finding explains a cut at that age.
fn explains(finding: &Finding, age: i64) -> Option<String> {
    let timer = finding.timer.as_ref()?;
    match timer.clock {
        Clock::Age => {
            // Theirs were counted by hand, from a log.
            let tolerance = (age / 100).clamp(1000, 10_000);
            let fits =
                (timer.at_least_ms - tolerance..=timer.at_most_ms + tolerance).contains(&age);
            fits.then(|| text::explained_by_age(age, finding.cause.as_str()))
        }
        clock if timer.at_least_ms <= age => {
            let times = (timer.at_least_ms, timer.at_most_ms.min(age));
            Some(text::explained_by_timer(age, finding.cause.as_str(), since(clock), times))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ConnectionProbe, ConnectionProbeRun, by_hand,
        close_form::{CloseForm, TcpEnd},
        expect::ExpectWorkload,
        lifetime::Spread,
        manifest,
        report::{Counts, Ending, Report},
    };
    use jiff::Timestamp;
    use serde_json::{from_value, json};

    const MINUTE: i64 = 60_000;

    fn probe() -> ConnectionProbe {
        manifest::parse(
            "{ apiVersion: probes.pulpproject.org/v1alpha1, kind: ConnectionProbe, metadata: { name: p }, \
             spec: { target: { secretName: s }, workloads: [{ name: idle, idle: {} }] } }",
        )
        .unwrap()
    }

    /// So many connections of `idle` that ended so, after so many minutes.
    fn ending(outcome: Outcome, n: i32, minutes: i64) -> Ending {
        Ending {
            outcome,
            reason: None,
            form: Some(CloseForm::new(Vec::new(), None, TcpEnd::Fin, false)),
            detail: None,
            n,
            lifetime: Spread::of(vec![minutes * MINUTE; 2]),
            lanes: Vec::new(),
        }
    }

    fn run(endings: Vec<Ending>, timer: Option<serde_json::Value>) -> ConnectionProbeRun {
        let mut counts = Counts::default();
        endings.iter().for_each(|ending| counts.count(ending.outcome, ending.n));
        let arm = ArmReport { connections: 5, counts, endings, ..ArmReport::default() };
        let report = Report { workload: "idle".into(), arms: vec![arm], ..Report::default() };
        let times = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        let mut run = by_hand::run("p-1", &probe(), vec![report], None, times, false);
        let finding = timer.map(|timer| {
            let finding = json!({
                "cause": "RequestIdleTimer", "confidence": "Strong", "arm": "Target", "n": 3, "of": 5, "timer": timer,
                "observed": "", "meaning": "", "nextStep": "", "page": "",
            });
            from_value(finding).unwrap()
        });
        run.status.as_mut().unwrap().findings = finding.into_iter().collect();
        run
    }

    fn expecting(yaml: &str) -> Expect {
        serde_saphyr::from_str(yaml).unwrap()
    }

    #[test]
    fn expectations_are_met_missed_or_not_known() {
        use Outcome::{Deaf, Disconnected, Inconclusive, Survived};
        let timer = |clock: &str, minutes: i64| {
            let ms = minutes * MINUTE;
            Some(json!({ "clock": clock, "atLeastMs": ms, "atMostMs": ms }))
        };
        let survivors = || vec![ending(Survived, 5, 50)];
        let some_cut = || vec![ending(Disconnected, 3, 30), ending(Survived, 2, 50)];
        let lost = || vec![ending(Survived, 4, 50), ending(Inconclusive, 1, 10)];
        let deaf = || vec![ending(Deaf, 5, 50)];
        let table = [
            ("minLifetime: 45m", survivors(), None, Some(true)),
            ("minLifetime: 51m", survivors(), None, None),
            ("minLifetime: 45m", some_cut(), None, Some(false)),
            ("minLifetime: 45m", lost(), None, None),
            (
                "{ minLifetime: 45m, workloads: [{ name: idle, minLifetime: 29m }] }",
                survivors(),
                None,
                Some(true),
            ),
            ("survives: true", survivors(), None, Some(true)),
            ("survives: true", some_cut(), None, Some(false)),
            ("survives: true", deaf(), None, Some(false)),
            ("survives: true", lost(), None, None),
            ("survives: false", some_cut(), None, Some(true)),
            ("survives: false", survivors(), None, Some(false)),
            ("explains: [40m49s]", some_cut(), timer("Request", 30), Some(true)),
            ("explains: [20m]", some_cut(), timer("Request", 30), Some(false)),
            ("explains: [60m]", survivors(), None, None),
            ("explains: [40m49s]", survivors(), None, Some(false)),
            ("explains: [30m2s]", some_cut(), timer("Age", 30), Some(true)),
            ("explains: [40m49s]", some_cut(), timer("Age", 30), Some(false)),
            ("explains: [40m49s, 20m]", some_cut(), timer("Request", 30), Some(false)),
            ("workloads: [{ name: other, survives: true }]", survivors(), None, None),
        ];
        let mut lines = Vec::new();
        for (expect, endings, timer, met) in table {
            let run = run(endings, timer);
            let judged = judge(&expecting(expect), run.status.as_ref());
            assert_eq!(judged.met, met, "{expect}: {judged:?}");
            lines.push(format!("{expect}\n  {}: {}", judged.reason, judged.message));
        }
        let none = judge(&expecting("survives: true"), None);
        lines.push(format!("no run\n  {}: {}", none.reason, none.message));
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_is_said_stays_short() {
        let workloads = (0..12).map(|n| ExpectWorkload {
            name: format!("{n}{}", "x".repeat(38)),
            survives: Some(true),
            ..ExpectWorkload::default()
        });
        let expect = Expect { workloads: workloads.collect(), ..Expect::default() };
        let judged = judge(&expect, run(Vec::new(), None).status.as_ref());
        assert!(
            judged.message.len() <= MAX_MESSAGE && judged.message.ends_with(" And 8 more."),
            "{judged:?}"
        );
    }
}
