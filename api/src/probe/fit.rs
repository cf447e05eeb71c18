//! Keeps a probe's status small, whatever its runs found: it is read often, and by the thousand.
//!
//! What gives way, in this order: what servers said of each workload, the length of sentences, earlier runs,
//! and lines of workloads, the last first. The run has all of it.

use super::{ConnectionProbeStatus, WorkloadLine};
use crate::report::shorten;

/// So many bytes a probe's status has at most, as JSON.
const LIMIT: usize = 8192;

impl ConnectionProbeStatus {
    /// Leaves out what does not fit.
    #[must_use]
    pub fn fitting(mut self) -> Self {
        for length in [60, 20] {
            if self.is_too_large() {
                self.shorten_texts(length);
            }
        }
        if self.is_too_large() {
            self.lines().for_each(|line| line.text = None);
        }
        for length in [512, 256, 64] {
            if self.is_too_large() {
                self.shorten_sentences(length);
            }
        }
        while self.is_too_large() && self.recent_runs.pop().is_some() {}
        while self.is_too_large() && self.drop_a_line() {}
        self
    }

    fn is_too_large(&self) -> bool {
        serde_json::to_string(self).map_or(0, |json| json.len()) > LIMIT
    }

    fn lines(&mut self) -> impl Iterator<Item = &mut WorkloadLine> {
        self.last_run.iter_mut().flat_map(|run| &mut run.workloads)
    }

    fn shorten_texts(&mut self, length: usize) {
        self.lines().filter_map(|line| line.text.as_mut()).for_each(|text| shorten(text, length));
    }

    fn shorten_sentences(&mut self, length: usize) {
        let messages = self.conditions.iter_mut().map(|condition| &mut condition.message);
        messages.chain(&mut self.summary).for_each(|text| shorten(text, length));
    }

    fn drop_a_line(&mut self) -> bool {
        self.last_run.as_mut().is_some_and(|run| run.workloads.pop().is_some())
    }
}
