//! Makes what was observed fit a termination message. What gives way, in this order: texts of statements, workers' rows
//! that are still there, lives that tell least, the other rows, statements, rare fates.

use super::{Life, Observed};

/// Lives that stay longest.
const FEW: usize = 4;

impl Observed {
    /// Leaves out one more thing; `false` where nothing is left to be left out.
    pub(crate) fn give_way(&mut self) -> bool {
        let texts = self.lives.iter_mut().filter(|life| life.statement.is_some());
        if texts.map(|life| life.statement = None).count() > 0 {
            return true;
        }
        let present = self.workers.iter().rposition(|worker| worker.gone_before.is_none());
        if let Some(present) = present {
            self.workers.remove(present);
            return true;
        }
        // A few lives say more than many rows.
        if self.lives.len() > FEW || self.workers.is_empty() {
            if self.lives.pop().is_some() {
                return true;
            }
        } else if self.workers.pop().is_some() {
            return true;
        }
        let statements = self.statements.as_mut();
        statements.is_some_and(|told| told.counts.pop().is_some())
            || self.missing.pop().is_some()
            || self.facts.pop().is_some()
            || self.fates.pop().is_some()
    }

    /// Those first that tell most, and fates of most.
    pub fn sort(&mut self) {
        Life::sort(&mut self.lives);
        self.fates.sort_by_key(|count| (-count.lived.n, count.role, count.fate));
    }
}
