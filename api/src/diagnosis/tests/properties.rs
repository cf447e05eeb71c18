//! What holds whatever the reports say.

use super::*;
use crate::{
    close_form::{CloseForm, MessageKind, ServerMessage, TcpEnd},
    lifetime::{Lifetime, Spread},
    report::{ArmReport, Clocks, Ending, LaneEnd, Outcome, Phase, Report},
};
use jiff::Timestamp;
use proptest::{collection::vec, option, prelude::*, sample::select};

fn ms() -> impl Strategy<Value = i64> {
    prop_oneof![0..4_000_000_i64, any::<i64>()]
}

fn form() -> impl Strategy<Value = CloseForm> {
    let ends = vec![TcpEnd::Fin, TcpEnd::Rst, TcpEnd::TimedOut, TcpEnd::Errno(103), TcpEnd::Open];
    let codes = vec!["57P01", "57P02", "57P05", "25P03", "25P04", "08P01", "57014", "XX000"];
    (select(ends), option::of((select(codes), "[a-z_ ]{0,20}")), any::<bool>()).prop_map(
        |(tcp, said, on_write)| {
            let message = |(code, text): (&str, String)| ServerMessage {
                kind: MessageKind::Error,
                severity: "FATAL".into(),
                code: code.into(),
                text,
                routine: None,
            };
            CloseForm::new(said.map(message).into_iter().collect(), None, tcp, on_write)
        },
    )
}

prop_compose! {
    fn lane()(
        lane in 0..20_i32,
        at in 1_800_000_000_000..1_800_004_000_000_i64,
        clocks in option::of((ms(), option::of(ms()), option::of(ms()), option::of(ms()), option::of(ms()))),
        lifetime in option::of((ms(), option::of(ms()))),
        host in 0..2_u8,
    ) -> LaneEnd {
        let clocks = clocks.map(|(connect_ms, client_byte_ms, server_byte_ms, request_ms, begin_ms)| Clocks {
            connect_ms, client_byte_ms, server_byte_ms, request_ms, begin_ms, set_ms: None, listen_ms: begin_ms,
        });
        LaneEnd {
            lane,
            phase: Phase::Hold,
            at: Timestamp::from_millisecond(at).unwrap(),
            lifetime: lifetime.map(|(min_ms, max_ms)| Lifetime { min_ms, max_ms }),
            clocks,
            requests: None,
            tcp_info: None,
            local_port: None,
            peer: Some(format!("10.0.0.{host}:5432")),
        }
    }
}

prop_compose! {
    fn ending()(
        outcome in select(vec![
            Outcome::Survived, Outcome::Disconnected, Outcome::Disconnected, Outcome::RequestFailed, Outcome::Deaf,
            Outcome::ConnectFailed, Outcome::Inconclusive,
        ]),
        form in option::of(form()),
        lanes in vec(lane(), 0..6),
        unlisted in prop_oneof![0..3_i32, Just(i32::MAX - 10)],
        ages in vec(ms(), 0..4),
    ) -> Ending {
        let n = i32::try_from(lanes.len()).unwrap() + unlisted;
        Ending { outcome, reason: None, form, detail: None, n, lifetime: Spread::of(ages), lanes }
    }
}

/// A run of the plan with any reports of these workloads.
fn reported(workloads: &[&str], endings: Vec<Vec<Ending>>) -> ConnectionProbeRun {
    let mut run = run(&plan(), [&[], &[]], Some(inventory()), 1);
    let status = run.status.as_mut().unwrap();
    for (name, endings) in workloads.iter().zip(endings) {
        let report = status.workloads.iter_mut().find(|it| it.workload == *name).unwrap();
        let report: &mut Report = report.report.as_mut().unwrap();
        report.arms = vec![ArmReport { connections: i32::MAX, endings, ..ArmReport::default() }];
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_report_gives_findings_within_their_bounds_and_their_order_does_not_count(
        endings in vec(vec(ending(), 0..4), 3),
        turn in 0..9_usize,
    ) {
        let run = reported(&["idle", "heartbeat", "listen"], endings);
        let findings = diagnosed(&run);
        prop_assert!(findings.len() <= MAX_FINDINGS);
        for finding in &findings {
            let lines = finding.evidence.iter().chain(&finding.not_excluded);
            let texts = lines.chain([&finding.observed, &finding.meaning, &finding.next_step]);
            for text in texts {
                prop_assert!(text.chars().count() <= finding::MAX_SENTENCE, "{text}");
            }
        }
        let mut turned = run;
        let status = turned.status.as_mut().unwrap();
        status.workloads.rotate_left(turn);
        for report in status.workloads.iter_mut().filter_map(|it| it.report.as_mut()) {
            for arm in &mut report.arms {
                arm.endings.reverse();
                arm.endings.iter_mut().for_each(|ending| ending.lanes.reverse());
            }
        }
        prop_assert_eq!(findings, diagnosed(&turned));
    }

    #[test]
    fn a_single_cut_without_a_message_is_never_sure(
        seed in any::<u64>(),
        how in select(vec![How::Fin, How::Reset, How::Forgets, How::Drops]),
        at in MINUTE..50 * MINUTE,
    ) {
        let probe = probe("connections: 1, duration: 50m, workloads: [{ name: i, idle: {} }]");
        let findings = diagnosed(&run(&probe, [&[killer(When::Age(at, 0.0), how)], &[]], None, seed));
        prop_assert!(!findings.iter().any(|it| it.confidence.is_sure()), "{}", told(&findings));
    }

    #[test]
    fn what_happens_on_one_path_is_never_found_on_the_other(
        row in select(alone()),
        seed in any::<u64>(),
    ) {
        let probe = probe("preset: PulpPlan, duration: 50m, control: { port: 1 }");
        let killers = std::slice::from_ref(&row.2);
        let none: &[Killer] = &[];
        let both = diagnosed(&run(&probe, [killers, killers], None, seed));
        let target = diagnosed(&run(&probe, [killers, none], None, seed));
        let control = diagnosed(&run(&probe, [none, killers], None, seed));
        prop_assert!(target.iter().all(|it| it.arm == Arm::Target));
        let cut = |it: &&Finding| it.cause != Cause::NoCut;
        prop_assert!(control.iter().filter(cut).all(|it| it.arm == Arm::Control));
        let held = |finding: &Finding| finding.of <= 45 && finding.n <= finding.of;
        prop_assert!(both.iter().all(held), "{}", told(&both));
    }

    #[test]
    fn random_cuts_are_never_surely_anything(seed in any::<u64>(), mean in 5..60_i64) {
        let killers = [killer(When::Random(mean * MINUTE), How::Fin)];
        let findings = diagnosed(&run(&plan(), [&killers, &[]], None, seed));
        let sure = findings.iter().filter(|it| it.confidence.is_sure() && it.cause != Cause::NoCut);
        prop_assert!(sure.count() == 0, "{}", told(&findings));
    }
}
