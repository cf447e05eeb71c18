//! The pods of a run whose logins need tokens.

use super::super::{job, tests::run};
use super::*;
use serde_json::{Value, json};

fn pods(proxy: &Value, annotations: &Value) -> PodTemplateSpec {
    let measurement = json!({
        "target": {"secretName": "pulp-db", "tls": {"mode": "VerifyFull", "caConfigMapName": "aws-ca"}},
        "control": {"host": "pulp.x.example", "auth": "AwsIam"},
        "rdsProxy": proxy,
        "workloads": [{"name": "idle", "idle": {}}],
        "podTemplate": {"annotations": annotations},
    });
    job(&run(measurement), 1, &[0], None).unwrap().spec.unwrap().template
}

fn container<'a>(pods: &'a PodTemplateSpec, name: &str) -> &'a Container {
    let pod = pods.spec.as_ref().unwrap();
    let mut all = pod.init_containers.iter().flatten().chain(&pod.containers);
    all.find(|container| container.name == name).unwrap()
}

fn mounts(container: &Container) -> Vec<&str> {
    container.volume_mounts.iter().flatten().map(|mount| mount.name.as_str()).collect()
}

#[test]
fn tokens_are_signed_under_the_account_beside_the_probe() {
    let proxy = json!({"name": "pulp", "region": "us-east-1", "serviceAccountName": "pulp-rds"});
    let pods = pods(&proxy, &json!({}));
    insta::assert_snapshot!(serde_json::to_string_pretty(container(&pods, IAM_CONTAINER)).unwrap());

    let annotations = pods.metadata.as_ref().unwrap().annotations.as_ref().unwrap();
    assert_eq!(annotations[SKIP_ANNOTATION], "inventory,probe");
    let pod = pods.spec.as_ref().unwrap();
    assert_eq!(pod.service_account_name.as_deref(), Some("pulp-rds"));
    assert_eq!(pod.automount_service_account_token, Some(false));
    let first = &pod.init_containers.as_ref().unwrap()[0];
    assert_eq!(first.name, IAM_CONTAINER, "it listens before the inventory is taken");
    for name in [INVENTORY_CONTAINER, CONTAINER] {
        assert!(mounts(container(&pods, name)).contains(&SOCKET_VOLUME));
    }
}

#[test]
fn credentials_of_a_secret_are_for_the_sidecar_alone() {
    let proxy = json!({
        "name": "pulp", "region": "us-east-1", "credentialsSecretName": "pulp-aws",
        "endpointURL": "http://aws.example:5000",
    });
    let pods = pods(&proxy, &json!({SKIP_ANNOTATION: "istio-proxy"}));
    let sidecar = container(&pods, IAM_CONTAINER);
    assert_eq!(mounts(sidecar), [SOCKET_VOLUME, rds::VOLUME]);
    assert_eq!(sidecar.args.as_ref().unwrap()[5..], ["--credentials", rds::CREDENTIALS]);
    let urls = sidecar.env.iter().flatten().filter(|it| it.name == "AWS_ENDPOINT_URL");
    assert_eq!(urls.count(), 1);
    for name in [INVENTORY_CONTAINER, CONTAINER] {
        assert!(!mounts(container(&pods, name)).contains(&rds::VOLUME));
    }
    let pod = pods.spec.as_ref().unwrap();
    assert_eq!(pod.service_account_name, None);
    let volumes = pod.volumes.as_ref().unwrap();
    let secret = volumes.iter().find(|it| it.name == rds::VOLUME).unwrap();
    assert_eq!(
        serde_json::to_value(&secret.secret).unwrap(),
        json!({"secretName": "pulp-aws", "optional": true})
    );
    let annotations = pods.metadata.as_ref().unwrap().annotations.as_ref().unwrap();
    assert_eq!(annotations[SKIP_ANNOTATION], "istio-proxy,inventory,probe");
}
