//! How often the diagnosis is right: labelled causes, injected for real at scaled timers, and the plan's own table of
//! causes on the same runs.

use crate::{
    figure::{Baseline, Figure},
    process::root,
};
use anyhow::Result;
use api::ConnectionProbeRun;
use lab::causes::{self, CASES, Grade};
use std::{collections::BTreeMap, env, fs, sync::Arc};
use tokio::{runtime::Builder, sync::Semaphore, task::JoinSet};

mod plan_table;

/// Runs side by side: each has its own server and some fifty connections.
const SIDE_BY_SIDE: usize = 6;
/// Variations of each case.
const SEEDS: u64 = 3;

pub(crate) async fn figures() -> Result<Vec<Figure>> {
    // Blocking calls of one case must not hold up the devices of another.
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let answers = std::thread::spawn(move || runtime.block_on(answers()));
    let answers = answers.join().map_err(|_| anyhow::anyhow!("a case panicked"))??;
    print(&answers);
    let n = answers.len();
    let share = |of: &dyn Fn(&Answer) -> Grade, grade: Grade| {
        percent(answers.iter().filter(|answer| of(answer) == grade).count(), n)
    };
    let figure = |name: &str, grade: Grade| {
        Figure::value(&format!("diagnosis.{name}"), "%", share(&|it| it.ours, grade), n)
            .beside(Baseline::value("the plan's table", share(&|it| it.plan, grade)))
    };
    Ok(vec![
        figure("right", Grade::Right),
        figure("unknown", Grade::Unknown),
        figure("wrong_unsure", Grade::WrongUnsure),
        figure("wrong_sure", Grade::WrongSure),
        // Rule of three: of n without one, as many may be wrong in one of twenty such benchmarks.
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        Figure::value("diagnosis.wrong_sure.bound", "%", 300.0 / n as f64, n),
    ])
}

/// What was made of one run.
struct Answer {
    case: &'static str,
    said: String,
    ours: Grade,
    plan: Grade,
}

async fn answers() -> Result<Vec<Answer>> {
    // Another first seed: other timers, other staggerings.
    let first = env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let seeds = env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS);
    let only = env::var("CASE").unwrap_or_default();
    let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut runs = JoinSet::new();
    for case in CASES.iter().filter(|case| case.name.contains(&only)) {
        for seed in first..first + seeds {
            let places = Arc::clone(&places);
            runs.spawn(async move {
                let _place = places.acquire().await?;
                let run = causes::run(case, seed).await?;
                keep(&format!("{} {seed}", case.name), &run)?;
                let (ours, plan) = (causes::grade(case, &run), plan_table::grade(case, &run));
                let said = format!("{:?} {}", causes::vary(case.name, seed), causes::told(&run));
                anyhow::Ok(Answer { case: case.name, said, ours, plan })
            });
        }
    }
    let mut answers = Vec::new();
    while let Some(answer) = runs.join_next().await {
        let answer = answer??;
        println!("{:?}\t{:?}\t{}\t{}", answer.ours, answer.plan, answer.case, answer.said);
        answers.push(answer);
    }
    Ok(answers)
}

/// The run as it is, for whoever wants to know why it was judged so.
fn keep(name: &str, run: &ConnectionProbeRun) -> Result<()> {
    let folder = root().join("target/bench/diagnosis");
    fs::create_dir_all(&folder)?;
    let name = name.replace([' ', ','], "-");
    Ok(fs::write(folder.join(name + ".json"), serde_json::to_string_pretty(run)?)?)
}

fn print(answers: &[Answer]) {
    let mut table: BTreeMap<&str, [usize; 8]> = BTreeMap::new();
    for answer in answers {
        let row = table.entry(answer.case).or_default();
        row[answer.ours as usize] += 1;
        row[4 + answer.plan as usize] += 1;
    }
    println!(
        "case | right | unknown | wrong, unsure | wrong, sure | the plan's table: right | unknown | wrong"
    );
    for case in CASES.iter().filter_map(|case| Some((case.name, table.get(case.name)?))) {
        let (name, [right, unknown, unsure, sure, plan_right, plan_unknown, _, plan_wrong]) = case;
        println!(
            "{name} | {right} | {unknown} | {unsure} | {sure} | {plan_right} | {plan_unknown} | {plan_wrong}"
        );
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64 * 100.0
}
