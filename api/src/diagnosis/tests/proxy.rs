//! Runs behind an RDS Proxy that never was: what AWS would have told of them.

use super::{
    simulation::{Dice, START},
    *,
};
use crate::{
    ConnectionProbeRunStatus,
    rds_proxy::{
        Evidence, RdsProxyStatus,
        evidence::{Event, LoggedEnd, PoolFacts, ProxyFacts, ProxyLog},
        metrics::{Metric, Metrics, Series},
    },
    render::{self, Format},
    report::Arm,
};
use jiff::Timestamp;
use proptest::{collection::vec, option, prelude::*, sample::select};

/// Minutes that CloudWatch has, and how many of them come before the run.
const MINUTES: usize = 80;
const BEFORE: i64 = 10;

/// What other clients of the proxy do in a minute.
#[derive(Clone, Copy, Default)]
struct Others {
    pinned: i64,
    closed: i64,
}

/// What CloudWatch would have of this run, and of others.
fn metrics(run: &ConnectionProbeRun, others: impl Fn(i64) -> Others) -> Metrics {
    let start = START - BEFORE * MINUTE;
    let lanes: Vec<_> = run
        .status
        .iter()
        .flat_map(ConnectionProbeRunStatus::reports)
        .filter_map(|report| report.arm(Arm::Target))
        .flat_map(|arm| arm.endings.iter().flat_map(|ending| &ending.lanes))
        .map(|lane| {
            let (end, clocks) = (lane.at.as_millisecond(), lane.clocks.unwrap());
            let pinned = clocks.set_ms.or(clocks.listen_ms).map(|since| end - since);
            (end - clocks.connect_ms, pinned, end)
        })
        .collect();
    let count = |of: &dyn Fn(i64, i64) -> i64| -> Vec<Option<i64>> {
        let minutes = (0..i64::try_from(MINUTES).unwrap()).map(|i| start + i * MINUTE);
        minutes.map(|from| Some(of(from, from + MINUTE))).collect()
    };
    let n = |lanes: usize| i64::try_from(lanes).unwrap();
    let minute = |from: i64| (from - START) / MINUTE;
    let clients = count(&|from, to| {
        n(lanes.iter().filter(|(born, _, end)| *born < to && *end > from).count())
    });
    let pinned = count(&|from, to| {
        let is = |(_, pinned, end): &&(i64, Option<i64>, i64)| {
            pinned.is_some_and(|pinned| pinned < to) && *end > from
        };
        n(lanes.iter().filter(is).count()) + others(minute(from)).pinned
    });
    let closed = count(&|from, to| {
        n(lanes.iter().filter(|(_, _, end)| (from..to).contains(end)).count())
            + others(minute(from)).closed
    });
    let series = [
        (Metric::DatabaseConnectionsCurrentlySessionPinned, pinned),
        (Metric::ClientConnections, clients),
        (Metric::ClientConnectionsClosed, closed),
        (Metric::DatabaseConnectionsBorrowLatency, vec![Some(350); MINUTES]),
    ];
    let until = time(start + i64::try_from(MINUTES).unwrap() * MINUTE);
    Metrics::of_minutes(time(start), Some(until), &series, MINUTES)
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

fn evidence() -> Evidence {
    let proxy = ProxyFacts {
        status: "available".into(),
        idle_client_timeout_seconds: 1800,
        require_tls: true,
        measured_endpoint: Some("default".into()),
        ..ProxyFacts::default()
    };
    let pool = PoolFacts {
        max_connections_percent: 100,
        max_idle_connections_percent: 50,
        borrow_timeout_seconds: 120,
        ..PoolFacts::default()
    };
    Evidence { proxy: Some(proxy), pool: Some(pool), ..Evidence::default() }
}

/// A run of the plan with this killer on the way, and what AWS told of it.
fn behind(killer: &Killer, seed: u64, others: impl Fn(i64) -> Others) -> ConnectionProbeRun {
    let probe = probe(
        "preset: PulpPlan, duration: 50m, rdsProxy: { name: pulp, region: us-east-1, serviceAccountName: reader }",
    );
    let mut run = run(&probe, [std::slice::from_ref(killer), &[]], None, seed);
    let after = Evidence { metrics: Some(metrics(&run, others)), ..evidence() };
    told(&mut run, after);
    run
}

fn told(run: &mut ConnectionProbeRun, after: Evidence) {
    let status = run.status.as_mut().unwrap();
    let told = RdsProxyStatus {
        before: Some(evidence()),
        after: Some(after),
        ..RdsProxyStatus::default()
    };
    status.rds_proxy = Some(told);
    status.findings = diagnose("p", &run.spec.measurement, status);
}

fn after(run: &mut ConnectionProbeRun) -> &mut Evidence {
    run.status.as_mut().unwrap().rds_proxy.as_mut().unwrap().after.as_mut().unwrap()
}

fn idle_client_timeout() -> Killer {
    killer(When::NoRequest(30 * MINUTE, Sessions::All), How::Fin)
}

fn said(run: &ConnectionProbeRun) -> String {
    let findings = diagnosed(run);
    let lines = findings.iter().flat_map(|finding| &finding.evidence);
    lines.map(|line| format!("{line}\n")).collect()
}

/// One section of the document.
fn section(run: &ConnectionProbeRun, title: &str) -> String {
    let page = render::run(run, None, Format::Markdown);
    let section = page.split("\n## ").find(|section| section.starts_with(title)).unwrap();
    section.to_owned()
}

#[test]
fn a_proxy_of_its_own_shows_that_sessions_are_pinned_and_which_timer_cut() {
    let run = behind(&idle_client_timeout(), 1, |_| Others { pinned: 3, closed: 0 });
    let findings = diagnosed(&run);
    assert_eq!(causes(&findings), [Cause::RequestIdleTimer]);
    let near = &findings[0].timer.as_ref().unwrap().near;
    let fits: Vec<_> =
        near.iter().filter(|near| near.fits).map(|near| near.name.as_str()).collect();
    assert_eq!(fits, ["AWS RDS Proxy: IdleClientTimeout"], "read, so its default is not guessed");
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        said(&run),
        section(&run, "RDS Proxy"),
        section(&run, "Configuration")
    ));
}

