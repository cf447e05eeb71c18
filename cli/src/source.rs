//! Where a run is read from.

use crate::{args::Place, cluster::Cluster};
use anyhow::Context;
use api::{
    ConnectionProbeRun,
    expect::Expect,
    render::Format,
    sockets::{self, SocketsReport},
};
use std::{
    fs,
    io::{Read, stdin},
    path::{Path, PathBuf},
};

/// The run in a file, or of a name in the cluster.
pub(crate) async fn run(place: &Place, name: &str) -> anyhow::Result<ConnectionProbeRun> {
    if !is_file(name) {
        return Cluster::connect(place).await?.run(name).await;
    }
    let json = text(name)?;
    serde_json::from_str(&json).with_context(|| format!("{name}: no ConnectionProbeRun in JSON"))
}

/// The same, and what its probe expects now; a file does not say.
pub(crate) async fn judged(
    place: &Place,
    name: &str,
) -> anyhow::Result<(ConnectionProbeRun, Option<Expect>)> {
    if is_file(name) {
        return Ok((run(place, name).await?, None));
    }
    let cluster = Cluster::connect(place).await?;
    let run = cluster.run(name).await?;
    let expect = cluster.expect(&run).await?;
    Ok((run, expect))
}

/// What was seen of workers' sockets, of all these files; an error is a sentence.
pub(crate) fn sockets(files: &[PathBuf], format: Format) -> Result<Vec<SocketsReport>, String> {
    let read =
        |file: &Path| text(&file.display().to_string()).map_err(|error| format!("{error:#}"));
    sockets::read_all(files, format, read)
}

/// A file's text; that of standard input for `-`.
pub(crate) fn text(file: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    match file {
        "-" => stdin().read_to_string(&mut text).map(|_| text),
        file => fs::read_to_string(file),
    }
    .with_context(|| file.to_owned())
}

/// No name of an object looks like this.
pub(crate) fn is_file(name: &str) -> bool {
    name == "-" || name.contains('/') || name.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_and_a_format_without_a_place_are_sentences() {
        let told = |files: &[&str], format| {
            let files: Vec<_> = files.iter().map(PathBuf::from).collect();
            sockets(&files, format).map(|reports| reports.len())
        };
        let here = "../api/tests/timeline/sockets.json";
        assert_eq!(told(&[], Format::Json), Ok(0));
        assert_eq!(told(&[here, here], Format::Html), Ok(4));
        assert!(told(&[here], Format::Junit).unwrap_err().contains("table, markdown and html"));
        let missing = told(&["no/such.json"], Format::Html).unwrap_err();
        assert!(missing.starts_with("no/such.json: No such file"), "{missing}");
        let run = "../api/tests/timeline/run.json";
        assert!(told(&[run], Format::Table).unwrap_err().starts_with(&format!("{run}: neither")));
    }
}
