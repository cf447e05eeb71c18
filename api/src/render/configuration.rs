//! The configuration block of the hand-written plan, from the run's inventory. What was not read is said.

use super::{
    Story,
    document::{Block, Section, printable},
    rds_proxy::not_told,
};
use crate::{
    inventory::{ArmInventory, Hop, Inventory, PodTcp, Setting},
    pattern::Pattern,
    rds_proxy::RdsProxyStatus,
    report::{Arm, ArmReport},
    text,
};

/// What the plan asks of RDS Proxy: nothing on the connection tells it.
const RDS_PROXY: &str =
    "IdleClientTimeout, MaxConnectionsPercent, MaxIdleConnectionsPercent, RequireTLS";
/// What the plan asks of PostgreSQL: named even at their defaults.
const ASKED: [&str; 4] = [
    "idle_in_transaction_session_timeout",
    "statement_timeout",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
];

/// What the plan asks of Pulp.
const ASKED_OF_PULP: [&str; 4] = ["heartbeat interval", "CONN_MAX_AGE", "TIME_ZONE", "pulpcore"];

pub(super) const TITLE: &str = "Configuration";

pub(super) fn section(story: &Story<'_>) -> Section {
    let mut lines = Vec::new();
    let proxy = story.status.rds_proxy.as_ref();
    lines.extend(proxy.map(|told| rds_proxy(story, told)).unwrap_or_default());
    match &story.status.inventory {
        Some(inventory) => lines.extend(read(inventory, proxy.is_some())),
        None => lines.push("The timers of proxy and server were not read.".to_owned()),
    }
    lines.push(String::new());
    lines.push("Connections:".to_owned());
    lines.extend(connections(story));
    lines.push(String::new());
    lines.push("Pulp worker configuration:".to_owned());
    let mut patterns = story.workloads().filter_map(|(_, settings)| Some(&settings?.pattern));
    let interval = patterns.find_map(|pattern| match pattern {
        Pattern::PulpWorker { interval_ms, .. } => Some(interval_ms / 1000),
        _ => None,
    });
    lines.extend(
        interval.map(|s| format!("- Worker heartbeat interval: {s} s, as it was measured")),
    );
    lines.extend(worker_facts(story));
    let lines: Vec<_> = lines.iter().map(|line| printable(line)).collect();
    Section { title: TITLE, blocks: vec![Block::Verbatim(lines.join("\n"))] }
}

/// Pulp's settings as a watcher saw them, and which it did not: nothing is filled in.
fn worker_facts(story: &Story<'_>) -> Vec<String> {
    let facts: Vec<_> = story.status.observed().flat_map(|observed| &observed.facts).collect();
    let seen = facts.iter().map(|fact| format!("- {}: {} ({})", fact.name, fact.value, fact.seen));
    let unseen: Vec<_> = ASKED_OF_PULP
        .iter()
        .filter(|asked| !facts.iter().any(|fact| fact.name == **asked))
        .copied()
        .collect();
    let unseen = (!unseen.is_empty()).then(|| {
        format!(
            "- {}: not seen (observe.configMapName reads them from a ConfigMap)",
            unseen.join(", ")
        )
    });
    seen.chain(unseen).collect()
}

/// What AWS told of a proxy, and what it did not.
fn rds_proxy(story: &Story<'_>, told: &RdsProxyStatus) -> Vec<String> {
    let mut lines = vec!["RDS Proxy configuration (target):".to_owned()];
    let asked = story.run.spec.measurement.settled.rds_proxy.as_ref();
    lines.extend(asked.map(|proxy| format!("- Proxy Name: {} ({})", proxy.name, proxy.region)));
    lines.extend(told.facts().into_iter().map(|fact| {
        let after = fact.afterwards.map(|after| format!("; after the run: {after}"));
        format!("- {}: {}{}", fact.name, fact.value, after.unwrap_or_default())
    }));
    lines.extend(not_told(told).into_iter().map(|line| format!("- {}", line.replace('`', ""))));
    lines.push(String::new());
    lines
}

/// `is_told`: AWS was asked for its proxy.
fn read(inventory: &Inventory, is_told: bool) -> Vec<String> {
    let mut lines: Vec<_> = inventory.arms.iter().flat_map(|arm| path(arm, is_told)).collect();
    lines.extend(inventory.problem.as_ref().map(|problem| format!("Not read: {problem}")));
    lines.extend(inventory.left_out.map(|n| format!("Left out for want of room: {n} entries")));
    lines.push("Pod's TCP (sysctl):".to_owned());
    let PodTcp {
        keepalive_time_s,
        keepalive_interval_s,
        keepalive_probes,
        retries2,
        syn_retries,
        fin_timeout_s,
    } = inventory.pod_tcp;
    let sysctls = [
        ("tcp_keepalive_time", keepalive_time_s, " s"),
        ("tcp_keepalive_intvl", keepalive_interval_s, " s"),
        ("tcp_keepalive_probes", keepalive_probes, ""),
        ("tcp_retries2", retries2, ""),
        ("tcp_syn_retries", syn_retries, ""),
        ("tcp_fin_timeout", fin_timeout_s, " s"),
    ];
    let known = sysctls.into_iter().filter_map(|(name, value, unit)| Some((name, value?, unit)));
    lines.extend(known.map(|(name, value, unit)| format!("- {name}: {value}{unit}")));
    lines
}

