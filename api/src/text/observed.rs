//! What a watcher could not see, and what came of what it saw.

use crate::{
    beats::Rhythm,
    inventory::Hop,
    observed::{Fate, Life, Observed, Role, State, Worker},
    text::{clock, precisely},
};

/// Nobody looked for a while.
#[must_use]
pub fn observe_interrupted(why: &str) -> String {
    format!("Looks were missed, the last time because of: {why}.")
}

/// The watcher's role sees no sessions of others.
#[must_use]
pub fn observe_hidden() -> String {
    "States, times and statements of the watched role's sessions are hidden from the probe's role: GRANT pg_monitor TO \
     it, or watch your own role."
        .to_owned()
}

/// The workers' rows can't be read.
#[must_use]
pub fn observe_no_workers() -> String {
    "Workers' rows: GRANT SELECT (pulp_id, pulp_created, name, app_type, last_heartbeat, ttl, versions) ON core_appstatus TO the \
     probe's role tells who left."
        .to_owned()
}

/// Tasks can't be read.
#[must_use]
pub fn observe_no_tasks() -> String {
    "Tasks: GRANT SELECT (pulp_id, state, started_at, app_lock_id) ON core_task TO the probe's role tells a task that \
     ended from one that was cut."
        .to_owned()
}

/// A look at something was refused, though it may be read.
#[must_use]
pub fn observe_refused(what: &str, why: &str) -> String {
    format!("Not every look saw {what} ({why}): an end meanwhile is not judged by them.")
}

/// There is no pg_stat_statements.
#[must_use]
pub fn observe_no_statements() -> String {
    "Statements that pin: the extension pg_stat_statements is not in this database.".to_owned()
}

/// It is there, and can't be read.
#[must_use]
pub fn observe_statements_unread(why: &str) -> String {
    format!("Statements that pin: pg_stat_statements was not read ({why}).")
}

/// The ConfigMap is not there.
#[must_use]
pub fn observe_no_config_map(name: &str) -> String {
    format!("Pulp's settings: ConfigMap {name} is not there, or it is empty.")
}

/// What became of a session, for a table.
#[must_use]
pub fn session_fate(fate: Fate) -> &'static str {
    match fate {
        Fate::CutIdle => "cut while idle",
        Fate::CutActive => "cut while active",
        Fate::Left => "left by itself",
        Fate::RowDeleted => "left: its heartbeat row was deleted",
        Fate::TaskEnded => "task ended",
        Fate::ServerRestarted => "server restarted",
        Fate::Unknown => "ended, why is not known",
    }
}

/// What it is, for a table.
#[must_use]
pub fn session_role(role: Role) -> &'static str {
    match role {
        Role::Main => "worker",
        Role::Task => "task",
        Role::Other => "other",
    }
}

/// A session that was born.
#[must_use]
pub fn session_born(life: &Life) -> String {
    format!("session {} came", life.pid)
}

/// A session that ended.
#[must_use]
pub fn session_ended(life: &Life) -> String {
    let worker = life.worker.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    let told = life.end.map(|end| {
        let silence = match life.state {
            State::Active => ", busy".to_owned(),
            _ => format!(", silent for {}", precisely(end.silence_ms)),
        };
        format!("{} after {}{silence}", session_fate(end.fate), precisely(end.lived_ms))
    });
    format!(
        "session {} ({}{worker}): {}",
        life.pid,
        session_role(life.role),
        told.unwrap_or_default()
    )
}

/// A worker's row went.
#[must_use]
pub fn worker_gone(worker: &Worker) -> String {
    format!(
        "the row of {} is gone, its last heartbeat was at {}",
        worker.name,
        clock(worker.last_heartbeat)
    )
}

/// What its activity looks like, for a table.
#[must_use]
pub fn rhythm(rhythm: Rhythm) -> &'static str {
    match rhythm {
        Rhythm::Beating => "beating",
        Rhythm::Working => "working",
        Rhythm::Silent => "silent",
    }
}

/// Whose view it is: `hop` is whether the server saw the watcher itself, on the watcher's path.
#[must_use]
pub fn observe_view(hop: Option<Hop>) -> String {
    let view = "This is the server's view. Behind a proxy or a pooler a session and its address are the proxy's, and its \
                life is not its client's: of one in session mode a life ends where the pooler resets the session \
                (DISCARD ALL)";
    match hop {
        Some(Hop::Indirect) => format!("{view}. The watcher itself was behind one"),
        Some(Hop::Direct) | None => view.to_owned(),
    }
}

/// Real sessions in a summary.
#[must_use]
pub fn observed_summary(observed: &Observed) -> String {
    let cut = observed.cut();
    let by_role = |fates: [Fate; 2]| {
        let of = |role| fates.iter().map(|fate| observed.count(role, *fate)).sum::<i32>();
        [(Role::Main, "of workers"), (Role::Task, "of tasks")]
            .into_iter()
            .filter_map(|(role, words)| Some((of(role), words)).filter(|(n, _)| *n > 0))
            .map(|(n, words)| format!("{n} {words}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let conclusive = observed.conclusive();
    let unknown = observed.lives_seen - conclusive;
    if conclusive == 0 {
        return format!("What became of {unknown} real sessions is not known.");
    }
    let mut told = format!("Of {conclusive} real sessions {cut} were cut");
    if cut > 0 {
        told += &format!(" ({})", by_role([Fate::CutIdle, Fate::CutActive]));
    }
    let left = by_role([Fate::Left, Fate::RowDeleted]);
    if !left.is_empty() {
        told += &format!("; left by themselves: {left}");
    }
    if unknown > 0 {
        told += &format!("; what became of {unknown} more is not known");
    }
    told + "."
}
