//! The worst that a report can hold, forged ones included.

use super::*;
use crate::{
    ConnectionProbeRun,
    close_form::{CloseForm, MessageKind, ServerMessage, TcpEnd, TlsEnd},
    lifetime::Lifetime,
    manifest,
    report::{
        Arm, Clocks, Cost, Counts, LaneEnd, Lapses, Notifications, Phase, Problem, ProblemReason,
        Reconnect, Server, TcpInfo, TcpTimers,
    },
};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube::CustomResourceExt;
use proptest::prelude::*;
use std::sync::LazyLock;

fn lane(lane: i32) -> LaneEnd {
    let big = i64::from(i32::MAX);
    LaneEnd {
        lane,
        phase: Phase::LeadIn,
        at: Timestamp::constant(1_800_000_000, 123_000_000),
        lifetime: Some(Lifetime { min_ms: big, max_ms: Some(big) }),
        clocks: Some(Clocks {
            connect_ms: big,
            client_byte_ms: Some(big),
            server_byte_ms: Some(big),
            request_ms: Some(big),
            begin_ms: Some(big),
            set_ms: Some(big),
            listen_ms: Some(big),
        }),
        requests: Some(i32::MAX),
        tcp_info: Some(TcpInfo {
            retransmits: 255,
            probes: 255,
            backoff: 255,
            unacked: i32::MAX,
            last_ack_recv_ms: big,
            last_data_recv_ms: big,
            rtt_us: big,
        }),
        local_port: Some(65535),
        peer: Some("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".into()),
    }
}

prop_compose! {
    fn ending()(
        text in "\\PC{0,300}",
        routine in proptest::option::of("\\PC{0,100}"),
        messages in 0_usize..=6,
        lanes in prop_oneof![4 => 0_i32..4, 1 => 0_i32..40],
        failed in any::<bool>(),
        detail in proptest::option::of("\\PC{0,300}"),
    ) -> Ending {
        let message = ServerMessage {
            kind: MessageKind::Error,
            severity: "FATAL".into(),
            code: "57P01".into(),
            text,
            routine,
        };
        let form = CloseForm::new(
            vec![message; messages],
            Some(TlsEnd::Alert("certificate_unknown".into())),
            TcpEnd::Errno(-999),
            true,
        );
        Ending {
            outcome: if failed { Outcome::ConnectFailed } else { Outcome::Disconnected },
            reason: None,
            form: Some(form),
            detail,
            n: lanes.max(1),
            lifetime: Spread::of(vec![i64::from(lanes); 3]),
            lanes: (0..lanes).map(lane).collect(),
        }
    }
}

fn report(endings: &[Ending]) -> Report {
    let mut counts = Counts::default();
    endings.iter().for_each(|e| counts.count(e.outcome, e.n));
    Report {
        workload: "w".repeat(40),
        started_at: Timestamp::constant(1_800_000_000, 123_000_000),
        ended_at: Some(Timestamp::constant(1_800_000_000, 123_000_000)),
        arms: [Arm::Target, Arm::Control]
            .map(|arm| ArmReport {
                arm,
                connections: counts.ended(),
                counts,
                cut_lifetime: Spread::of(vec![i64::MAX; 2]),
                endings: endings.to_vec(),
                server: Some(Server {
                    version: Some("\u{1}".repeat(64)),
                    tls: Some("TLSv1.3, VerifyFull".into()),
                    auth: Some("ScramSha256Plus".into()),
                }),
                tcp: Some(TcpTimers {
                    keepalive_idle_seconds: i32::MAX,
                    keepalive_interval_seconds: i32::MAX,
                    keepalive_count: 127,
                    user_timeout_ms: Some(i64::from(u32::MAX)),
                }),
                cost: Some(Cost {
                    requests: i64::MAX,
                    bytes_sent: i64::MAX,
                    bytes_received: i64::MAX,
                }),
                reconnect: Some(Reconnect {
                    outages: i32::MAX,
                    attempts: i32::MAX,
                    longest_outage_ms: Some(i64::MAX),
                    unended_after_ms: Some(i64::MAX),
                    last_error: Some("\u{1}".repeat(200)),
                    server_started_at: Some(Timestamp::constant(1_800_000_000, 123_000_000)),
                    in_recovery: Some(false),
                    server_address: Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".into()),
                }),
                notifications: Some(Notifications {
                    sent: i32::MAX,
                    send_failed: i32::MAX,
                    heard_by_sender: i32::MAX,
                    expected: i32::MAX,
                    received: i32::MAX,
                }),
                ladder: (0..32)
                    .map(|n: i32| Rung {
                        silence_ms: 86_000_000 + i64::from(n),
                        cut: n / 16 * 2,
                        survived: 2,
                    })
                    .collect(),
            })
            .to_vec(),
        stalls: Some(Lapses { n: i32::MAX, longest_ms: i64::MAX }),
        clock_steps: Some(Lapses { n: i32::MAX, longest_ms: i64::MAX }),
        ..Report::default()
    }
}

