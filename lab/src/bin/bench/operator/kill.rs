//! What becomes of runs when the operator or a part around it is struck: while they begin, while their
//! connections are held, and while they end.

use super::{
    alone,
    blow::Blow,
    calls_in,
    objects::{names, probe},
};
use crate::figure::Figure;
use anyhow::Result;
use api::{ConnectionProbe, ConnectionProbeRun, conditions::Verdict, report::Arm};
use kube::api::PostParams;
use lab::{
    audit,
    cluster::{Namespace, eventually},
    holding::now,
};
use serde_json::json;
use std::{fmt, time::Duration};
use tokio::{
    join,
    time::{Instant, sleep},
};

/// Probes that each blow is about.
const PROBES: usize = 10;
/// Those among them that are made before a blow at the creation; the others come during it.
const BEFORE: usize = 5;
/// Time between two creations: their runs are then at different steps.
const GAP: Duration = Duration::from_millis(5);
/// Seconds that connections are held; and where the node is lost for a while.
const HOLD: u64 = 15;
const LONG_HOLD: u64 = 60;
/// From the moment that all are held to shortly before the first has been held long enough: some pods
/// start seconds before others.
const BEFORE_ENDS: Duration = Duration::from_secs(9);
/// Pods that have ended when a blow strikes among the ends.
const ENDED: usize = 3;
/// How long runs may take after a blow.
const LIMIT: Duration = Duration::from_secs(150);

/// When a blow strikes.
#[derive(Clone, Copy, Debug)]
enum Moment {
    Creation,
    Run,
    BeforeEnds,
    AmongEnds,
}

/// What came of a blow.
struct Case {
    blow: Blow,
    moment: Moment,
    /// Runs and Jobs that had been made when it struck.
    made: [usize; 2],
    /// Seconds from the end of the blow to the end of the last run.
    seconds: f64,
    false_drops: usize,
    lost: usize,
    duplicates: usize,
}

pub(super) async fn figures() -> Result<Vec<Figure>> {
    println!(
        "{:36} {:15} {:>4} {:>4} {:>7} {:>11} {:>5} {:>10}",
        "blow", "at", "runs", "Jobs", "seconds", "false drops", "lost", "duplicates"
    );
    let mut cases = Vec::new();
    for (blow, moment) in blows() {
        let case = alone(async |ns| case(ns, blow, moment).await).await?;
        println!("{case}");
        cases.push(case);
    }
    let probes = cases.len() * PROBES;
    let sum = |of: fn(&Case) -> usize| cases.iter().map(of).sum();
    Ok(vec![
        Figure::count("kill.cases", "blows", cases.len(), probes),
        Figure::count("kill.false_drops", "lanes", sum(|case| case.false_drops), probes),
        Figure::count("kill.lost_runs", "runs", sum(|case| case.lost), probes),
        Figure::count("kill.duplicate_jobs", "objects", sum(|case| case.duplicates), probes),
    ])
}

/// A kill is over in a moment, so it strikes among the ends, and more often; what lasts strikes before
/// the first end and is over after the last.
fn blows() -> impl Iterator<Item = (Blow, Moment)> {
    let killed = [Moment::Creation, Moment::Creation, Moment::Run, Moment::AmongEnds];
    let killed = killed.into_iter().flat_map(|at| [(Blow::OperatorKilled, at); 2]);
    let outages = [
        Blow::OperatorAway,
        Blow::ApiServerKilled,
        Blow::ApiServerAway,
        Blow::EtcdAway,
        Blow::EtcdFrozen,
        Blow::ConnectionsReset,
        Blow::PacketsLost,
        Blow::FlowsForgotten,
    ];
    let moments = [Moment::Creation, Moment::Run, Moment::BeforeEnds];
    let outages = outages.into_iter().flat_map(move |blow| moments.map(|at| (blow, at)));
    let disruptions = [(Blow::PodsEvicted, Moment::Run), (Blow::NodeLost, Moment::Run)];
    killed.chain(outages).chain(disruptions)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Creation => "creation",
            Self::Run => "run",
            Self::BeforeEnds => "before the ends",
            Self::AmongEnds => "among the ends",
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blow, moment, made: [runs, jobs], seconds, false_drops, lost, duplicates } =
            self;
        // Padding is heeded by strings.
        let [blow, moment] = [blow.to_string(), moment.to_string()];
        write!(f, "{blow:36} {moment:15} {runs:4} {jobs:4} {seconds:7.1} ")?;
        write!(f, "{false_drops:11} {lost:5} {duplicates:10}")
    }
}

