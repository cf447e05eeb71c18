//! What a run amounts to: a cause with its evidence, and what else it may be.

use super::{Cause, words};
use crate::report::Arm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Findings that a run keeps.
pub const MAX_FINDINGS: usize = 8;
/// Bytes of all of them, as JSON.
const MAX_BYTES: usize = 20 * 1024;
/// Lines of evidence, of what is not excluded, and timers near an observed age.
pub(super) const MAX_LINES: usize = 6;
/// Characters of a sentence.
pub(super) const MAX_SENTENCE: usize = 400;
/// Characters of a manifest. A longer one is left out, not cut.
pub(super) const MAX_MANIFEST: usize = 3072;

/// A cause, as far as it is known: what was observed, what it means, what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The cause in a word.
    pub cause: Cause,
    /// How sure it is, in one of four words that docs/findings.md defines.
    pub confidence: Confidence,
    /// The path on which it was seen.
    pub arm: Arm,
    /// Workloads of the connections that it explains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 12), inner(length(max = 40)))]
    pub workloads: Vec<String>,
    /// How many connections it explains.
    pub n: i32,
    /// How many these workloads held on this path.
    pub of: i32,
    /// The timer, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer: Option<Timer>,
    /// What was observed.
    #[schemars(length(max = 400))]
    pub observed: String,
    /// What it means.
    #[schemars(length(max = 400))]
    pub meaning: String,
    /// What to do next.
    #[schemars(length(max = 400))]
    pub next_step: String,
    /// What supports it, with numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), inner(length(max = 400)))]
    pub evidence: Vec<String>,
    /// What else would look the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6), inner(length(max = 400)))]
    pub not_excluded: Vec<String>,
    /// The experiment that separates what is left, or proves the cure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
    /// The page on this cause: how to confirm it, what cures it, how to prove the cure.
    #[schemars(length(max = 64))]
    pub page: String,
}

/// How sure a finding is: Stated (whoever closed said why), Strong (at least three connections agree, and
/// what else is known to look like it is contradicted by this run), Likely (it explains what was seen, and so
/// may what is listed as not excluded), Open (nothing that is known here explains it, or too much does).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Confidence {
    /// Whoever closed said why.
    Stated,
    /// At least three agree, and all else is contradicted.
    Strong,
    /// It fits, and so may something else.
    Likely,
    /// Not known.
    Open,
}

/// A timer as it was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timer {
    /// What it counts from.
    pub clock: Clock,
    /// It is no shorter than this, in milliseconds.
    pub at_least_ms: i64,
    /// It is no longer than this, in milliseconds.
    pub at_most_ms: i64,
    /// Timers that are set, or known by their default, to something near: within a tenth.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 6))]
    pub near: Vec<Near>,
}

/// What a timer counts from. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Clock {
    /// The connection's establishment.
    Age,
    /// The last request that was answered, while none is under way.
    Request,
    /// The last byte in either direction.
    Byte,
    /// The last packet in either direction, keepalives included.
    Packet,
    /// BEGIN.
    Begin,
    /// The statement that is under way.
    Statement,
    /// SET.
    Set,
    /// LISTEN.
    Listen,
}

/// A timer whose value is near what was observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Near {
    /// Whose it is, and its name.
    #[schemars(length(max = 120))]
    pub name: String,
    /// Its value, in milliseconds.
    pub value_ms: i64,
    /// How far what was observed is from it, in milliseconds; 0 where it lies in the interval.
    pub distance_ms: i64,
    /// Whether that is near enough to be it.
    pub fits: bool,
}

/// A probe that tells more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// What it will tell.
    #[schemars(length(max = 400))]
    pub question: String,
    /// A ConnectionProbe for `kubectl apply`; absent if it would be longer than 3072 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3072))]
    pub manifest: Option<String>,
}

impl Finding {
    /// Keeps a run's status small. What gives way, in this order: manifests of experiments, and findings, those
    /// that explain least first.
    pub fn fit(findings: &mut Vec<Self>) {
        findings.truncate(MAX_FINDINGS);
        let is_too_large = |findings: &Vec<Self>| {
            serde_json::to_string(findings).map_or(0, |json| json.len()) > MAX_BYTES
        };
        for i in (0..findings.len()).rev() {
            if is_too_large(findings) {
                findings[i].experiment.iter_mut().for_each(|experiment| experiment.manifest = None);
            }
        }
        while is_too_large(findings) && findings.pop().is_some() {}
    }
}

impl Confidence {
    /// The word as it stands in statuses and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stated => "Stated",
            Self::Strong => "Strong",
            Self::Likely => "Likely",
            Self::Open => "Open",
        }
    }

    /// What the word means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        words::confidence(self)
    }

    /// Whether it may be acted on without another experiment.
    #[must_use]
    pub fn is_sure(self) -> bool {
        matches!(self, Self::Stated | Self::Strong)
    }
}
