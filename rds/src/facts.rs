//! How a proxy is set, and what is behind it.

use crate::{inquiry::Inquiry, scrub::bare};
use api::rds_proxy::evidence::{EndpointFacts, PoolFacts, ProxyFacts, TargetFacts};
use aws_sdk_rds::{
    primitives::DateTime,
    types::{
        ConnectionPoolConfigurationInfo, DbProxy, DbProxyEndpoint, DbProxyTarget, SourceType,
        TargetRole, TargetType,
    },
};
use jiff::Timestamp;

/// A database behind a proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Database {
    pub(crate) id: String,
    pub(crate) kind: SourceType,
}

/// Asks for configuration, endpoints and targets; the databases behind it, those first that are written to.
pub(crate) async fn ask(inquiry: &mut Inquiry<'_>) -> Vec<Database> {
    let (rds, name) = (inquiry.aws.rds.clone(), inquiry.request.proxy.name.as_str());
    let call = rds.describe_db_proxies().db_proxy_name(name).send();
    let proxies = inquiry.ask("rds:DescribeDBProxies", call).await;
    let call = rds.describe_db_proxy_endpoints().db_proxy_name(name).send();
    let endpoints = inquiry.ask("rds:DescribeDBProxyEndpoints", call).await;
    let endpoints = endpoints.and_then(|it| it.db_proxy_endpoints).unwrap_or_default();
    endpoints.iter().for_each(|endpoint| inquiry.scrubber.host(endpoint.endpoint()));
    inquiry.evidence.endpoints = besides_the_default(&endpoints);
    if let Some(proxy) = proxies.as_ref().and_then(|it| it.db_proxies().first()) {
        inquiry.scrubber.host(proxy.endpoint());
        let host = inquiry.request.host.as_deref();
        inquiry.evidence.proxy = Some(proxy_facts(proxy, &endpoints, host));
    }

    let call = rds.describe_db_proxy_target_groups().db_proxy_name(name).send();
    let groups = inquiry.ask("rds:DescribeDBProxyTargetGroups", call).await;
    let group = groups.as_ref().and_then(|it| it.target_groups().first());
    inquiry.evidence.pool = group.and_then(|it| it.connection_pool_config()).map(pool);

    let call = rds.describe_db_proxy_targets().db_proxy_name(name).send();
    let targets = inquiry.ask("rds:DescribeDBProxyTargets", call).await;
    let targets = targets.and_then(|it| it.targets).unwrap_or_default();
    inquiry.evidence.targets = targets.iter().map(target).collect();
    targets.iter().for_each(|target| inquiry.scrubber.host(target.endpoint()));
    let databases = databases(&targets);
    for database in databases.iter().filter(|database| database.id != name) {
        inquiry.scrubber.database(Some(&database.id));
    }
    databases
}

fn proxy_facts(proxy: &DbProxy, endpoints: &[DbProxyEndpoint], host: Option<&str>) -> ProxyFacts {
    let modes = proxy.auth().iter().filter_map(|auth| auth.iam_auth());
    ProxyFacts {
        status: proxy.status().map(|it| it.as_str().to_owned()).unwrap_or_default(),
        idle_client_timeout_seconds: proxy.idle_client_timeout().unwrap_or_default().into(),
        require_tls: proxy.require_tls().unwrap_or_default(),
        debug_logging: proxy.debug_logging().unwrap_or_default(),
        // Of several users the strictest: the words are in alphabetical order.
        iam_auth: modes.map(|mode| mode.as_str()).max().map(str::to_owned),
        updated_at: proxy.updated_date().and_then(timestamp),
        measured_endpoint: host.and_then(|host| measured(proxy, endpoints, host)),
    }
}

fn measured(proxy: &DbProxy, endpoints: &[DbProxyEndpoint], host: &str) -> Option<String> {
    let is_ours = |endpoint: Option<&str>| endpoint.is_some_and(|it| bare(it) == bare(host));
    let default = is_ours(proxy.endpoint()).then(|| "default".to_owned());
    default.or_else(|| {
        let endpoint = endpoints.iter().find(|it| is_ours(it.endpoint()))?;
        endpoint.db_proxy_endpoint_name().map(str::to_owned)
    })
}

fn besides_the_default(endpoints: &[DbProxyEndpoint]) -> Vec<EndpointFacts> {
    let others = endpoints.iter().filter(|endpoint| endpoint.is_default() != Some(true));
    others
        .map(|endpoint| EndpointFacts {
            name: endpoint.db_proxy_endpoint_name().unwrap_or_default().to_owned(),
            role: endpoint.target_role().map(|it| it.as_str().to_owned()).unwrap_or_default(),
            status: endpoint.status().map(|it| it.as_str().to_owned()).unwrap_or_default(),
        })
        .collect()
}

