//! What holds whatever happens, in any order.

use super::cluster::{Cluster, interrupted, no_login, report, survivors};
use crate::facts::{PodPhase, Stuck};
use api::{
    diagnosis::Cause,
    measurement::Order,
    names::{CANCEL_ANNOTATION, REQUESTED_AT_ANNOTATION},
    report::ProblemReason,
    scheduling::ConcurrencyPolicy,
};
use proptest::prelude::*;

const TROUBLESHOOTING: &str = include_str!("../../../../docs/troubleshooting.md");

/// Something that happens to a cluster, or time that passes.
#[derive(Clone, Debug)]
enum Event {
    Step,
    /// The operator is killed after the first action of a plan, before any status is written.
    CrashAfterFirstAction,
    Wait(i64),
    RunID(u8),
    Connections(i32),
    Suspend(bool),
    Request(u8),
    Cancel(i64),
    Schedule(Option<ConcurrencyPolicy>),
    Pod(usize, Pod),
    ForgetPods,
    JobFinishes,
    JobGoes,
}

#[derive(Clone, Debug)]
enum Pod {
    Runs,
    IsCut,
    IsStuck,
    Survives,
    Reports,
    CannotLogIn,
    Misconfigured,
    Evicted,
    NodeIsLost,
}

fn event() -> impl Strategy<Value = Event> {
    let pod = prop_oneof![
        Just(Pod::Runs),
        Just(Pod::IsCut),
        Just(Pod::IsStuck),
        Just(Pod::Survives),
        Just(Pod::Reports),
        Just(Pod::CannotLogIn),
        Just(Pod::Misconfigured),
        Just(Pod::Evicted),
        Just(Pod::NodeIsLost),
    ];
    let schedule = prop_oneof![
        Just(None),
        Just(Some(ConcurrencyPolicy::Forbid)),
        Just(Some(ConcurrencyPolicy::Replace)),
    ];
    prop_oneof![
        6 => Just(Event::Step),
        2 => Just(Event::CrashAfterFirstAction),
        2 => (0_i64..700).prop_map(Event::Wait),
        1 => (0_u8..3).prop_map(Event::RunID),
        1 => (1_i32..4).prop_map(Event::Connections),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => (0_u8..3).prop_map(Event::Request),
        1 => (1_i64..4).prop_map(Event::Cancel),
        1 => schedule.prop_map(Event::Schedule),
        6 => (0_usize..2, pod).prop_map(|(workload, pod)| Event::Pod(workload, pod)),
        1 => Just(Event::ForgetPods),
        2 => Just(Event::JobFinishes),
        1 => Just(Event::JobGoes),
    ]
}

fn happen(cluster: &mut Cluster, event: Event) {
    match event {
        Event::Step => drop(cluster.step()),
        Event::CrashAfterFirstAction => {
            if let Some(action) = cluster.plan().actions.first() {
                // What the controller writes before it acts.
                let ends = cluster.plan().run_statuses.iter().any(|(_, s)| s.has_ended());
                if !ends {
                    cluster.act(action);
                }
            }
        }
        Event::Wait(seconds) => cluster.wait(seconds),
        Event::RunID(id) => cluster.edit(|spec| spec.run_id = Some(id.to_string())),
        Event::Connections(n) => cluster.edit(|spec| spec.measurement.connections = Some(n)),
        Event::Suspend(suspend) => cluster.edit(|spec| spec.suspend = Some(suspend)),
        Event::Request(token) => cluster.annotate(REQUESTED_AT_ANNOTATION, &token.to_string()),
        Event::Cancel(number) => cluster.annotate(CANCEL_ANNOTATION, &number.to_string()),
        Event::Schedule(policy) => cluster.edit(|spec| {
            spec.scheduling.schedule = policy.map(|_| "*/5 * * * *".to_owned());
            spec.scheduling.concurrency_policy = policy;
        }),
        Event::Pod(workload, pod) => pod_event(cluster, workload, &pod),
        Event::ForgetPods => drop((cluster.runs() > 0).then(|| cluster.forget_pods())),
        Event::JobFinishes => cluster.job_finishes(),
        Event::JobGoes => drop((cluster.runs() > 0).then(|| cluster.job_goes())),
    }
}

