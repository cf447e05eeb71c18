//! Pods as the kubelet and the controllers describe them.

use super::*;
use api::rds_proxy::overriding::{Outcome, OverrideStatus, Role};
use proptest::prelude::*;
use serde_json::{Value, json};

fn pod(status: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": "p", "namespace": "ns", "uid": "u1",
            "creationTimestamp": "2026-11-23T10:00:00Z",
            "labels": {RUN_LABEL: "t-abcde-1", ATTEMPT_LABEL: "1", INDEX_LABEL: "1"},
            "annotations": {WORKLOADS_ANNOTATION: "0,2"},
        },
        "status": status,
    }))
    .unwrap()
}

fn running(conditions: &Value) -> Pod {
    pod(&json!({
        "phase": "Running",
        "conditions": conditions,
        "containerStatuses": [{
            "name": "probe", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "started": true,
            "state": {"running": {"startedAt": "2026-11-23T10:00:05Z"}},
        }],
    }))
}

fn unready_since(pod: &Pod) -> Option<String> {
    match distil(pod).unwrap().phase {
        PodPhase::Running { unready_since, .. } => unready_since.map(|at| at.to_string()),
        phase => panic!("{phase:?}"),
    }
}

fn unready(type_: &str, since: &str) -> Value {
    json!([{"type": type_, "status": "False", "lastTransitionTime": since}])
}

#[test]
fn a_pod_knows_its_workload_by_the_index_of_its_attempt() {
    let facts = distil(&pod(&json!({"phase": "Pending"}))).unwrap();
    assert_eq!((facts.attempt, facts.workload, facts.phase), (1, 2, PodPhase::Starting));
}

#[test]
fn a_pod_tells_since_when_it_is_unready() {
    let cut = running(&unready("ContainersReady", "2026-11-23T10:20:07Z"));
    assert_eq!(unready_since(&cut).as_deref(), Some("2026-11-23T10:20:07Z"));
}

#[test]
fn a_pod_that_was_never_ready_has_not() {
    assert_eq!(unready_since(&running(&unready("ContainersReady", "2026-11-23T10:00:00Z"))), None);
}

#[test]
fn a_node_that_stopped_answering_cuts_nothing() {
    let lost = running(&json!([
        {"type": "Ready", "status": "False", "lastTransitionTime": "2026-11-23T10:20:07Z"},
        {"type": "ContainersReady", "status": "True", "lastTransitionTime": "2026-11-23T10:00:06Z"},
    ]));
    assert_eq!(unready_since(&lost), None);
}

#[test]
fn a_pod_that_is_being_deleted_cuts_nothing() {
    let mut pod = running(&unready("ContainersReady", "2026-11-23T10:20:07Z"));
    pod.metadata.deletion_timestamp = pod.metadata.creation_timestamp.clone();
    assert_eq!(unready_since(&pod), None);
}

#[test]
fn what_aws_told_is_remembered_whatever_becomes_of_the_pod() {
    let asks = |state: Value| -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "p", "namespace": "ns", "uid": "u1",
                "labels": {RUN_LABEL: "t-abcde-1", RDS_PROXY_LABEL: "after"},
            },
            "status": { "containerStatuses": [{
                "name": "rds", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }] },
        }))
        .unwrap()
    };
    let ended = |message: &str| {
        asks(json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": message } }))
    };
    let pods = Pods::default();
    let answer = || pods.answer("ns", "t-abcde-1", Moment::After);
    let waiting = json!({ "waiting": { "reason": "ErrImagePull", "message": "no such image" } });
    pods.observe(&Event::Apply(asks(waiting)), Timestamp::UNIX_EPOCH);
    assert_eq!(answer(), Some(Answer::Starting(Some("ErrImagePull no such image".into()))));
    pods.observe(&Event::Apply(ended("killed")), Timestamp::UNIX_EPOCH);
    assert_eq!(answer(), Some(Answer::Silent("killed".into())));
    let evidence = Evidence { taken_at: Timestamp::UNIX_EPOCH, ..Evidence::default() };
    pods.observe(&Event::Apply(ended(&evidence.to_message())), Timestamp::UNIX_EPOCH);
    pods.observe(&Event::Apply(ended("another pod's")), Timestamp::UNIX_EPOCH);
    assert_eq!(answer(), Some(Answer::Told(Box::new(evidence))));
    pods.forget("ns", "t-abcde-1");
    assert_eq!(answer(), None);
}

