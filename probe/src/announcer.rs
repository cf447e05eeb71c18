//! Sends NOTIFYs to the connections of one workload and arm that listen: each from a fresh
//! connection, on the path to compare with if there is one, else on the path under test.
//!
//! The sender listens as well, in the transaction of its NOTIFY: so it hears it whatever pools
//! connections on its way, and knows that the database delivers. Only then the silence of another
//! connection means that this one is deaf.

use crate::{
    close::{self, is_exhausted},
    connect::Dialer,
    end::End,
    heard::{Fate, Sent},
    held::{Ended, Held},
    recorder::ArmRecord,
    reporter::Reporter,
    session::Session,
    stop::Stop,
    workload,
};
use api::{
    pattern::Pattern,
    report::{Arm, Inconclusive, Outcome, shorten},
    settings::WorkloadSettings,
    text,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    select,
    sync::{Notify, watch},
    time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until, timeout},
};

/// A NOTIFY may take so long, from connect to COMMIT.
const PATIENCE: Duration = Duration::from_secs(30);
/// Calls of so long share one NOTIFY: ten thousand connections end within minutes.
const COLLECT: Duration = Duration::from_secs(1);
/// A notification that was committed so long ago will not come any more.
const SILENCE: Duration = Duration::from_secs(5);
/// The length that a report allows.
const MAX_DETAIL: usize = 200;

/// The sender of one workload and arm.
pub struct Announcer {
    dialer: Dialer,
    /// Whose connections listen.
    arm: Arm,
    /// Where they listen.
    channel: Arc<str>,
    /// Time between two NOTIFYs that nobody calls for.
    interval: Option<Duration>,
    reporter: Arc<Reporter>,
    stop: Stop,
    called: Notify,
    sent: watch::Sender<Vec<Sent>>,
}

/// Whether a connection still hears at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// It was notified.
    Heard,
    /// It was not, though the sender was.
    Deaf,
    /// It was not, and this is why that means nothing.
    Unknown(String),
}

impl Announcer {
    /// The sender for the connections of an arm, if they listen for it: `name` is their own.
    #[must_use]
    pub fn of(
        workload: &WorkloadSettings,
        name: &str,
        arm: Arm,
        dialer: Dialer,
        reporter: &Arc<Reporter>,
        stop: &Stop,
    ) -> Option<Self> {
        let interval = match workload.pattern {
            Pattern::Listen => None,
            Pattern::ListenNotify { interval_ms } => Some(Duration::from_millis(interval_ms)),
            _ => return None,
        };
        Some(Self {
            dialer,
            arm,
            channel: workload::channel(name, "").into(),
            interval,
            reporter: Arc::clone(reporter),
            stop: stop.clone(),
            called: Notify::new(),
            sent: watch::Sender::default(),
        })
    }

    /// Where the connections are to listen.
    #[must_use]
    pub fn channel(&self) -> &Arc<str> {
        &self.channel
    }

