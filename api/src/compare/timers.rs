//! What was set differently.

use crate::{
    ConnectionProbeRun,
    inventory::{ArmInventory, Setting},
    rds_proxy::RdsProxyStatus,
    report::Arm,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// A setting that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its value before, with its unit.
    pub before: String,
    /// And after.
    pub after: String,
    /// The same as lengths of time, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timer: Option<Timer>,
}

/// A timer and its two values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timer {
    /// Its name.
    pub name: String,
    /// Its value before, in milliseconds.
    pub before_ms: i64,
    /// And after.
    pub after_ms: i64,
}

impl From<&Timer> for Change {
    fn from(timer: &Timer) -> Self {
        let seconds = |ms: i64| format!("{} s", ms / 1000);
        Self {
            name: timer.name.clone(),
            before: seconds(timer.before_ms),
            after: seconds(timer.after_ms),
            timer: Some(timer.clone()),
        }
    }
}

/// A value with its unit, and in milliseconds if it is a length of time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Value(String, Option<i64>);

/// By path and name.
type Values = BTreeMap<(Arm, String), Value>;

/// What the inventories of two runs say differently, and AWS of an RDS Proxy.
pub(super) fn changes(before: &ConnectionProbeRun, after: &ConnectionProbeRun) -> Vec<Change> {
    let arms = |run: &ConnectionProbeRun| -> Values {
        let arms = inventories(run).into_iter();
        arms.flat_map(|arm| read(arm).into_iter().map(|(name, value)| ((arm.arm, name), value)))
            .chain(of_proxy(run))
            .collect()
    };
    differences(&arms(before), &arms(after))
}

/// What the inventory of a run says differently of its paths.
pub(super) fn between_paths(run: &ConnectionProbeRun) -> Vec<Change> {
    let of = |wanted: Arm| -> Values {
        let arm = inventories(run).into_iter().find(|arm| arm.arm == wanted);
        arm.into_iter().flat_map(read).map(|(name, value)| ((Arm::Target, name), value)).collect()
    };
    differences(&of(Arm::Target), &of(Arm::Control))
}

/// How an RDS Proxy was set all the time that a run went on.
fn of_proxy(run: &ConnectionProbeRun) -> impl Iterator<Item = ((Arm, String), Value)> {
    let told = run.status.as_ref().and_then(|status| status.rds_proxy.as_ref());
    let facts = told.map(RdsProxyStatus::facts).unwrap_or_default().into_iter();
    facts.filter(|fact| fact.afterwards.is_none() && fact.name != "UpdatedDate").map(|fact| {
        let length = fact.value.split_once(' ').and_then(|(value, unit)| millis(value, unit));
        ((Arm::Target, format!("RDS Proxy's {}", fact.name)), Value(fact.value, length))
    })
}

fn inventories(run: &ConnectionProbeRun) -> Vec<&ArmInventory> {
    let inventory = run.status.as_ref().and_then(|status| status.inventory.as_ref());
    inventory.iter().flat_map(|inventory| &inventory.arms).collect()
}

/// What differs, of what is known on both sides.
fn differences(before: &Values, after: &Values) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for ((arm, name), old) in before {
        let Some(new) = after.get(&(*arm, name.clone())).filter(|new| *new != old) else {
            continue;
        };
        let timer = old.1.zip(new.1).map(|(before_ms, after_ms)| Timer {
            name: name.clone(),
            before_ms,
            after_ms,
        });
        let change =
            Change { name: name.clone(), before: old.0.clone(), after: new.0.clone(), timer };
        // Both paths lead to the same server as a rule: once is enough.
        if !changes.contains(&change) {
            changes.push(change);
        }
    }
    changes
}

/// All that was read on a path. PgBouncer and PostgreSQL have no timers of the same name but for TCP's.
fn read(arm: &ArmInventory) -> Vec<(String, Value)> {
    let mut values = values("", &arm.settings, &arm.at_default);
    if let Some(pgbouncer) = &arm.pgbouncer {
        values.extend(self::values("PgBouncer's ", &pgbouncer.settings, &pgbouncer.at_default));
    }
    if let Some(server) = &arm.server {
        values.push(("server_version".to_owned(), Value(server.version.clone(), None)));
    }
    values
}

fn values(whose: &str, set: &[Setting], at_default: &[String]) -> Vec<(String, Value)> {
    let set = set.iter().map(|setting| {
        let unit = setting.unit.as_deref().unwrap_or_default();
        let value = Value(
            format!("{} {unit}", setting.value).trim().to_owned(),
            millis(&setting.value, unit),
        );
        (format!("{whose}{}", setting.name), value)
    });
    let at_default =
        at_default.iter().map(|name| (format!("{whose}{name}"), Value("default".to_owned(), None)));
    set.chain(at_default).collect()
}

fn millis(value: &str, unit: &str) -> Option<i64> {
    let scale = match unit {
        "ms" => 1.0,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    // PgBouncer has fractions of seconds.
    let value: f64 = value.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    (value > 0.0).then_some((value * scale).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ConnectionProbeRunSpec, ConnectionProbeRunStatus,
        rds_proxy::{Evidence, evidence::ProxyFacts},
    };

    fn run(idle_client_timeout_seconds: i64) -> ConnectionProbeRun {
        let proxy = ProxyFacts { idle_client_timeout_seconds, ..ProxyFacts::default() };
        let evidence = Evidence { proxy: Some(proxy), ..Evidence::default() };
        let told = RdsProxyStatus { after: Some(evidence), ..RdsProxyStatus::default() };
        let mut run = ConnectionProbeRun::new("t", ConnectionProbeRunSpec::default());
        run.status = Some(ConnectionProbeRunStatus { rds_proxy: Some(told), ..Default::default() });
        run
    }

    #[test]
    fn a_timer_of_an_rds_proxy_that_was_changed_between_two_runs_is_one() {
        let changes = changes(&run(1800), &run(3600));
        let [change] = &changes[..] else { panic!("{changes:?}") };
        let timer = change.timer.as_ref().unwrap();
        assert_eq!(timer.name, "RDS Proxy's IdleClientTimeout");
        assert_eq!((timer.before_ms, timer.after_ms), (1_800_000, 3_600_000));
    }
}
