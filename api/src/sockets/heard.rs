//! What is known of a pod by its lines so far: its report may never come, as when the pod is deleted at once.

use super::{Event, Line, SocketLife, SocketsReport, assign_roles};

/// What was heard from one pod.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    report: Option<SocketsReport>,
    is_whole: bool,
}

impl Heard {
    /// Another line.
    pub fn line(&mut self, line: &Line) {
        match (&line.event, &mut self.report) {
            (Event::Report { report }, _) => {
                (self.report, self.is_whole) = (Some(report.clone()), true);
            }
            (Event::Started { ports, interval_ms, noticed, .. }, _) => {
                self.report = Some(SocketsReport {
                    pod: None,
                    started_at: line.time,
                    ended_at: line.time,
                    interval_ms: *interval_ms,
                    noticed: *noticed,
                    ports: ports.clone(),
                    sockets: Vec::new(),
                    untold: 0,
                    late: None,
                    cpu_ms: None,
                });
            }
            (Event::Born(life) | Event::Closed(life) | Event::Ended(life), Some(report)) => {
                report.ended_at = line.time;
                tell(&mut report.sockets, life);
            }
            (Event::Born(_) | Event::Closed(_) | Event::Ended(_) | Event::Other, _) => {}
        }
    }

    /// Whether its own report has come: nothing more will.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Its own report; else one of what was heard, if anything was.
    #[must_use]
    pub fn report(&self, pod: &str) -> Option<SocketsReport> {
        let mut report = self.report.clone()?;
        report.pod = Some(pod.to_owned());
        assign_roles(&mut report.sockets);
        Some(report)
    }
}

/// A later word on a connection replaces the earlier: a port is used again only after its connection has ended.
fn tell(all: &mut Vec<SocketLife>, life: &SocketLife) {
    let same = |known: &&mut SocketLife| {
        let is_over = known.end.is_some_and(|end| end.let_go_ms.is_some());
        !is_over && (known.local_port, known.peer) == (life.local_port, life.peer)
    };
    match all.iter_mut().rev().find(same) {
        Some(known) => *known = life.clone(),
        None => all.push(life.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        beats::Rhythm,
        sockets::{
            Noticed, Role,
            tests::{at, cut, life, report},
        },
    };

    fn hear(heard: &mut Heard, ms: i64, event: Event) {
        heard.line(&Line { time: at(ms), event });
    }

    #[test]
    fn without_its_report_a_pod_is_known_by_its_lines() {
        let mut heard = Heard::default();
        assert!(heard.report("w-0").is_none());
        let started = Event::Started {
            ports: vec![5432],
            interval_ms: 250,
            noticed: Noticed::Events,
            why: None,
        };
        hear(&mut heard, 0, started);
        hear(&mut heard, 10, Event::Born(life(Rhythm::Silent, 0)));
        hear(&mut heard, 60_000, Event::Ended(cut(Rhythm::Silent, 60_000, 59_000)));
        // The same port again, and another one.
        hear(&mut heard, 70_000, Event::Born(life(Rhythm::Silent, 0)));
        let main = SocketLife { local_port: 7, ..life(Rhythm::Beating, 0) };
        hear(&mut heard, 70_001, Event::Born(main));
        let known = heard.report("w-0").unwrap();
        assert_eq!((known.pod.as_deref(), known.ended_at), (Some("w-0"), at(70_001)));
        let ends: Vec<_> = known.sockets.iter().map(|life| life.end.is_some()).collect();
        assert_eq!(ends, [true, false, false]);
        assert_eq!(known.sockets[0].role, Role::Task);
        assert!(!heard.is_whole());

        let whole = report("w-0", vec![cut(Rhythm::Silent, 60_000, 59_000)]);
        hear(&mut heard, 80_000, Event::Report { report: whole.clone() });
        assert_eq!(heard.report("w-0"), Some(whole));
        assert!(heard.is_whole());
    }
}
