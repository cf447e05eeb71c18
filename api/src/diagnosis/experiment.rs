//! The probe that tells more, or proves the cure: the same target and client, other workloads.

use super::{Cause, Experiment, finding::MAX_MANIFEST, span::Span};
use crate::{
    ConnectionProbe, ConnectionProbeSpec,
    measurement::Measurement,
    run::MeasurementRecord,
    workload::{
        ActiveTransaction, Heartbeat, Idle, IdleInTransaction, IdleLadder, Listen, ListenNotify,
        PulpTask, PulpWorker, SessionVariable, SlowStatement, Workload,
    },
};
use kube::core::Duration;
use std::time;

/// The longest duration, in milliseconds.
const DAY: i64 = 86_400_000;

/// The next experiment after a finding; `value`: of its timer, in milliseconds.
pub(super) fn next(
    probe: &str,
    record: &MeasurementRecord,
    cause: Cause,
    value: Option<Span>,
) -> Experiment {
    let held = record.settled.duration.map_or(time::Duration::ZERO, Into::into);
    let held = i64::try_from(held.as_millis()).unwrap_or(i64::MAX);
    let longest = value.map_or(held, |value| value.high);
    let (question, workloads, duration) = match cause {
        Cause::IdleTimer | Cause::RequestIdleTimer | Cause::ByteIdleTimer => (
            "Tells requests from bytes, whether transactions are spared, and whether activity is the cure: only \
             what is silent in the timer's own sense should be cut.",
            idlers(longest / 3),
            longest.saturating_mul(3) / 2,
        ),
        Cause::FlowForgotten | Cause::SilentDrop => (
            "Finds the time after which connections are forgotten, and shows whether keepalives are the cure.",
            vec![ladder(value, held), keepalive(longest / 3), idle()],
            longest.saturating_mul(11) / 10,
        ),
        Cause::MaxLifetime => (
            "Busy connections alone: if the age is what counts, all of them are cut at it.",
            vec![heartbeat(longest / 20), pulp_worker()],
            longest.saturating_mul(5) / 4,
        ),
        Cause::IdleInTransactionTimeout | Cause::TransactionTimeout => (
            "Tells a limit on a transaction's age from one on its silence, and both from idle timers.",
            vec![idle(), idle_in_transaction(), active_transaction(longest / 3)],
            longest.saturating_mul(3) / 2,
        ),
        Cause::StatementTimeout => (
            "Shows whether a long statement lives after the change, beside connections without one.",
            vec![named("slow-statement", |it| it.slow_statement = Some(SlowStatement {})), idle()],
            longest.saturating_mul(3) / 2,
        ),
        Cause::IdleSessionTimeout | Cause::PoolerIdleTimeout => (
            "After the change: idle connections should live beyond the old value, as those with a heartbeat do.",
            vec![idle(), listen(), heartbeat(longest / 3)],
            longest.saturating_mul(3) / 2,
        ),
        Cause::PinnedTimer | Cause::NotificationsLost => (
            "Shows what SET and LISTEN cost on this path, beside connections without them.",
            vec![idle(), set(), listen(), listen_notify(longest / 3), pulp_worker()],
            longest.saturating_mul(3) / 2,
        ),
        Cause::IdleTaskCut => (
            "Finds the timer's value without waiting for a task, and shows whether keepalives are the cure.",
            vec![ladder(value, held), keepalive(longest / 3), pulp_task(), pulp_worker()],
            longest.saturating_mul(11) / 10,
        ),
        Cause::NoCut => (
            "Runs twice as long: a timer that is longer than this run was can't have been seen.",
            Vec::new(),
            held.saturating_mul(2),
        ),
        Cause::SessionTerminated
        | Cause::ServerRestart
        | Cause::ServerCrash
        | Cause::Failover
        | Cause::RecoveryConflict
        | Cause::PoolerShutdown
        | Cause::PoolerLostServer
        | Cause::ReadOnlyServer
        | Cause::ConnectionRefused
        | Cause::WorkerCut
        | Cause::WorkerLeft
        | Cause::OneMoment
        | Cause::OneHost
        | Cause::Sweep
        | Cause::OwnNode => (
            "The same again at another time: what happened once should not come back at the same age.",
            Vec::new(),
            held,
        ),
        Cause::OtherMessage | Cause::Unknown => (
            "Every way of being silent or busy side by side, so that what spares whom shows the cause.",
            idlers(held / 25).into_iter().chain([set(), pulp_worker()]).collect(),
            held,
        ),
    };
    let mut measurement = record.as_written.clone();
    if !workloads.is_empty() {
        measurement.preset = None;
        measurement.workloads = workloads;
    }
    measurement.duration = Some(millis(duration.clamp(1000, DAY)));
    Experiment { question: question.to_owned(), manifest: manifest(probe, measurement) }
}

