//! What was measured: the results table of the hand-written plan, and what belongs to it.

use super::{
    Story,
    document::{Block, Section, quote, span},
    table,
};
use crate::{run::TriggerType, target::Target};

/// The column of the table that holds texts of servers.
const ERROR: usize = 4;

pub(super) fn section(story: &Story<'_>) -> Section {
    let mut rows = table::all_rows(story);
    let errors = rows.iter_mut().skip(1).map(|row| &mut row[ERROR]);
    errors.filter(|error| *error != "none").for_each(|error| *error = quote(error));
    let rows = rows.into_iter().map(Vec::from).collect();
    let mut blocks = vec![Block::List(facts(story)), Block::Table(rows)];
    let remarks = table::remarks(story);
    if !remarks.is_empty() {
        blocks.push(Block::List(remarks));
    }
    blocks.push(Block::Text(table::pinned(story)));
    Section { title: "Results", blocks }
}

/// Which run this is.
fn facts(story: &Story<'_>) -> Vec<String> {
    let (run, status) = (story.run, &story.status);
    let name = run.metadata.name.as_deref().unwrap_or_default();
    let namespace = run.metadata.namespace.as_deref();
    let namespace = namespace.map(|name| format!(" in namespace {}", quote(name)));
    let trigger = &run.spec.trigger;
    let token = match trigger.type_ {
        TriggerType::Requested => trigger.requested_at.as_ref(),
        _ => trigger.token.as_ref(),
    };
    let token = token.map(|token| format!(" {}", quote(token)));
    let measurement = &run.spec.measurement.settled;
    let control = measurement.control.as_ref().map(|control| control.over(&measurement.target));
    let beside = control.map(|control| format!(", beside it {}", place(&control)));
    vec![
        format!(
            "Run: {}{}, started by {:?}{}",
            quote(name),
            namespace.unwrap_or_default(),
            trigger.type_,
            token.unwrap_or_default()
        ),
        format!("Time: {}", span(status.start_time.as_ref(), status.end_time.as_ref())),
        format!("Path: {}{}", place(&measurement.target), beside.unwrap_or_default()),
        format!(
            "Measured by: connection-probe {}, image {}",
            quote(&run.spec.versions.operator),
            quote(&run.spec.versions.image)
        ),
    ]
}

/// Where a path leads, as far as the manifest has it.
fn place(target: &Target) -> String {
    let port = target.port.map(|port| format!(", port {port}")).unwrap_or_default();
    match &target.host {
        Some(host) => format!("{}{port}", quote(host)),
        None => format!("the host in Secret {}{port}", quote(&target.secret_name)),
    }
}
