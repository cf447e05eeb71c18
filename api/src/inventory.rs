//! The timers on the way to the database, as they were set when a run began.

use crate::{
    report::{Arm, LIMIT, shorten},
    schema,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of PostgreSQL that end a session, a transaction, a statement or a login, in the order in
/// which they are told. Versions that don't know one leave it out.
pub const TIMERS: [&str; 15] = [
    "idle_session_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "statement_timeout",
    "lock_timeout",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
    "client_connection_check_interval",
    "authentication_timeout",
    "max_standby_streaming_delay",
    "max_standby_archive_delay",
    "wal_sender_timeout",
    "wal_receiver_timeout",
];

/// The timers that can cut a connection, as the probe's role saw them when the run began. They were
/// read once, over one short connection of their own per path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inventory {
    /// When it was taken, by the pod's wall clock.
    #[schemars(schema_with = "schema::time")]
    pub taken_at: Timestamp,
    /// TCP's timers in the pod. They hold for its own connections, up to the next hop.
    #[serde(default)]
    pub pod_tcp: PodTcp,
    /// What was read on each path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub arms: Vec<ArmInventory>,
    /// Entries of lists that did not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<i32>,
    /// Why nothing could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub problem: Option<String>,
}

/// Sysctls of the pod's network namespace; absent where they could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodTcp {
    /// net.ipv4.tcp_keepalive_time: seconds of silence before the first keepalive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_time_s: Option<i64>,
    /// net.ipv4.tcp_keepalive_intvl: seconds between keepalives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_interval_s: Option<i64>,
    /// net.ipv4.tcp_keepalive_probes: unanswered keepalives until the connection is given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keepalive_probes: Option<i64>,
    /// net.ipv4.tcp_retries2: retransmissions until the connection is given up; 15 are about 924 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries2: Option<i64>,
    /// net.ipv4.tcp_syn_retries: attempts to connect, after the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syn_retries: Option<i64>,
    /// net.ipv4.tcp_fin_timeout: seconds that a half-closed connection is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fin_timeout_s: Option<i64>,
}

/// What was read on one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArmInventory {
    /// Which path.
    pub arm: Arm,
    /// See [`Hop`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Hop>,
    /// The database server at the end of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<DatabaseServer>,
    /// Timers of the database server that are not at their defaults, for this role and database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub settings: Vec<Setting>,
    /// Timers of the database server that were looked at and are at their defaults. A timer in neither
    /// list is unknown to this version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 48)))]
    pub at_default: Vec<String>,
    /// PgBouncer's own timers, where `target.readPgbouncerConfig` asks for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pgbouncer: Option<PgBouncerTimers>,
    /// What could not be read, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub problem: Option<String>,
}

/// Which connection the server's tcp_* settings describe: Direct (the pod's own: the server sees the
/// address and port from which the pod connects) or Indirect (another one: a pooler or proxy in between
/// has its own connection to the server, or addresses are translated on the way). Timers of sessions,
/// transactions and statements hold for the server's session in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Hop {
    /// The pod's own.
    Direct,
    /// Another one.
    Indirect,
}

/// What a database server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseServer {
    /// Its version.
    #[schemars(length(max = 64))]
    pub version: String,
    /// When it was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub started_at: Option<Timestamp>,
    /// Whether it is a standby.
    #[serde(default)]
    pub in_recovery: bool,
    /// Address and port of its end of the connection; absent on a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub address: Option<String>,
    /// Address and port from which it sees the connection come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub client_address: Option<String>,
    /// Milliseconds by which its clock is ahead of the pod's, for joining its logs with the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_offset_ms: Option<i64>,
    /// How far `clockOffsetMs` may be wrong in either direction, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_error_ms: Option<i64>,
}

/// PgBouncer's timers, from SHOW CONFIG. They hold for its clients, and (server_*) for its own connections
/// to the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PgBouncerTimers {
    /// The pool mode, and what is not at its default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub settings: Vec<Setting>,
    /// What was looked at and is at its default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(max = 48)))]
    pub at_default: Vec<String>,
    /// Why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 300))]
    pub problem: Option<String>,
}

/// A setting and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Its name.
    #[schemars(length(max = 48))]
    pub name: String,
    /// Its value in `unit`; 0 switches most timers off.
    #[schemars(length(max = 32))]
    pub value: String,
    /// Such as `ms` or `s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub unit: Option<String>,
    /// Where the value comes from: pg_settings.source, such as `configuration file` or `user` (ALTER ROLE).
    /// `default` beside another value than the default: the operating system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub source: Option<String>,
    /// The built-in default, where it is another value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub default: Option<String>,
}

impl Setting {
    /// Cuts its texts to what the schema allows.
    pub(crate) fn bound(&mut self) {
        shorten(&mut self.name, 48);
        shorten(&mut self.value, 32);
        self.unit.iter_mut().for_each(|unit| shorten(unit, 8));
        self.source.iter_mut().for_each(|source| shorten(source, 24));
        self.default.iter_mut().for_each(|default| shorten(default, 32));
    }
}

/// Entries of a list.
const MAX_ENTRIES: usize = 32;

impl Inventory {
    /// An inventory of nothing, because of a problem.
    #[must_use]
    pub fn of_problem(taken_at: Timestamp, problem: String) -> Self {
        Self { taken_at, problem: Some(problem), ..Self::default() }
    }

    /// The inventory as JSON, in at most [`LIMIT`] bytes. What gives way, in this order: defaults, texts,
    /// names of what is at its default, settings; dropped entries are counted.
    #[must_use]
    pub fn to_message(&self) -> String {
        let mut fitting = self.clone();
        fitting.fit();
        fitting.json()
    }

