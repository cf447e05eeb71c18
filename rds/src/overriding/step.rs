//! One JSON line on standard output for each step. None has a credential or a host name.

use crate::{clock::Clock, progress};
use jiff::Timestamp;
use serde::Serialize;

/// What happened. Values are of IdleClientTimeout, in seconds.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Step<'a> {
    /// It begins.
    Started { run: &'a str, proxy: &'a str, region: &'a str, seconds: i64, until: Timestamp },
    /// The proxy is not as it has to be yet.
    Waiting { status: &'a str, seconds: i64 },
    /// A tag of ours was found: somebody was here before.
    Found { key: &'a str, tag: &'a str },
    /// What is to be put back is written down on the proxy.
    Tagged { key: &'a str, from: i64, to: i64 },
    /// The proxy is changed.
    Changing { from: i64, to: i64 },
    /// AWS tells that the new value is in force.
    InForce { seconds: i64 },
    /// There are new credentials.
    Renewed { until: Timestamp },
    /// The new value is given up, before its time where there is a reason.
    PuttingBack {
        key: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    },
    /// Something can't be done yet.
    Again { problem: &'a str },
    /// The value is back, and the tag is gone.
    Restored { key: &'a str, seconds: i64 },
    /// Somebody else's value is left, and the tag is gone.
    LeftToOthers { key: &'a str, seconds: i64 },
    /// Nothing was changed, and the tag is gone.
    Untagged { key: &'a str },
    /// There is no such tag.
    NoTag { proxy: &'a str },
}

impl Step<'_> {
    /// Prints the line.
    pub(super) fn print(&self, clock: Clock) {
        progress::print(self, clock.now());
    }
}
