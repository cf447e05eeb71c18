//! Parameters of the database behind a proxy that cut connections.

use crate::{facts::Database, inquiry::Inquiry};
use api::inventory::{Setting, TIMERS};
use aws_sdk_rds::types::{Parameter, SourceType};

/// Only what somebody has set: of a group's hundreds of parameters a page.
const SET_BY_HAND: &str = "user";
const PAGES: usize = 5;

/// Asks for those of the first cluster, and of the first instance, which override them.
pub(crate) async fn ask(inquiry: &mut Inquiry<'_>, databases: &[Database]) {
    let first = |kind| databases.iter().find(|it| it.kind == kind).map(|it| it.id.clone());
    let mut parameters = Vec::new();
    if let Some(cluster) = first(SourceType::DbCluster) {
        parameters.extend(of_cluster(inquiry, &cluster).await);
    }
    if let Some(instance) = first(SourceType::DbInstance) {
        parameters.extend(of_instance(inquiry, &instance).await);
    }
    inquiry.evidence.parameters = timers(&parameters);
}

async fn of_cluster(inquiry: &mut Inquiry<'_>, id: &str) -> Vec<Parameter> {
    let rds = inquiry.aws.rds.clone();
    let call = rds.describe_db_clusters().db_cluster_identifier(id).send();
    let clusters = inquiry.ask("rds:DescribeDBClusters", call).await;
    let cluster = clusters.as_ref().and_then(|it| it.db_clusters().first());
    let Some(group) = cluster.and_then(|it| it.db_cluster_parameter_group()) else {
        return Vec::new();
    };
    let call = rds.describe_db_cluster_parameters().db_cluster_parameter_group_name(group);
    let call = call.source(SET_BY_HAND);
    inquiry
        .entries(
            "rds:DescribeDBClusterParameters",
            PAGES,
            |marker| call.clone().set_marker(marker).send(),
            |page| (page.parameters, page.marker),
        )
        .await
}

async fn of_instance(inquiry: &mut Inquiry<'_>, id: &str) -> Vec<Parameter> {
    let rds = inquiry.aws.rds.clone();
    let call = rds.describe_db_instances().db_instance_identifier(id).send();
    let instances = inquiry.ask("rds:DescribeDBInstances", call).await;
    let instance = instances.as_ref().and_then(|it| it.db_instances().first());
    let group = instance.and_then(|it| it.db_parameter_groups().first());
    let Some(group) = group.and_then(|it| it.db_parameter_group_name()) else {
        return Vec::new();
    };
    let call = rds.describe_db_parameters().db_parameter_group_name(group).source(SET_BY_HAND);
    inquiry
        .entries(
            "rds:DescribeDBParameters",
            PAGES,
            |marker| call.clone().set_marker(marker).send(),
            |page| (page.parameters, page.marker),
        )
        .await
}

/// The timers among parameters, in the order in which timers are told; of several of a name the last one holds.
fn timers(parameters: &[Parameter]) -> Vec<Setting> {
    let of_name = |name: &&str| {
        let parameter = parameters.iter().rfind(|it| it.parameter_name() == Some(*name))?;
        Some(Setting {
            name: (*name).to_owned(),
            value: parameter.parameter_value()?.to_owned(),
            unit: parameter.description().and_then(unit),
            source: parameter.source().map(str::to_owned),
            default: None,
        })
    };
    TIMERS.iter().filter_map(of_name).collect()
}

/// RDS tells it in the description: `(ms) Sets the maximum allowed duration of any statement.`
fn unit(description: &str) -> Option<String> {
    let (unit, _) = description.strip_prefix('(')?.split_once(')')?;
    Some(unit.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_timers_are_told_and_an_instance_overrides_its_cluster() {
        let parameter = |name: &str, value: &str| {
            let description = "(ms) Sets the maximum allowed duration of any idling transaction.";
            let parameter = Parameter::builder().parameter_name(name).parameter_value(value);
            parameter.description(description).source("user").build()
        };
        let told = timers(&[
            parameter("work_mem", "4096"),
            parameter("statement_timeout", "1"),
            parameter("idle_in_transaction_session_timeout", "600000"),
            parameter("statement_timeout", "2"),
            Parameter::builder().parameter_name("lock_timeout").build(),
        ]);
        let told: Vec<_> = told.iter().map(|it| (it.name.as_str(), it.value.as_str())).collect();
        let expected =
            [("idle_in_transaction_session_timeout", "600000"), ("statement_timeout", "2")];
        assert_eq!(told, expected);
        assert_eq!(unit("(s) Time between TCP keepalives."), Some("s".into()));
        assert_eq!(unit("Sets the zone."), None);
    }
}
