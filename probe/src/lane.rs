//! One connection from beginning to end: connect, lead-in, pattern, proof.

use crate::{
    close,
    connect::{Dialer, Opened},
    end::End,
    held::{Ended, Held},
    reporter::Reporter,
    stop::Stop,
    workload::{self, HARMLESS},
};
use api::{
    lanes::Schedule,
    report::{Inconclusive, Phase},
    settings::Pattern,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    select,
    time::{Instant, sleep_until},
};

/// What the lanes of a workload share.
pub struct Course {
    /// Name of the run.
    pub run: String,
    /// What to do while the connections are held.
    pub pattern: Pattern,
    /// For how long.
    pub hold: Duration,
    /// When the workload started.
    pub start: Instant,
    /// Opens connections.
    pub dialer: Arc<Dialer>,
    /// Takes what happens.
    pub reporter: Arc<Reporter>,
}

/// Runs one lane to its end and reports it.
pub async fn run(course: Arc<Course>, lane: usize, mut stop: Stop) {
    let schedule = Schedule::new(lane, course.hold);
    let opened = select! {
        biased;
        reason = stop.thrown() => Err(End::unconnected(reason, Instant::now())),
        // In a box: it is large, and a lane that is connected needs none of it.
        opened = Box::pin(open(&course, lane, schedule)) => opened,
    };
    let opened = match opened {
        Ok(opened) => opened,
        Err(end) => {
            report(&course, lane, end, &stop);
            return;
        }
    };
    let (local, peer) = opened.session.link().addresses();
    course.reporter.connected(lane, &opened, local, peer);

    let mut held = Held::new(opened.session, stop.clone());
    let ended = follow(&course, schedule, &mut held).await;
    let is_tls = held.session().link().is_tls();
    let phase = held.phase();
    let (mut end, alive) = match ended {
        Ok(()) => (End::answered(held.life(), held.refused(), is_tls), true),
        Err(Ended::Stopped(reason)) => (
            End::stopped(reason, held.life(), phase, Instant::now()),
            true,
        ),
        Err(Ended::Sign(sign)) if sign.is_garbage() => {
            (End::garbled(held.life(), phase, sign.at()), false)
        }
        Err(Ended::Sign(sign)) => {
            let symptoms = Box::pin(held.session().drain(sign)).await;
            (End::cut(close::classify(symptoms), phase), false)
        }
    };
    end.local_port = local.map(|local| local.port());
    end.peer = peer;
    report(&course, lane, end, &stop);
    if alive {
        let sql = workload::farewell(&course.pattern, &course.run);
        Box::pin(held.session().leave(sql.as_deref())).await;
    }
}

async fn open(course: &Course, lane: usize, schedule: Schedule) -> Result<Opened, End> {
    sleep_until(course.start + schedule.connect).await;
    let opened = course.dialer.connect(lane).await;
    opened.map_err(|refusal| End::refused(refusal, Instant::now()))
}

/// The first lane that sees a pool run dry makes all of them let go.
fn report(course: &Course, lane: usize, end: End, stop: &Stop) {
    if end.reason == Some(Inconclusive::PoolExhausted) {
        stop.throw(Inconclusive::PoolExhausted);
    }
    course.reporter.ended(lane, end);
}

/// Lead-in, pattern and proof, each counted from when the connection was ready: however long
/// the login took, the pattern is followed for its whole time.
async fn follow(course: &Course, schedule: Schedule, held: &mut Held) -> Result<(), Ended> {
    let ready = held.life().request.unwrap_or_else(Instant::now);
    for offset in lead_in(schedule) {
        held.silence(ready + offset).await?;
        held.request(HARMLESS).await?;
    }
    held.enter(Phase::Hold);
    let end = ready + schedule.lead_in + schedule.hold;
    workload::hold(&course.pattern, &course.run, held, end).await?;
    held.enter(Phase::Proof);
    held.request(HARMLESS).await
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
        assert_eq!(
            offsets(1, 3000),
            [60_000, 120_000, 180_000, 240_000, 300_000, 307_000]
        );
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
