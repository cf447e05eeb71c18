//! Timers that are set on the path, and such as are known by their defaults.

use super::{
    Clock, Near,
    span::{Span, tolerance},
};
use crate::{
    Inventory,
    inventory::{ArmInventory, Setting},
    rds_proxy::{
        RdsProxyStatus,
        evidence::{PoolFacts, ProxyFacts},
    },
    report::Arm,
    run::ConnectionProbeRunStatus,
};

/// A timer and its value.
struct Configured {
    name: String,
    value_ms: i64,
}

/// Defaults of what can't be asked (AWS documentation of NLB, NAT gateway, Network Firewall and RDS Proxy; Azure Load
/// Balancer; Envoy).
const KNOWN: [(&str, i64); 5] = [
    ("AWS NLB, NAT gateway, Network Firewall: idle time-out (default, not read)", 350_000),
    (IDLE_CLIENT_TIMEOUT, 1_800_000),
    ("AWS RDS Proxy: limit for a client connection (documented, not read)", 86_400_000),
    ("Azure Load Balancer: idle time-out (default, not read)", 240_000),
    ("Envoy, Istio: TCP idle time-out (default, not read)", 3_600_000),
];
/// Left out where it was read.
const IDLE_CLIENT_TIMEOUT: &str = "AWS RDS Proxy: IdleClientTimeout (default, not read)";
/// Settings that are no lengths of time, or whose end no client sees.
const OTHERS: [&str; 4] = ["tcp_keepalives_count", "tcp_keepcnt", "tcp_keepalive", "pool_mode"];

/// Timers near a value that was observed by this clock, the nearest first, and how many were read.
pub(super) fn near(
    value: Span,
    clock: Clock,
    arm: Arm,
    status: &ConnectionProbeRunStatus,
) -> (Vec<Near>, usize) {
    let mut read = read(arm, status.inventory.as_ref());
    let proxy = status.rds_proxy.as_ref().filter(|_| arm == Arm::Target);
    let of_proxy = proxy.map(|told| of_proxy(told, clock)).unwrap_or_default();
    let is_read = proxy.is_some_and(|told| told.told().any(|it| it.proxy.is_some()));
    read.extend(of_proxy);
    let own = status.inventory.iter().flat_map(|it| &it.arms).find(|it| it.arm == arm);
    read.extend(proxy.map(|told| of_database(told, own)).unwrap_or_default());
    let number = read.len();
    let known = KNOWN.into_iter().filter(|(name, _)| !(is_read && *name == IDLE_CLIENT_TIMEOUT));
    let known = known.map(|(name, value_ms)| Configured { name: name.to_owned(), value_ms });
    let mut near: Vec<Near> =
        read.into_iter().chain(known).filter_map(|timer| timer.near(value)).collect();
    near.sort_by(|a, b| (a.distance_ms, &a.name).cmp(&(b.distance_ms, &b.name)));
    near.truncate(super::finding::MAX_LINES);
    (near, number)
}

/// An RDS Proxy's own timers. How long clients wait for a database connection counts while a statement is under way.
fn of_proxy(told: &RdsProxyStatus, clock: Clock) -> Vec<Configured> {
    // What the run set itself held for it, whatever was there before and afterwards.
    let own = told.timeout_override.as_ref().filter(|it| it.in_force_at.is_some());
    let proxies = told.told().filter_map(|evidence| evidence.proxy.as_ref());
    let idle = |proxy: &ProxyFacts| {
        let seconds = own.map_or(proxy.idle_client_timeout_seconds, |own| own.seconds);
        ("IdleClientTimeout", seconds)
    };
    let pools = told.told().filter_map(|evidence| evidence.pool.as_ref());
    let borrow = |pool: &PoolFacts| ("ConnectionBorrowTimeout", pool.borrow_timeout_seconds);
    let borrow = pools.map(borrow).filter(|_| clock == Clock::Statement);
    let mut timers: Vec<_> = proxies.map(idle).chain(borrow).collect();
    timers.sort_unstable();
    timers.dedup();
    let timer = |(name, seconds): (&str, i64)| Configured {
        name: format!("AWS RDS Proxy: {name}"),
        value_ms: seconds.saturating_mul(1000),
    };
    timers.into_iter().map(timer).filter(|timer| timer.value_ms > 0).collect()
}

/// Parameters of the database behind it, but for those that the role saw itself.
fn of_database(told: &RdsProxyStatus, own: Option<&ArmInventory>) -> Vec<Configured> {
    let seen = |name: &str| {
        own.is_some_and(|own| {
            own.settings
                .iter()
                .map(|setting| &setting.name)
                .chain(&own.at_default)
                .any(|it| it == name)
        })
    };
    let mut told = told.told().rev().map(|evidence| &evidence.parameters);
    let told = told.find(|parameters| !parameters.is_empty()).into_iter().flatten();
    let unseen = told.filter(|parameter| !seen(&parameter.name));
    let timers = unseen.filter_map(|parameter| {
        let name = format!("RDS parameter group: {}", parameter.name);
        Some(Configured { name, value_ms: value_ms(parameter)? })
    });
    timers.filter(|timer| timer.value_ms > 0).collect()
}

impl Configured {
    fn near(self, value: Span) -> Option<Near> {
        let Self { name, value_ms } = self;
        let distance_ms = (value.low - value_ms).max(value_ms - value.high).max(0);
        let fits = distance_ms <= tolerance(value_ms);
        let is_near = distance_ms <= value_ms / 10;
        (fits || is_near).then_some(Near { name, value_ms, distance_ms, fits })
    }
}

fn read(arm: Arm, inventory: Option<&Inventory>) -> Vec<Configured> {
    let Some(inventory) = inventory else { return Vec::new() };
    let arms = inventory.arms.iter().filter(|it| it.arm == arm);
    let of_server = arms.clone().flat_map(|arm| &arm.settings).map(|it| (it, "PostgreSQL"));
    let of_pooler = arms.filter_map(|arm| arm.pgbouncer.as_ref());
    let of_pooler = of_pooler.flat_map(|it| &it.settings).map(|it| (it, "PgBouncer"));
    let read = of_server.chain(of_pooler).filter_map(|(setting, whose)| {
        let value_ms = value_ms(setting)?;
        Some(Configured { name: format!("{whose}: {}", setting.name), value_ms })
    });
    let keepalive = inventory.pod_tcp.keepalive_time_s.map(|s| Configured {
        name: "pod: net.ipv4.tcp_keepalive_time".to_owned(),
        value_ms: s.saturating_mul(1000),
    });
    read.chain(keepalive).filter(|timer| timer.value_ms > 0).collect()
}

fn value_ms(setting: &Setting) -> Option<i64> {
    if OTHERS.contains(&setting.name.as_str()) {
        return None;
    }
    let factor = match setting.unit.as_deref()? {
        "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        _ => return None,
    };
    let value: f64 = setting.value.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "of a cast to i64 what is too large is its end"
    )]
    Some((value * factor) as i64)
}
