//! Probes and runs, one a line.

use crate::args::Output;
use api::{
    ConnectionProbe, ConnectionProbeRun,
    conditions::{self, READY},
    text,
};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::json;

/// Probes as `kubectl get cprobe` shows them, with their namespaces where there are several.
pub(crate) fn probes(
    probes: &[ConnectionProbe],
    everywhere: bool,
    output: Option<Output>,
    now: Timestamp,
) -> anyhow::Result<String> {
    if let Some(told) = objects(probes, output)? {
        return Ok(told);
    }
    let head = [
        "NAMESPACE",
        "NAME",
        "READY",
        "RESULT",
        "FIRST-CUT",
        "FINDING",
        "RUN",
        "LAST-RUN",
        "TARGET",
        "MESSAGE",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(probes.iter().map(|probe| {
        let status = probe.status.clone().unwrap_or_default();
        let ready = conditions::find(&status.conditions, READY);
        let last = status.last_run;
        let of_last = |field: fn(&api::probe::LastRun) -> Option<String>| {
            last.as_ref().and_then(field).unwrap_or_default()
        };
        vec![
            probe.namespace().unwrap_or_default(),
            probe.name_any(),
            ready.map(|condition| condition.reason.clone()).unwrap_or_default(),
            of_last(|run| Some(run.result.clone())),
            of_last(|run| run.first_cut.clone()),
            of_last(|run| run.finding.clone()),
            status.current_run.map(|run| run.number.to_string()).unwrap_or_default(),
            last.as_ref().map(|run| ago(now, run.end_time.0)).unwrap_or_default(),
            status.target.unwrap_or_default(),
            status.summary.unwrap_or_default(),
        ]
    }));
    let first = usize::from(!everywhere);
    let last = head.len() - if output.is_some() { 0 } else { 2 };
    Ok(columns(rows.iter().map(|row| &row[first..last])))
}

/// The runs of a probe.
pub(crate) fn runs(
    runs: &[ConnectionProbeRun],
    output: Option<Output>,
    now: Timestamp,
) -> anyhow::Result<String> {
    if let Some(told) = objects(runs, output)? {
        return Ok(told);
    }
    let head =
        ["NUMBER", "NAME", "TRIGGER", "RESULT", "FIRST-CUT", "STARTED", "DURATION", "MESSAGE"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(runs.iter().map(|run| {
        let status = run.status.clone().unwrap_or_default();
        let first_cut = status.first_cut().map(|(ms, ..)| text::mmss(ms));
        [
            run.spec.number.to_string(),
            run.name_any(),
            format!("{:?}", run.spec.trigger.type_),
            status.result.clone().unwrap_or_else(|| "running".to_owned()),
            first_cut.unwrap_or_default(),
            status.start_time.as_ref().map(|start| ago(now, start.0)).unwrap_or_default(),
            status.duration.clone().unwrap_or_default(),
            status.summary.clone().unwrap_or_default(),
        ]
    }));
    let last = head.len() - if output.is_some() { 0 } else { 1 };
    Ok(columns(rows.iter().map(|row| &row[..last])))
}

/// Objects for programs, names that kubectl takes; nothing where columns are asked for.
fn objects<K>(all: &[K], output: Option<Output>) -> anyhow::Result<Option<String>>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": all });
    let kind = format!("{}.{}", K::kind(&()).to_lowercase(), K::group(&()));
    Ok(match output {
        None | Some(Output::Wide) => None,
        Some(Output::Json) => Some(serde_json::to_string_pretty(&list)? + "\n"),
        Some(Output::Yaml) => Some(serde_saphyr::to_string(&list)?),
        Some(Output::Name) => {
            Some(all.iter().map(|one| format!("{kind}/{}\n", one.name_any())).collect())
        }
    })
}

/// How long something is past, in kubectl's manner.
fn ago(now: Timestamp, then: Timestamp) -> String {
    let seconds = (now.as_second() - then.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Columns as wide as their widest cell, three spaces apart.
fn columns<'a>(rows: impl Iterator<Item = &'a [String]> + Clone) -> String {
    let columns = rows.clone().map(<[String]>::len).max().unwrap_or_default();
    let width = |i: usize| rows.clone().map(|row| row[i].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned() + "\n"
    };
    rows.map(line).collect()
}
