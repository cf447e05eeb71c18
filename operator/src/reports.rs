//! Reports of probes, for tests.

use api::{
    Report,
    close_form::{CloseForm, MessageKind, ServerMessage, TcpEnd},
    lifetime::Spread,
    report::{ArmReport, Counts, Ending, Outcome},
};
use jiff::Timestamp;

/// When the tests begin.
pub(crate) const START: Timestamp = Timestamp::constant(1_800_000_000, 0);

/// Five connections, some cut by PgBouncer's client_idle_timeout, the others alive at the end.
pub(crate) fn report(workload: &str, cut: i32, after_ms: i64) -> Report {
    let message = ServerMessage {
        kind: MessageKind::Error,
        severity: "FATAL".into(),
        code: "08P01".into(),
        text: "client_idle_timeout".into(),
        routine: None,
    };
    let form = CloseForm::new(vec![message], None, TcpEnd::Fin, false);
    let mut report = survivors(workload, 5, 60_000);
    let arm = &mut report.arms[0];
    arm.counts = Counts { disconnected: cut, survived: 5 - cut, ..Counts::default() };
    arm.cut_lifetime = Spread::of(vec![after_ms]);
    arm.endings.insert(0, ending(Outcome::Disconnected, Some(form), cut, after_ms));
    report
}

/// A report that was written when a signal came: some were cut before, of the others nothing is known.
pub(crate) fn interrupted(workload: &str, cut: i32) -> Report {
    let mut report = if cut > 0 { report(workload, cut, 9_000) } else { survivors(workload, 5, 0) };
    report.ended_at = None;
    let arm = &mut report.arms[0];
    arm.endings.retain(|ending| ending.outcome == Outcome::Disconnected);
    arm.counts = Counts { disconnected: cut, inconclusive: 5 - cut, ..Counts::default() };
    report
}

pub(crate) fn survivors(workload: &str, n: i32, after_ms: i64) -> Report {
    Report {
        workload: workload.into(),
        started_at: START,
        ended_at: Some(START),
        arms: vec![ArmReport {
            connections: n,
            counts: Counts { survived: n, ..Counts::default() },
            endings: vec![ending(Outcome::Survived, None, n, after_ms)],
            ..ArmReport::default()
        }],
        ..Report::default()
    }
}

pub(crate) fn no_login(workload: &str, n: i32) -> Report {
    let mut report = survivors(workload, n, 0);
    report.arms[0].counts = Counts { connect_failed: n, ..Counts::default() };
    let detail = Some("FATAL 28P01 password authentication failed".into());
    report.arms[0].endings = vec![Ending { detail, ..ending(Outcome::ConnectFailed, None, n, 0) }];
    report
}

fn ending(outcome: Outcome, form: Option<CloseForm>, n: i32, after_ms: i64) -> Ending {
    let lifetime = Spread::of(vec![after_ms; usize::try_from(n).unwrap()]);
    Ending { outcome, reason: None, form, detail: None, n, lifetime, lanes: vec![] }
}
