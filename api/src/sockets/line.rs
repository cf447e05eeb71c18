//! One JSON line for each thing that happens.

use super::{Noticed, SocketLife, SocketsReport};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When it was noticed, by the pod's wall clock.
    pub time: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened. More may be added: clients must tolerate unknown values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// Watching begins.
    Started {
        /// The peers' ports that are watched.
        ports: Vec<u16>,
        /// From one look to the next, in milliseconds.
        interval_ms: i64,
        /// How ends are noticed.
        noticed: Noticed,
        /// Why not by events, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A connection was met: a new one, or one that was there already.
    Born(SocketLife),
    /// The peer has closed a connection that the process still holds.
    Closed(SocketLife),
    /// A connection is over.
    Ended(SocketLife),
    /// Nobody watches any more.
    Report {
        /// The whole of it.
        report: SocketsReport,
    },
    /// Of a newer version.
    #[serde(other)]
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        beats::Rhythm,
        sockets::tests::{at, cut, report},
    };

    #[test]
    fn every_line_comes_back_from_its_json_and_a_newer_one_is_tolerated() {
        let life = cut(Rhythm::Silent, 60_000, 59_000);
        let events = [
            Event::Started {
                ports: vec![5432],
                interval_ms: 250,
                noticed: Noticed::Looks,
                why: Some("no".into()),
            },
            Event::Born(life.clone()),
            Event::Closed(life.clone()),
            Event::Ended(life.clone()),
            Event::Report { report: report("w", vec![life]) },
        ];
        for event in events {
            let line = Line { time: at(0), event };
            let json = serde_json::to_string(&line).unwrap();
            assert_eq!(serde_json::from_str::<Line>(&json).unwrap(), line, "{json}");
        }
        let newer = r#"{"time":"2026-01-01T00:00:00Z","event":"slept","ms":5}"#;
        assert_eq!(serde_json::from_str::<Line>(newer).unwrap().event, Event::Other);
    }
}
