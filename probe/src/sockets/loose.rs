//! An exchange that was not over when a look saw it, or that may have been the beginning of an end: a look between the
//! last words and the FIN must not hide either.

use super::{ending::is_loose, seen::Info};

/// An exchange no longer before an end, in milliseconds, belongs to it.
const EXCHANGE_MS: i64 = 300;

/// An exchange, and what was known before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loose {
    /// Its last moment.
    pub(super) at_ms: i64,
    /// The last look before it.
    pub(super) before: (i64, Info),
    /// When data was last sent before it.
    pub(super) sent_ms: i64,
    /// And last came.
    pub(super) received_ms: i64,
}

impl Loose {
    /// This one, of so many bytes that went and came; or as a part of the `last` one, if that goes on. Absent: it was whole.
    pub(super) fn after(self, last: Option<Self>, sent: i64, received: i64) -> Option<Self> {
        let goes_on = last.filter(|last| last.belongs_to(self.at_ms));
        let whole = goes_on.map_or(self, |last| Self { at_ms: self.at_ms, ..last });
        is_loose(sent, received).then_some(whole)
    }

    /// Whether it belongs to what happened at a moment.
    pub(super) fn belongs_to(&self, at_ms: i64) -> bool {
        at_ms - self.at_ms <= EXCHANGE_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchange_goes_on_until_it_is_whole_or_long_over() {
        let at = |at_ms, look_ms| Loose {
            at_ms,
            before: (look_ms, Info::default()),
            sent_ms: look_ms,
            received_ms: look_ms,
        };
        let looks = |loose: Option<Loose>| loose.map(|loose| (loose.at_ms, loose.before.0));
        // A small request, and its answer.
        let asked = at(1_000, 900).after(None, 36, 0);
        assert_eq!(looks(asked), Some((1_000, 900)));
        assert_eq!(looks(at(1_200, 1_100).after(asked, 0, 80)), Some((1_200, 900)));
        assert_eq!(looks(at(1_400, 1_350).after(asked, 0, 80)), Some((1_400, 1_350)), "too late");
        assert_eq!(looks(at(1_200, 1_100).after(asked, 300, 80)), None, "another one, and whole");
    }
}
