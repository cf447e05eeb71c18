use super::*;
use crate::{
    close::Verdict,
    connect::Refusal,
    life::Life,
    reconnect::{Answerer, Cut},
};
use api::{
    close_form::{CloseForm, MessageKind, ServerMessage, TcpEnd},
    lifetime::Lifetime,
    report::{Inconclusive, LIMIT, MAX_ENDINGS, Outcome, Phase},
};
use std::time::Duration;

fn recorder(connections: usize) -> (Recorder, Instant) {
    let start = Instant::now();
    let clock = Clock::new("2026-03-01T12:00:00Z".parse().unwrap(), start);
    (Recorder::new("idle", &[Arm::Target], connections, clock, start), start)
}

fn message(text: &str) -> ServerMessage {
    ServerMessage {
        kind: MessageKind::Error,
        severity: "FATAL".into(),
        code: "57P01".into(),
        text: text.into(),
        routine: None,
    }
}

fn cut(start: Instant, seconds: u64, messages: Vec<ServerMessage>) -> End {
    let (life, age) = (Life::new(start), Duration::from_secs(seconds));
    let verdict = Verdict {
        outcome: Outcome::Disconnected,
        reason: None,
        form: CloseForm::new(messages, None, TcpEnd::Fin, false),
        noticed: start + age,
        lifetime: Lifetime::exact(age),
        clocks: life.clocks(start + age),
        requests: 0,
        tcp_info: None,
    };
    End::cut(verdict, Phase::Hold)
}

fn survived(start: Instant) -> End {
    let mut life = Life::new(start);
    life.proof = start + Duration::from_secs(3000);
    End::answered(&life, None, false)
}

#[tokio::test(start_paused = true)]
async fn ends_that_look_alike_are_told_together_the_earliest_first() {
    let (mut recorder, start) = recorder(5);
    (0..5).for_each(|_| recorder.connected(Arm::Target, &Server::default(), None));
    recorder.ended(Arm::Target, 3, cut(start, 40, vec![]));
    recorder.ended(Arm::Target, 1, cut(start, 30, vec![message("a")]));
    recorder.ended(Arm::Target, 2, cut(start, 20, vec![]));
    recorder.ended(Arm::Target, 0, survived(start));
    assert_eq!((recorder.arms()[0].alive(), recorder.arms()[0].waiting()), (1, 0));

    let report = recorder.report(None);
    assert_eq!(report.ended_at, None);
    let arm = &report.arms[0];
    assert_eq!((arm.counts.disconnected, arm.counts.survived), (3, 1));
    let told: Vec<_> = arm
        .endings
        .iter()
        .map(|e| (e.outcome, e.n, e.lanes.iter().map(|l| l.lane).collect::<Vec<_>>()))
        .collect();
    use Outcome::{Disconnected, Survived};
    let wanted =
        [(Disconnected, 2, vec![2, 3]), (Disconnected, 1, vec![1]), (Survived, 1, vec![0])];
    assert_eq!(told, wanted);
    let spread = arm.cut_lifetime.unwrap();
    assert_eq!((spread.n, spread.min_ms, spread.median_ms), (3, 20_000, 30_000));
    assert_eq!(arm.endings[0].lanes[0].at.to_string(), "2026-03-01T12:00:20Z");
    // A survivor's lifetime is a lower bound.
    assert_eq!(arm.endings[2].lanes[0].lifetime.unwrap().max_ms, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_noticed_after_a_stall_has_lived_as_long_as_was_seen() {
    let (mut recorder, start) = recorder(1);
    recorder.connected(Arm::Target, &Server::default(), None);
    let mut end = cut(start, 700, vec![]);
    (end.outcome, end.reason) = (Outcome::Inconclusive, Some(Inconclusive::ProbeStalled));
    end.lifetime = Some(Lifetime { min_ms: 100_000, max_ms: Some(700_000) });
    recorder.ended(Arm::Target, 0, end);
    let report = recorder.report(None);
    assert_eq!(report.arms[0].endings[0].lifetime.unwrap().max_ms, 100_000);
}

#[tokio::test(start_paused = true)]
async fn a_failed_login_has_no_lifetime_and_harms_readiness() {
    let (mut recorder, start) = recorder(2);
    assert!(recorder.is_unharmed());
    recorder.ended(Arm::Target, 0, survived(start));
    assert!(recorder.is_unharmed());
    let refusal = Refusal {
        reason: None,
        form: None,
        detail: "TCP connect: Connection refused".into(),
        peer: None,
    };
    recorder.ended(Arm::Target, 1, End::refused(refusal, start));
    assert!(!recorder.is_unharmed());
    let report = recorder.report(Some(start));
    let failed = &report.arms[0].endings[0];
    assert_eq!((failed.outcome, failed.lifetime), (Outcome::ConnectFailed, None));
    assert_eq!(failed.lanes[0].phase, Phase::Connect);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_different_ends_fit_and_keep_their_count() {
    let (mut recorder, start) = recorder(10_000);
    for lane in 0..10_000 {
        let said = vec![message(&format!("connection {lane} closed"))];
        recorder.ended(Arm::Target, lane, cut(start, 30, said));
    }
    assert!(recorder.report(None).arms[0].endings.len() <= 65);
    let message = recorder.report(None).to_message();
    assert!(message.len() <= LIMIT);
    let arm = Report::parse(&message).unwrap().arms.remove(0);
    assert!(arm.endings.len() <= MAX_ENDINGS);
    assert_eq!(arm.endings.iter().map(|e| e.n).sum::<i32>(), 10_000);
    assert_eq!(arm.cut_lifetime.unwrap().n, 10_000);
}

#[tokio::test(start_paused = true)]
async fn the_first_connection_tells_of_the_server() {
    let (mut recorder, _) = recorder(2);
    for version in ["15.18", "16.1"] {
        let server = Server { version: Some(version.into()), ..Server::default() };
        recorder.connected(Arm::Target, &server, None);
    }
    let server = recorder.report(None).arms.remove(0).server;
    assert_eq!(server.unwrap().version.as_deref(), Some("15.18"));
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_ends_leaves_the_one_that_did_not() {
    let (mut recorder, start) = recorder(2);
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut tried = |cut, first, began, ended, answered: bool| {
        let cut = Cut { lane: 0, at: at(cut) };
        let result = answered.then(Answerer::default).ok_or_else(|| format!("at {began}"));
        let attempt = Attempt { cut, first, began: at(began), ended: at(ended), result };
        recorder.reconnected(Arm::Target, attempt);
        let told = recorder.report(None).arms.remove(0).reconnect.unwrap();
        (told.outages, told.attempts, told.longest_outage_ms, told.unended_after_ms)
    };
    assert_eq!(tried(100, true, 100, 110, false), (1, 1, None, Some(0)));
    assert_eq!(tried(100, false, 160, 170, false), (1, 2, None, Some(60_000)));
    assert_eq!(tried(300, true, 300, 301, false), (2, 3, None, Some(60_000)));
    assert_eq!(tried(300, false, 305, 306, true), (2, 4, Some(6_000), Some(60_000)));
    assert_eq!(tried(400, true, 400, 401, true), (3, 5, Some(6_000), Some(60_000)));
    let told = recorder.report(None).arms.remove(0).reconnect.unwrap();
    assert_eq!(told.last_error.as_deref(), Some("at 300"));
}
