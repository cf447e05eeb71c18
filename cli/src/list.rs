//! Probes and runs, one a line.

use api::{ConnectionProbe, ConnectionProbeRun, conditions::READY, text};
use jiff::Timestamp;
use kube::ResourceExt;

/// Probes as `kubectl get cprobe` shows them, with their namespaces where there are several.
pub(crate) fn probes(probes: &[ConnectionProbe], everywhere: bool, now: Timestamp) -> String {
    let head = ["NAMESPACE", "NAME", "READY", "RESULT", "FIRST-CUT", "FINDING", "RUN", "LAST-RUN"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(probes.iter().map(|probe| {
        let status = probe.status.clone().unwrap_or_default();
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == READY);
        let last = status.last_run;
        let of_last = |field: fn(&api::probe::LastRun) -> Option<String>| {
            last.as_ref().and_then(field).unwrap_or_default()
        };
        vec![
            probe.namespace().unwrap_or_default(),
            probe.name_any(),
            ready.map(|condition| condition.reason).unwrap_or_default(),
            of_last(|run| Some(run.result.clone())),
            of_last(|run| run.first_cut.clone()),
            of_last(|run| run.finding.clone()),
            status.current_run.map(|run| run.number.to_string()).unwrap_or_default(),
            last.as_ref().map(|run| ago(now, run.end_time.0)).unwrap_or_default(),
        ]
    }));
    let first = usize::from(!everywhere);
    columns(rows.iter().map(|row| &row[first..]))
}

/// The runs of a probe.
pub(crate) fn runs(runs: &[ConnectionProbeRun], now: Timestamp) -> String {
    let head = ["NUMBER", "NAME", "TRIGGER", "RESULT", "FIRST-CUT", "STARTED", "DURATION"];
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
        ]
    }));
    columns(rows.iter().map(|row| &row[..]))
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
