//! How far a run by hand is, in words. Pure: it reads no clock.

use crate::recorder::{ArmRecord, Recorder};
use api::{
    lifetime::ms,
    measurement::Order,
    report::{Arm, Outcome},
    settings::WorkloadSettings,
    text::{beside, mmss},
};
use std::time::Duration;

/// What is due when, if nothing is cut.
#[derive(Default)]
pub struct Agenda {
    due: Vec<Due>,
    length: Duration,
}

struct Due {
    at: Duration,
    /// Position of the workload.
    workload: usize,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    /// Of this lane.
    Connect(usize),
    Proof,
}

/// How far the connections of a workload are.
pub struct Standing {
    workload: String,
    arms: Vec<(Arm, Row)>,
}

/// How many connections are in which state.
#[derive(Clone, Copy, Default)]
struct Row {
    alive: usize,
    survived: i32,
    cut: i32,
    failed: i32,
    waiting: usize,
}

impl Agenda {
    /// The agenda of these workloads in this order.
    #[must_use]
    pub fn new(workloads: &[WorkloadSettings], order: Order) -> Self {
        let mut due = Vec::new();
        let (mut start, mut length) = (Duration::ZERO, Duration::ZERO);
        for (workload, settings) in workloads.iter().enumerate() {
            for lane in 0..settings.connections {
                let schedule = settings.schedule(lane);
                let (connect, proof) = (start + schedule.connect, start + schedule.end());
                due.push(Due { at: connect, workload, what: What::Connect(lane) });
                due.push(Due { at: proof, workload, what: What::Proof });
            }
            length = length.max(start + settings.last_end());
            if order == Order::Sequential {
                start = length;
            }
        }
        due.sort_by_key(|due| due.at);
        Self { due, length }
    }

    /// The whole on one line, then a line for each workload and arm. The standings are in the order
    /// of the workloads.
    #[must_use]
    pub fn lines(&self, elapsed: Duration, standings: &[Standing]) -> Vec<String> {
        let rows: Vec<Row> = standings.iter().map(Standing::row).collect();
        let all = rows.iter().copied().fold(Row::default(), Row::and);
        let next = match self.next(elapsed, &rows) {
            Some(Due { at, workload, what }) => {
                let (name, at) = (&standings[*workload].workload, mmss(ms(*at)));
                match what {
                    What::Connect(lane) => format!("; next: {name} {lane} connects at {at}"),
                    // Which connections still live is not known here.
                    What::Proof => format!("; next: {name} is to answer from {at} on"),
                }
            }
            None => String::new(),
        };
        let (elapsed, length) = (mmss(ms(elapsed)), mmss(ms(self.length)));
        let mut lines = vec![format!("{elapsed} of {length}: {}{next}", all.words())];
        let named: Vec<(String, Row)> = standings.iter().flat_map(Standing::named).collect();
        let width = named.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        lines.extend(named.iter().map(|(name, row)| format!("  {name:width$}  {}", row.words())));
        lines
    }

    /// What is due next of a workload that still has connections: all may have been cut.
    fn next(&self, elapsed: Duration, rows: &[Row]) -> Option<&Due> {
        let from = self.due.partition_point(|due| due.at <= elapsed);
        self.due[from..].iter().find(|due| {
            rows.get(due.workload).is_some_and(|row| match due.what {
                What::Connect(_) => row.waiting > 0,
                What::Proof => row.alive + row.waiting > 0,
            })
        })
    }
}

impl Standing {
    /// The standing of a workload.
    #[must_use]
    pub fn of(record: &Recorder) -> Self {
        let arms = record.arms().iter().map(|arm| (arm.arm(), Row::of(arm)));
        Self { workload: record.workload().to_owned(), arms: arms.collect() }
    }

    fn row(&self) -> Row {
        self.arms.iter().map(|(_, row)| *row).fold(Row::default(), Row::and)
    }

    fn named(&self) -> impl Iterator<Item = (String, Row)> {
        self.arms.iter().map(|(arm, row)| (format!("{}{}", self.workload, beside(*arm)), *row))
    }
}

