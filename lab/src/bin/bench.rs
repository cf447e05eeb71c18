//! Figures on the lab's cluster: `make bench`. Prints a table and writes target/bench/<area>.json.

use anyhow::{Context, Result, ensure};
use lab::{
    audit::{self, Call},
    cluster::{in_namespace, kubectl, kubectl_with},
};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

/// Probes that are made one after the other, and Jobs for the floor.
const ROUNDS: usize = 30;
/// After this long without work, connections of a client that sleeps are at their coldest.
const QUIET: Duration = Duration::from_secs(90);

/// One line of the table.
struct Figure {
    name: &'static str,
    unit: &'static str,
    value: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
    n: usize,
    baseline: Option<(f64, &'static str)>,
}

impl Figure {
    fn value(name: &'static str, unit: &'static str, value: f64, n: usize) -> Self {
        Self { name, unit, value: Some(value), p50: None, p99: None, n, baseline: None }
    }

    fn spread(name: &'static str, unit: &'static str, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let n = values.len();
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "small counts"
            )]
            let index = ((n as f64 * share).ceil() as usize).saturating_sub(1);
            values.get(index).copied()
        };
        Self { name, unit, value: None, p50: at(0.5), p99: at(0.99), n, baseline: None }
    }

    fn json(&self) -> Value {
        let mut figure = json!({"figure": self.name, "unit": self.unit, "n": self.n});
        for (key, value) in [("value", self.value), ("p50", self.p50), ("p99", self.p99)] {
            if let Some(value) = value {
                figure[key] = json!(value);
            }
        }
        if let Some((value, name)) = self.baseline {
            figure["baseline"] = json!(value);
            figure["baseline_name"] = json!(name);
        }
        figure
    }

    fn line(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.1}"));
        let baseline = self.baseline.map_or_else(String::new, |(v, name)| format!("{name} {v:.1}"));
        format!(
            "{:24} {:6} {:>8} {:>8} {:>8} {:>5}  {baseline}",
            self.name,
            self.unit,
            number(self.value),
            number(self.p50),
            number(self.p99),
            self.n
        )
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let areas: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |area: &str| areas.is_empty() || areas.iter().any(|a| a == area);
    ensure!(areas.iter().all(|a| a == "run"), "areas: run");
    if wanted("run") {
        report("run", &run().await?)?;
    }
    Ok(())
}

fn report(area: &str, figures: &[Figure]) -> Result<()> {
    println!(
        "{:24} {:6} {:>8} {:>8} {:>8} {:>5}  baseline",
        area, "unit", "value", "p50", "p99", "n"
    );
    figures.iter().for_each(|figure| println!("{}", figure.line()));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    fs::create_dir_all(&folder)?;
    let json: Vec<Value> = figures.iter().map(Figure::json).collect();
    fs::write(folder.join(format!("{area}.json")), serde_json::to_string_pretty(&json)?)?;
    Ok(())
}

/// What a run costs the API server, and how soon its Job is there.
async fn run() -> Result<Vec<Figure>> {
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
    let mut cr_to_jobs = Figure::spread("run.cr_to_jobs", "ms", busy);
    cr_to_jobs.baseline = Figure::spread("", "", floor).p50.map(|p50| (p50, "plain Job p50"));
    let most = writes.iter().copied().max().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let figures = vec![
        cr_to_jobs,
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
