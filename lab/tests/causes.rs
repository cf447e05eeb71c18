//! Causes that are injected for real are named, by the release binary: `make bench AREA=diagnosis` has all of them, with more
//! timers and staggerings.

use lab::causes::{self, CASES, Grade};
use tokio::task::JoinSet;

/// A server's timer, a pooler's, a proxy's, devices that tell nobody, a limit on age, and an event.
const SOME: [&str; 7] = [
    "PostgreSQL idle_session_timeout",
    "PgBouncer client_idle_timeout, transaction",
    "HAProxy timeout client, server",
    "flows forgotten after silence",
    "flows dropped after silence",
    "lifetime",
    "restart",
];

#[tokio::test(flavor = "multi_thread")]
async fn injected_causes_are_named_and_no_others() {
    let mut runs = JoinSet::new();
    for name in SOME {
        let case = CASES.iter().find(|case| case.name == name).expect("a case of that name");
        runs.spawn(async move { (case, causes::run(case, 0).await) });
    }
    while let Some(run) = runs.join_next().await {
        let (case, run) = run.expect("no panic");
        let run = run.expect("a run");
        assert_eq!(
            causes::grade(case, &run),
            Grade::Right,
            "{}: {}",
            case.name,
            causes::told(&run)
        );
    }
}
