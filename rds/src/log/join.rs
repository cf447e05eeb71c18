//! Which lines are about which of our connections: by our port when it was opened, by the proxy's number of it when
//! it was closed.

use super::{
    AROUND,
    line::{Line, What},
};
use api::rds_proxy::{
    evidence::{LoggedEnd, ProxyLog},
    request::LaneKey,
};
use std::collections::HashSet;

/// What is kept of a log as it is read: on a busy proxy most lines are about others.
pub(super) struct Wanted {
    ports: HashSet<i32>,
    connections: HashSet<u64>,
}

impl Wanted {
    pub(super) fn of(lanes: &[LaneKey]) -> Self {
        let ports = lanes.iter().map(|lane| lane.port).collect();
        Self { ports, connections: HashSet::new() }
    }

    /// Whether a line may be about one of ours. Lines come in the order of their times.
    pub(super) fn wants(&mut self, line: &Line) -> bool {
        match line.what {
            What::Opened(port) if self.ports.contains(&port.into()) => {
                self.connections.insert(line.connection);
                true
            }
            What::Opened(_) => false,
            What::Closed(_) => self.connections.contains(&line.connection),
        }
    }
}

/// Finds the ends of connections, the most frequent first.
pub(super) fn join(lines: &[Line], lanes: &[LaneKey]) -> ProxyLog {
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let openings: Vec<_> =
        lanes.iter().filter_map(|lane| Some((lane, opening(lines, lane)?))).collect();
    let mut ends: Vec<LoggedEnd> = Vec::new();
    for (lane, opening) in &openings {
        let Some((apart_ms, reason)) = end(lines, lane, opening) else { continue };
        let same = |it: &&mut LoggedEnd| it.workload == lane.workload && it.reason == reason;
        match ends.iter_mut().find(same) {
            Some(end) => {
                end.n = end.n.saturating_add(1);
                end.apart_ms =
                    [end.apart_ms, apart_ms].into_iter().max_by_key(|ms| ms.abs()).unwrap_or(0);
            }
            None => {
                let (workload, reason) = (lane.workload.clone(), reason.to_owned());
                ends.push(LoggedEnd { workload, n: 1, reason, apart_ms });
            }
        }
    }
    ends.sort_by_key(|end| std::cmp::Reverse(end.n));
    ProxyLog { wanted: count(lanes.len()), found: count(openings.len()), ends }
}

/// The line nearest to our own time of it. A port may have been another client's before.
fn opening<'a>(lines: &'a [Line], lane: &LaneKey) -> Option<&'a Line> {
    let ours = lane.opened.as_millisecond();
    let is_ours =
        |line: &&Line| matches!(line.what, What::Opened(port) if i32::from(port) == lane.port);
    near(lines, ours).filter(is_ours).min_by_key(|line| line.at.abs_diff(ours))
}

/// By how much the proxy's time of the end is later than ours, and its reason.
fn end<'a>(lines: &'a [Line], lane: &LaneKey, opening: &Line) -> Option<(i64, &'a str)> {
    let ours = lane.ended.as_millisecond();
    near(lines, ours)
        .filter(|line| line.connection == opening.connection && line.at >= opening.at)
        .filter_map(|line| match &line.what {
            What::Closed(reason) => Some((line, reason.as_str())),
            What::Opened(_) => None,
        })
        .min_by_key(|(line, _)| (line.stream != opening.stream, line.at.abs_diff(ours)))
        .map(|(line, reason)| (line.at - ours, reason))
}

fn near(lines: &[Line], moment: i64) -> impl Iterator<Item = &Line> {
    lines.iter().filter(move |line| line.at.abs_diff(moment) <= AROUND.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    const CLOSED: &str = "Reason: The TCP channel was closed by either the client or the proxy.";

    fn lane(workload: &str, port: i32, ended: i64) -> LaneKey {
        let at = |second| Timestamp::from_second(second).unwrap();
        LaneKey { workload: workload.into(), lane: 0, port, opened: at(1000), ended: at(ended) }
    }

    fn line(at: i64, stream: &str, connection: u64, what: What) -> Line {
        Line { at, stream: stream.into(), connection, what }
    }

    fn closed(at: i64, stream: &str, connection: u64) -> Line {
        line(at, stream, connection, What::Closed(CLOSED.to_owned()))
    }

    fn opened(at: i64, stream: &str, connection: u64, port: u16) -> Line {
        line(at, stream, connection, What::Opened(port))
    }

    #[test]
    fn a_connection_is_found_by_its_port_and_its_end_by_its_number() {
        let lines = [
            // Of another client, earlier, from the same port.
            opened(941_000, "a", 6, 4001),
            opened(1_000_020, "a", 7, 4001),
            opened(1_000_030, "b", 7, 4002),
            opened(1_000_040, "a", 8, 4003),
            closed(3_400_005, "a", 7),
            closed(3_400_001, "b", 7),
            closed(3_400_500, "a", 8),
        ];
        let lanes = [
            lane("idle", 4001, 3400),
            lane("idle", 4002, 3400),
            lane("listen", 4003, 3400),
            lane("listen", 4004, 3400),
        ];
        let mut wanted = Wanted::of(&lanes);
        let other = [opened(1_000_050, "a", 9, 4005), closed(3_400_000, "a", 9)];
        assert!(lines.iter().all(|line| wanted.wants(line)));
        assert!(!other.iter().any(|line| wanted.wants(line)));
        let log = join(&lines, &lanes);
        let end = |workload: &str, n, apart_ms| LoggedEnd {
            workload: workload.into(),
            n,
            reason: CLOSED.into(),
            apart_ms,
        };
        let ends = vec![end("idle", 2, 5), end("listen", 1, 500)];
        assert_eq!(log, ProxyLog { wanted: 4, found: 3, ends });
    }

    #[test]
    fn an_end_far_from_ours_is_none() {
        let lines = [opened(1_000_000, "a", 7, 4001), closed(3_461_001, "a", 7)];
        let log = join(&lines, &[lane("idle", 4001, 3400)]);
        assert_eq!((log.found, log.ends.len()), (1, 0));
    }
}
