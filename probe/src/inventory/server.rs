//! The database server's timers, as they hold for the probe's role and database.

use super::{ask, connect, sort_out};
use crate::{
    clock::Clock,
    session::{Observer, Session},
    target::Endpoint,
    wire::{Row, field},
};
use api::inventory::{ArmInventory, DatabaseServer, Hop, Setting, TIMERS};
use jiff::Timestamp;
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::time::Instant;

const ITSELF: &str = "SELECT pg_catalog.current_setting('server_version'), \
    (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000)::bigint, \
    pg_catalog.pg_is_in_recovery(), \
    pg_catalog.host(pg_catalog.inet_server_addr()), pg_catalog.inet_server_port(), \
    pg_catalog.host(pg_catalog.inet_client_addr()), pg_catalog.inet_client_port()";

const CLOCK: &str = "SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint";
/// The clock is read so often; the fastest answer tells most.
const READINGS: usize = 3;

/// Reads into `read`, which keeps what was read before something failed.
pub(super) async fn read(
    endpoint: &Endpoint,
    observer: &Arc<Observer>,
    clock: Clock,
    read: &mut ArmInventory,
) -> Result<(), String> {
    let mut session = connect(endpoint.clone(), observer).await?;
    let (local, _) = session.link().addresses();
    let names = TIMERS.join("', '");
    let sql = format!(
        "SELECT name, setting, unit, source, boot_val FROM pg_catalog.pg_settings \
         WHERE name IN ('{names}')"
    );
    let rows = ask(&mut session, &sql).await?;
    let found = TIMERS
        .iter()
        .filter_map(|name| rows.iter().find(|row| field(row, 0) == Some(name)).and_then(setting));
    (read.settings, read.at_default) = sort_out(found);

    let rows = ask(&mut session, ITSELF).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let address = |column| -> Option<SocketAddr> {
        let ip: IpAddr = field(row, column)?.parse().ok()?;
        Some(SocketAddr::new(ip.to_canonical(), field(row, column + 1)?.parse().ok()?))
    };
    let ours = local.map(|local| SocketAddr::new(local.ip().to_canonical(), local.port()));
    read.hop = Some(if address(5) == ours { Hop::Direct } else { Hop::Indirect });
    let server = read.server.insert(DatabaseServer {
        version: observer.scrubber.clean(field(row, 0).unwrap_or_default()),
        started_at: field(row, 1).and_then(|ms| Timestamp::from_millisecond(ms.parse().ok()?).ok()),
        in_recovery: field(row, 2) == Some("t"),
        address: address(3).map(|address| address.to_string()),
        client_address: address(5).map(|address| address.to_string()),
        ..DatabaseServer::default()
    });
    for _ in 0..READINGS {
        let Some((offset, error)) = clock_offset(&mut session, clock).await? else { break };
        if server.clock_error_ms.is_none_or(|least| error < least) {
            (server.clock_offset_ms, server.clock_error_ms) = (Some(offset), Some(error));
        }
    }
    session.leave(None).await;
    Ok(())
}

fn setting(row: &Row) -> Option<Setting> {
    let text = |column| field(row, column).map(str::to_owned);
    Some(Setting {
        name: text(0)?,
        value: text(1)?,
        unit: text(2),
        source: text(3),
        default: text(4),
    })
}

/// By how many milliseconds the server's clock is ahead, and how far that may be wrong: it was read at
/// some moment between question and answer.
async fn clock_offset(session: &mut Session, clock: Clock) -> Result<Option<(i64, i64)>, String> {
    let asked = Instant::now();
    let rows = ask(session, CLOCK).await?;
    let half = asked.elapsed() / 2;
    let server: Option<i64> = rows.first().and_then(|row| field(row, 0)?.parse().ok());
    let offset = server.map(|ms| ms - clock.at(asked + half).as_millisecond());
    // Both are whole milliseconds.
    Ok(offset.map(|offset| (offset, api::lifetime::ms(half) + 2)))
}
