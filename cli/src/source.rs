//! Where a run is read from.

use crate::{args::Place, cluster::Cluster};
use anyhow::Context;
use api::{ConnectionProbeRun, expect::Expect};
use std::{
    fs,
    io::{Read, stdin},
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