    fn fit(&mut self) {
        self.arms.truncate(2);
        self.shorten_texts(300);
        if self.is_too_large() {
            self.settings().for_each(|setting| setting.default = None);
        }
        for length in [120, 40] {
            if self.is_too_large() {
                self.shorten_texts(length);
            }
        }
        while self.is_too_large() && self.drop_an_entry() {
            let left_out = self.left_out.get_or_insert_default();
            *left_out = left_out.saturating_add(1);
        }
    }

    /// Reads a message, and makes sure that it can be kept.
    ///
    /// # Errors
    /// It is none of [`Inventory::to_message`].
    pub fn parse(message: &str) -> serde_json::Result<Self> {
        let mut inventory: Self = serde_json::from_str(message)?;
        inventory.fit();
        Ok(inventory)
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// For a message, or for the schema.
    fn is_too_large(&self) -> bool {
        let long = |arm: &ArmInventory| {
            let own = arm.pgbouncer.iter().map(|it| (&it.settings, &it.at_default));
            let mut lists = own.chain([(&arm.settings, &arm.at_default)]);
            lists.any(|(settings, names)| settings.len() > MAX_ENTRIES || names.len() > MAX_ENTRIES)
        };
        self.arms.iter().any(long) || self.json().len() > LIMIT
    }

    fn settings(&mut self) -> impl Iterator<Item = &mut Setting> {
        self.arms.iter_mut().flat_map(|arm| {
            let pgbouncer = arm.pgbouncer.iter_mut().flat_map(|pgbouncer| &mut pgbouncer.settings);
            arm.settings.iter_mut().chain(pgbouncer)
        })
    }

    /// Cuts every text to what the schema allows, and sentences to `length`.
    fn shorten_texts(&mut self, length: usize) {
        self.settings().for_each(Setting::bound);
        self.problem.iter_mut().for_each(|problem| shorten(problem, length));
        for arm in &mut self.arms {
            let names = arm.pgbouncer.iter_mut().flat_map(|it| &mut it.at_default);
            arm.at_default.iter_mut().chain(names).for_each(|name| shorten(name, 48));
            let pgbouncer = arm.pgbouncer.iter_mut().filter_map(|it| it.problem.as_mut());
            arm.problem.iter_mut().chain(pgbouncer).for_each(|problem| shorten(problem, length));
            if let Some(server) = &mut arm.server {
                shorten(&mut server.version, 64);
                let addresses = server.address.iter_mut().chain(&mut server.client_address);
                addresses.for_each(|address| shorten(address, 64));
            }
        }
    }

    /// Drops the last entry of the longest list of names, then of settings; `false`: there was none.
    fn drop_an_entry(&mut self) -> bool {
        let names = self.arms.iter_mut().flat_map(|arm| {
            let pgbouncer = arm.pgbouncer.iter_mut().map(|it| &mut it.at_default);
            std::iter::once(&mut arm.at_default).chain(pgbouncer)
        });
        if names.max_by_key(|list| list.len()).is_some_and(|longest| longest.pop().is_some()) {
            return true;
        }
        let settings = self.arms.iter_mut().flat_map(|arm| {
            let pgbouncer = arm.pgbouncer.iter_mut().map(|it| &mut it.settings);
            std::iter::once(&mut arm.settings).chain(pgbouncer)
        });
        settings.max_by_key(|list| list.len()).is_some_and(|longest| longest.pop().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    fn setting() -> impl Strategy<Value = Setting> {
        ("\\PC{0,60}", "\\PC{0,60}", "\\PC{0,60}").prop_map(|(name, value, source)| Setting {
            name,
            value: value.clone(),
            unit: Some("ms".into()),
            source: Some(source),
            default: Some(value),
        })
    }

    prop_compose! {
        fn arm()(
            settings in vec(setting(), 0..16),
            at_default in vec("[a-z_]{0,48}", 0..16),
            problem in proptest::option::of("\\PC{0,320}"),
            text in "\\PC{0,80}",
        ) -> ArmInventory {
            let pgbouncer = PgBouncerTimers {
                settings: settings.clone(),
                at_default: at_default.clone(),
                problem: problem.clone(),
            };
            let server = DatabaseServer {
                version: text.clone(),
                started_at: Some(Timestamp::MAX),
                in_recovery: true,
                address: Some(text.clone()),
                client_address: Some(text),
                clock_offset_ms: Some(i64::MIN),
                clock_error_ms: Some(i64::MAX),
            };
            ArmInventory {
                hop: Some(Hop::Indirect),
                server: Some(server),
                settings,
                at_default,
                pgbouncer: Some(pgbouncer),
                problem,
                arm: Arm::Control,
            }
        }
    }

    proptest! {
        #[test]
        fn any_inventory_fits_and_counts_what_is_left_out(arms in vec(arm(), 0..=2)) {
            let whole = Inventory { arms, ..Inventory::default() };
            let message = whole.to_message();
            prop_assert!(message.len() <= LIMIT, "{} bytes", message.len());
            let read = Inventory::parse(&message).unwrap();
            let entries = |inventory: &Inventory| -> usize {
                let lists = inventory.arms.iter().map(|arm| {
                    let pgbouncer = arm.pgbouncer.as_ref().unwrap();
                    arm.settings.len() + arm.at_default.len() + pgbouncer.settings.len()
                        + pgbouncer.at_default.len()
                });
                lists.sum()
            };
            let left_out = usize::try_from(read.left_out.unwrap_or(0)).unwrap();
            prop_assert_eq!(entries(&read) + left_out, entries(&whole));
            prop_assert_eq!(read.arms.len(), whole.arms.len());
        }
    }
}
