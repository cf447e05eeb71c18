//! What became of one connection, held against what was told of it.

use api::sockets::{ClosedBy, Fate, Form, SocketLife, SocketsReport};
use jiff::Timestamp;
use lab::holding::now;
use tokio::task::block_in_place;

/// Between looks, and a little for two busy processors.
const WIDEST_MS: i64 = 500;

/// When something was done: not before the first moment, and not after the second.
pub(crate) type Truth = (Timestamp, Timestamp);

pub(crate) fn done<T>(act: impl FnOnce() -> T) -> Truth {
    let before = now();
    block_in_place(act);
    (before, now())
}

/// What became of one connection, and how that was found.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) truth: Option<Truth>,
    pub(crate) by: ClosedBy,
    pub(crate) forms: &'static [Form],
    /// Bytes of last words.
    pub(crate) words: Option<std::ops::Range<i64>>,
    pub(crate) fate: Fate,
}

impl Case {
    pub(crate) fn check(&self, report: &SocketsReport) {
        let Self { name, .. } = self;
        let life = life(report, self.port);
        let end = life.end.unwrap_or_else(|| panic!("{name}: {life:?}"));
        assert_eq!(end.closed_by, self.by, "{name}: {life:?}");
        assert!(self.forms.contains(&end.form), "{name}: {life:?}");
        assert_eq!(Fate::of(life), self.fate, "{name}: {life:?}");
        if let Some(words) = &self.words {
            assert!(words.contains(&end.last_words_bytes.unwrap_or(-1)), "{name}: {life:?}");
        }
        if let Some((before, after)) = self.truth {
            let told = format!("{name}: done {before} to {after}: {end:?}");
            assert!(end.at.after <= after && before <= end.at.before, "{told}");
            assert!(end.at.width_ms() <= WIDEST_MS, "{told}");
        }
        println!("{name}: {}", api::text::fate(life));
    }
}

pub(crate) fn life(report: &SocketsReport, port: u16) -> &SocketLife {
    let ours = report.sockets.iter().find(|life| life.local_port == port);
    ours.unwrap_or_else(|| panic!("port {port}: {report:?}"))
}
