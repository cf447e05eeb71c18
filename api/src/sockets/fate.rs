//! What became of a connection.

use super::{ClosedBy, Form, SocketLife};
use serde::Serialize;

/// Whoever sent something less than so long ago, in milliseconds, is active.
pub const ACTIVE_MS: i64 = 1_000;

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Fate {
    /// It was still there when nobody watched any more.
    There,
    /// The peer closed it, and the process had sent nothing for a second or longer.
    CutIdle,
    /// The peer closed it while the process used it.
    CutActive,
    /// Its own side closed it first.
    Left,
    /// Nobody closed it: nothing was acknowledged, and the own kernel gave up.
    GaveUp,
    /// It is gone, and who closed it can't be told.
    Unknown,
}

impl Fate {
    /// Of this connection.
    #[must_use]
    pub fn of(life: &SocketLife) -> Self {
        let Some(end) = &life.end else { return Self::There };
        match (end.closed_by, end.form) {
            (ClosedBy::Own, _) => Self::Left,
            (_, Form::TimedOut) => Self::GaveUp,
            (ClosedBy::Peer, _) if end.silence().0 < ACTIVE_MS || end.unacked > 0 => {
                Self::CutActive
            }
            (ClosedBy::Peer, _) => Self::CutIdle,
            (ClosedBy::Unknown, _) => Self::Unknown,
        }
    }

    /// Whether something other than its own process ended it.
    #[must_use]
    pub fn is_cut(self) -> bool {
        matches!(self, Self::CutIdle | Self::CutActive | Self::GaveUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        beats::Rhythm,
        sockets::{
            SocketEnd,
            tests::{cut, left, life},
        },
    };

    #[test]
    fn a_fate_follows_from_who_closed_it_and_how_long_it_was_silent() {
        let with = |change: fn(&mut SocketEnd)| {
            let mut life = cut(Rhythm::Silent, 60_000, 59_000);
            life.end.iter_mut().for_each(change);
            life
        };
        for (life, fate) in [
            (life(Rhythm::Silent, 9), Fate::There),
            (with(|_| {}), Fate::CutIdle),
            (with(|end| end.silence_ms = 1_100), Fate::CutIdle),
            // Within the window it may have been less than a second.
            (with(|end| end.silence_ms = 1_099), Fate::CutActive),
            (with(|end| end.unacked = 1), Fate::CutActive),
            (left(Rhythm::Silent, 60_000, 59_000), Fate::Left),
            (
                with(|end| (end.closed_by, end.form) = (ClosedBy::Unknown, Form::TimedOut)),
                Fate::GaveUp,
            ),
            (with(|end| end.closed_by = ClosedBy::Unknown), Fate::Unknown),
        ] {
            assert_eq!(Fate::of(&life), fate, "{life:?}");
        }
    }
}
