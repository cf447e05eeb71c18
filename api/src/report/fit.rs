//! Makes a report fit a termination message, whatever happened.
//!
//! Counts and spreads are exact for any number of connections. What gives way, in this order:
//! rungs of a ladder that say what their neighbours say, what the kernel knew (of all but the first of
//! each ending), errors of connecting anew, single connections (survivors first; the earliest of
//! each ending stay longest), texts, rare endings, which are merged into one that keeps their count, the ladder, and
//! what else is told beside the ends.

use super::{ArmReport, Ending, Outcome, Report, Rung, Server};
use crate::{
    close_form::{CloseForm, ServerMessage, TlsEnd},
    lifetime::Spread,
};

/// The kubelet keeps so many bytes of a termination message.
pub const LIMIT: usize = 4096;
/// Different endings that an arm keeps apart.
pub const MAX_ENDINGS: usize = 12;
/// Single connections that an ending lists at most.
const MAX_LANES: usize = 32;

impl Report {
    /// The report as JSON, in at most [`LIMIT`] bytes.
    #[must_use]
    pub fn to_message(&self) -> String {
        let mut report = self.clone();
        report.fit();
        report.json()
    }

    /// Keeps within the bounds of the schema, however large: the API server refuses what exceeds them.
    pub fn bound(&mut self) {
        shorten(&mut self.workload, 40);
        self.problem.iter_mut().for_each(|problem| shorten(&mut problem.message, 600));
        if let Some(observed) = &mut self.observed {
            // A watcher holds nothing.
            self.arms.clear();
            observed.bound();
        }
        self.arms.truncate(2);
        self.arms.iter_mut().for_each(ArmReport::bound);
        self.list_lanes(MAX_LANES, |_| true);
    }

    /// Leaves out what does not fit.
    pub fn fit(&mut self) {
        self.bound();
        if self.too_large() {
            self.arms.iter_mut().for_each(ArmReport::thin_ladder);
        }
        if self.too_large() {
            let endings = self.arms.iter_mut().flat_map(|arm| &mut arm.endings);
            let others = endings.flat_map(|ending| ending.lanes.iter_mut().skip(1));
            others.for_each(|lane| lane.tcp_info = None);
        }
        if self.too_large() {
            self.shorten_errors(40);
        }
        let endings = self.arms.iter().flat_map(|arm| &arm.endings);
        let longest = endings.map(|ending| ending.lanes.len()).max();
        let longest = longest.unwrap_or_default();
        for lanes in (0..longest).rev() {
            if self.too_large() {
                self.list_lanes(lanes, |ending| ending.outcome == Outcome::Survived);
            }
        }
        for lanes in (0..longest).rev() {
            if self.too_large() {
                self.list_lanes(lanes, |_| true);
            }
        }
        for length in [120, 60, 20, 0] {
            if self.too_large() {
                self.shorten_texts(length);
            }
        }
        for endings in (1..MAX_ENDINGS).rev() {
            if self.too_large() {
                self.arms.iter_mut().for_each(|arm| arm.merge_rare_endings(endings));
            }
        }
        if self.too_large() {
            self.arms.iter_mut().for_each(|arm| arm.ladder.clear());
        }
        if self.too_large() {
            self.arms.iter_mut().for_each(ArmReport::forget_what_is_beside);
        }
        while self.too_large() && self.observed.as_mut().is_some_and(|observed| observed.give_way())
        {
        }
    }

