//! Counts what an arm's connections ask of the server.

use api::report::Cost;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters that all connections of an arm share: an idle one has none of its own.
#[derive(Debug, Default)]
pub struct Meter {
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Meter {
    /// Bytes were sent; whether they are a request.
    pub fn sent(&self, bytes: usize, is_request: bool) {
        self.sent.fetch_add(bytes as u64, Relaxed);
        self.requests.fetch_add(is_request.into(), Relaxed);
    }

    /// Bytes came.
    pub fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Relaxed);
    }

    /// What it came to so far.
    #[must_use]
    pub fn cost(&self) -> Cost {
        let count = |counter: &AtomicU64| i64::try_from(counter.load(Relaxed)).unwrap_or(i64::MAX);
        Cost {
            requests: count(&self.requests),
            bytes_sent: count(&self.sent),
            bytes_received: count(&self.received),
        }
    }
}
