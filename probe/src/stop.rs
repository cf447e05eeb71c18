//! Tells all lanes to let go: because the process was told to stop, or because a pool ran dry and
//! our own connections may be why.

use api::report::Inconclusive;
use std::sync::Arc;
use tokio::sync::watch;

/// A shared switch that is thrown once.
#[derive(Clone, Debug)]
pub struct Stop {
    thrown: watch::Receiver<Option<Inconclusive>>,
    throw: Arc<watch::Sender<Option<Inconclusive>>>,
}

impl Default for Stop {
    fn default() -> Self {
        let (throw, thrown) = watch::channel(None);
        Self { thrown, throw: Arc::new(throw) }
    }
}

impl Stop {
    /// Throws the switch. The first reason stays.
    pub fn throw(&self, reason: Inconclusive) {
        self.throw.send_if_modified(|thrown| {
            let first = thrown.is_none();
            thrown.get_or_insert(reason);
            first
        });
    }

    /// The reason, if it was thrown.
    #[must_use]
    pub fn reason(&self) -> Option<Inconclusive> {
        *self.thrown.borrow()
    }

    /// Waits until it is thrown.
    pub async fn thrown(&mut self) -> Inconclusive {
        loop {
            if let Some(reason) = *self.thrown.borrow_and_update() {
                return reason;
            }
            // An error would mean that no sender is left, and we hold one.
            if self.thrown.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays() {
        let stop = Stop::default();
        let mut lane = stop.clone();
        assert_eq!(stop.reason(), None);
        stop.throw(Inconclusive::PoolExhausted);
        stop.throw(Inconclusive::Interrupted);
        assert_eq!(lane.thrown().await, Inconclusive::PoolExhausted);
        assert_eq!(lane.thrown().await, Inconclusive::PoolExhausted);
    }
}