#[test]
fn a_busy_proxy_confirms_nothing() {
    for seed in 0..8 {
        let noise = |minute: i64| {
            let roll = Dice(seed * 1000 + minute.unsigned_abs()).roll();
            #[expect(clippy::cast_possible_truncation, reason = "small")]
            let n = (roll * 60.0) as i64;
            Others { pinned: 40 + n, closed: n }
        };
        let said = said(&behind(&idle_client_timeout(), seed, noise));
        assert!(said.contains("can't be told on a busy proxy"), "{said}");
        assert!(!said.contains("Only ours") && !said.contains("Others were cut"), "{said}");
    }
}

#[test]
fn whether_others_were_cut_too_is_counted() {
    let moment = killer(When::Moment(25 * MINUTE, None), How::Fin);
    let cut = |n| move |minute| Others { closed: if minute == 25 { n } else { 1 }, pinned: 0 };
    let mut run = behind(&moment, 1, cut(300));
    let event = Event {
        at: time(START + 25 * MINUTE + 5000),
        about: "db-proxy".into(),
        text: "RDS modified `DB proxy` pulp.".into(),
    };
    after(&mut run).events.push(event);
    run.status.as_mut().unwrap().findings = diagnosed(&run);
    let said = said(&run);
    assert!(
        said.contains("Others were cut, too: in the minutes of these cuts the proxy closed 34"),
        "{said}"
    );
    assert!(
        said.contains(
            "RDS tells of db-proxy at 08:25:05 UTC, within a minute of a cut: RDS modified"
        ),
        "{said}"
    );
    assert!(section(&run, "Findings").contains("RDS modified 'DB proxy' pulp"));
    assert!(section(&run, "RDS Proxy").contains("`RDS modified 'DB proxy' pulp.`"));
    let alone = self::said(&behind(&moment, 1, |_| Others::default()));
    assert!(alone.contains("Only ours were cut"), "{alone}");
    let few = self::said(&behind(&moment, 1, cut(2)));
    assert!(!few.contains("Others were") && !few.contains("Only ours"), "{few}");
}

#[test]
fn a_change_of_the_proxy_is_said() {
    let mut run = behind(&idle_client_timeout(), 1, |_| Others::default());
    after(&mut run).proxy.as_mut().unwrap().idle_client_timeout_seconds = 2400;
    let said = said(&run);
    let changed =
        "The proxy was changed while the run went on: IdleClientTimeout was 1800 s, then 2400 s.";
    assert!(said.contains(changed), "{said}");
    assert!(
        section(&run, "Configuration")
            .contains("- IdleClientTimeout: 1800 s; after the run: 2400 s")
    );
}