impl Row {
    fn of(arm: &ArmRecord) -> Self {
        let mut row = Self { alive: arm.alive(), waiting: arm.waiting(), ..Self::default() };
        for (outcome, n) in arm.counts().by_outcome() {
            *match outcome {
                Outcome::Survived => &mut row.survived,
                Outcome::Disconnected => &mut row.cut,
                Outcome::RequestFailed
                | Outcome::Deaf
                | Outcome::ConnectFailed
                | Outcome::Inconclusive => &mut row.failed,
            } += n;
        }
        row
    }

    fn and(self, other: Self) -> Self {
        Self {
            alive: self.alive + other.alive,
            survived: self.survived + other.survived,
            cut: self.cut + other.cut,
            failed: self.failed + other.failed,
            waiting: self.waiting + other.waiting,
        }
    }

    fn words(self) -> String {
        let Self { alive, survived, cut, failed, waiting } = self;
        let words = [
            (alive.to_string(), "alive"),
            (survived.to_string(), "survived"),
            (cut.to_string(), "cut"),
            (failed.to_string(), "failed"),
            (waiting.to_string(), "to come"),
        ];
        let words = words.iter().filter(|(n, _)| n != "0").map(|(n, word)| format!("{n} {word}"));
        words.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, end::End};
    use api::{
        measurement::Client,
        pattern::Pattern,
        report::{Inconclusive, Server},
        settings::TcpSettings,
    };
    use jiff::Timestamp;
    use tokio::time::Instant;

    fn workload(name: &str, connections: usize) -> WorkloadSettings {
        WorkloadSettings {
            name: name.into(),
            pattern: Pattern::Idle,
            duration_ms: 3_000_000,
            connections,
            client: Client::Raw,
            tcp: TcpSettings::default(),
            application_name: None,
        }
    }

    fn lines(elapsed: u64, order: Order, records: &[Recorder]) -> String {
        let agenda = Agenda::new(&[workload("idle", 2), workload("beat", 1)], order);
        let standings: Vec<_> = records.iter().map(Standing::of).collect();
        agenda.lines(Duration::from_secs(elapsed), &standings).join("\n")
    }

    #[test]
    fn it_says_what_lives_and_what_comes_next() {
        let start = Instant::now();
        let clock = Clock::new(Timestamp::UNIX_EPOCH, start);
        let arms = [Arm::Target, Arm::Control];
        let mut idle = Recorder::new("idle", &arms, 2, clock, start);
        let beat = Recorder::new("beat", &arms[..1], 1, clock, start);
        arms.iter().for_each(|arm| idle.connected(*arm, &Server::default(), None));
        let records = [idle, beat];
        assert_eq!(
            lines(5, Order::Parallel, &records),
            "0:05 of 56:08: 2 alive, 3 to come; next: idle 1 connects at 1:01\n  \
               idle            1 alive, 1 to come\n  \
               idle (control)  1 alive, 1 to come\n  \
               beat            1 to come"
        );
        // Of a workload without connections nothing is to be expected.
        let [mut idle, beat] = records;
        for (arm, lane) in [(0, 1), (1, 1)] {
            idle.ended(arms[arm], lane, End::unconnected(Inconclusive::LocalLimit, start));
        }
        let next = |elapsed, order, records: &[Recorder]| {
            let lines = lines(elapsed, order, records);
            lines.split('\n').next().map(str::to_owned).unwrap()
        };
        let records = [idle, beat];
        assert_eq!(
            next(70, Order::Parallel, &records),
            "1:10 of 56:08: 2 alive, 2 failed, 1 to come; next: idle is to answer from 50:00 on"
        );
        assert_eq!(
            next(3010, Order::Sequential, &records),
            "50:10 of 106:08: 2 alive, 2 failed, 1 to come; next: idle is to answer from 56:08 on"
        );
        assert_eq!(
            next(3369, Order::Sequential, &records),
            "56:09 of 106:08: 2 alive, 2 failed, 1 to come; next: beat is to answer from 106:08 on"
        );
    }
}
