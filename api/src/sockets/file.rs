//! Reports in a file.

use super::{Event, Line, SocketsReport};
use crate::render::Format;
use std::path::{Path, PathBuf};

/// The reports in a text: a list of them, as `kubectl cprobe watch-workers --json` writes it, or the lines of
/// `connection-probe watch-sockets`, of which each pod's last one has its report. `name`: that of the file.
///
/// # Errors
/// A sentence that says why it is neither, or that no report is in it.
pub fn read(name: &str, text: &str) -> Result<Vec<SocketsReport>, String> {
    let reports = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text).map_err(|error| error.to_string()),
        false => of_lines(text),
    };
    let reports = reports.map_err(|error| {
        format!(
            "{name}: neither a list of reports, as kubectl cprobe watch-workers --json writes it, nor lines of \
             connection-probe watch-sockets: {error}"
        )
    })?;
    match reports.is_empty() {
        true => {
            Err(format!("{name}: there is no report in it, which is written when watching ends"))
        }
        false => Ok(reports),
    }
}

/// The reports in these files, for a run that is set down in this format. `text` reads a file.
///
/// # Errors
/// A sentence: the format has no place for them, a file can't be read, or it has no reports.
pub fn read_all(
    files: &[PathBuf],
    format: Format,
    text: impl Fn(&Path) -> Result<String, String>,
) -> Result<Vec<SocketsReport>, String> {
    if !files.is_empty() {
        format.beside_sockets()?;
    }
    let of = |file: &PathBuf| read(&file.display().to_string(), &text(file)?);
    Ok(files.iter().map(of).collect::<Result<Vec<_>, _>>()?.concat())
}

fn of_lines(text: &str) -> Result<Vec<SocketsReport>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let report = |(i, line): (usize, &str)| {
        let line: Line =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", i + 1))?;
        Ok(match line.event {
            Event::Report { report } => Some(report),
            Event::Started { .. }
            | Event::Born(_)
            | Event::Closed(_)
            | Event::Ended(_)
            | Event::Other => None,
        })
    };
    lines.map(report).filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        beats::Rhythm,
        sockets::tests::{at, cut, report},
    };

    #[test]
    fn a_list_and_lines_say_the_same() {
        let life = cut(Rhythm::Silent, 60_000, 59_000);
        let told = vec![report("w-0", vec![life.clone()]), report("w-1", Vec::new())];
        let list = serde_json::to_string_pretty(&told).unwrap();
        assert_eq!(read("f", &list).unwrap(), told);
        let events = std::iter::once(Event::Ended(life))
            .chain(told.iter().cloned().map(|report| Event::Report { report }));
        let lines: Vec<_> = events
            .map(|event| serde_json::to_string(&Line { time: at(0), event }).unwrap() + "\n")
            .collect();
        assert_eq!(read("f", &lines.concat()).unwrap(), told);
    }

    #[test]
    fn whatever_has_no_report_is_refused_by_its_name() {
        for (text, why) in [
            ("", "no report in it"),
            ("[]", "no report in it"),
            ("[{}]", "missing field `startedAt`"),
            ("{\"time\":\"2026-01-01T00:00:00Z\",\"event\":\"slept\"}\n", "no report in it"),
            ("\nrun: 1\n", "line 2: expected value"),
            ("{\"apiVersion\":\"v1\"}", "line 1: missing field `time`"),
        ] {
            let refused = read("w.json", text).unwrap_err();
            assert!(refused.starts_with("w.json: ") && refused.contains(why), "{refused}");
        }
    }
}