#[test]
fn the_proxys_log_makes_sure_only_where_it_names_the_timer() {
    let single = probe("connections: 1, duration: 50m, workloads: [{ name: idle, idle: {} }]");
    let many = probe("preset: PulpPlan, duration: 50m");
    let logged = |probe: &ConnectionProbe, reason: &str, apart_ms: i64| {
        let mut run = run(probe, [&[idle_client_timeout()], &[]], None, 1);
        let workloads = &run.status.as_ref().unwrap().workloads;
        let end = |workload: &str| LoggedEnd {
            workload: workload.into(),
            n: 20,
            reason: reason.into(),
            apart_ms,
        };
        let ends = workloads.iter().map(|it| end(&it.workload)).collect();
        told(
            &mut run,
            Evidence { log: Some(ProxyLog { wanted: 5, found: 5, ends }), ..evidence() },
        );
        diagnosed(&run).remove(0)
    };
    let closed = "Reason: The TCP channel was closed by either the client or the proxy.";
    let finding = logged(&single, closed, 20);
    assert_eq!((finding.cause, finding.confidence), (Cause::Unknown, Confidence::Open));
    assert!(finding.evidence.iter().any(|line| line.ends_with(closed)), "{:?}", finding.evidence);
    let finding = logged(&single, "Reason: idle client timeout", 20);
    assert_eq!((finding.cause, finding.confidence), (Cause::RequestIdleTimer, Confidence::Stated));
    let finding = logged(&single, "Reason: idle client timeout", 60_000);
    assert_eq!(finding.cause, Cause::Unknown, "another end, a minute apart");
    let finding = logged(&many, closed, 20);
    assert_eq!((finding.cause, finding.confidence), (Cause::RequestIdleTimer, Confidence::Strong));
    let asked = "Reason: The client requested that the connection close.";
    let finding = logged(&many, asked, 20);
    assert_eq!((finding.cause, finding.confidence), (Cause::RequestIdleTimer, Confidence::Likely));
    assert!(finding.not_excluded[0].starts_with("Somebody between"), "{:?}", finding.not_excluded);
}

#[test]
fn nothing_is_concluded_from_what_is_absent() {
    let full = behind(&idle_client_timeout(), 1, |_| Others { pinned: 3, closed: 0 });
    for absent in Metric::ALL {
        let mut run = full.clone();
        let metrics = after(&mut run).metrics.as_mut().unwrap();
        for series in metrics.series.iter_mut().filter(|series| series.metric == absent) {
            series.values = vec!["-"; MINUTES].join(" ");
        }
        let said = said(&run);
        match absent {
            Metric::DatabaseConnectionsCurrentlySessionPinned => {
                assert!(said.contains("is not known: CloudWatch has no minute"), "{said}");
                assert!(!said.contains("onfirmed"), "{said}");
            }
            Metric::ClientConnectionsClosed => assert!(!said.contains("Only ours"), "{said}"),
            _ => {}
        }
    }
}

prop_compose! {
    fn any_metrics()(
        start in select(vec![Timestamp::MIN, Timestamp::MAX, time(START), time(START - BEFORE * MINUTE)]),
        period_seconds in prop_oneof![Just(60), Just(240), any::<i64>()],
        series in vec((select(Metric::ALL.to_vec()), "[-0-9 ]{0,80}|9223372036854775807( -9223372036854775808){0,60}"), 0..11),
    ) -> Metrics {
        let series = series.into_iter().map(|(metric, values)| Series { metric, values }).collect();
        Metrics { start, period_seconds, known_until: Some(start), series }
    }
}

prop_compose! {
    fn any_evidence()(
        metrics in option::of(any_metrics()),
        at in prop_oneof![0..3_600_000_i64, Just(i64::from(i32::MAX))],
        text in "\\PC{0,300}",
        seconds in any::<i64>(),
        n in any::<i32>(),
        apart_ms in prop_oneof![0..1000_i64, any::<i64>()],
    ) -> Evidence {
        let end = |workload: &str| LoggedEnd { workload: workload.into(), n, reason: text.clone(), apart_ms };
        let setting = crate::inventory::Setting { name: text.clone(), value: text.clone(), ..Default::default() };
        Evidence {
            proxy: Some(ProxyFacts { idle_client_timeout_seconds: seconds, status: text.clone(), ..Default::default() }),
            pool: Some(PoolFacts { borrow_timeout_seconds: seconds, ..Default::default() }),
            parameters: vec![setting],
            events: vec![Event { at: time(START + at), about: text.clone(), text: text.clone() }; 3],
            log: Some(ProxyLog { wanted: n, found: n, ends: vec![end("idle"), end("listen")] }),
            metrics,
            ..Evidence::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_evidence_gives_bounded_findings_and_changes_no_cause(
        before in option::of(any_evidence()),
        after in option::of(any_evidence()),
        row in select(alone()),
    ) {
        let killers = std::slice::from_ref(&row.2);
        let mut run = run(&row.1, [killers, &[]], None, 1);
        let bare = diagnosed(&run);
        run.status.as_mut().unwrap().rds_proxy = Some(RdsProxyStatus { before, after, ..RdsProxyStatus::default() });
        let findings = diagnosed(&run);
        let judged = |findings: &[Finding]| -> Vec<_> {
            findings.iter().map(|it| (it.cause, it.confidence, it.n)).collect()
        };
        prop_assert_eq!(judged(&bare), judged(&findings));
        for finding in &findings {
            prop_assert!(finding.evidence.len() <= finding::MAX_LINES);
            let short = |line: &String| line.chars().count() <= finding::MAX_SENTENCE;
            prop_assert!(finding.evidence.iter().all(short), "{:?}", finding.evidence);
        }
        for format in [Format::Markdown, Format::Html, Format::Table] {
            let page = render::run(&run, None, format);
            prop_assert!(page.chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}
