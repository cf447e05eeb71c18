//! How things are told while they happen: as JSON lines for machines, in words for a person.

use crate::{
    clock::Clock,
    events::{Event, Line, Story},
    screen::Screen,
};
use api::{
    lifetime::ms,
    report::{Inconclusive, Outcome},
    text,
};
use tokio::time::Instant;

/// Who is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// A person: progress on standard error.
    Words,
    /// A machine: one JSON line on standard output for each thing that happens, the report last.
    #[default]
    Lines,
}

/// Tells what happens.
pub enum Voice {
    /// JSON lines on standard output.
    Lines,
    /// Words on standard error.
    Words(Screen),
}

impl Voice {
    /// The voice for this output.
    #[must_use]
    pub fn new(output: Output) -> Self {
        match output {
            Output::Words => Self::Words(Screen::default()),
            Output::Lines => Self::Lines,
        }
    }

    /// Nothing more happens.
    pub fn end(&self) {
        if let Self::Words(screen) = self {
            screen.clear();
        }
    }

    /// Tells that something happened in a workload.
    pub fn tell(&self, clock: Clock, at: Instant, workload: &str, event: Event<'_>) {
        match self {
            Self::Lines => Line { time: clock.fine(at), workload, event }.print(),
            Self::Words(screen) => {
                if let Some(words) = words(&event) {
                    let elapsed = at.saturating_duration_since(clock.start());
                    screen.say(&format!("{} {workload}: {words}", text::mmss(ms(elapsed))));
                }
            }
        }
    }
}

/// What a person wants to know at once.
fn words(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Waiting { problem } => format!("waiting: {}", problem.message),
        Event::Stalled { ms, suspended_ms: None } => {
            format!("the probe itself was stopped for {ms} ms")
        }
        Event::Stalled { ms, suspended_ms: Some(suspended) } => {
            format!("the machine was suspended for {suspended} ms, the probe stopped for {ms} ms")
        }
        Event::ClockStepped { ms } => format!("the machine's clock was set by {ms} ms"),
        Event::Announced { number, failure: Some(why), .. } => {
            format!("NOTIFY {number} failed: {why}")
        }
        Event::Reconnect { arm, after_ms, failure: None, .. } => {
            format!("a new connection{} answered {after_ms} ms after the cut", text::beside(*arm))
        }
        Event::Reconnect { arm, after_ms, failure: Some(why), .. } => {
            format!("no new connection{} {after_ms} ms after the cut: {why}", text::beside(*arm))
        }
        Event::SessionBorn { life } => text::session_born(life),
        Event::SessionEnded { life } => text::session_ended(life),
        Event::WorkerGone { worker } => text::worker_gone(worker),
        Event::ServerRestarted => "the server was started anew".to_owned(),
        Event::Ended(Story { outcome: Outcome::Survived, .. })
        | Event::Ended(Story { reason: Some(Inconclusive::Interrupted), .. })
        | Event::Started { .. }
        | Event::Connected { .. }
        | Event::Announced { failure: None, .. }
        | Event::Report { .. } => return None,
        Event::Cut(story) | Event::Ended(story) => {
            let Story { arm, outcome, form, detail, reason, end, .. } = story;
            let seen = text::seen(*form, *detail, *reason);
            text::lane_ended(end.lane, *arm, *outcome, end.lifetime.as_ref(), &seen)
        }
    })
}
