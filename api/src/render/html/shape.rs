//! How an end is drawn: with a shape of its own, whatever its colour.

use crate::{observed, report::Outcome, sockets};
use maud::{Markup, html};

/// How a connection ended, as far as a figure tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Cut,
    Alive,
    RequestFailed,
    Deaf,
    NeverOpened,
    /// Its own side ended it, or what it was for was over.
    Left,
    Unknown,
}

impl Shape {
    /// All of them, with what they mean.
    pub(super) const ALL: [(Self, &'static str); 7] = [
        (Self::Cut, "cut"),
        (Self::Alive, "survived, or still there: lived at least so long"),
        (Self::Left, "left by itself or ended"),
        (Self::RequestFailed, "alive, a request failed"),
        (Self::Deaf, "alive, but deaf"),
        (Self::NeverOpened, "never established"),
        (Self::Unknown, "nothing can be said"),
    ];

    /// Its colour's name in the style sheet.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Cut => "cut",
            Self::Left => "left",
            Self::RequestFailed | Self::Deaf | Self::NeverOpened | Self::Unknown => "odd",
        }
    }

    pub(super) fn draw(self, x: f64, y: f64) -> Markup {
        let path = match self {
            Self::Alive => "M-3-4L5 0L-3 4Z",
            Self::Cut => "M-4-4L4 4M-4 4L4-4",
            Self::Left => "M0-5V4M-4 0L0 4L4 0",
            Self::RequestFailed => "M0-5L5 0L0 5L-5 0Z",
            Self::Deaf => "M-4-4H4V4H-4Z",
            Self::NeverOpened => "M-5 0H5M0-5V5",
            Self::Unknown => "M-3-2A3 3 0 1 1 0 1V2M0 4V5",
        };
        html! { path.mark d=(path) transform=(format!("translate({x} {y})")) {} }
    }
}

impl From<Outcome> for Shape {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Survived => Self::Alive,
            Outcome::Disconnected => Self::Cut,
            Outcome::RequestFailed => Self::RequestFailed,
            Outcome::Deaf => Self::Deaf,
            Outcome::ConnectFailed => Self::NeverOpened,
            Outcome::Inconclusive => Self::Unknown,
        }
    }
}

/// Of a session as the server saw it; no fate: it went on.
impl From<Option<observed::Fate>> for Shape {
    fn from(fate: Option<observed::Fate>) -> Self {
        use observed::Fate;
        match fate {
            None => Self::Alive,
            Some(Fate::CutIdle | Fate::CutActive) => Self::Cut,
            Some(Fate::Left | Fate::RowDeleted | Fate::TaskEnded | Fate::ServerRestarted) => {
                Self::Left
            }
            Some(Fate::Unknown) => Self::Unknown,
        }
    }
}

/// Of a socket as its pod's kernel saw it.
impl From<sockets::Fate> for Shape {
    fn from(fate: sockets::Fate) -> Self {
        use sockets::Fate;
        match fate {
            Fate::There => Self::Alive,
            Fate::CutIdle | Fate::CutActive | Fate::GaveUp => Self::Cut,
            Fate::Left => Self::Left,
            Fate::Unknown => Self::Unknown,
        }
    }
}
