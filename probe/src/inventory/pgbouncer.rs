//! PgBouncer's own timers, from its console: the database `pgbouncer`.

use super::{ask, connect, sort_out};
use crate::{
    session::Observer,
    target::Endpoint,
    wire::{Row, field},
};
use api::inventory::{PgBouncerTimers, Setting};
use std::sync::Arc;

/// The mode, in which the timers must be read: always told.
const MODE: &str = "pool_mode";
/// What is told, and in which unit PgBouncer counts it (its documentation, "Configuration").
const TIMERS: [(&str, Option<&str>); 15] = [
    (MODE, None),
    ("client_idle_timeout", Some("s")),
    ("idle_transaction_timeout", Some("s")),
    ("transaction_timeout", Some("s")),
    ("query_timeout", Some("s")),
    ("query_wait_timeout", Some("s")),
    ("client_login_timeout", Some("s")),
    ("server_lifetime", Some("s")),
    ("server_idle_timeout", Some("s")),
    ("server_connect_timeout", Some("s")),
    ("tcp_keepalive", None),
    ("tcp_keepidle", Some("s")),
    ("tcp_keepintvl", Some("s")),
    ("tcp_keepcnt", None),
    ("tcp_user_timeout", Some("ms")),
];

/// Reads into `read`.
pub(super) async fn read(
    endpoint: Endpoint,
    observer: &Arc<Observer>,
    read: &mut PgBouncerTimers,
) -> Result<(), String> {
    let console = Endpoint { database: "pgbouncer".to_owned(), ..endpoint };
    let advice = |said: String| {
        format!(
            "{said}. PgBouncer lets a role of its stats_users or admin_users read its settings, and \
             takes the password for that from its auth_file."
        )
    };
    let mut session = connect(console, observer).await.map_err(advice)?;
    let rows = ask(&mut session, "SHOW CONFIG").await.map_err(advice)?;
    let found = TIMERS.iter().filter_map(|(name, unit)| {
        setting(rows.iter().find(|row| field(row, 0) == Some(name))?, *unit)
    });
    (read.settings, read.at_default) = sort_out(found);
    session.leave(None).await;
    Ok(())
}

/// Columns are key, value, default, changeable; before PgBouncer 1.13 there is no default.
fn setting(row: &Row, unit: Option<&str>) -> Option<Setting> {
    let text = |column| field(row, column).map(str::to_owned);
    let name = text(0)?;
    let default = if row.len() < 4 || name == MODE { None } else { text(2) };
    Some(Setting { name, value: text(1)?, unit: unit.map(str::to_owned), source: None, default })
}
