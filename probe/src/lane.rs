//! One connection from beginning to end: connect, lead-in, pattern, proof.

use crate::{
    announcer::Announcer,
    close,
    connect::Dialer,
    end::End,
    held::{Ended, Held},
    reconnect::Cut,
    reporter::Reporter,
    stop::Stop,
    workload::{self, HARMLESS, Order},
};
use api::{
    lanes::Schedule,
    report::{Arm, Inconclusive, Outcome, Phase},
    settings::WorkloadSettings,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    select,
    sync::mpsc::UnboundedSender,
    time::{Instant, sleep_until},
};

/// What the lanes of an arm share.
pub struct Course {
    /// Name of run, workload and arm, for names of our own.
    pub name: String,
    /// What to do.
    pub workload: WorkloadSettings,
    /// Which path the connections take.
    pub arm: Arm,
    /// When the workload started.
    pub start: Instant,
    /// Opens connections.
    pub dialer: Dialer,
    /// Takes what happens.
    pub reporter: Arc<Reporter>,
    /// Is told of cuts.
    pub cuts: UnboundedSender<Cut>,
    /// Notifies the connections, if they listen for it.
    pub announcer: Option<Arc<Announcer>>,
}

/// Runs one lane to its end and reports it.
///
/// Ten thousand of these wait side by side, so a lane in waiting is kept small: whatever passes
/// soon is in a box that comes and goes.
pub async fn run(course: Arc<Course>, lane: usize, mut stop: Stop) {
    let schedule = course.workload.schedule(lane);
    let opened = select! {
        biased;
        reason = stop.thrown() => Err(reason),
        () = sleep_until(course.start + schedule.connect) => Ok(()),
    };
    let opened = match opened {
        Ok(()) => Box::pin(open(&course, lane, &stop)).await,
        Err(reason) => Err(Box::new(End::unconnected(reason, Instant::now()))),
    };
    let mut held = match opened {
        Ok(held) => held,
        Err(end) => return report(&course, lane, *end, &stop),
    };
    let ended = follow(&course, lane, schedule, &mut held).await;
    Box::pin(close(&course, lane, held, ended, &stop)).await;
}

/// Opens the lane's connection.
async fn open(course: &Course, lane: usize, stop: &Stop) -> Result<Box<Held>, Box<End>> {
    let mut stopped = stop.clone();
    let opened = select! {
        biased;
        reason = stopped.thrown() => return Err(Box::new(End::unconnected(reason, Instant::now()))),
        opened = course.dialer.connect(lane) => opened,
    };
    let opened = opened.map_err(|refusal| Box::new(End::refused(refusal, Instant::now())))?;
    course.reporter.connected(course.arm, lane, &opened);
    Ok(Box::new(Held::new(opened.session, stop.clone())))
}

/// Reports the end of the lane's connection, and leaves it politely if it is alive.
async fn close(
    course: &Course,
    lane: usize,
    mut held: Box<Held>,
    ended: Result<(), Ended>,
    stop: &Stop,
) {
    let is_tls = held.session().link().is_tls();
    let phase = held.phase();
    // The proof has tidied up.
    let farewell = match ended {
        Ok(()) => None,
        Err(_) => workload::farewell(&course.workload.pattern, &course.name),
    };
    let (mut end, alive) = match ended {
        Ok(()) | Err(Ended::Refused) => (End::answered(held.life(), held.refused(), is_tls), true),
        Err(Ended::Stopped(reason)) => {
            (End::stopped(reason, held.life(), phase, Instant::now()), true)
        }
        Err(Ended::Sign(sign)) if sign.is_garbage() => {
            (End::garbled(held.life(), phase, sign.at()), false)
        }
        Err(Ended::Sign(sign)) => {
            let symptoms = held.session().drain(sign).await;
            (End::cut(close::classify(symptoms), phase), false)
        }
    };
    (end.local_port, end.peer) = held.addresses();
    if let Some(announcer) = &course.announcer {
        announcer.judge(&held, &mut end);
    }
    end.silence_ms = workload::silence_ms(&course.workload, lane, &end);
    report(course, lane, end, stop);
    if alive {
        held.session().leave(farewell.as_deref()).await;
    }
}

/// The first lane that sees a pool run dry makes all of them let go.
fn report(course: &Course, lane: usize, end: End, stop: &Stop) {
    if end.reason == Some(Inconclusive::PoolExhausted) {
        stop.throw(Inconclusive::PoolExhausted);
    }
    if end.outcome == Outcome::Disconnected {
        // The receiver is gone only when all are to let go.
        let _ = course.cuts.send(Cut { lane, at: end.at });
    }
    course.reporter.ended(course.arm, lane, end);
}

/// Lead-in, pattern and proof, each counted from when the connection was ready: however long
/// the login took, the pattern is followed for its whole time.
async fn follow(
    course: &Course,
    lane: usize,
    schedule: Schedule,
    held: &mut Held,
) -> Result<(), Ended> {
    let ready = held.life().request.unwrap_or_else(Instant::now);
    for offset in lead_in(schedule) {
        held.silence(ready + offset).await?;
        held.request(HARMLESS).await?;
        held.commit().await?;
    }
    held.enter(Phase::Hold);
    let end = ready + schedule.lead_in + schedule.hold;
    let Course { workload, name, announcer, .. } = course;
    let order = Order { workload, name, announcer: announcer.as_deref(), lane, end };
    workload::hold(order, held).await?;
    held.enter(Phase::Proof);
    held.request(&workload::proof(workload, name)).await
}

/// When the lead-in's requests are due, from the moment the connection was ready; the last one
/// exactly at its end.
fn lead_in(schedule: Schedule) -> impl Iterator<Item = Duration> {
    let Schedule { lead_in, .. } = schedule;
    let interval = schedule.lead_in_interval().max(Duration::from_millis(1));
    (1..)
        .map(move |n| interval * n)
        .take_while(move |offset| *offset < lead_in)
        .chain((!lead_in.is_zero()).then_some(lead_in))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(lane: usize, hold: u64) -> Vec<u128> {
        let schedule = Schedule::new(lane, Duration::from_secs(hold));
        lead_in(schedule).map(|offset| offset.as_millis()).collect()
    }

    #[test]
    fn the_last_lead_in_request_is_exactly_at_its_end() {
        assert_eq!(offsets(1, 3000), [60_000, 120_000, 180_000, 240_000, 300_000, 307_000]);
        assert_eq!(offsets(2, 3000), [60_000, 61_000]);
    }

    #[test]
    fn lanes_without_a_lead_in_ask_nothing() {
        assert!(offsets(0, 3000).is_empty());
        assert!(offsets(4, 3000).is_empty());
    }

    #[test]
    fn a_short_run_is_the_same_scaled() {
        assert_eq!(offsets(1, 60), [1200, 2400, 3600, 4800, 6000, 6140]);
    }
}
