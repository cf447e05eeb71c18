//! How a proxy is set, by AWS's names, and what of it changed while a run went on.

use super::{
    Evidence, RdsProxyStatus,
    evidence::{Event, Gap, ProxyLog},
    metrics::Metrics,
};

/// Something that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// AWS's name for it.
    pub name: String,
    /// Its value: before the run, where that is known.
    pub value: String,
    /// Its value after the run, where that is another one.
    pub afterwards: Option<String>,
}

/// The timer that a run may change itself.
const IDLE_CLIENT_TIMEOUT: &str = "IdleClientTimeout";
/// What changes where a run changes the proxy itself.
const OWN: [&str; 2] = ["Status", "UpdatedDate"];
/// Facts that are lists: incomplete where entries were left out.
const LISTS: [&str; 2] = ["Endpoints", "Targets"];

impl RdsProxyStatus {
    /// What was told, the first time and the second.
    pub fn told(&self) -> impl DoubleEndedIterator<Item = &Evidence> {
        self.before.iter().chain(&self.after)
    }

    /// How the proxy is set. Only what was told both times is compared.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let whole = self.told().all(|evidence| evidence.left_out.is_none());
        // That a run changed it itself is told apart.
        let own = self.timeout_override.as_ref().filter(|it| it.in_force_at.is_some());
        let mut facts: Vec<Fact> = Vec::new();
        for (name, mut value) in self.told().flat_map(Evidence::facts) {
            if let Some(own) = own.filter(|_| name == IDLE_CLIENT_TIMEOUT) {
                value = format!("{} s", own.seconds);
            }
            match facts.iter_mut().find(|fact| fact.name == name) {
                None => facts.push(Fact { name, value, afterwards: None }),
                Some(_) if own.is_some() && OWN.contains(&name.as_str()) => {}
                Some(fact) if whole || !LISTS.contains(&name.as_str()) => {
                    fact.afterwards = (fact.value != value).then_some(value);
                }
                Some(_) => {}
            }
        }
        facts
    }

    /// What CloudWatch had: the second time it has more.
    #[must_use]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.told().rev().find_map(|evidence| evidence.metrics.as_ref())
    }

    /// What the proxy's log says. Connections that were cut are looked for afterwards.
    #[must_use]
    pub fn log(&self) -> Option<&ProxyLog> {
        self.after.as_ref()?.log.as_ref()
    }

    /// Events in the order of time.
    #[must_use]
    pub fn events(&self) -> Vec<&Event> {
        let mut events: Vec<_> = self.told().flat_map(|evidence| &evidence.events).collect();
        events.sort_by_key(|event| (event.at, &event.about, &event.text));
        events.dedup();
        events
    }

    /// What was not told, each once: as it was said last.
    #[must_use]
    pub fn gaps(&self) -> Vec<&Gap> {
        let mut gaps: Vec<&Gap> = Vec::new();
        for gap in self.told().rev().flat_map(|evidence| &evidence.gaps) {
            if gaps.iter().all(|other| other.permission != gap.permission) {
                gaps.push(gap);
            }
        }
        gaps
    }
}

impl Evidence {
    fn facts(&self) -> Vec<(String, String)> {
        let word = |is: bool, yes: &'static str, no: &'static str| {
            Some(if is { yes } else { no }.to_owned())
        };
        let (proxy, pool) = (self.proxy.as_ref(), self.pool.as_ref());
        let filters = |filters: &[String]| match filters {
            [] => "none".to_owned(),
            some => some.join(", "),
        };
        let facts = [
            ("Status", proxy.map(|it| it.status.clone())),
            ("Measured endpoint", proxy.and_then(|it| it.measured_endpoint.clone())),
            (IDLE_CLIENT_TIMEOUT, proxy.map(|it| format!("{} s", it.idle_client_timeout_seconds))),
            ("MaxConnectionsPercent", pool.map(|it| format!("{} %", it.max_connections_percent))),
            (
                "MaxIdleConnectionsPercent",
                pool.map(|it| format!("{} %", it.max_idle_connections_percent)),
            ),
            ("RequireTLS", proxy.and_then(|it| word(it.require_tls, "yes", "no"))),
            ("ConnectionBorrowTimeout", pool.map(|it| format!("{} s", it.borrow_timeout_seconds))),
            ("SessionPinningFilters", pool.map(|it| filters(&it.pinning_filters))),
            ("InitQuery", pool.and_then(|it| word(it.has_init_query, "there is one", "none"))),
            ("IAMAuth", proxy.and_then(|it| it.iam_auth.clone())),
            (
                "DebugLogging (enhanced logging)",
                proxy.and_then(|it| word(it.debug_logging, "on", "off")),
            ),
            ("UpdatedDate", proxy.and_then(|it| it.updated_at).map(|at| at.to_string())),
            ("Endpoints", self.endpoints()),
            ("Targets", self.targets()),
        ];
        let parameters = self.parameters.iter().map(|parameter| {
            let unit = parameter.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
            let source = parameter.source.as_ref().map(|source| format!(" ({source})"));
            let value = format!("{}{unit}{}", parameter.value, source.unwrap_or_default());
            (format!("Parameter {}", parameter.name), value)
        });
        let facts = facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        facts.chain(parameters).collect()
    }

    fn endpoints(&self) -> Option<String> {
        sorted(self.endpoints.iter().map(|it| format!("{} ({}, {})", it.name, it.role, it.status)))
    }

    fn targets(&self) -> Option<String> {
        sorted(self.targets.iter().map(|it| {
            let role = it.role.as_ref().map(|role| format!(" {role}")).unwrap_or_default();
            format!("{}{role} {}", it.kind, it.health)
        }))
    }
}

/// AWS promises no order. No entry may mean that it was not allowed to ask.
fn sorted(entries: impl Iterator<Item = String>) -> Option<String> {
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    (!entries.is_empty()).then(|| entries.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rds_proxy::evidence::{PoolFacts, ProxyFacts, TargetFacts};

    fn evidence(timeout: i64, roles: &[&str]) -> Evidence {
        let target = |role: &&str| TargetFacts {
            kind: "RDS_INSTANCE".into(),
            role: Some((*role).to_owned()),
            health: "AVAILABLE".into(),
        };
        let proxy = ProxyFacts { idle_client_timeout_seconds: timeout, ..ProxyFacts::default() };
        let targets = roles.iter().map(target).collect();
        Evidence { proxy: Some(proxy), targets, ..Evidence::default() }
    }

    fn changed(before: Evidence, after: Evidence) -> Vec<String> {
        let status = RdsProxyStatus {
            before: Some(before),
            after: Some(after),
            ..RdsProxyStatus::default()
        };
        let changed = status.facts().into_iter().filter(|fact| fact.afterwards.is_some());
        changed.map(|fact| fact.name).collect()
    }

    #[test]
    fn only_what_was_told_both_times_has_changed() {
        let both = ["READ_ONLY", "READ_WRITE"];
        let turned = ["READ_WRITE", "READ_ONLY"];
        assert!(changed(evidence(1800, &both), evidence(1800, &turned)).is_empty());
        let more = ["IdleClientTimeout", "Targets"];
        assert_eq!(changed(evidence(1800, &both), evidence(2400, &both[..1])), more);
        let cut = Evidence { left_out: Some(1), ..evidence(1800, &both[..1]) };
        assert!(changed(evidence(1800, &both), cut).is_empty(), "an entry had no room");
        let pool = Evidence { pool: Some(PoolFacts::default()), ..evidence(1800, &[]) };
        assert!(changed(evidence(1800, &both), pool).is_empty(), "what was not told is no change");
    }
}