/// What the API server would have against a report in a run's status.
fn refusals(report: &Report) -> Vec<String> {
    static SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(|| {
        let crd = serde_json::to_value(ConnectionProbeRun::crd()).unwrap();
        let run = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
        let workload = &run["status"]["properties"]["workloads"]["items"]["properties"];
        serde_json::from_value(workload["report"].clone()).unwrap()
    });
    let mut refusals = Vec::new();
    manifest::check(&SCHEMA, &serde_json::to_value(report).unwrap(), "", &mut refusals);
    refusals
}

/// Large reports take their time.
fn a_quarter() -> ProptestConfig {
    let all = ProptestConfig::default();
    ProptestConfig { cases: all.cases / 4, ..all }
}

proptest! {
    #![proptest_config(a_quarter())]
    #[test]
    fn any_bytes_are_a_report_that_can_be_kept_or_none(
        endings in proptest::collection::vec(ending(), 0..3),
        at in any::<proptest::sample::Index>(),
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let _ = Report::parse(&String::from_utf8_lossy(&bytes));
        let mut message = report(&endings).to_message().into_bytes();
        let at = at.index(message.len());
        let end = message.len().min(at + bytes.len());
        message.splice(at..end, bytes);
        if let Ok(report) = Report::parse(&String::from_utf8_lossy(&message)) {
            prop_assert_eq!(refusals(&report), Vec::<String>::new());
        }
    }

    #[test]
    fn any_report_fits_and_keeps_its_counts(
        endings in proptest::collection::vec(ending(), 0..16),
        disputed in any::<bool>(),
    ) {
        let mut whole = report(&endings);
        // Rungs that contradict each other all say something.
        let ladder = whole.arms[0].ladder.iter_mut().step_by(2);
        ladder.filter(|_| disputed).for_each(|rung| rung.cut = 1);
        let message = whole.to_message();
        prop_assert!(message.len() <= LIMIT, "{} bytes", message.len());
        let read = Report::parse(&message).unwrap();
        // Somebody else might have written all of it.
        let forged = Report::parse(&serde_json::to_string(&whole).unwrap()).unwrap();
        prop_assert_eq!(&forged, &read);
        prop_assert_eq!(refusals(&read), Vec::<String>::new());
        prop_assert_eq!(read.arms[0].counts, whole.arms[0].counts);
        for arm in &read.arms {
            let kept: i32 = arm.endings.iter().map(|e| e.n).sum();
            prop_assert_eq!(kept, whole.arms[0].counts.ended());
        }
    }
}

#[test]
fn five_cut_connections_are_told_one_by_one_and_survivors_make_room_for_them() {
    let mut ending = Ending {
        outcome: Outcome::Disconnected,
        reason: None,
        form: Some(CloseForm::new(Vec::new(), None, TcpEnd::Fin, false)),
        detail: None,
        n: 5,
        lifetime: None,
        lanes: (0..5).map(lane).collect(),
    };
    ending.lifetime = Spread::of(vec![1, 2, 3, 4, 5]);
    let survivors = Ending { outcome: Outcome::Survived, form: None, ..ending.clone() };
    let listed = |endings: &[Ending]| -> Vec<usize> {
        let mut report = report(endings);
        report.arms.truncate(1);
        report.arms[0].ladder.clear();
        let read = Report::parse(&report.to_message()).unwrap();
        read.arms[0].endings.iter().map(|ending| ending.lanes.len()).collect()
    };
    assert_eq!(listed(&[ending.clone()]), [5]);
    // The longest values that there are: the head of the survivors takes the room of one.
    assert_eq!(listed(&[ending, survivors]), [4, 0]);
}

#[test]
fn rungs_that_decide_nothing_go_before_those_that_do() {
    let rung = |silence_ms: i64, cut| Rung { silence_ms, cut, survived: 2 - cut };
    let mut arm = ArmReport {
        ladder: (0..32).map(|n| rung(n, if n < 20 { 0 } else { 2 })).collect(),
        ..ArmReport::default()
    };
    arm.thin_ladder();
    assert_eq!(arm.ladder, [rung(0, 0), rung(19, 0), rung(20, 2), rung(31, 2)]);
}

#[test]
fn a_problem_of_hostile_length_still_fits() {
    let problem = Problem { reason: ProblemReason::SecretKeyMissing, message: "\u{1}".repeat(600) };
    let report = Report::of_problem("w", Timestamp::UNIX_EPOCH, problem);
    assert!(report.to_message().len() <= LIMIT);
}
