//! Another IdleClientTimeout for as long as a run lasts: what a user writes, what the pod that makes the change gets to
//! know, the tag that it leaves on the proxy, and what became of it.

use super::RdsProxy;
use crate::schema;
use jiff::Timestamp;
use kube::{KubeSchema, core::Duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Another IdleClientTimeout, for as long as the run lasts. It holds for everybody who uses the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(has(self.allowModify) && self.allowModify) || (has(self.dryRun) && self.dryRun)")
        .message("write allowModify: true: the proxy is changed for everybody who uses it; or dryRun: true, to see the calls")
)]
pub struct Override {
    /// The proxy's IdleClientTimeout while the run lasts: whole seconds from 1s to 8h. A pod of its own changes it before
    /// the first connection is opened, and puts back what was there.
    #[schemars(schema_with = "schema::idle_client_timeout")]
    pub idle_client_timeout: Duration,

    /// That the proxy may be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_modify: Option<bool>,

    /// Change nothing: the calls are told in the run's status, and the run measures the proxy as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// What the pod gets to know that changes a proxy or puts it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Namespace and name of the run, such as `pulp-perf/idle-1a2b3-4`: who is told to have changed it.
    pub run: String,
    /// The run's uid: whose change it is.
    pub id: String,
    /// Which proxy, where, and its `override`.
    pub proxy: RdsProxy,
    /// When it is put back by itself.
    pub until: Timestamp,
    /// To put it back: the value that was there before a change that was in force, in seconds. It counts where somebody has
    /// removed the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_seconds: Option<i64>,
}

/// What is written on a proxy while it is changed: the value of a tag. AWS allows letters, digits, spaces and
/// `_ . : / = + - @` in one, and 256 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// IdleClientTimeout as it was, in seconds.
    pub from: i64,
    /// As it is for the run.
    pub to: i64,
    /// When it is to be back at the latest.
    pub until: Timestamp,
    /// Namespace and name of the run.
    pub run: String,
}

/// What became of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OverrideStatus {
    /// The value for the run, in seconds.
    pub seconds: i64,
    /// The value as it was, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_seconds: Option<i64>,
    /// When AWS told that the new value is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub in_force_at: Option<Timestamp>,
    /// When it began to be put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub until: Option<Timestamp>,
    /// How it ended. Absent while it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The value that somebody else had set meanwhile, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found_seconds: Option<i64>,
    /// What was wrong, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub problem: Option<String>,
    /// In a dry run: the calls that would be made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 300)))]
    pub calls: Vec<String>,
}

/// How a change ended. More may be added: clients must tolerate unknown values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The proxy is as it was before.
    Restored,
    /// Somebody else has set another value meanwhile. It was left.
    LeftToOthers,
    /// The proxy was not changed.
    NotChanged,
    /// It could not be put back; the tag is still there.
    NotRestored,
    /// Nothing was to be changed.
    DryRun,
}

/// What a pod is for that may change a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It changes the proxy, holds that for as long as the run lasts, and puts it back.
    Guard,
    /// It puts back what a guard could not.
    Restore,
}

impl Role {
    /// The word as it stands in names and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Restore => "restore",
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Guard, Self::Restore].into_iter().find(|it| it.as_str() == word).ok_or(())
    }
}

impl Override {
    /// The value for the run, in seconds.
    #[must_use]
    pub fn seconds(&self) -> i64 {
        i64::try_from(std::time::Duration::from(self.idle_client_timeout).as_secs())
            .unwrap_or(i64::MAX)
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_dry(&self) -> bool {
        self.dry_run == Some(true)
    }
}

impl Order {
    /// Key of the proxy's tag: each run has its own, so that none can overwrite another's record.
    #[must_use]
    pub fn tag_key(&self) -> String {
        format!("{}{}", Mark::KEY, self.id)
    }
}

impl Mark {
    /// What the keys of all our tags begin with; a run's uid follows.
    pub const KEY: &str = "connection-probe/override/";
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, until, run } = self;
        write!(f, "IdleClientTimeout from={from} to={to} until={until:.0} run={run}")
    }
}

impl FromStr for Mark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = |key: &str| {
            let word = text.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            word.ok_or_else(|| format!("it has no {key}="))
        };
        let number = |key| word(key)?.parse().map_err(|_| format!("{key}= is no number"));
        let until = word("until")?.parse().map_err(|_| "until= is no time".to_owned())?;
        Ok(Self { from: number("from")?, to: number("to")?, until, run: word("run")?.to_owned() })
    }
}

impl OverrideStatus {
    /// Whether the proxy needs nothing more of us.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.outcome.is_some_and(|outcome| outcome != Outcome::NotRestored)
    }

    /// The status as a termination message, texts cut to their bounds.
    #[must_use]
    pub fn to_message(&self) -> String {
        let mut told = self.clone();
        told.bound();
        serde_json::to_string(&told).unwrap_or_default()
    }

    /// Reads a message, and makes sure that it can be kept.
    ///
    /// # Errors
    /// It is none of [`OverrideStatus::to_message`].
    pub fn parse(message: &str) -> serde_json::Result<Self> {
        let mut told: Self = serde_json::from_str(message)?;
        told.bound();
        Ok(told)
    }

    fn bound(&mut self) {
        self.calls.truncate(8);
        let texts = self.problem.iter_mut().chain(&mut self.calls);
        texts.for_each(|text| crate::report::shorten(text, 300));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_what_aws_allows_and_is_read_again() {
        let run = format!("{}/{}-0f1e2-9999999", "n".repeat(63), "p".repeat(40));
        let mark = Mark { from: 28_800, to: 28_800, until: Timestamp::UNIX_EPOCH, run };
        let text = mark.to_string();
        let allowed = |c: char| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c);
        assert!(text.len() <= 256 && text.chars().all(allowed), "{text}");
        assert_eq!(text.parse(), Ok(mark));
        for wrong in ["", "from=1 to=2 run=x", "from=a to=2 until=1970-01-01T00:00:00Z run=x"] {
            assert!(wrong.parse::<Mark>().is_err(), "{wrong}");
        }
    }
}