#[test]
fn a_guard_that_left_no_word_may_have_changed_the_proxy_once_it_had_looked() {
    let guard = |looked: Value, state: Value| -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "name": "g", "namespace": "ns", "uid": "u1",
                "labels": {
                    RUN_LABEL: "t-abcde-1", RDS_PROXY_LABEL: "guard",
                    "batch.kubernetes.io/controller-uid": "j1",
                },
            },
            "status": {
                "phase": "Pending",
                "conditions": [{"type": "ContainersReady", "status": "True", "lastTransitionTime": "2026-11-23T10:20:07Z"}],
                "initContainerStatuses": [
                    {"name": "look", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": looked},
                ],
                "containerStatuses": [
                    {"name": "rds", "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state},
                ],
            },
        }))
        .unwrap()
    };
    let waiting = json!({ "waiting": { "reason": "PodInitializing" } });
    let ended = |code: i32, told: &OverrideStatus| json!({ "terminated": { "exitCode": code, "reason": "x", "message": told.to_message() } });
    let dry = OverrideStatus { original_seconds: Some(1800), ..OverrideStatus::default() };
    let told = |events: &[Event<Pod>]| {
        let pods = Pods::default();
        events.iter().for_each(|event| pods.observe(event, Timestamp::UNIX_EPOCH));
        let known = pods.overriding("ns", "t-abcde-1").remove("j1").unwrap();
        assert_eq!(known.role, Role::Guard);
        (known.answer, known.found.and_then(|found| found.original_seconds))
    };
    let looks = guard(
        json!({ "waiting": { "reason": "ErrImagePull", "message": "none" } }),
        waiting.clone(),
    );
    let works =
        guard(ended(0, &dry), json!({ "running": { "startedAt": "2026-11-23T10:20:06Z" } }));
    let (answer, _) = told(&[Event::Apply(looks.clone()), Event::Delete(looks)]);
    let Answer::Told(answer) = answer else { panic!("{answer:?}") };
    assert_eq!(answer.outcome, Some(Outcome::NotChanged), "it never looked");
    let (answer, original) = told(&[Event::Apply(works.clone())]);
    assert!(matches!(answer, Answer::Working { ready_since: Some(_) }), "{answer:?}");
    assert_eq!(original, Some(1800));
    let gone = Event::Delete(works.clone());
    assert!(matches!(told(&[Event::Apply(works.clone()), gone]).0, Answer::Silent(_)));
    let unlisted = [Event::Apply(works.clone()), Event::Init, Event::InitDone];
    assert!(matches!(told(&unlisted).0, Answer::Silent(_)));
    let restored = OverrideStatus { outcome: Some(Outcome::Restored), ..OverrideStatus::default() };
    let last = guard(ended(0, &dry), ended(0, &restored));
    let (answer, _) = told(&[Event::Apply(works), Event::Delete(last)]);
    assert_eq!(answer, Answer::Told(Box::new(restored)));
    let refused =
        OverrideStatus { outcome: Some(Outcome::NotChanged), ..OverrideStatus::default() };
    let (answer, _) = told(&[Event::Apply(guard(ended(1, &refused), waiting))]);
    assert_eq!(answer, Answer::Told(Box::new(refused)), "it found what it must not change");
}

#[test]
fn what_does_not_change_was_heard_the_first_time() {
    let pods = Pods::default();
    let at = |second| Timestamp::from_second(second).unwrap();
    let heard = || pods.of("ns", "t-abcde-1")[0].heard;
    let cut = running(&unready("ContainersReady", "2026-11-23T10:20:07Z"));
    pods.observe(&Event::Apply(running(&json!([]))), at(1));
    pods.observe(&Event::Apply(cut.clone()), at(2));
    pods.observe(&Event::Apply(cut), at(3));
    assert_eq!(heard(), at(2));
}