    /// Sends one whenever it is called, and one at each interval while a connection lives, until the
    /// sender of `over` is gone.
    pub async fn run(&self, mut over: watch::Receiver<()>) {
        let mut ticks = self.interval.map(|interval| {
            let mut ticks = interval_at(Instant::now() + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        loop {
            let tick = async {
                match &mut ticks {
                    Some(ticks) => drop(ticks.tick().await),
                    None => std::future::pending().await,
                }
            };
            select! {
                () = self.called.notified() => sleep(COLLECT).await,
                () = tick => {}
                _ = over.changed() => return,
            }
            let listens = |arm: &ArmRecord| arm.arm() == self.arm && arm.alive() > 0;
            if self.reporter.look(|recorder| recorder.arms().iter().any(listens)) {
                self.announce().await;
            }
        }
    }

    async fn announce(&self) {
        let number = self.sent.borrow().len() + 1;
        let began = Instant::now();
        let sent = timeout(PATIENCE, self.send(number)).await;
        let (fate, session) = match sent {
            Ok(Ok((session, true))) => (Fate::Heard, Some(session)),
            Ok(Ok((session, false))) => (Fate::Unheard, Some(session)),
            Ok(Err(why)) => (Fate::Failed(why), None),
            Err(_) => (Fate::Failed(format!("no answer within {} s", PATIENCE.as_secs())), None),
        };
        let sent = Sent { began, ended: Instant::now(), fate };
        self.reporter.announced(self.arm, number, &sent);
        self.sent.send_modify(|all| all.push(sent));
        if let Some(mut session) = session {
            session.leave(Some(&format!("UNLISTEN \"{}\"", self.channel))).await;
        }
    }

    /// Whether the sender heard it itself, or why it is not known to be committed.
    async fn send(&self, number: usize) -> Result<(Session, bool), String> {
        let opened = self.dialer.connect(number).await.map_err(|refusal| {
            self.let_go_if(refusal.reason == Some(Inconclusive::PoolExhausted));
            refusal.detail
        })?;
        let mut session = opened.session;
        session.listen_for(&self.channel);
        // One transaction, so that the notification comes before its answer is complete.
        let sql = format!("LISTEN \"{0}\"; NOTIFY \"{0}\", '{number}'", self.channel);
        match session.ask(&sql, Duration::ZERO).await {
            Ok(None) => {
                let heard = session.heard().is_some_and(|heard| heard.is_last(number));
                Ok((session, heard))
            }
            Ok(Some(error)) => {
                self.let_go_if(is_exhausted(&error));
                session.leave(None).await;
                Err(format!("{} {} {}", error.severity, error.code, error.text))
            }
            Err(sign) => {
                let verdict = close::classify(session.drain(sign).await);
                self.let_go_if(verdict.reason == Some(Inconclusive::PoolExhausted));
                Err(text::form(&verdict.form))
            }
        }
    }

    /// Our own load is never a finding.
    fn let_go_if(&self, exhausted: bool) {
        if exhausted {
            self.stop.throw(Inconclusive::PoolExhausted);
        }
    }

    /// Has a connection notified once more.
    ///
    /// # Errors
    /// The connection ended, or all lanes are to let go.
    pub async fn call(&self, held: &mut Held) -> Result<Hearing, Ended> {
        let called = Instant::now();
        self.called.notify_one();
        select! {
            biased;
            heard = held.notified() => heard.map(|()| Hearing::Heard),
            hearing = self.in_vain(called) => Ok(hearing),
        }
    }

    /// What follows if a connection that called then was not notified.
    async fn in_vain(&self, called: Instant) -> Hearing {
        let unknown = |why: &str| Hearing::Unknown(format!("nobody knows whether it hears: {why}"));
        let is_ours = |all: &Vec<Sent>| all.last().is_some_and(|sent| sent.began >= called);
        let mut sent = self.sent.subscribe();
        let sent = sent.wait_for(is_ours).await.ok().and_then(|all| all.last().cloned());
        let Some(Sent { ended, fate, .. }) = sent else {
            return unknown("nobody sends any more");
        };
        if let Fate::Failed(why) = fate {
            return unknown(&format!("NOTIFY failed: {why}"));
        }
        sleep_until(ended + SILENCE).await;
        match fate {
            Fate::Heard => Hearing::Deaf,
            _ => unknown("NOTIFY was committed, but its own sender was not notified"),
        }
    }

    /// Adds to the end of a connection what it heard.
    pub fn judge(&self, held: &Held, end: &mut End) {
        let life = held.life();
        let (Some(heard), Some(since), Some(lived)) = (held.heard(), life.listen, end.lifetime)
        else {
            return;
        };
        let lived = Duration::from_millis(u64::try_from(lived.min_ms).unwrap_or_default());
        let expected = heard.expected(&self.sent.borrow(), since, life.established + lived);
        end.heard = Some((heard.count(), expected));
        match held.hearing() {
            Some(Hearing::Deaf) if end.outcome == Outcome::Survived => {
                end.outcome = Outcome::Deaf;
                end.detail = Some(format!("not notified within {} s", SILENCE.as_secs()));
            }
            Some(Hearing::Unknown(why)) if end.outcome == Outcome::Survived => {
                let mut why = why.clone();
                shorten(&mut why, MAX_DETAIL);
                end.detail = Some(why);
            }
            _ => {}
        }
    }
}