fn pod_event(cluster: &mut Cluster, workload: usize, pod: &Pod) {
    if cluster.runs.last().is_none_or(|facts| facts.jobs.is_empty()) {
        return;
    }
    let (now, start) = (cluster.now, cluster.at(0));
    match pod {
        Pod::Runs => cluster.pod(workload, PodPhase::Running { unready_since: None, since: start }),
        Pod::IsCut => {
            cluster.pod(workload, PodPhase::Running { unready_since: Some(now), since: start });
        }
        Pod::IsStuck => {
            let (cause, seen) = (Stuck::Unschedulable, "no node".to_owned());
            cluster.pod(workload, PodPhase::Stuck { cause, seen, since: now });
        }
        Pod::Survives => cluster.ends(workload, survivors("w", 5, 60_000)),
        Pod::Reports => cluster.ends(workload, report("w", 2, 10_000)),
        Pod::CannotLogIn => cluster.ends(workload, no_login("w", 5)),
        Pod::Misconfigured => {
            cluster.fails_with_problem(workload, ProblemReason::SecretNotFound, "No Secret.");
        }
        Pod::Evicted => cluster.evict(workload, interrupted("w", 1)),
        Pod::NodeIsLost => {
            let running = PodPhase::Running { unready_since: None, since: start };
            cluster.pod(workload, running);
            cluster.loses_node(workload);
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_the_plan_stays_sane(
        order in prop_oneof![Just(Order::Parallel), Just(Order::Sequential)],
        events in proptest::collection::vec(event(), 1..60),
    ) {
        let mut cluster = Cluster::with_probe("a, b");
        cluster.edit(|spec| spec.measurement.order = Some(order));
        for event in events {
            // `act` refuses two runs at once and two Jobs at once.
            happen(&mut cluster, event);
            let (plan, again) = (cluster.plan(), cluster.plan());
            prop_assert_eq!(format!("{plan:?}"), format!("{again:?}"), "same facts, same plan");
            prop_assert!(plan.wake.is_none_or(|wake| wake > cluster.now), "wakes in the past");
            prop_assert!(plan.status.conditions.iter().all(|c| !c.reason.is_empty()));
            prop_assert!(plan.status.summary.is_some());
            for told in plan.announcements {
                let type_ = if told.warning { "Warning" } else { "Normal" };
                let row = format!("| {type_} | `{}`", told.reason);
                // Each cause has a page of its own.
                let cause = Cause::ALL.iter().any(|cause| cause.as_str() == told.reason);
                prop_assert!(cause || TROUBLESHOOTING.contains(&row), "no row {row}");
            }
            let stalled = |type_: &str| plan.status.conditions.iter().any(|c| c.type_ == type_);
            prop_assert!(!(stalled("Stalled") && stalled("Reconciling")));
        }
        cluster.settle();
        prop_assert!(cluster.step().is_empty(), "converges");
        prop_assert!(cluster.plan().announcements.is_empty(), "each fact once");
        let numbers: Vec<i64> = cluster.runs.iter().map(|facts| facts.run.spec.number).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b), "every run has its own number");
    }

    #[test]
    fn a_step_of_the_clock_starts_nothing(
        (scheduled, held) in any::<(bool, bool)>(),
        steps in proptest::collection::vec(-100_000_000_i64..100_000_000, 1..5),
    ) {
        let mut cluster = Cluster::running("a, b");
        if scheduled {
            happen(&mut cluster, Event::Schedule(Some(ConcurrencyPolicy::Replace)));
        }
        if !held {
            cluster.finish_run();
        }
        let started = |cluster: &Cluster| {
            cluster.runs.iter().map(|facts| facts.jobs.len()).collect::<Vec<_>>()
        };
        let before = started(&cluster);
        for step in steps {
            // By a clock that goes ahead a scheduled run is due; one that goes back makes up for none.
            cluster.wait(if scheduled { -step.abs() } else { step });
            cluster.settle();
        }
        prop_assert_eq!(started(&cluster), before);
    }

    #[test]
    fn a_crash_anywhere_loses_no_run_and_repeats_none(crashes in proptest::collection::vec(any::<bool>(), 12)) {
        let mut cluster = Cluster::with_probe("a, b");
        for crash in crashes {
            happen(&mut cluster, if crash { Event::CrashAfterFirstAction } else { Event::Step });
        }
        cluster.finish_run();
        prop_assert_eq!(cluster.runs(), 1);
        prop_assert_eq!(cluster.ready(), "True Measured");
    }
}