fn pool(config: &ConnectionPoolConfigurationInfo) -> PoolFacts {
    PoolFacts {
        max_connections_percent: config.max_connections_percent().unwrap_or_default().into(),
        max_idle_connections_percent: config
            .max_idle_connections_percent()
            .unwrap_or_default()
            .into(),
        borrow_timeout_seconds: config.connection_borrow_timeout().unwrap_or_default().into(),
        pinning_filters: config.session_pinning_filters().to_vec(),
        has_init_query: config.init_query().is_some_and(|query| !query.is_empty()),
    }
}

fn target(target: &DbProxyTarget) -> TargetFacts {
    let health = target.target_health();
    let state = health.and_then(|it| it.state()).map_or("UNKNOWN", |state| state.as_str());
    let reason = health.and_then(|it| it.reason()).map(|reason| reason.as_str());
    TargetFacts {
        kind: target.r#type().map(|it| it.as_str().to_owned()).unwrap_or_default(),
        role: target.role().map(|role| role.as_str().to_owned()),
        health: reason.map_or(state.to_owned(), |reason| format!("{state}: {reason}")),
    }
}

fn databases(targets: &[DbProxyTarget]) -> Vec<Database> {
    let mut targets: Vec<_> = targets.iter().collect();
    targets.sort_by_key(|target| target.role() == Some(&TargetRole::ReadOnly));
    let mut databases = Vec::new();
    let mut add = |id: Option<&str>, kind| {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            let database = Database { id: id.to_owned(), kind };
            if !databases.contains(&database) {
                databases.push(database);
            }
        }
    };
    for target in targets {
        add(target.tracked_cluster_id(), SourceType::DbCluster);
        let kind = match target.r#type() {
            Some(TargetType::RdsInstance) => SourceType::DbInstance,
            _ => SourceType::DbCluster,
        };
        add(target.rds_resource_id(), kind);
    }
    databases
}

/// A time of AWS's.
pub(crate) fn timestamp(time: &DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(time.to_millis().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_rds::types::{
        DbProxyStatus, IamAuthMode, TargetHealth, TargetHealthReason, TargetState,
        UserAuthConfigInfo,
    };

    fn endpoint(name: &str, is_default: bool) -> DbProxyEndpoint {
        let host = format!("{name}.endpoint.proxy-x.us-east-1.rds.amazonaws.com");
        let endpoint = DbProxyEndpoint::builder().db_proxy_endpoint_name(name).endpoint(host);
        endpoint.is_default(is_default).build()
    }

    #[test]
    fn the_measured_endpoint_is_found_by_its_host() {
        let user = |mode| UserAuthConfigInfo::builder().iam_auth(mode).build();
        let proxy = DbProxy::builder()
            .status(DbProxyStatus::Available)
            .idle_client_timeout(1800)
            .endpoint("pulp.proxy-x.us-east-1.rds.amazonaws.com")
            .auth(user(IamAuthMode::Required))
            .auth(user(IamAuthMode::Disabled))
            .build();
        let endpoints = [endpoint("default", true), endpoint("reader", false)];
        let facts = |host| proxy_facts(&proxy, &endpoints, Some(host));
        let facts_of_default = facts("Pulp.proxy-X.us-east-1.rds.amazonaws.com.");
        assert_eq!(facts_of_default.measured_endpoint.as_deref(), Some("default"));
        assert_eq!(facts_of_default.iam_auth.as_deref(), Some("REQUIRED"));
        assert_eq!(
            (facts_of_default.idle_client_timeout_seconds, facts_of_default.updated_at),
            (1800, None)
        );
        let reader = facts("reader.endpoint.proxy-x.us-east-1.rds.amazonaws.com");
        assert_eq!(reader.measured_endpoint.as_deref(), Some("reader"));
        assert_eq!(facts("other.example.org").measured_endpoint, None);
        assert_eq!(besides_the_default(&endpoints).len(), 1);
    }

    #[test]
    fn a_cluster_and_its_instances_are_told_apart_the_writer_first() {
        let instance = |id: &str, role| {
            let target = DbProxyTarget::builder().r#type(TargetType::RdsInstance);
            target.rds_resource_id(id).tracked_cluster_id("main").role(role).build()
        };
        let health = TargetHealth::builder()
            .state(TargetState::Unavailable)
            .reason(TargetHealthReason::AuthFailure)
            .build();
        let cluster = DbProxyTarget::builder()
            .r#type(TargetType::TrackedCluster)
            .rds_resource_id("main")
            .target_health(health)
            .build();
        assert_eq!(target(&cluster).health, "UNAVAILABLE: AUTH_FAILURE");
        let reader = instance("main-2", TargetRole::ReadOnly);
        let writer = instance("main-1", TargetRole::ReadWrite);
        let found = databases(&[reader, cluster, writer]);
        let found: Vec<_> = found.iter().map(|it| (it.id.as_str(), it.kind.as_str())).collect();
        let expected =
            [("main", "db-cluster"), ("main-1", "db-instance"), ("main-2", "db-instance")];
        assert_eq!(found, expected);
    }
}
