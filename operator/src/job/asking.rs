//! The Job that asks AWS about a run's RDS Proxy, under the account that the user names.

use super::{
    rds::{self, Kind},
    variable,
};
use crate::pods::RDS_CONTAINER;
use api::{ConnectionProbeRun, names::rds_job_name, rds_proxy::request::Request};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use std::{collections::BTreeMap, time::Duration};

/// What a pod may take beyond its patience.
const SLACK: Duration = Duration::from_mins(3);

/// Builds the Job. Kubernetes makes its pod anew once if it is lost: nothing is measured in it.
pub(crate) fn asking(run: &ConnectionProbeRun, request: &Request) -> Job {
    let proxy = &request.proxy;
    let (mut container, secret) = rds::container(run, proxy, RDS_CONTAINER, &["collect"]);
    container.env = Some(vec![variable("REQUEST", serde_json::to_string(request).ok())]);
    let kind = Kind {
        name: rds_job_name(&run.name_any(), request.moment),
        label: request.moment.as_str(),
        annotations: BTreeMap::new(),
        backoff_limit: 1,
        deadline: Request::PATIENCE + SLACK,
    };
    rds::job(run, kind, rds::pod(run, proxy, container, secret))
}
