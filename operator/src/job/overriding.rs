//! The Jobs that change an RDS Proxy for a run, and that put it back.

use super::{
    rds::{self, Kind},
    seconds, undisturbed, variable,
};
use crate::pods::{LOOK_CONTAINER, RDS_CONTAINER};
use api::{
    ConnectionProbeRun,
    names::override_job_name,
    rds_proxy::overriding::{Order, Role},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{Container, PodSpec, Probe, TCPSocketAction},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;
use std::time::Duration;

/// It listens here while the change is in force.
const PORT: i32 = 8081;
/// To put it back after SIGTERM: the proxy is `modifying` for minutes.
const GRACE: Duration = Duration::from_mins(10);
/// What a pod may take beyond its order. It puts back by itself before.
const SLACK: Duration = Duration::from_mins(30);

/// Builds one, made at `now`.
pub(crate) fn overriding(
    run: &ConnectionProbeRun,
    order: &Order,
    role: Role,
    now: Timestamp,
) -> Job {
    let long = Duration::try_from(order.until.duration_since(now)).unwrap_or_default() + SLACK;
    let (deadline, backoff_limit) = match role {
        Role::Guard => (long, 0),
        Role::Restore => (GRACE + GRACE, 3),
    };
    let kind = Kind {
        name: override_job_name(&run.name_any(), role),
        label: role.as_str(),
        annotations: undisturbed(),
        backoff_limit,
        deadline,
    };
    rds::job(run, kind, pod(run, order, role))
}

fn pod(run: &ConnectionProbeRun, order: &Order, role: Role) -> PodSpec {
    let container = |name, command, order: &Order| {
        let (mut container, secret) = rds::container(run, &order.proxy, name, &[command]);
        container.env = Some(vec![variable("ORDER", serde_json::to_string(order).ok())]);
        (container, secret)
    };
    let (command, is_dry) = match (role, &order.proxy.timeout_override) {
        (Role::Restore, _) => ("restore", false),
        (Role::Guard, asked) => ("override", asked.as_ref().is_some_and(|asked| asked.is_dry())),
    };
    let (mut main, secret) = container(RDS_CONTAINER, command, order);
    let mut look = None;
    if role == Role::Guard && !is_dry {
        main.readiness_probe = Some(in_force());
        // What was there is known before it is changed, whatever becomes of the pod.
        let mut dry = order.clone();
        dry.proxy.timeout_override.iter_mut().for_each(|asked| asked.dry_run = Some(true));
        look = Some(container(LOOK_CONTAINER, command, &dry).0);
    }
    PodSpec {
        init_containers: look.map(|look: Container| vec![look]),
        termination_grace_period_seconds: Some(seconds(GRACE)),
        ..rds::pod(run, &order.proxy, main, secret)
    }
}

/// Ready is a guard exactly while the change is in force: it listens then.
fn in_force() -> Probe {
    Probe {
        tcp_socket: Some(TCPSocketAction { port: IntOrString::Int(PORT), host: None }),
        period_seconds: Some(1),
        failure_threshold: Some(1),
        ..Probe::default()
    }
}