fn manifest(probe: &str, measurement: Measurement) -> Option<String> {
    let mut name = probe.to_owned();
    // Names of workloads, Jobs and pods are cut by themselves.
    crate::report::shorten(&mut name, 245);
    let name = format!("{}-next", name.trim_end_matches(['-', '.']));
    let spec = ConnectionProbeSpec { measurement, ..ConnectionProbeSpec::default() };
    let manifest = serde_saphyr::to_string(&ConnectionProbe::new(&name, spec)).ok()?;
    (manifest.chars().count() <= MAX_MANIFEST).then_some(manifest)
}

/// All ways of being silent, and one that is not.
fn idlers(interval: i64) -> Vec<Workload> {
    vec![
        idle(),
        keepalive(interval),
        heartbeat(interval),
        idle_in_transaction(),
        active_transaction(interval),
        listen(),
        listen_notify(interval),
        named("slow-statement", |it| it.slow_statement = Some(SlowStatement {})),
    ]
}

fn named(name: &str, with: impl FnOnce(&mut Workload)) -> Workload {
    let mut workload = Workload { name: name.to_owned(), ..Workload::default() };
    with(&mut workload);
    workload
}

fn idle() -> Workload {
    named("idle", |it| it.idle = Some(Idle::default()))
}

fn keepalive(interval: i64) -> Workload {
    let keepalive = Some(millis(interval.clamp(1000, 30_000)));
    named("idle-keepalive", |it| it.idle = Some(Idle { keepalive }))
}

fn heartbeat(interval: i64) -> Workload {
    let interval = Some(millis(interval.clamp(1000, 60_000)));
    named("heartbeat", |it| it.heartbeat = Some(Heartbeat { interval, statement: None }))
}

fn idle_in_transaction() -> Workload {
    named("idle-in-transaction", |it| it.idle_in_transaction = Some(IdleInTransaction::default()))
}

fn active_transaction(interval: i64) -> Workload {
    let interval = Some(millis(interval.clamp(1000, 120_000)));
    named("active-transaction", |it| {
        it.active_transaction = Some(ActiveTransaction { interval, ..Default::default() });
    })
}

fn set() -> Workload {
    named("session-variable", |it| it.session_variable = Some(SessionVariable {}))
}

fn listen() -> Workload {
    named("listen", |it| it.listen = Some(Listen {}))
}

fn listen_notify(interval: i64) -> Workload {
    let interval = Some(millis(interval.clamp(1000, 120_000)));
    named("listen-notify", |it| it.listen_notify = Some(ListenNotify { interval }))
}

fn pulp_worker() -> Workload {
    named("pulp-worker", |it| it.pulp_worker = Some(PulpWorker::default()))
}

fn pulp_task() -> Workload {
    named("pulp-task", |it| it.pulp_task = Some(PulpTask::default()))
}

/// Eight rungs over the interval in which the value lies.
fn ladder(value: Option<Span>, held: i64) -> Workload {
    let Span { low, high } = value.unwrap_or(Span { low: 1000, high: held });
    let (low, high) = (low.clamp(1000, DAY), high.clamp(1000, DAY));
    let rung = |n: i64| millis(low + (high - low) * n / 8);
    let mut rungs: Vec<Duration> = (0..8).map(rung).collect();
    rungs.dedup();
    named("ladder", |it| it.idle_ladder = Some(IdleLadder { rungs }))
}

/// In whole seconds from a second on: what is written is to be read.
fn millis(ms: i64) -> Duration {
    let ms = u64::try_from(ms).unwrap_or(0);
    time::Duration::from_secs(ms.div_ceil(1000).max(1)).into()
}
