//! What the rules make of runs in which the causes are known.

use super::*;
use crate::{ConnectionProbe, ConnectionProbeRun, Inventory, manifest, settings::Settings};
use simulation::{How, Killer, Sessions, When, probe, run};

mod properties;
mod proxy;
mod simulation;

const MINUTE: i64 = 60_000;
const ADMINISTRATOR: How =
    How::Says("57P01", "terminating connection due to administrator command");

fn killer(when: When, how: How) -> Killer {
    Killer { when, how }
}

fn diagnosed(run: &ConnectionProbeRun) -> Vec<Finding> {
    diagnose("p", &run.spec.measurement, run.status.as_ref().unwrap())
}

fn causes(findings: &[Finding]) -> Vec<Cause> {
    findings.iter().map(|finding| finding.cause).collect()
}

fn plan() -> ConnectionProbe {
    probe("preset: PulpPlan, duration: 50m")
}

/// What the plan's workloads can't tell.
fn others() -> ConnectionProbe {
    probe(
        "duration: 50m, workloads: [{ name: slow, slowStatement: {} }, { name: beat, heartbeat: {} }, \
         { name: task, pulpTask: {} }, { name: idle, idle: {} }, { name: ladder, idleLadder: {} }, \
         { name: redis, pulpWorker: { listen: false } }]",
    )
}

fn inventory() -> Inventory {
    let arm = serde_json::json!({
        "arm": "Target",
        "server": { "version": "15.18", "startedAt": "2026-01-01T00:00:00Z", "address": "10.1.0.1:5432" },
        "settings": [{ "name": "idle_session_timeout", "value": "1200000", "unit": "ms" }],
    });
    let inventory = serde_json::json!({ "takenAt": "2026-01-01T00:00:00Z", "arms": [arm] });
    serde_json::from_value(inventory).unwrap()
}

