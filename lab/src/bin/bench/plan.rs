//! How long the whole plan takes, and how many runs it takes to find an idle timer: on the lab's
//! cluster, where PgBouncer ends idle clients.

use crate::figure::{Baseline, Figure};
use anyhow::{Context, Result, ensure};
use api::{ConnectionProbeRun, pattern::LANES_PER_RUNG, report::Outcome};
use lab::cluster::in_namespace;
use std::{collections::BTreeSet, time::Duration};

/// Seconds that connections are held in the runs that are measured, and in the plan.
const MEASURED: [f64; 2] = [60.0, 120.0];
const PLAN: f64 = 3000.0;
/// Seven tests of 50 minutes, one after the other.
const BY_HAND_MINUTES: f64 = 350.0;
/// Seconds of silence on both sides of the pooler's timer, which looks at its clients once a second.
const RUNGS: [i64; 8] = [4, 8, 12, 16, 19, 23, 27, 31];

pub(crate) async fn figures() -> Result<Vec<Figure>> {
    let [short, long] = MEASURED;
    let (at_short, at_long) = (wall(short).await?, wall(long).await?);
    let slope = (at_long - at_short) / (long - short);
    let plan = at_long + slope * (PLAN - long);
    let (below, above) = threshold().await?;
    println!(
        "idle timer: more than {below} s, less than {above} s; minutes at 60 s and 120 s: {:.2}, {:.2}",
        at_short / 60.0,
        at_long / 60.0
    );
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let bisect = ((RUNGS.len() + 1) as f64).log2().ceil();
    Ok(vec![
        Figure::value("plan.wall", "minutes", plan / 60.0, MEASURED.len())
            .beside(Baseline::value("by hand", BY_HAND_MINUTES)),
        Figure::value("ladder.runs", "runs", 1.0, 1).beside(Baseline::value("bisection", bisect)),
    ])
}

/// Seconds from the start of a run of the plan's nine workloads to its end.
async fn wall(held: f64) -> Result<f64> {
    let run = run(&format!("  preset: PulpPlan\n  duration: {held}s\n")).await;
    let status = run.status.context("a status")?;
    ensure!(status.reports().count() == 9, "nine workloads: {:?}", status.summary);
    let (start, end) = (status.start_time.context("a start")?, status.end_time.context("an end")?);
    Ok(end.0.duration_since(start.0).as_secs_f64())
}

/// The longest silence that was survived and the shortest that was not, from a single run.
async fn threshold() -> Result<(i64, i64)> {
    let rungs: Vec<String> = RUNGS.iter().map(|s| format!("{s}s")).collect();
    let ladder = format!("{{ name: ladder, idleLadder: {{ rungs: [{}] }} }}", rungs.join(", "));
    let run = run(&format!("  duration: 45s\n  workloads:\n  - {ladder}\n")).await;
    let status = run.status.context("a status")?;
    let report = status.reports().next().context("a report")?;
    let silences = |outcome: Outcome| -> BTreeSet<i64> {
        let endings = report.arms.iter().flat_map(|arm| &arm.endings);
        let lanes = endings.filter(|e| e.outcome == outcome).flat_map(|ending| &ending.lanes);
        lanes
            .filter_map(|lane| {
                RUNGS.get(usize::try_from(lane.lane).ok()? / LANES_PER_RUNG).copied()
            })
            .collect()
    };
    let (survived, cut) = (silences(Outcome::Survived), silences(Outcome::Disconnected));
    let below = survived.last().copied().context("none survived")?;
    let above = cut.first().copied().context("none was cut")?;
    ensure!(survived.len() + cut.len() == RUNGS.len(), "both lanes of a rung agree");
    ensure!(below < above, "{survived:?} survived, {cut:?} were cut");
    Ok((below, above))
}

async fn run(spec: &str) -> ConnectionProbeRun {
    in_namespace(async |ns| {
        ns.apply_probe(spec);
        ns.ended(1, Duration::from_secs(240)).await
    })
    .await
}