#[test]
fn an_evicted_pod_is_remembered_with_its_last_words() {
    let report = json!({"workload": "idle", "startedAt": "2026-11-23T10:00:05Z", "arms": []});
    let evicted = pod(&json!({
        "phase": "Failed",
        "conditions": [{
            "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
            "lastTransitionTime": "2026-11-23T10:20:07Z",
        }],
        "containerStatuses": [{
            "name": "probe", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {
                "exitCode": 5, "reason": "Error", "finishedAt": "2026-11-23T10:20:08Z",
                "message": report.to_string(),
            }},
        }],
    }));
    let pods = Pods::default();
    pods.observe(&Event::Apply(evicted.clone()), Timestamp::UNIX_EPOCH);
    pods.observe(&Event::Delete(evicted), Timestamp::UNIX_EPOCH);
    let facts = pods.of("ns", "t-abcde-1").remove(0);
    assert!(facts.gone);
    assert_eq!(facts.disruption, Some(Inconclusive::Evicted));
    let PodPhase::Ended(end) = facts.phase else { panic!("{:?}", facts.phase) };
    assert_eq!((end.exit_code, end.report.is_some()), (Some(5), true));
    pods.forget("ns", "t-abcde-1");
    assert!(pods.of("ns", "t-abcde-1").is_empty());
}

#[test]
fn a_list_tells_which_pods_are_gone() {
    let pods = Pods::default();
    pods.observe(&Event::Apply(running(&json!([]))), Timestamp::UNIX_EPOCH);
    pods.observe(&Event::Init, Timestamp::UNIX_EPOCH);
    pods.observe(&Event::InitDone, Timestamp::UNIX_EPOCH);
    assert!(pods.of("ns", "t-abcde-1")[0].gone);
}

/// A pod whose init container is in `state`, and whose other container waits for it.
fn initializing(phase: &str, state: &Value) -> Pod {
    let container = |name: &str, state: &Value| {
        json!([{
            "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0, "state": state,
        }])
    };
    pod(&json!({
        "phase": phase,
        "initContainerStatuses": container("inventory", state),
        "containerStatuses": container("probe", &json!({"waiting": {"reason": "PodInitializing"}})),
    }))
}

#[test]
fn an_image_that_does_not_come_is_told_in_the_kubelets_words() {
    let back_off = json!({"reason": "ImagePullBackOff", "message": "Back-off pulling\nimage"});
    let stuck = initializing("Pending", &json!({"waiting": back_off}));
    let PodPhase::Stuck { cause, seen, .. } = distil(&stuck).unwrap().phase else { panic!() };
    assert_eq!((cause, seen.as_str()), (Stuck::Image, "ImagePullBackOff Back-off pulling image"));
    let going = initializing("Pending", &json!({"running": {}}));
    assert_eq!(distil(&going).unwrap().phase, PodPhase::Starting);
}

#[test]
fn an_inventory_is_heard_before_the_connections_are_held() {
    let inventory = Inventory::of_problem(Timestamp::UNIX_EPOCH, "p".into());
    let end = json!({"exitCode": 0, "message": inventory.to_message()});
    let facts = distil(&initializing("Pending", &json!({"terminated": end}))).unwrap();
    assert_eq!((facts.inventory, facts.phase), (Some(Box::new(inventory)), PodPhase::Starting));
}

#[test]
fn an_inventory_that_ended_the_pod_is_named() {
    let end = json!({"exitCode": 137, "reason": "OOMKilled"});
    let failed = distil(&initializing("Failed", &json!({"terminated": end}))).unwrap();
    let PodPhase::Ended(end) = failed.phase else { panic!() };
    assert_eq!((end.exit_code, end.reason.as_str()), (Some(137), "OOMKilled"));
}

#[test]
fn a_report_that_the_kubelet_cut_is_told_from_one_that_was_never_written() {
    let ended = |name: &str, message: &str| {
        let end = json!({"exitCode": 0, "reason": "Completed", "message": message});
        json!({
            "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": end},
        })
    };
    let reason = |message: &str| {
        let pod = pod(&json!({
            "initContainerStatuses": [ended("mesh-init", ""), ended("inventory", "")],
            "containerStatuses": [ended("probe", message), ended("mesh-proxy", "")],
        }));
        match distil(&pod).unwrap().phase {
            PodPhase::Ended(end) => end.reason,
            phase => panic!("{phase:?}"),
        }
    };
    let cut = "the kubelet cut its report to 3072 bytes, as the pod has 4 containers";
    assert_eq!(reason(&"{".repeat(3072)), cut);
    assert_eq!(reason(""), "Completed");
}

