//! Takes what lanes tell and passes it on: to the recorder, to whoever is told, and into the
//! termination message.
//!
//! The message is written at once for the first cut, and at most every 100 ms otherwise: ten
//! thousand connections may die in the same second.

use crate::{
    clock::Clock,
    connect::Opened,
    end::End,
    events::{Event, Story},
    heard::{Fate, Sent},
    meter::Meter,
    observe::watch::Happened,
    reconnect::Attempt,
    recorder::Recorder,
    termination::TerminationMessage,
    voice::Voice,
};
use api::{
    lifetime::ms,
    observed::Observed,
    report::{Arm, Outcome, Problem, Report},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// Time between two writes of the termination message.
const INTERVAL: Duration = Duration::from_millis(100);

/// No more single connections fit into a message anyhow; to find that out takes milliseconds in
/// which no end is noticed.
const MESSAGE_LANES: usize = 12;

/// A stall of the process is told when it was at least so long.
const TELL_STALL: Duration = Duration::from_secs(1);

/// The reporter of one workload.
pub struct Reporter {
    clock: Clock,
    workload: String,
    voice: Arc<Voice>,
    state: Mutex<State>,
}

struct State {
    recorder: Recorder,
    message: Option<TerminationMessage>,
    /// When the message was last written.
    written: Option<Instant>,
    /// Whether something happened since.
    stale: bool,
}

impl Reporter {
    /// A reporter that writes `message`, if there is one to write.
    #[must_use]
    pub fn new(
        clock: Clock,
        recorder: Recorder,
        voice: Arc<Voice>,
        message: Option<TerminationMessage>,
    ) -> Self {
        Self {
            clock,
            voice,
            workload: recorder.workload().to_owned(),
            state: Mutex::new(State { recorder, message, written: None, stale: true }),
        }
    }

    /// The clock by which it tells.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Looks at the record.
    pub fn look<T>(&self, look: impl FnOnce(&Recorder) -> T) -> T {
        self.with(|state| look(&state.recorder))
    }

    /// The workload begins.
    pub fn started(&self, run: &str, connections: usize, duration_ms: u64, now: Instant) {
        self.print(now, Event::Started { run, connections, duration_ms });
        self.with(|state| {
            state.recorder.started(now);
            state.write_if_due(now);
        });
    }

    /// Something is missing that may still come.
    pub fn waiting(&self, problem: &Problem, now: Instant) {
        self.print(now, Event::Waiting { problem });
    }

    /// Counts what the connections of an arm cost.
    #[must_use]
    pub fn meter(&self, arm: Arm) -> Arc<Meter> {
        self.with(|state| state.recorder.meter(arm))
    }

    /// The process was stopped or starved for so long, or the machine was suspended. Short stalls
    /// are only counted.
    pub fn stalled(&self, late: Duration, suspended: Duration, now: Instant) {
        let length = late + suspended;
        self.with(|state| state.recorder.stalled(length));
        if length >= TELL_STALL {
            let suspended_ms = Some(ms(suspended)).filter(|ms| *ms > 0);
            self.print(now, Event::Stalled { ms: ms(length), suspended_ms });
        }
    }

    /// What happened to sessions that are watched.
    pub fn observed_now(&self, happened: &[Happened], now: Instant) {
        for happened in happened {
            self.print(now, Event::of(happened));
        }
    }

    /// What a watcher has seen so far.
    pub fn observed(&self, observed: Observed, now: Instant) {
        self.with(|state| {
            state.recorder.observed(observed);
            state.stale = true;
            state.write_if_due(now);
        });
    }

    /// The wall clock was set by so many milliseconds.
    pub fn clock_stepped(&self, ms: i64, now: Instant) {
        self.with(|state| state.recorder.clock_stepped(ms));
        self.print(now, Event::ClockStepped { ms });
    }

    /// A connection was opened.
    pub fn connected(&self, arm: Arm, lane: usize, opened: &Opened) {
        let now = Instant::now();
        let (local, peer) = opened.session.link().addresses();
        let event = Event::Connected {
            arm,
            lane,
            local_port: local.map(|local| local.port()),
            peer,
            phases: opened.phases,
            server: &opened.server,
        };
        self.print(now, event);
        self.with(|state| {
            state.recorder.connected(arm, &opened.server, opened.tcp);
            state.stale = true;
            state.write_if_due(now);
        });
    }

    /// A new connection was tried after a cut.
    pub fn reconnected(&self, arm: Arm, attempt: Attempt) {
        let event = Event::Reconnect {
            arm,
            after_ms: ms(attempt.ended.saturating_duration_since(attempt.cut.at)),
            answered: attempt.result.is_ok(),
            failure: attempt.result.as_ref().err().map(String::as_str),
        };
        self.print(attempt.ended, event);
        self.with(|state| {
            state.recorder.reconnected(arm, attempt);
            state.stale = true;
        });
    }

    /// A NOTIFY was sent to the connections of this arm, or not.
    pub fn announced(&self, arm: Arm, number: usize, sent: &Sent) {
        let event = Event::Announced {
            arm,
            number,
            ms: ms(sent.ended.saturating_duration_since(sent.began)),
            heard: sent.fate == Fate::Heard,
            failure: match &sent.fate {
                Fate::Failed(why) => Some(why),
                Fate::Heard | Fate::Unheard => None,
            },
        };
        self.print(sent.ended, event);
        self.with(|state| {
            state.recorder.announced(arm, &sent.fate);
            state.stale = true;
        });
    }

    /// A lane ended.
    pub fn ended(&self, arm: Arm, lane: usize, end: End) {
        let now = Instant::now();
        let (outcome, reason, noticed) = (end.outcome, end.reason, end.at);
        let (form, detail) = (end.form.clone(), end.detail.clone());
        let told = self.with(|state| {
            let first_cut =
                outcome == Outcome::Disconnected && state.recorder.counts().disconnected == 0;
            let told = state.recorder.ended(arm, lane, end);
            state.stale = true;
            if first_cut {
                state.write(now);
            }
            state.write_if_due(now);
            told
        });
        let story = Story {
            arm,
            outcome,
            reason,
            form: form.as_ref(),
            detail: detail.as_deref(),
            end: &told,
        };
        self.print(
            noticed,
            match outcome {
                Outcome::Disconnected => Event::Cut(story),
                Outcome::Survived
                | Outcome::RequestFailed
                | Outcome::Deaf
                | Outcome::ConnectFailed
                | Outcome::Inconclusive => Event::Ended(story),
            },
        );
    }

    /// Writes the message if something happened and it is time to.
    pub fn tick(&self, now: Instant) {
        self.with(|state| state.write_if_due(now));
    }

    /// All lanes have ended: writes the last message and returns the report.
    pub fn finish(&self, now: Instant) -> Report {
        self.finish_with(self.look(|recorder| recorder.report(Some(recorder.last_end(now)))), now)
    }

    /// Nothing could be measured.
    pub fn refuse(&self, problem: Problem, now: Instant) -> Report {
        let started_at = self.look(|recorder| recorder.report(None).started_at);
        let report = Report::of_problem(&self.workload, started_at, problem);
        self.finish_with(report, now)
    }

    fn finish_with(&self, report: Report, now: Instant) -> Report {
        self.with(|state| {
            state.stale = false;
            if let Some(message) = &mut state.message {
                // The report is on standard output too, and nobody could be told otherwise.
                let _ = message.finish(&report.to_message());
            }
        });
        self.print(now, Event::Report { report: &report });
        report
    }

    fn print(&self, at: Instant, event: Event<'_>) {
        self.voice.tell(self.clock, at, &self.workload, event);
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn write_if_due(&mut self, now: Instant) {
        let due = self.written.is_none_or(|written| now >= written + INTERVAL);
        if self.stale && due {
            self.write(now);
        }
    }

    fn write(&mut self, now: Instant) {
        self.stale = false;
        self.written = Some(now);
        if let Some(message) = &mut self.message {
            let mut report = self.recorder.report(None);
            let endings = report.arms.iter_mut().flat_map(|arm| &mut arm.endings);
            endings.for_each(|ending| ending.lanes.truncate(MESSAGE_LANES));
            let _ = message.write(&report.to_message());
        }
    }
}
