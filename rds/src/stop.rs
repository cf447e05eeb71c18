//! SIGTERM and SIGINT.

use std::{io, time::Duration};
use tokio::{
    select,
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// Whether we are told to stop. From the moment that it listens a signal ends nothing by itself, and none is lost.
pub(crate) struct Stop {
    term: Signal,
    int: Signal,
    told: bool,
}

impl Stop {
    pub(crate) fn listen() -> io::Result<Self> {
        let (term, int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Self { term, int, told: false })
    }

    /// Waits until we are told to stop. Whoever was told once stays told.
    pub(crate) async fn told(&mut self) {
        if !self.told {
            select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
            }
            self.told = true;
        }
    }

    /// Whether we were told to stop, as far as anybody has looked.
    pub(crate) fn is_told(&self) -> bool {
        self.told
    }

    /// Does it, unless we are told to stop meanwhile: then it is given up.
    pub(crate) async fn unless<T>(&mut self, done: impl Future<Output = T>) -> Option<T> {
        select! {
            biased;
            () = self.told() => None,
            done = done => Some(done),
        }
    }

    /// Waits for so long, unless we are told to stop: then there is nothing more to wait for.
    pub(crate) async fn pause(&mut self, time: Duration) -> Option<()> {
        self.unless(sleep(time)).await
    }
}
