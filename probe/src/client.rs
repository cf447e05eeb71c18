//! Whose way of talking is reproduced: what a client adds to the statements of a workload
//! (docs/clients.md; proven by lab/tests/traces.rs).

use api::{measurement::Client, settings::WorkloadSettings};
use psycopg::Psycopg;

pub mod psycopg;

/// A client as a workload uses it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Statements as they are.
    #[default]
    Raw,
    /// psycopg 3.
    Psycopg {
        /// Whether statements stand alone. Otherwise a transaction is opened before the first one.
        autocommit: bool,
    },
    /// Django, in autocommit as it always is.
    Django,
}

impl Manner {
    /// The manner of a workload's connections.
    #[must_use]
    pub fn of(workload: &WorkloadSettings) -> Self {
        match workload.client {
            Client::Raw => Self::Raw,
            Client::Psycopg => Self::Psycopg { autocommit: workload.pattern.is_autocommit() },
            Client::Django => Self::Django,
        }
    }

    /// What follows user and database in the start-up message.
    #[must_use]
    pub fn start_up(self) -> Option<(&'static str, &'static str)> {
        (self == Self::Django).then_some(("client_encoding", "UTF8"))
    }

    /// What is sent once the session is ready, on a server with this TimeZone: it sets a variable.
    #[must_use]
    pub fn greeting(self, time_zone: Option<&str>) -> Option<&'static str> {
        (self == Self::Django && time_zone != Some("UTC"))
            .then_some("SELECT set_config('TimeZone', 'UTC', false)")
    }

    /// What a connection has to remember. Nothing in most, and ten thousand have room for it.
    #[must_use]
    pub fn memory(self) -> Option<Box<Psycopg>> {
        match self {
            Self::Psycopg { autocommit } => Some(Box::new(Psycopg::new(autocommit))),
            Self::Raw | Self::Django => None,
        }
    }
}
