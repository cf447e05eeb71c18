//! Connects anew after a cut, to learn how long nothing was to be had and who answers now.
//!
//! A connection counts only once it has answered a SELECT: a pooler logs in while the database behind
//! it is down. None of them is a lane: they touch no lane's timing and count into no figure but the
//! cost. A workload and arm has one at a time, at most one a second, however many lanes are cut.

use crate::{
    close::{self, is_exhausted},
    connect::Dialer,
    reporter::Reporter,
    session::Session,
    stop::Stop,
};
use api::{
    report::{Arm, Inconclusive, shorten},
    text,
};
use jiff::Timestamp;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio::{
    select,
    sync::mpsc::UnboundedReceiver,
    time::{Instant, sleep_until, timeout},
};

/// When a connection is tried, from when the cut was noticed; until one is answered.
pub const DELAYS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
];
/// An attempt may take so long, from connect to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between the ends of one attempt and the begin of the next.
const PAUSE: Duration = Duration::from_secs(1);
/// The length that a report allows.
const MAX_ERROR: usize = 200;

/// What is asked; a pooler's console or an old server may refuse it.
const WHO: &str = "SELECT (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000)::bigint, \
    pg_catalog.pg_is_in_recovery(), pg_catalog.host(pg_catalog.inet_server_addr())";
/// What is asked then.
const ANYTHING: &str = "SELECT 1";

/// Follows the cuts of one workload and arm.
pub struct Reconnector {
    /// Which path.
    pub arm: Arm,
    /// Opens the connections.
    pub dialer: Dialer,
    /// When, from the cut on.
    pub delays: Vec<Duration>,
    /// Is told of each attempt.
    pub reporter: Arc<Reporter>,
    /// Tells all to let go.
    pub stop: Stop,
}

/// A lane was cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// Which one.
    pub lane: usize,
    /// When that was noticed.
    pub at: Instant,
}

/// An attempt to connect.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The cut that it follows.
    pub cut: Cut,
    /// Whether it is the first one after it.
    pub first: bool,
    /// When it began.
    pub began: Instant,
    /// When it was over.
    pub ended: Instant,
    /// Who answered, or why nobody did.
    pub result: Result<Answerer, String>,
}

/// Who answered, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answerer {
    /// When the server was started.
    pub started_at: Option<Timestamp>,
    /// Whether it is a standby.
    pub in_recovery: Option<bool>,
    /// Its own address.
    pub address: Option<IpAddr>,
}

impl Reconnector {
    /// Follows the cuts, until there can be no more and the last one has been followed.
    pub async fn run(self, cuts: UnboundedReceiver<Cut>) {
        let mut stop = self.stop.clone();
        select! {
            biased;
            _ = stop.thrown() => {}
            () = self.follow(cuts) => {}
        }
    }

    async fn follow(&self, mut cuts: UnboundedReceiver<Cut>) {
        // Cuts from before this moment are of an outage that has been followed.
        let mut followed = None;
        while let Some(cut) = cuts.recv().await {
            if followed.is_none_or(|followed| cut.at > followed) {
                followed = Some(self.try_until_answered(cut, followed).await);
            }
        }
    }

    /// Tries until it is answered or there are no more delays; returns when it was over.
    async fn try_until_answered(&self, cut: Cut, before: Option<Instant>) -> Instant {
        let mut ended = before;
        for (n, delay) in self.delays.iter().enumerate() {
            let due = cut.at + *delay;
            sleep_until(ended.map_or(due, |ended| due.max(ended + PAUSE))).await;
            let began = Instant::now();
            let answered = timeout(PATIENCE, self.attempt(cut.lane)).await;
            let late = |_| Err(format!("no answer within {} s", PATIENCE.as_secs()));
            let result = answered.unwrap_or_else(late).map_err(|mut error| {
                shorten(&mut error, MAX_ERROR);
                error
            });
            let now = Instant::now();
            let answered = result.is_ok();
            self.reporter
                .reconnected(self.arm, Attempt { cut, first: n == 0, began, ended: now, result });
            ended = Some(now);
            if answered {
                break;
            }
        }
        ended.unwrap_or(cut.at)
    }

    async fn attempt(&self, lane: usize) -> Result<Answerer, String> {
        let mut session = match self.dialer.connect(lane).await {
            Ok(opened) => opened.session,
            Err(refusal) => {
                self.heed(refusal.reason);
                return Err(refusal.words());
            }
        };
        let mut answerer = self.ask(&mut session, WHO).await?;
        if answerer.is_err() {
            answerer = self.ask(&mut session, ANYTHING).await?;
        }
        session.leave(None).await;
        answerer
    }

    /// Who answers, or the error in its place.
    ///
    /// # Errors
    /// The connection ended.
    async fn ask(
        &self,
        session: &mut Session,
        sql: &str,
    ) -> Result<Result<Answerer, String>, String> {
        match session.rows(sql).await {
            Ok(Ok(rows)) => {
                let field = |column: usize| rows.first()?.get(column)?.as_deref();
                let started_at = field(0).filter(|_| sql == WHO).and_then(|ms| ms.parse().ok());
                Ok(Ok(Answerer {
                    started_at: started_at.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
                    in_recovery: field(1).map(|value| value == "t"),
                    address: field(2).and_then(|address| address.parse().ok()),
                }))
            }
            Ok(Err(said)) => {
                self.heed(is_exhausted(&said).then_some(Inconclusive::PoolExhausted));
                Ok(Err(format!("{} {} {}", said.severity, said.code, said.text)))
            }
            Err(sign) => {
                let verdict = close::classify(session.drain(sign).await);
                self.heed(verdict.reason);
                Err(text::form(&verdict.form))
            }
        }
    }

    /// Our own connections may be why a pool is dry: all of them let go.
    fn heed(&self, reason: Option<Inconclusive>) {
        if reason == Some(Inconclusive::PoolExhausted) {
            self.stop.throw(Inconclusive::PoolExhausted);
        }
    }
}
