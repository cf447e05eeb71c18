//! One JSON line on standard output for each step. None has a credential or a host name.

use api::rds_proxy::{Evidence, evidence::Gap, request::Moment};
use jiff::Timestamp;
use serde::Serialize;
use std::io::{self, Write};

/// What happened.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum Event<'a> {
    /// It begins.
    Started { run: &'a str, proxy: &'a str, region: &'a str, moment: Moment },
    /// A call was answered.
    Asked { permission: &'a str, ms: u128 },
    /// Something can't be told.
    Gap { ms: u128, gap: &'a Gap },
    /// Metrics are waited for.
    Waiting { known_until: Option<Timestamp>, until: Timestamp },
    /// It ends.
    Evidence { evidence: &'a Evidence },
}

#[derive(Serialize)]
struct Line<'a, E> {
    time: Timestamp,
    #[serde(flatten)]
    event: &'a E,
}

impl Event<'_> {
    /// Prints the line.
    pub(crate) fn print(&self, time: Timestamp) {
        print(self, time);
    }
}

/// Prints the line of an event. That nobody reads is no reason to stop.
pub(crate) fn print(event: &impl Serialize, time: Timestamp) {
    if let Ok(line) = serde_json::to_string(&Line { time, event }) {
        let _ = writeln!(io::stdout().lock(), "{line}");
    }
}
