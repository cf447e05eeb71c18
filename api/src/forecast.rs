//! What a measurement would do to a database, before it does it.

use crate::{
    measurement::{Client, Order},
    pattern::Pattern,
    render::table::markdown,
    report::Arm,
    settings::{Settings, TargetSettings, WorkloadSettings},
    text::{duration, mmss},
    workload::DEFAULT_STATEMENT,
};
use std::{collections::BTreeSet, fmt, time::Duration};

mod rhythm;

/// What the workloads of some settings would do, in this order.
#[derive(Clone, Copy, Debug)]
pub struct Forecast<'a> {
    /// What is to be measured.
    pub settings: &'a Settings,
    /// In which order.
    pub order: Order,
}

impl Forecast<'_> {
    /// Connections that are opened to be held.
    #[must_use]
    pub fn logins(&self) -> usize {
        self.settings.workloads.iter().map(|workload| workload.connections).sum::<usize>()
            * self.arms()
    }

    /// Connections that are opened for a moment to send a NOTIFY, at most: each logs in, sends two
    /// messages and uses up a transaction id.
    #[must_use]
    pub fn notifies(&self) -> u64 {
        self.of_arms(self.settings.workloads.iter().map(rhythm::notifies).sum())
    }

    /// Connections that are opened for a moment when the run begins, to read the server's timers.
    #[must_use]
    pub fn inventories(&self) -> usize {
        self.arms()
    }

    /// Connections that are held at the same time, at most.
    #[must_use]
    pub fn at_once(&self) -> usize {
        let connections = self.settings.workloads.iter().map(|workload| workload.connections);
        self.arms()
            * match self.order {
                Order::Parallel => connections.sum::<usize>(),
                Order::Sequential => connections.max().unwrap_or_default(),
            }
    }

    /// Statements that held connections send if nothing is cut, at most: what Psycopg and Django add
    /// depends on the server.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.of_arms(self.settings.workloads.iter().flat_map(rhythm::statements).sum())
    }

    /// Statements in a minute in which most are sent, about.
    #[must_use]
    pub fn statements_per_minute(&self) -> u64 {
        let rates = self.settings.workloads.iter().map(rhythm::per_minute);
        let busiest = match self.order {
            Order::Parallel => rates.sum(),
            Order::Sequential => rates.max().unwrap_or_default(),
        };
        self.of_arms(busiest).min(self.statements())
    }

    fn of_arms(&self, n: u64) -> u64 {
        n * u64::try_from(self.arms()).unwrap_or(u64::MAX)
    }

    fn arms(&self) -> usize {
        self.settings.arms().count()
    }

    fn rows(&self) -> Vec<[String; 7]> {
        let mut start = Duration::ZERO;
        let row = |workload: &WorkloadSettings| {
            let connects = (0..workload.connections).map(|lane| workload.schedule(lane).connect);
            let last = connects.max().unwrap_or_default();
            let ends = start + workload.last_end();
            let row = [
                workload.name.clone(),
                format!("{:?}", workload.client),
                vec![workload.connections.to_string(); self.arms()].join(" + "),
                span(&time(start), &time(start + last)),
                time(workload.duration()),
                time(ends),
                spread(rhythm::statements(workload)),
            ];
            if self.order == Order::Sequential {
                start = ends;
            }
            row
        };
        self.settings.workloads.iter().map(row).collect()
    }
}

/// The table and the totals, for a terminal.
impl fmt::Display for Forecast<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (arm, target) in self.settings.arms() {
            let name = match arm {
                Arm::Target => "Target: ",
                Arm::Control => "Control:",
            };
            writeln!(f, "{name} {}", place(target))?;
        }
        let head =
            ["Workload", "Client", "Connections", "Start", "Held for", "End by", "Statements each"];
        let mut table = vec![head.map(str::to_owned)];
        table.extend(self.rows());
        write!(f, "\n{}\n", markdown(&table))?;
        let how = match self.order {
            Order::Parallel => "all workloads at the same time",
            Order::Sequential => "one workload after the other",
        };
        let length = crate::lifetime::ms(self.settings.last_end(self.order));
        writeln!(f, "Length:      {}, {how}", duration(length))?;
        write!(f, "Connections: {} at once, {} logins in all; ", self.at_once(), self.logins())?;
        write!(f, "for a moment {} more to read timers", self.inventories())?;
        match self.notifies() {
            0 => writeln!(f)?,
            n => writeln!(f, ", and up to {n}, one by one, to NOTIFY")?,
        }
        let (all, most) = (self.statements(), self.statements_per_minute());
        let exact = self.settings.workloads.iter().all(|workload| workload.client == Client::Raw);
        let up_to = if exact { "" } else { "up to " };
        writeln!(f, "Statements:  {up_to}{all} in all, about {most} in the busiest minute")?;
        let kept = self.settings.workloads.iter().filter(|w| w.pins() != Some(false));
        let kept = self.arms() * kept.map(|workload| workload.connections).sum::<usize>();
        writeln!(
            f,
            "Pooler:      {kept} of them keep a server connection to themselves (pinned, or busy)"
        )?;
        let caution = |w: &WorkloadSettings| caution(w, w.connections * self.arms());
        let cautions: Vec<String> = self.settings.workloads.iter().filter_map(caution).collect();
        if cautions.is_empty() {
            return writeln!(f, "Nothing of this writes, or keeps a transaction open.");
        }
        writeln!(f, "\nNot harmless everywhere:")?;
        cautions.iter().try_for_each(|caution| writeln!(f, "- {caution}"))
    }
}

