//! Makes what was observed fit a termination message. What gives way, in this order: texts of statements, lives that
//! tell least, workers' rows that are still there, rows of workers, statements, rare fates.

use super::Observed;

impl Observed {
    /// Leaves out one more thing; `false` where nothing is left to be left out.
    pub(crate) fn give_way(&mut self) -> bool {
        if self.lives.iter().any(|life| life.statement.is_some()) {
            self.lives.iter_mut().for_each(|life| life.statement = None);
            return true;
        }
        let present = self.workers.iter().rposition(|worker| worker.gone_before.is_none());
        // A few lives say more than many rows.
        if self.lives.len() > 4 {
            self.lives.pop();
        } else if let Some(present) = present {
            self.workers.remove(present);
        } else if !self.lives.is_empty() {
            self.lives.pop();
        } else if !self.workers.is_empty() {
            self.workers.pop();
        } else if self.statements.as_mut().is_some_and(|told| told.counts.pop().is_some())
            || self.missing.pop().is_some()
            || self.facts.pop().is_some()
        {
        } else {
            return self.fates.pop().is_some();
        }
        true
    }

    /// Lives that tell most first.
    pub fn sort(&mut self) {
        self.lives.sort_by_key(super::Life::rank);
        self.fates.sort_by_key(|count| (-count.lived.n, count.role, count.fate));
    }
}
