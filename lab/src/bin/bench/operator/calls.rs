//! What a run costs the API server: of the nine workloads of the plan, with and without cuts.

use super::{alone, calls_in};
use crate::figure::{Baseline, Figure};
use anyhow::{Result, ensure};
use futures::try_join;
use lab::{
    audit::{self, Call},
    cluster::Namespace,
};
use std::time::Duration;
use tokio::time::sleep;

/// The Job controller's user.
const JOB_CONTROLLER: &str = "system:serviceaccount:kube-system:job-controller";
const RUNS: usize = 3;

pub(super) async fn figures() -> Result<Vec<Figure>> {
    let (mut direct, mut pooled) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // On the direct path nothing is cut; PgBouncer ends who is silent for 20 s.
        let (without, with) = try_join!(
            alone(async |ns| run(ns, ", host: postgres.databases.svc, port: 5432", false).await),
            alone(async |ns| run(ns, "", true).await),
        )?;
        direct.push(without);
        pooled.push(with);
    }
    let figure = |name, calls: &[Calls]| {
        let most = |of: fn(&Calls) -> usize| calls.iter().map(of).max().unwrap_or_default();
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let beside =
            Baseline::value("Job controller", most(|calls| calls.by_job_controller) as f64);
        Figure::count(name, "calls", most(|calls| calls.ours), calls.len()).beside(beside)
    };
    Ok(vec![figure("run.api_writes", &direct), figure("run.api_writes.cut", &pooled)])
}

/// Writes for one run, events apart.
struct Calls {
    ours: usize,
    by_job_controller: usize,
}

async fn run(ns: &Namespace, path: &str, cut: bool) -> Result<Calls> {
    let mark = audit::mark();
    ns.apply(&format!(
        "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\nmetadata: {{ name: t }}\n\
         spec: {{ target: {{ secretName: pulp-db{path} }}, preset: PulpPlan, duration: 60s }}\n"
    ));
    let status = ns.ended(1, Duration::from_secs(240)).await.status.unwrap_or_default();
    ensure!(status.reports().count() == 9, "nine reports: {:?}", status.summary);
    ensure!(status.first_cut().is_some() == cut, "{:?}", status.summary);
    // The probe's status is written after the run's.
    sleep(Duration::from_secs(1)).await;
    let calls = calls_in(ns, mark);
    let writes = |by: fn(&Call) -> bool| {
        let writes = calls.iter().filter(|call| call.is_write() && by(call));
        writes.filter(|call| !call.resource.ends_with("/events")).count()
    };
    let by_job_controller = writes(|call| call.user == JOB_CONTROLLER);
    Ok(Calls { ours: writes(Call::by_operator), by_job_controller })
}