/// A pod with a sidecar in `sidecar`, and a probe in `probe` that is `ready`.
fn with_sidecar(sidecar: &Value, probe: &Value, ready: bool) -> Pod {
    let container = |name: &str, state: &Value, ready: bool| {
        json!({
            "name": name, "image": "i", "imageID": "", "ready": ready, "restartCount": 0,
            "started": state.get("running").is_some(), "state": state,
        })
    };
    let end = json!({"terminated": {"exitCode": 0, "message": ""}});
    pod(&json!({
        "conditions": unready("ContainersReady", "2026-11-23T10:20:07Z"),
        "initContainerStatuses": [container("iam", sidecar, false), container("inventory", &end, false)],
        "containerStatuses": [container("probe", probe, ready)],
    }))
}

#[test]
fn a_sidecar_that_fails_is_no_cut_and_no_missing_image() {
    let waiting = |reason: &str| json!({"waiting": {"reason": reason, "message": "m"}});
    let running = json!({"running": {"startedAt": "2026-11-23T10:00:05Z"}});
    let failing = with_sidecar(&waiting("CrashLoopBackOff"), &running, true);
    assert_eq!(unready_since(&failing), None);
    assert!(unready_since(&with_sidecar(&running, &running, false)).is_some());

    let initializing = waiting("PodInitializing");
    let phase =
        |reason| distil(&with_sidecar(&waiting(reason), &initializing, false)).unwrap().phase;
    assert_eq!(phase("CrashLoopBackOff"), PodPhase::Starting);
    assert!(matches!(phase("ImagePullBackOff"), PodPhase::Stuck { cause: Stuck::Image, .. }));
}

#[test]
fn a_report_has_all_its_4096_bytes_beside_a_sidecar() {
    let mut report =
        json!({"workload": "idle", "startedAt": "2026-11-23T10:00:05Z", "arms": []}).to_string();
    let spaces = 4096 - report.len();
    report.insert_str(1, &" ".repeat(spaces));
    let running = json!({"running": {"startedAt": "2026-11-23T10:00:05Z"}});
    // The sidecar is ended after the probe.
    for sidecar in [running, json!({"terminated": {"exitCode": 0}})] {
        let ended =
            json!({"terminated": {"exitCode": 0, "reason": "Completed", "message": report}});
        let PodPhase::Ended(end) = distil(&with_sidecar(&sidecar, &ended, false)).unwrap().phase
        else {
            panic!("it ended")
        };
        assert_eq!((end.report.is_some(), end.reason.as_str()), (true, "Completed"));
    }
    let cut = json!({"terminated": {"exitCode": 0, "message": "{".repeat(4096)}});
    let PodPhase::Ended(end) = distil(&with_sidecar(&cut, &cut, false)).unwrap().phase else {
        panic!("it ended")
    };
    assert_eq!(end.reason, "the kubelet cut its report to 4096 bytes, as the pod has 3 containers");
}

proptest! {
    #[test]
    fn whatever_a_container_left_as_its_message_is_an_end(
        bytes in proptest::collection::vec(any::<u8>(), 0..5000),
        name in prop_oneof![Just(CONTAINER), Just(INVENTORY_CONTAINER)],
        exit_code in any::<i32>(),
    ) {
        let message = String::from_utf8_lossy(&bytes);
        let end = json!({ "exitCode": exit_code, "message": message, "finishedAt": "2026-11-23T10:00:05Z" });
        let container = json!({
            "name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": end },
        });
        let pod = pod(&json!({
            "phase": "Failed", "containerStatuses": [container.clone()], "initContainerStatuses": [container],
        }));
        let PodPhase::Ended(end) = distil(&pod).unwrap().phase else { panic!("it ended") };
        prop_assert!(end.seen.chars().count() <= 300);
    }
}