/// Host and port, as far as the manifest has them.
fn place(target: &TargetSettings) -> String {
    let secret = &target.secret_name;
    let port = target.port.map(|port| format!(", port {port}")).unwrap_or_default();
    match &target.host {
        Some(host) => format!("{host}{port} (credentials: Secret {secret})"),
        None => format!("the host in Secret {secret}{port}"),
    }
}

fn time(at: Duration) -> String {
    mmss(crate::lifetime::ms(at))
}

fn spread(values: impl Iterator<Item = u64>) -> String {
    let values: BTreeSet<u64> = values.collect();
    let text = |n: Option<&u64>| n.map(u64::to_string).unwrap_or_default();
    span(&text(values.first()), &text(values.last()))
}

fn span(from: &str, to: &str) -> String {
    if from == to { from.to_owned() } else { format!("{from}–{to}") }
}

/// What an administrator of the database would want to know of a workload.
fn caution(workload: &WorkloadSettings, n: usize) -> Option<String> {
    let WorkloadSettings { name, pattern, client, duration_ms, .. } = workload;
    let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let length = mmss(ms(*duration_ms));
    let own = |statement: &str| statement != DEFAULT_STATEMENT;
    let open = |statement: &str| {
        let what = match own(statement) {
            true => format!("with `{statement}`, which may hold locks, or vacuum back"),
            false => "READ COMMITTED, without locks or a snapshot".to_owned(),
        };
        format!("{name} keeps {n} transactions open for {length}: {what}")
    };
    Some(match pattern {
        Pattern::IdleInTransaction { statement } | Pattern::ActiveTransaction { statement, .. } => {
            open(statement)
        }
        Pattern::PulpTask { in_transaction: true, .. } => open(DEFAULT_STATEMENT),
        Pattern::Heartbeat { statement, .. } if own(statement) => {
            format!("{name} sends a statement of yours: `{statement}`")
        }
        Pattern::Heartbeat { .. } | Pattern::SessionVariable if *client == Client::Psycopg => {
            open(DEFAULT_STATEMENT)
        }
        Pattern::PulpWorker { table, interval_ms, .. } => {
            let each = duration(ms(*interval_ms));
            match table {
                Some(table) => format!("{name} updates {table} every {each} on {n} connections"),
                None => format!(
                    "{name} uses up a transaction id every {each} on {n} connections, 40 bytes of \
                     WAL each"
                ),
            }
        }
        Pattern::Observe(watched) => format!(
            "{name} asks pg_stat_activity for the sessions of {} every {}, for {length}",
            watched.user,
            crate::text::micros(ms(watched.interval_ms) * 1000),
        ),
        Pattern::SlowStatement => format!(
            "{name} runs {n} statements for {length} each (pg_sleep): alarms on long queries see \
             them"
        ),
        Pattern::Idle
        | Pattern::Heartbeat { .. }
        | Pattern::SessionVariable
        | Pattern::Listen
        | Pattern::ListenNotify { .. }
        | Pattern::PulpTask { .. }
        | Pattern::IdleLadder { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;

    fn forecast(file: &str, order: Order) -> String {
        let probe = manifest::parse(file).unwrap();
        let settings = Settings::new("", &probe.spec.measurement, Vec::new()).unwrap();
        Forecast { settings: &settings, order }.to_string()
    }

    #[test]
    fn the_samples() {
        let pulp = include_str!("../../deploy/samples/pulp.yaml");
        let patterns = include_str!("../tests/cases/accepted/every-pattern.yaml");
        insta::assert_snapshot!(
            [forecast(pulp, Order::Parallel), forecast(patterns, Order::Sequential)].join("\n\n")
        );
    }
}