    fn too_large(&self) -> bool {
        self.json().len() > LIMIT
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Lists at most so many single connections of each such ending.
    fn list_lanes(&mut self, most: usize, of: impl Fn(&Ending) -> bool) {
        let endings = self.arms.iter_mut().flat_map(|arm| &mut arm.endings);
        endings.filter(|ending| of(ending)).for_each(|ending| ending.lanes.truncate(most));
    }

    fn shorten_errors(&mut self, length: usize) {
        let reconnects = self.arms.iter_mut().filter_map(|arm| arm.reconnect.as_mut());
        let errors = reconnects.filter_map(|reconnect| reconnect.last_error.as_mut());
        errors.for_each(|error| shorten(error, length));
    }

    fn shorten_texts(&mut self, length: usize) {
        self.shorten_errors(length);
        for ending in self.arms.iter_mut().flat_map(|arm| &mut arm.endings) {
            if let Some(detail) = &mut ending.detail {
                shorten(detail, length);
            }
            for message in ending.form.iter_mut().flat_map(|form| &mut form.messages) {
                shorten(&mut message.text, length);
                if let Some(routine) = &mut message.routine {
                    shorten(routine, length);
                }
            }
        }
    }
}

impl ArmReport {
    fn bound(&mut self) {
        self.merge_rare_endings(MAX_ENDINGS);
        self.ladder.truncate(32);
        let mut bounded: Vec<(&mut String, usize)> = Vec::new();
        if let Some(Server { version, tls, auth }) = &mut self.server {
            bounded.extend(version.iter_mut().chain(tls).map(|text| (text, 64)));
            bounded.extend(auth.iter_mut().map(|text| (text, 32)));
        }
        if let Some(reconnect) = &mut self.reconnect {
            bounded.extend(reconnect.last_error.iter_mut().map(|text| (text, 200)));
            bounded.extend(reconnect.server_address.iter_mut().map(|text| (text, 64)));
        }
        for Ending { form, detail, lanes, .. } in &mut self.endings {
            bounded.extend(detail.iter_mut().map(|text| (text, 200)));
            bounded.extend(lanes.iter_mut().filter_map(|lane| Some((lane.peer.as_mut()?, 64))));
            if let Some(CloseForm { messages, tls, .. }) = form {
                messages.truncate(4);
                if let Some(TlsEnd::Alert(name)) = tls {
                    bounded.push((name, 58));
                }
                for ServerMessage { severity, code, text, routine, .. } in messages {
                    bounded.extend([(severity, 16), (code, 8), (text, 200)]);
                    bounded.extend(routine.iter_mut().map(|text| (text, 64)));
                }
            }
        }
        bounded.into_iter().for_each(|(text, length)| shorten(text, length));
    }

    /// Leaves out rungs that ended as both of their neighbours did.
    fn thin_ladder(&mut self) {
        let ladder = std::mem::take(&mut self.ladder);
        let ended = |rung: &Rung| (rung.cut > 0, rung.survived > 0);
        let alike = |i: usize| {
            i > 0
                && i + 1 < ladder.len()
                && ladder[i - 1..=i + 1].windows(2).all(|two| ended(&two[0]) == ended(&two[1]))
        };
        self.ladder = (0..ladder.len()).filter(|i| !alike(*i)).map(|i| ladder[i]).collect();
    }

    /// Keeps what ended, how often and when.
    fn forget_what_is_beside(&mut self) {
        (self.server, self.tcp, self.cost) = (None, None, None);
        (self.reconnect, self.notifications) = (None, None);
        let forms = self.endings.iter_mut().filter_map(|ending| ending.form.as_mut());
        forms.for_each(|form| form.messages.truncate(1));
    }

    /// Keeps the `most` endings with the largest counts and merges the others into one of the
    /// same outcome. The last ending of an outcome always stays.
    fn merge_rare_endings(&mut self, most: usize) {
        while self.endings.len() > most {
            let shares = |i: &usize| {
                let outcome = self.endings[*i].outcome;
                self.endings.iter().filter(|ending| ending.outcome == outcome).count() > 1
            };
            let rarest = (0..self.endings.len())
                .filter(shares)
                .min_by_key(|i| (self.endings[*i].n, usize::MAX - i));
            let Some(rarest) = rarest else { return };
            let rare = self.endings.remove(rarest);
            let alike = self.endings.iter_mut().filter(|ending| ending.outcome == rare.outcome);
            if let Some(ending) = alike.min_by_key(|ending| (ending.form.is_some(), ending.n)) {
                ending.absorb(&rare);
            }
        }
    }
}

impl Ending {
    /// Takes over the count of another ending; what they do not share is forgotten.
    fn absorb(&mut self, other: &Self) {
        self.n = self.n.saturating_add(other.n);
        if self.form != other.form {
            self.form = None;
        }
        if self.detail != other.detail {
            self.detail = Some("various".to_owned());
        }
        self.reason = self.reason.filter(|reason| Some(*reason) == other.reason);
        self.lifetime = match (self.lifetime, other.lifetime) {
            (Some(a), Some(b)) => Some(Spread {
                n: a.n.saturating_add(b.n),
                min_ms: a.min_ms.min(b.min_ms),
                // Of the larger group: the exact median went with the values.
                median_ms: if a.n >= b.n { a.median_ms } else { b.median_ms },
                max_ms: a.max_ms.max(b.max_ms),
            }),
            (a, b) => a.or(b),
        };
        self.lanes.clear();
    }
}

/// Cuts a text to at most `length` characters, at a character boundary.
pub fn shorten(text: &mut String, length: usize) {
    if let Some((at, _)) = text.char_indices().nth(length) {
        text.truncate(at);
    }
}

#[cfg(test)]
mod tests;
