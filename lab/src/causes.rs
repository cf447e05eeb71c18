//! Causes of cuts that are injected for real, at scaled timers, each with its label; and how good an answer is.

pub use case::{CASES, Case};
pub use scene::Variation;

use anyhow::{Context, Result};
use api::{
    ConnectionProbeRun,
    diagnosis::{Cause, Finding, short},
    report::Arm,
};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

mod case;
mod scene;

/// How good an answer is, from good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// All causes are named, and no other.
    Right,
    /// A cause is missing.
    Unknown,
    /// Another cause is named, not surely.
    WrongUnsure,
    /// Another cause is named surely.
    WrongSure,
}

/// Runs a case once, with the variation that a seed gives.
///
/// # Errors
///
/// If its parts do not start, or the probe leaves no run.
pub async fn run(case: &Case, seed: u64) -> Result<ConnectionProbeRun> {
    let variation = vary(case.name, seed);
    scene::run(case, variation).await.with_context(|| format!("{} {variation:?}", case.name))
}

/// Numbers that look random, the same for the same seed.
#[must_use]
pub fn vary(case: &str, seed: u64) -> Variation {
    let mut hasher = DefaultHasher::new();
    (case, seed).hash(&mut hasher);
    let dice = hasher.finish();
    Variation {
        held: 24 + dice % 9,
        connections: 4 + usize::try_from(dice / 16 % 3).unwrap_or(0),
        time: 6 + dice / 256 % 4,
    }
}

/// How good the findings of a run of this case are.
#[must_use]
pub fn grade(case: &Case, run: &ConnectionProbeRun) -> Grade {
    let named: Vec<&Finding> = findings(run)
        .filter(|it| it.arm == Arm::Target && !matches!(it.cause, Cause::NoCut | Cause::Unknown))
        .collect();
    let wrong = |it: &&&Finding| !case.causes.iter().any(|words| words.contains(&it.cause));
    match named.iter().filter(wrong).map(|it| it.confidence.is_sure()).max() {
        Some(true) => Grade::WrongSure,
        Some(false) => Grade::WrongUnsure,
        None => {
            let named: BTreeSet<Cause> = named.iter().map(|it| it.cause).collect();
            let found = |words: &&[Cause]| words.iter().any(|word| named.contains(word));
            if case.causes.iter().all(found) { Grade::Right } else { Grade::Unknown }
        }
    }
}

/// The result and the findings of a run, in a line.
#[must_use]
pub fn told(run: &ConnectionProbeRun) -> String {
    let said: Vec<String> =
        findings(run).map(|it| format!("{}: {}", it.confidence.as_str(), short(it))).collect();
    let result = run.status.as_ref().and_then(|status| status.result.clone()).unwrap_or_default();
    format!("{result} | {}", said.join("; "))
}

fn findings(run: &ConnectionProbeRun) -> impl Iterator<Item = &Finding> {
    run.status.iter().flat_map(|status| &status.findings)
}
