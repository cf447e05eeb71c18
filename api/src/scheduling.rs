//! When runs start by themselves: a CronJob's fields, with a CronJob's meanings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The schedule of a probe. A change to it starts nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scheduling {
    /// When runs start, as in a CronJob: minute, hour, day of month, month, day of week, such as
    /// `0 3 * * *`, or a word such as `@daily`. With it, creating and editing the probe start
    /// nothing; runID and the annotation requestedAt still do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub schedule: Option<String>,

    /// The time zone of schedule, such as `Europe/Prague`: `Etc/UTC` when absent. A time that does not
    /// exist in the night when clocks go forward is that night's first moment after the gap; one that
    /// comes twice when they go back is the first of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,

    /// How late a scheduled run may start, in seconds; later than that, it is missed. Without a limit
    /// when absent. Of several missed runs only the latest is made up for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 31_536_000))]
    pub starting_deadline_seconds: Option<i64>,

    /// See [`ConcurrencyPolicy`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_policy: Option<ConcurrencyPolicy>,
}

/// What happens when a run is due and the one before is still going on: Forbid (it waits for the end,
/// or is missed) when absent, or Replace (the one before is ended, and keeps what it measured).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// It waits.
    #[default]
    Forbid,
    /// It takes over.
    Replace,
}
