//! The Job as it is sent.

use super::*;
use api::{
    ConnectionProbeRunSpec,
    measurement::Measurement,
    rds_proxy::{
        overriding::{Order, Role},
        request::{Moment, Request},
    },
    run::{MeasurementRecord, Trigger, TriggerType, Versions},
};
use serde_json::{Value, json};

pub(super) fn run(measurement: Value) -> ConnectionProbeRun {
    let as_written: Measurement = serde_json::from_value(measurement).unwrap();
    let mut run = ConnectionProbeRun::new(
        "pulp-0f1e2-7",
        ConnectionProbeRunSpec {
            number: 7,
            trigger: Trigger::new(TriggerType::Created),
            measurement: MeasurementRecord { settled: as_written.settled(), as_written },
            versions: Versions {
                operator: "1".into(),
                image: "image:1".into(),
                rds_image: Some("rds:1".into()),
            },
        },
    );
    run.metadata.annotations =
        Some(BTreeMap::from([(PROBE_ANNOTATION.to_owned(), "pulp".to_owned())]));
    run
}

fn two_workloads(order: &str) -> Value {
    json!({
        "target": {"secretName": "pulp-db", "tls": {"caConfigMapName": "rds-ca", "certificateSecretName": "pulp-client"}},
        "workloads": [{"name": "idle", "idle": {}}, {"name": "beat", "heartbeat": {}}],
        "order": order,
        "podTemplate": {
            "labels": {"team": "pulp", RUN_LABEL: "forged"},
            "annotations": {"karpenter.sh/do-not-disrupt": "false"},
        },
    })
}

#[test]
fn the_job_of_two_workloads() {
    let job = job(&run(two_workloads("Parallel")), 1, &[0, 1], None).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&job).unwrap());
}

#[test]
fn a_second_attempt_holds_only_what_is_repeated() {
    let job = job(&run(two_workloads("Sequential")), 2, &[1], Some("node-7")).unwrap();
    let spec = job.spec.unwrap();
    assert_eq!((spec.completions, spec.parallelism), (Some(1), Some(1)));
    let mut pod = spec.template.spec.unwrap();
    let affinity = serde_json::to_value(pod.affinity.unwrap().node_affinity).unwrap();
    let terms = &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let node = json!({ "key": "metadata.name", "operator": "In", "values": ["node-7"] });
    assert_eq!(terms, &json!([{ "matchFields": [node] }]));
    let env = pod.containers.remove(0).env.unwrap().remove(0);
    let settings: Settings = serde_json::from_str(&env.value.unwrap()).unwrap();
    assert_eq!(settings.workload(0).unwrap().name, "beat");
    assert_eq!(job.metadata.name.as_deref(), Some("pulp-0f1e2-7-2"));
}

#[test]
fn pulps_settings_are_mounted_for_whoever_watches_its_workers() {
    let observe = json!({ "user": "pulp", "configMapName": "pulp-settings" });
    let run = run(json!({
        "target": { "secretName": "pulp-db" },
        "workloads": [{ "name": "workers", "observe": observe }],
    }));
    let pod = job(&run, 1, &[0], None).unwrap().spec.unwrap().template.spec.unwrap();
    let volume = &pod.volumes.unwrap()[1];
    let source = volume.config_map.as_ref().unwrap();
    assert_eq!((source.name.as_str(), source.optional), ("pulp-settings", Some(true)));
    let mounts = pod.containers[0].volume_mounts.as_ref().unwrap();
    assert_eq!(mounts[1].mount_path, "/etc/connection-probe/config-maps/pulp-settings");
}

#[test]
fn the_job_that_asks_aws() {
    let run = run(json!({
        "target": { "secretName": "pulp-db", "host": "pulp.proxy-x.example" },
        "preset": "PulpPlan",
        "rdsProxy": { "name": "pulp", "region": "us-east-1", "credentialsSecretName": "pulp-aws" },
        "podTemplate": { "nodeSelector": { "pool": "pulp" } },
    }));
    let settled = run.spec.measurement.settled.clone();
    let request = Request {
        run: run.name_any(),
        proxy: settled.rds_proxy.unwrap(),
        host: settled.target.host,
        moment: Moment::After,
        from: crate::reports::START,
        until: crate::reports::START,
        lanes: vec![],
    };
    insta::assert_snapshot!(serde_json::to_string_pretty(&asking(&run, &request)).unwrap());
}

#[test]
fn the_jobs_that_change_a_proxy_and_put_it_back() {
    let run = run(json!({
        "target": { "secretName": "pulp-db" },
        "preset": "PulpPlan",
        "rdsProxy": {
            "name": "pulp", "region": "us-east-1", "serviceAccountName": "pulp-rds",
            "override": { "idleClientTimeout": "3600s", "allowModify": true },
        },
    }));
    let order = Order {
        run: "ns/pulp-0f1e2-7".into(),
        id: "uid".into(),
        proxy: run.spec.measurement.settled.rds_proxy.clone().unwrap(),
        until: crate::reports::START,
        original_seconds: None,
    };
    let job = |role| overriding(&run, &order, role, crate::reports::START);
    insta::assert_snapshot!(serde_json::to_string_pretty(&job(Role::Guard)).unwrap());
    let pod = job(Role::Restore).spec.unwrap().template.spec.unwrap();
    assert_eq!((pod.init_containers, &pod.containers[0].readiness_probe), (None, &None));
    assert_eq!(pod.containers[0].args.as_ref().unwrap()[0], "restore");
}
