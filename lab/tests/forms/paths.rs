//! Two paths side by side, and many connections.

use super::{assert_announced, done, holding, ms, pgbouncer_with, postgres_with};
use api::{
    close_form::CloseWord,
    pattern::Pattern,
    report::{Arm, Outcome, Report},
};
use lab::{
    postgres,
    relay::{Fault, Relay},
};
use tokio::time::sleep;

/// Lanes of each arm in the test of many.
const MANY: usize = 500;

/// How many survived and how many were cut, by arm.
fn by_arm(report: &Report) -> Vec<(Arm, i32, i32)> {
    let arms = report.arms.iter();
    arms.map(|arm| (arm.arm, arm.counts.survived, arm.counts.disconnected)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cuts_the_target_alone_spares_the_control() {
    let postgres = postgres_with(&postgres::Options::default());
    let pooler = pgbouncer_with(&postgres, "pool_mode = transaction\nclient_idle_timeout = 1");
    let held = holding(pooler.port).control(postgres.port).connections(3).duration(ms(4000));
    let report = held.run().await;
    assert_eq!(by_arm(&report), [(Arm::Target, 0, 3), (Arm::Control, 3, 0)], "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_connections_none_disturbs_another() {
    rlimit::increase_nofile_limit(20_000).expect("descriptors");
    let postgres = postgres_with(&postgres::Options::default());
    let pooler = pgbouncer_with(
        &postgres,
        // A debug build takes a minute for a thousand SCRAM logins.
        "auth_type = trust\npool_mode = transaction\nmax_client_conn = 1200",
    );
    let (target, control) = (Relay::start(pooler.port).await, Relay::start(pooler.port).await);
    let beat = Pattern::Heartbeat { interval_ms: 2000, statement: "SELECT 1".into() };
    let held = holding(target.port)
        .control(control.port)
        .pattern(beat)
        .connections(MANY)
        .duration(ms(30_000))
        .start();
    while target.accepted() < MANY || control.accepted() < MANY {
        sleep(ms(100)).await;
    }
    sleep(ms(3000)).await;
    // Five hundred requests stay unanswered while five hundred connections are closed.
    target.fault(Fault::BlackHole);
    sleep(ms(2500)).await;
    let cut = done(|| control.fault(Fault::Fin));
    let report = held.report().await;
    let many = i32::try_from(MANY).expect("few");
    assert_eq!(by_arm(&report), [(Arm::Target, 0, many), (Arm::Control, 0, many)]);
    let words = report.arms.iter().map(|arm| {
        let endings = arm.endings.iter().filter(|ending| ending.outcome == Outcome::Disconnected);
        endings.filter_map(|ending| Some((ending.form.as_ref()?.word, ending.n))).collect()
    });
    let [silent, closed]: [Vec<_>; 2] = words.collect::<Vec<_>>().try_into().expect("two arms");
    assert_eq!(silent, [(CloseWord::TimedOut, many)]);
    // A FIN may meet a request that is under way; then the end is an interval.
    assert!(closed.iter().all(|(word, _)| *word == CloseWord::Fin), "{closed:?}");
    let idle = report.arms[1]
        .endings
        .iter()
        .filter(|ending| ending.form.as_ref().is_some_and(|form| !form.on_write));
    let mut lanes = idle.flat_map(|ending| &ending.lanes).peekable();
    assert!(lanes.peek().is_some(), "{report:#?}");
    lanes.for_each(|lane| assert_announced(lane, cut));
}