async fn case(ns: &Namespace, blow: Blow, moment: Moment) -> Result<Case> {
    let mark = audit::mark();
    let hold = if blow == Blow::NodeLost { LONG_HOLD } else { HOLD };
    let mut probes = names("p", PROBES).map(|name| to_hold(name, hold));
    match moment {
        Moment::Creation => make(ns, probes.by_ref().take(BEFORE)).await,
        Moment::Run | Moment::BeforeEnds | Moment::AmongEnds => {
            make(ns, probes.by_ref()).await;
            ns.holding(PROBES).await;
        }
    }
    match moment {
        Moment::Creation | Moment::Run => {}
        Moment::BeforeEnds => sleep(BEFORE_ENDS).await,
        Moment::AmongEnds => among_ends(ns).await,
    }
    let struck_ms = now().as_millisecond();
    let (struck, ()) = join!(blow.strike(ns), make(ns, probes));
    struck?;
    let over = Instant::now();
    let runs = ended(ns).await;
    let seconds = over.elapsed().as_secs_f64();
    let calls = calls_in(ns, mark);
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of an epoch fit")]
    let before = calls.iter().filter(|call| call.done_ms < struck_ms as f64 && call.ok());
    let made = before.filter(|call| call.by_operator() && call.verb == "create");
    let runs_made = |resource: &str| made.clone().filter(|call| call.resource == resource).count();
    let made = ["probes.pulpproject.org/connectionproberuns", "batch/jobs"].map(runs_made);
    // What the cluster interrupts is measured once more.
    let attempts = if matches!(blow, Blow::PodsEvicted | Blow::NodeLost) { 2 } else { 1 };
    let jobs = ns.jobs().await.len();
    let measured = runs.iter().filter(|run| is_measured(run)).count();
    Ok(Case {
        blow,
        moment,
        made,
        seconds,
        false_drops: runs.iter().map(false_drops).sum(),
        lost: PROBES.saturating_sub(measured),
        duplicates: runs.len().saturating_sub(PROBES) + jobs.saturating_sub(PROBES * attempts),
    })
}

/// A probe on the path where nothing cuts.
fn to_hold(name: String, seconds: u64) -> ConnectionProbe {
    // Longer than a node that is back keeps its taint.
    let gone = json!({ "key": "node.kubernetes.io/unreachable", "effect": "NoExecute", "tolerationSeconds": 10 });
    probe(
        name,
        json!({
            "duration": format!("{seconds}s"), "connections": 3,
            "podTemplate": { "tolerations": [gone] },
        }),
    )
}

/// Makes probes one after the other, as who tries again until it is done.
async fn make(ns: &Namespace, probes: impl Iterator<Item = ConnectionProbe>) {
    for probe in probes {
        let made = async || match ns.api().create(&PostParams::default(), &probe).await {
            Ok(_) => Some(()),
            Err(kube::Error::Api(status)) if status.code == 409 => Some(()),
            Err(_) => None,
        };
        eventually("a probe to be made", LIMIT, made).await;
        sleep(GAP).await;
    }
}

/// Waits until some of the pods have ended.
async fn among_ends(ns: &Namespace) {
    eventually("the first ends", LIMIT, async || {
        let pods = ns.pods().await;
        let phase = |pod: &k8s_openapi::api::core::v1::Pod| pod.status.as_ref()?.phase.clone();
        let ended = pods.iter().filter(|pod| phase(pod).as_deref() == Some("Succeeded"));
        (ended.count() >= ENDED).then_some(())
    })
    .await;
}

/// The runs when all of them have ended, or as they are after the time that they may take.
async fn ended(ns: &Namespace) -> Vec<ConnectionProbeRun> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let runs = ns.runs().await;
        let has_ended =
            |run: &&ConnectionProbeRun| run.status.as_ref().is_some_and(|s| s.has_ended());
        if runs.iter().filter(has_ended).count() >= PROBES || Instant::now() > deadline {
            return runs;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn is_measured(run: &ConnectionProbeRun) -> bool {
    let status = run.status.as_ref().filter(|status| status.has_ended());
    status.is_some_and(|status| status.verdict() == Verdict::Measured)
}

/// Connections that are said to have been cut or refused, and cuts that were said to be probable.
fn false_drops(run: &ConnectionProbeRun) -> usize {
    let Some(status) = &run.status else { return 0 };
    let told = status.arms(Arm::Target).map(|(_, arm)| {
        let counts = arm.counts;
        counts.disconnected + counts.request_failed + counts.deaf + counts.connect_failed
    });
    let probable = usize::from(status.first_cut_seen_time.is_some());
    usize::try_from(told.sum::<i32>()).unwrap_or_default() + probable
}
