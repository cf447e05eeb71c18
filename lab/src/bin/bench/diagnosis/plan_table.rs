//! The hand-written plan's own table of causes, read as it is written, on the same runs.

use api::{
    ConnectionProbeRun,
    diagnosis::Cause,
    report::{Arm, Outcome},
};
use lab::causes::{Case, Grade};

/// What became of one of its tests: it holds one connection, and looks when the window ends.
#[derive(Clone, Copy, PartialEq)]
enum Test {
    Alive,
    Dead { after_ms: i64 },
    Unknown,
}

/// What its words mean among the causes: it knows one idle timer, and "pinning" for all that differs by it.
const IDLE: &[Cause] = &[
    Cause::ByteIdleTimer,
    Cause::FlowForgotten,
    Cause::IdleSessionTimeout,
    Cause::IdleTimer,
    Cause::PoolerIdleTimeout,
    Cause::RequestIdleTimer,
    Cause::SilentDrop,
];
const IN_TRANSACTION: &[Cause] = &[Cause::IdleInTransactionTimeout];
const PINNING: &[Cause] = &[Cause::PinnedTimer];

/// How good its answer is: it knows no doubt.
pub(super) fn grade(case: &Case, run: &ConnectionProbeRun) -> Grade {
    let named = causes(run);
    let meant = |words: &[Cause], cause: &[Cause]| cause.iter().any(|it| words.contains(it));
    if named.iter().any(|words| !case.causes.iter().any(|cause| meant(words, cause))) {
        return Grade::WrongSure;
    }
    let found = |cause: &&[Cause]| named.iter().any(|words| meant(words, cause));
    if case.causes.iter().all(found) { Grade::Right } else { Grade::Unknown }
}

/// The causes that it names. Each of its sentences that holds names one; `Test 8` is not run.
fn causes(run: &ConnectionProbeRun) -> Vec<&'static [Cause]> {
    let [idle, beat, transaction, set, listen, notified] =
        ["idle", "heartbeat", "idle-in-transaction", "session-variable", "listen", "listen-notify"]
            .map(|workload| test(run, workload));
    let dead = |test: Test| matches!(test, Test::Dead { .. });
    let alive = |test: Test| test == Test::Alive;
    let earlier = |a: Test, b: Test| match (a, b) {
        (Test::Dead { after_ms: a }, Test::Dead { after_ms: b }) => a + 1000 < b,
        (Test::Dead { .. }, Test::Alive) => true,
        _ => false,
    };
    let mut causes = Vec::new();
    // "If Test 2 succeeds: idle connection timeout (confirmed)": where Test 1, its reason to ask, was cut.
    if alive(beat) && dead(idle) {
        causes.push(IDLE);
    }
    // "If Test 3 fails before Test 1: PostgreSQL idle_in_transaction_timeout."
    if earlier(transaction, idle) {
        causes.push(IN_TRANSACTION);
    }
    // "If Test 5 shows different behavior: connection pinning affecting timeout."
    if dead(set) != dead(idle) && set != Test::Unknown && idle != Test::Unknown {
        causes.push(PINNING);
    }
    // "If Test 6 fails: pinned connections have same IdleClientTimeout"; "if Test 6 fails but Test 7 succeeds: need
    // periodic activity"; "if 6 and 7 fail at the same time as Test 1: IdleClientTimeout".
    if dead(listen) {
        causes.push(IDLE);
    }
    // "If Tests 6/7 succeed but Test 1 fails: pinned connections treated differently."
    if alive(listen) && alive(notified) && dead(idle) {
        causes.push(PINNING);
    }
    causes
}

fn test(run: &ConnectionProbeRun, workload: &str) -> Test {
    let reports = run.status.iter().flat_map(|status| status.arms(Arm::Target));
    let mut endings =
        reports.filter(|(name, _)| *name == workload).flat_map(|(_, arm)| &arm.endings);
    let first = endings.find_map(|ending| {
        let lane = ending.lanes.iter().find(|lane| lane.lane == 0)?;
        Some((ending.outcome, lane.lifetime))
    });
    match first {
        Some((Outcome::Disconnected | Outcome::RequestFailed, lifetime)) => {
            let after_ms = lifetime.and_then(|lifetime| lifetime.max_ms).unwrap_or(0);
            Test::Dead { after_ms }
        }
        Some((Outcome::Survived | Outcome::Deaf, _)) => Test::Alive,
        _ => Test::Unknown,
    }
}
