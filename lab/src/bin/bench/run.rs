//! What a run costs the API server, and how soon its Job is there: on the lab's cluster.

use crate::figure::{Baseline, Figure};
use anyhow::{Context, Result, ensure};
use lab::{
    audit::{self, Call},
    cluster::{in_namespace, kubectl, kubectl_with},
};
use std::{fs, time::Duration};

/// Probes that are made one after the other, and Jobs for the floor.
const ROUNDS: usize = 30;
/// After this long without work, connections of a client that sleeps are at their coldest.
const QUIET: Duration = Duration::from_secs(90);

pub(crate) async fn figures() -> Result<Vec<Figure>> {
    let mut busy = Vec::new();
    let mut floor = Vec::new();
    let mut writes = Vec::new();
    for _ in 0..ROUNDS {
        busy.push(one_run(1).await?.cr_to_job);
        floor.push(one_job().await?);
    }
    for _ in 0..3 {
        writes.push(one_run(9).await?.writes);
    }
    let before = lists()?;
    tokio::time::sleep(QUIET).await;
    let lists = lists()? - before;
    let quiet = one_run(1).await?.cr_to_job;
    let rss = rss()?;
    let floor = Baseline::spread("plain Job", floor);
    let most = writes.iter().copied().max().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let figures = vec![
        Figure::spread("run.cr_to_jobs", "ms", busy).beside(floor),
        Figure::value("run.cr_to_jobs.quiet", "ms", quiet, 1),
        Figure::value("run.api_writes", "calls", most as f64, writes.len()),
        Figure::value("run.api_lists", "calls", lists as f64, 1),
        Figure::value("operator.rss.0", "MB", rss, 1),
    ];
    Ok(figures)
}

struct Cost {
    cr_to_job: f64,
    writes: usize,
}

/// Lets one probe of so many workloads run to its end; reads its cost off the audit log.
async fn one_run(workloads: usize) -> Result<Cost> {
    let calls = std::sync::Mutex::new(Vec::new());
    in_namespace(async |ns| {
        let workloads: String =
            (0..workloads).map(|w| format!("  - {{ name: w{w}, idle: {{}} }}\n")).collect();
        ns.apply_probe(&format!("  duration: 1s\n  connections: 1\n  workloads:\n{workloads}"));
        ns.ended(1, Duration::from_secs(120)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        *calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            audit::calls().into_iter().filter(|call| call.namespace == ns.name).collect();
    })
    .await;
    let calls = calls.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let find = |verb: &str, resource: &str| {
        let mut found = calls.iter().filter(|c| c.verb == verb && c.resource == resource && c.ok());
        found.next().with_context(|| format!("no {verb} of {resource} in the audit log"))
    };
    let probe = calls
        .iter()
        .find(|call| {
            call.resource == "probes.pulpproject.org/connectionprobes"
                && call.ok()
                && matches!(call.verb.as_str(), "create" | "patch")
        })
        .context("no probe in the audit log")?;
    let job = find("create", "batch/jobs")?;
    let events = |call: &&Call| call.resource != "events.k8s.io/events";
    let writes = calls.iter().filter(|call| call.by_operator() && call.is_write()).filter(events);
    Ok(Cost { cr_to_job: job.done_ms - probe.done_ms, writes: writes.count() })
}

/// The time of a plain Job's creation.
async fn one_job() -> Result<f64> {
    let manifest = "apiVersion: batch/v1\nkind: Job\nmetadata: { generateName: floor- }\nspec:\n  suspend: true\n  template: { spec: { restartPolicy: Never, containers: [{ name: a, image: a }] } }\n";
    let said = kubectl_with(manifest, &["-n", "default", "create", "-o", "name", "-f", "-"]);
    ensure!(said.ok, "{}", said.text);
    let name = said.text.trim().trim_start_matches("job.batch/").to_owned();
    kubectl(&["-n", "default", "delete", "job", &name, "--wait=false"]);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let calls = audit::calls();
    let job = calls
        .iter()
        .rev()
        .find(|c| c.verb == "create" && c.resource == "batch/jobs" && c.namespace == "default");
    let job = job.context("no Job in the audit log")?;
    Ok(job.done_ms - job.began_ms)
}

fn lists() -> Result<usize> {
    Ok(audit::calls().iter().filter(|call| call.by_operator() && call.verb == "list").count())
}

/// Resident memory of the operator, in MB.
fn rss() -> Result<f64> {
    for process in fs::read_dir("/proc")?.flatten() {
        let read = |file: &str| fs::read_to_string(process.path().join(file)).unwrap_or_default();
        if read("cmdline").starts_with("/connection-probe-operator") {
            let status = read("status");
            let line =
                status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
            let kb: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
            return Ok(kb / 1024.0);
        }
    }
    anyhow::bail!("the operator does not run")
}
