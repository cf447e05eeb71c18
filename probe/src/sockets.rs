//! Watches the TCP connections of this network namespace to a database, whoever holds them: without a statement,
//! without a capability, and without a byte of what they carry.
//!
//! # Layout
//! - [`diag`]: asks the kernel, and is told of ends. [`seen`]: what it told.
//! - [`tracker`], `life`, `loose`: that, folded into lives. [`ending`]: who closed one, and how.

pub mod diag;
pub mod ending;
mod life;
mod loose;
pub mod seen;
pub mod tracker;

use crate::clock::Clock;
use api::{
    sockets::{Event, Line, Noticed, SocketsReport, assign_roles},
    text,
};
use diag::{Diag, Ends};
use rustix::time::{ClockId, clock_gettime};
use seen::Seen;
use std::{future::Future, io, pin::pin, time::Duration};
use tokio::{
    select,
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tracker::{Look, Tracker, Watched};

/// Looks are at least so far apart, however many connections end.
const SHORTEST: Duration = Duration::from_millis(25);

/// What to watch, and for how long.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which connections.
    pub watched: Watched,
    /// From one look to the next.
    pub interval: Duration,
    /// Until when. Absent: until it is told to stop.
    pub length: Option<Duration>,
}

/// Watches until the time is over or it is told to `stop`. Each thing that happens is `told`, but not the report.
///
/// # Errors
/// The kernel refuses: a sentence for a person.
pub async fn watch(
    order: &Order,
    clock: Clock,
    stop: impl Future<Output = ()>,
    mut told: impl FnMut(Line),
) -> Result<SocketsReport, String> {
    let mut diag = Diag::open().map_err(|error| text::sockets_refused(&error.to_string()))?;
    let mut stop = pin!(stop);
    let (mut ends, why) = match Ends::join() {
        Ok(ends) => (Some(ends), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let noticed = if ends.is_some() { Noticed::Events } else { Noticed::Looks };
    let interval_ms = api::lifetime::ms(order.interval);
    let ports = order.watched.ports.clone();
    let started = Instant::now();
    let event = Event::Started { ports: ports.clone(), interval_ms, noticed, why };
    let mut tracker = Tracker::new(order.watched.clone(), interval_ms, noticed);
    let mut look = |tracker: &mut Tracker| -> Result<Vec<Line>, String> {
        let asked_ms = clock.at(Instant::now()).as_millisecond();
        let all = diag.look().map_err(|error| text::sockets_refused(&error.to_string()))?;
        let answered_ms = after(clock, Instant::now());
        let new = tracker.look(Look { asked_ms, answered_ms }, &all).into_iter();
        Ok(new.map(|(at_ms, event)| line(at_ms, event)).collect())
    };
    // Who may not ask is told before anything is said to have started.
    let first = look(&mut tracker)?;
    told(line(clock.at(started).as_millisecond(), event));
    first.into_iter().for_each(&mut told);
    let mut ticks = interval(order.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let end = order.length.map(|length| started + length);
    let (mut last, mut soon) = (Instant::now(), None);
    loop {
        let is_over = select! {
            biased;
            () = &mut stop => true,
            () = at(end) => true,
            destroyed = next(&mut ends) => {
                let at_ms = after(clock, Instant::now());
                let concerns = match destroyed {
                    Ok(all) => all.iter().filter(|seen| tracker.destroyed(at_ms, seen)).count() > 0,
                    Err(_) => { tracker.lost_ends(); true }
                };
                if concerns {
                    soon = soon.or(Some(last + SHORTEST));
                }
                continue;
            }
            () = at(soon) => false,
            _ = ticks.tick() => false,
        };
        look(&mut tracker)?.into_iter().for_each(&mut told);
        (last, soon) = (Instant::now(), None);
        if is_over {
            break;
        }
    }
    let (mut sockets, untold, late) = tracker.end();
    assign_roles(&mut sockets);
    Ok(SocketsReport {
        pod: None,
        started_at: clock.at(started),
        ended_at: clock.at(Instant::now()),
        interval_ms,
        noticed,
        ports,
        sockets,
        untold,
        late,
        cpu_ms: Some(cpu_ms()),
    })
}

/// The first millisecond that is not before a moment.
fn after(clock: Clock, moment: Instant) -> i64 {
    clock.fine(moment).as_microsecond().saturating_add(999) / 1000
}

/// Waits for this moment; for ever if there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Waits for the next ends; for ever if nobody tells of them.
async fn next(ends: &mut Option<Ends>) -> io::Result<Vec<Seen>> {
    match ends {
        Some(ends) => ends.next().await,
        None => std::future::pending().await,
    }
}

fn line(at_ms: i64, event: Event) -> Line {
    Line { time: jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default(), event }
}

/// Processor time of this process so far.
fn cpu_ms() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