/// What was read on one path.
fn path(read: &ArmInventory, is_told: bool) -> Vec<String> {
    let arm = match read.arm {
        Arm::Target => "target",
        Arm::Control => "control",
    };
    let mut lines = Vec::new();
    match (&read.pgbouncer, read.arm) {
        (Some(pgbouncer), _) => {
            lines.push(format!("PgBouncer configuration ({arm}):"));
            lines.extend(settings(&pgbouncer.settings, &pgbouncer.at_default));
            lines
                .extend(pgbouncer.problem.as_ref().map(|problem| format!("- not read: {problem}")));
            lines.push(String::new());
        }
        (None, Arm::Target) if !is_told => {
            lines.push("Proxy configuration (target):".to_owned());
            lines.push(format!("- {RDS_PROXY}: not read"));
            lines.push(String::new());
        }
        (None, _) => {}
    }
    lines.push(format!("PostgreSQL settings ({arm}):"));
    if let Some(server) = &read.server {
        let started = server.started_at.map(|at| format!(", started {at}"));
        let standby = if server.in_recovery { ", a standby" } else { "" };
        let started = started.unwrap_or_default();
        lines.push(format!("- server: {}{started}{standby}", server.version));
        let (offset, error) = (server.clock_offset_ms, server.clock_error_ms);
        lines.extend(offset.map(|ms| {
            format!(
                "- its clock is ahead by {ms} ms, give or take {} ms",
                error.unwrap_or_default()
            )
        }));
    }
    lines.extend(read.hop.map(|hop| match hop {
        Hop::Direct => "- it sees the pod itself: tcp_* hold for the pod's connection".to_owned(),
        Hop::Indirect => {
            "- it sees somebody else: tcp_* hold for a proxy's connection to it".to_owned()
        }
    }));
    lines.extend(settings(&read.settings, &read.at_default));
    lines.extend(read.problem.as_ref().map(|problem| format!("- not read: {problem}")));
    lines.push(String::new());
    lines
}

fn settings(set: &[Setting], at_default: &[String]) -> Vec<String> {
    let line = |setting: &Setting| {
        let unit = setting.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        let source = setting.source.iter().cloned();
        let notes: Vec<_> =
            source.chain(setting.default.iter().map(|value| format!("default {value}"))).collect();
        let notes =
            if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        format!("- {}: {}{unit}{notes}", setting.name, setting.value)
    };
    let mut lines: Vec<_> = set.iter().map(line).collect();
    let (asked, others): (Vec<_>, Vec<_>) =
        at_default.iter().map(String::as_str).partition(|name| ASKED.contains(name));
    lines.extend(asked.iter().map(|name| format!("- {name}: default")));
    if !others.is_empty() {
        lines.push(format!("- at their defaults: {}", others.join(", ")));
    }
    lines
}

/// With what connections were held, those that were held alike on one line.
fn connections(story: &Story<'_>) -> Vec<String> {
    let mut alike: Vec<(String, Vec<String>)> = Vec::new();
    for (name, held) in story.arms().filter_map(|(name, arm)| Some((name, held(arm)?))) {
        match alike.iter_mut().find(|(other, _)| *other == held) {
            Some((_, names)) => names.push(name),
            None => alike.push((held, vec![name])),
        }
    }
    alike.into_iter().map(|(held, names)| format!("- {held}: {}", names.join(", "))).collect()
}

/// With what a workload's connections were held; absent if not one was opened.
fn held(arm: &ArmReport) -> Option<String> {
    let tcp = arm.tcp?;
    let user_timeout = tcp.user_timeout_ms.map_or("none".to_owned(), |ms| format!("{ms} ms"));
    let server = arm.server.clone().unwrap_or_default();
    let said = [
        server.version.map(|version| format!("server_version {version}")),
        server.tls,
        server.auth,
    ];
    let said: Vec<_> = said.into_iter().flatten().collect();
    Some(format!(
        "{}; keepalive after {}, every {}, {} times; user timeout {user_timeout}",
        said.join(", "),
        text::duration(i64::from(tcp.keepalive_idle_seconds) * 1000),
        text::duration(i64::from(tcp.keepalive_interval_seconds) * 1000),
        tcp.keepalive_count,
    ))
}