/// Name, probe, killer, cause.
type Row = (&'static str, ConnectionProbe, Killer, Cause);

fn alone() -> Vec<Row> {
    use Cause as C;
    let silent = |minutes, sessions| When::NoRequest(minutes * MINUTE, sessions);
    let says = |code, text| How::Says(code, text);
    let idle = "terminating connection due to idle-session timeout";
    let (all, outside, inside) =
        (Sessions::All, Sessions::OutsideTransaction, Sessions::InTransaction);
    let planned = |name, when, how, cause| (name, plan(), killer(when, how), cause);
    let other = |name, when, how, cause| (name, others(), killer(when, how), cause);
    let crash = "terminating connection because of crash of another server process";
    let immediate = "terminating connection due to immediate shutdown command";
    vec![
        planned("H1", silent(30, all), How::Fin, C::RequestIdleTimer),
        planned("H1 spares transactions", silent(30, outside), How::Fin, C::RequestIdleTimer),
        other("H1, slow statement", silent(30, all), How::Fin, C::RequestIdleTimer),
        planned("H2", silent(20, outside), says("57P05", idle), C::IdleSessionTimeout),
        planned(
            "H2, multiplexed",
            silent(20, Sessions::Pinned),
            says("57P05", idle),
            C::IdleSessionTimeout,
        ),
        planned("H3", silent(10, inside), says("25P03", "t"), C::IdleInTransactionTimeout),
        planned("H3, silent", silent(10, inside), How::Fin, C::IdleInTransactionTimeout),
        planned("H4", When::Begin(15 * MINUTE), says("25P04", "t"), C::TransactionTimeout),
        planned("H4, silent", When::Begin(15 * MINUTE), How::Fin, C::TransactionTimeout),
        planned(
            "H5",
            silent(10, outside),
            says("08P01", "client_idle_timeout"),
            C::PoolerIdleTimeout,
        ),
        planned(
            "H6",
            silent(10, inside),
            says("08P01", "idle transaction timeout"),
            C::IdleInTransactionTimeout,
        ),
        planned("H8a", When::NoByte(10 * MINUTE), How::Fin, C::ByteIdleTimer),
        other("H8a, slow statement", When::NoByte(10 * MINUTE), How::Fin, C::ByteIdleTimer),
        planned("H8b", When::NoPacket(350_000), How::Forgets, C::FlowForgotten),
        other("H8b, ladder", When::NoPacket(350_000), How::Forgets, C::FlowForgotten),
        planned("H8b, TLS listener", When::NoByte(350_000), How::Forgets, C::FlowForgotten),
        planned("H8c", When::NoPacket(350_000), How::Drops, C::SilentDrop),
        planned("H9", When::Age(40 * MINUTE, 0.0), How::Fin, C::MaxLifetime),
        planned("H9, reset", When::Age(40 * MINUTE, 0.0), How::Reset, C::MaxLifetime),
        planned("H9, varies", When::Age(40 * MINUTE, 0.1), How::Fin, C::MaxLifetime),
        planned("H10", When::Moment(25 * MINUTE, None), How::Fin, C::OneMoment),
        planned("H10, one host", When::Moment(25 * MINUTE, Some(1)), How::Fin, C::OneHost),
        planned(
            "H10, immediate",
            When::Moment(25 * MINUTE, None),
            How::Notices("57P01", immediate),
            C::ServerRestart,
        ),
        planned("H12", When::Random(20 * MINUTE), ADMINISTRATOR, C::SessionTerminated),
        planned(
            "H12, by age",
            When::Every(MINUTE, 20 * MINUTE),
            ADMINISTRATOR,
            C::SessionTerminated,
        ),
        planned(
            "H13",
            When::Moment(25 * MINUTE, None),
            How::Notices("57P02", crash),
            C::ServerCrash,
        ),
        planned("H16", When::Moment(25 * MINUTE, None), How::Drops, C::OneMoment),
        planned("pinned", silent(7, Sessions::Pinned), How::Fin, C::PinnedTimer),
        planned("random", When::Random(20 * MINUTE), How::Fin, C::Unknown),
        planned("sweep", When::Every(2 * MINUTE, 10 * MINUTE), How::Fin, C::Sweep),
        other("statement", When::Statement(5 * MINUTE), How::Fin, C::StatementTimeout),
        other(
            "statement, said",
            When::Statement(5 * MINUTE),
            says("08P01", "query timeout"),
            C::StatementTimeout,
        ),
        planned("unknown text", silent(10, all), says("08P01", "goodbye"), C::OtherMessage),
        planned("nothing", When::Age(24 * 60 * MINUTE, 0.0), How::Fin, C::NoCut),
    ]
}

fn told(findings: &[Finding]) -> String {
    let lines = findings.iter().map(|it| format!("{} {}", it.confidence.as_str(), short(it)));
    lines.collect::<Vec<_>>().join("; ")
}

#[test]
fn each_cause_alone_is_named() {
    let mut wrong = Vec::new();
    for (name, probe, killer, wanted) in &alone() {
        for seed in 0..4 {
            let killers = [std::slice::from_ref(killer), &[]];
            let findings = diagnosed(&run(probe, killers, Some(inventory()), seed));
            if seed == 0 {
                println!("{name}: {}", told(&findings));
            }
            if causes(&findings) != [*wanted] {
                wrong.push(format!("{name} {seed}: {}", told(&findings)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn two_causes_are_two_findings_or_unknown_and_never_one_that_is_wrong() {
    let rows: Vec<_> = alone().into_iter().filter(|row| row.1 == plan()).collect();
    let (mut both, mut one, mut neither) = (0, 0, 0);
    let (mut wrong, mut unsure) = (Vec::new(), Vec::new());
    for (i, (first, probe, a, wanted_a)) in rows.iter().enumerate() {
        for (second, _, b, wanted_b) in &rows[i + 1..] {
            let killers = [a.clone(), b.clone()];
            let seed = u64::try_from(i).unwrap() + 1;
            let findings = diagnosed(&run(probe, [&killers, &[]], Some(inventory()), seed));
            let found = |wanted| causes(&findings).iter().any(|cause| is_right(*cause, wanted));
            match [*wanted_a, *wanted_b].into_iter().filter(|wanted| found(*wanted)).count() {
                2 => both += 1,
                1 => one += 1,
                _ => neither += 1,
            }
            for finding in &findings {
                let right =
                    is_right(finding.cause, *wanted_a) || is_right(finding.cause, *wanted_b);
                if finding.confidence.is_sure() && !right {
                    wrong.push(format!("{first} and {second}: {}", told(&findings)));
                } else if finding.cause != Cause::Unknown && !right {
                    unsure.push(format!("{first} and {second}: {}", told(&findings)));
                }
            }
        }
    }
    println!("both {both}, one {one}, neither {neither}; {} unsure", unsure.len());
    println!("{}", unsure.join("\n"));
    assert!(wrong.is_empty(), "{} wrong and sure\n{}", wrong.len(), wrong.join("\n"));
    assert!(both > one + neither, "{both} {one} {neither}");
}

/// A kind of timer that is not told apart is right for each of its kinds.
fn is_right(cause: Cause, wanted: Cause) -> bool {
    let idle = matches!(wanted, Cause::RequestIdleTimer | Cause::ByteIdleTimer);
    cause == wanted || (cause == Cause::IdleTimer && idle)
}

#[test]
fn what_is_said_of_each_cause() {
    let examples: Vec<Finding> = alone()
        .iter()
        .flat_map(|(_, probe, killer, _)| {
            let killers = [std::slice::from_ref(killer), &[]];
            diagnosed(&run(probe, killers, Some(inventory()), 1))
        })
        .collect();
    let page = |cause: &Cause| {
        let example = examples.iter().find(|finding| finding.cause == *cause);
        let mut lines = vec![format!("## {}", cause.as_str())];
        lines.extend(example.map(|it| format!("{}: {}", it.confidence.as_str(), it.observed)));
        lines.extend([words::meaning(*cause).to_owned(), words::next_step(*cause).to_owned()]);
        if let Some(finding) = example {
            lines.extend(
                finding.evidence.iter().chain(&finding.not_excluded).map(|it| format!("- {it}")),
            );
        }
        lines.join("\n")
    };
    let pages: Vec<String> = Cause::ALL.iter().map(page).collect();
    insta::assert_snapshot!(pages.join("\n\n"));
}

#[test]
fn every_cause_has_its_page() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for cause in Cause::ALL {
        let page = std::fs::read_to_string(folder.join(cause.page())).unwrap_or_default();
        assert!(page.starts_with(&format!("# {}\n", cause.as_str())), "{}", cause.page());
        let parts = ["## Confirm", "## Cure", "## Prove", "Tried: "];
        assert!(parts.iter().all(|part| page.contains(part)), "{}", cause.page());
    }
}

#[test]
fn every_experiment_can_be_applied() {
    for (name, probe, killer, _) in &alone() {
        let killers = [std::slice::from_ref(killer), &[]];
        for finding in diagnosed(&run(probe, killers, None, 1)) {
            let manifest = finding.experiment.and_then(|experiment| experiment.manifest).unwrap();
            let parsed =
                manifest::parse(&manifest).unwrap_or_else(|e| panic!("{name}: {e}\n{manifest}"));
            Settings::new("", &parsed.spec.measurement, Vec::new()).unwrap();
        }
    }
}
