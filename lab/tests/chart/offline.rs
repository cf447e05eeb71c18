//! What the chart renders.

use crate::{
    render::{chart, helm, matrix, objects, of_kind, parsed, rendered, root, run},
    schemas::{VERSIONS, checked},
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, process::Command};

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

#[test]
fn helm_has_nothing_against_the_chart() {
    for (name, args) in matrix() {
        let said = helm(&[&["lint", "--strict", &chart()], &words(&args)[..]].concat());
        assert!(said.is_ok(), "{name}: {said:?}");
    }
}

#[test]
fn kubernetes_knows_every_field_that_is_rendered() {
    for version in VERSIONS {
        for (name, args) in matrix() {
            let stream =
                rendered(&[&words(&args)[..], &["--kube-version", version]].concat()).unwrap();
            let said = checked(&stream, version);
            let said = said.unwrap_or_else(|refusals| panic!("{name}, {version}: {refusals}"));
            let all =
                format!("Valid: {}, Invalid: 0, Errors: 0, Skipped: 0", parsed(&stream).len());
            assert!(said.contains(&all), "{name}: {said}, wanted {all}");
            println!("{name}, {version}: {}", said.trim());
        }
        for file in ["install.yaml", "install-namespaced.yaml", "kustomize/pulp-perf/probe.yaml"] {
            let stream = fs::read_to_string(root().join("deploy").join(file)).unwrap();
            checked(&stream, version).unwrap_or_else(|e| panic!("{file}: {e}"));
        }
    }
    let typo = fs::read_to_string(root().join("deploy/samples/pulp.yaml")).unwrap();
    let refused = checked(&typo.replace("secretName", "secretNaem"), "1.33.0");
    assert!(refused.unwrap_err().contains("secretNaem"), "a typo would be found");
}

#[test]
fn a_value_that_the_chart_does_not_have_is_refused() {
    for (value, wanted) in [
        ("replicaCount=2", "replicaCount"),
        ("image.name=x", "name"),
        ("image.digest=latest", "digest"),
        ("scope.namespace={a}", "namespace"),
        ("scope.namespaces={A_b}", "namespaces"),
        ("crds.enabled=maybe", "enabled"),
        ("resources.limit.memory=1Gi", "limit"),
        ("serviceMonitor.intervall=1m", "intervall"),
        ("prometheusRule.expectedLifetime=45m", "expectedLifetime"),
        ("dashboards.folder=x", "folder"),
        ("image.repository=", "image.repository: write where you pushed the image to"),
        ("scope.ownNamespace=true,scope.namespaces={a}", "either namespaces or ownNamespace"),
    ] {
        let refused = rendered(&["--set", value]).unwrap_err();
        assert!(refused.contains(wanted), "{value}: {refused}");
    }
}

#[test]
fn the_schema_has_the_values_and_no_others() {
    let read = |name: &str| fs::read_to_string(format!("{}/{name}", chart())).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    let names = |object: &Value| -> BTreeSet<String> {
        object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
    };
    let mut top = names(&schema["properties"]);
    assert!(top.remove("global"), "Helm's own");
    assert_eq!(top, names(&values));
    // What the definitions leave open is Kubernetes' own.
    for name in top {
        let mut schema_of = &schema["properties"][&name];
        if let Some(reference) = schema_of["$ref"].as_str() {
            schema_of = &schema["definitions"][reference.rsplit('/').next().unwrap()];
        }
        if schema_of["additionalProperties"] == false
            && !["affinity", "resources"].contains(&&*name)
        {
            assert_eq!(names(&schema_of["properties"]), names(&values[&name]), "{name}");
        }
    }
}

#[test]
fn both_scopes_grant_the_same_rules() {
    let cluster = objects(&[]);
    let list = objects(&["--set", "scope.namespaces={a,b}"]);
    let own = objects(&["--set", "scope.ownNamespace=true"]);
    let named = |objects: &[Value], kind: &str| -> Vec<Value> {
        let all = of_kind(objects, kind).into_iter();
        all.filter(|o| o["metadata"]["name"] == "t-connection-probe-operator").cloned().collect()
    };
    let of_cluster = named(&cluster, "ClusterRole");
    assert_eq!((of_cluster.len(), of_kind(&cluster, "Role").len()), (1, 0));
    for (scope, wanted) in [(&list, vec!["a", "b"]), (&own, vec!["here"])] {
        for kind in ["ClusterRole", "ClusterRoleBinding"] {
            assert!(of_kind(scope, kind).is_empty(), "{kind}");
        }
        let roles = named(scope, "Role");
        let bindings = named(scope, "RoleBinding");
        for of_kind in [&roles, &bindings] {
            let namespaces: Vec<_> = of_kind.iter().map(|o| &o["metadata"]["namespace"]).collect();
            assert_eq!(namespaces, wanted);
        }
        for role in &roles {
            assert_eq!(role["rules"], of_cluster[0]["rules"]);
        }
        for binding in &bindings {
            assert_eq!(binding["roleRef"]["kind"], "Role");
            assert_eq!(binding["subjects"][0]["namespace"], "here", "the operator's own");
        }
    }
    let watched = |objects: &[Value]| {
        let deployment = of_kind(objects, "Deployment")[0].clone();
        let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        let mut variables = env.as_array().unwrap().iter();
        variables.find(|variable| variable["name"] == "WATCH_NAMESPACES").cloned()
    };
    assert_eq!(watched(&cluster), None);
    assert_eq!(watched(&list).unwrap()["value"], "a,b");
    let field = &watched(&own).unwrap()["valueFrom"]["fieldRef"]["fieldPath"];
    assert_eq!(field, "metadata.namespace");
}

#[test]
fn without_rights_in_the_cluster_nothing_belongs_to_it() {
    const IN_A_NAMESPACE: [&str; 10] = [
        "ConfigMap",
        "Deployment",
        "NetworkPolicy",
        "PodMonitor",
        "PrometheusRule",
        "Role",
        "RoleBinding",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
    ];
    let everything = "serviceMonitor.enabled=true,podMonitor.enabled=true,prometheusRule.enabled=true,\
                      dashboards.enabled=true,networkPolicy.enabled=true,crds.enabled=false";
    for (scope, allowed) in [
        ("scope.ownNamespace=true", &["here"][..]),
        ("scope.namespaces={a,b}", &["here", "a", "b"]),
    ] {
        let objects = objects(&["--set", everything, "--set", scope]);
        let mut kinds = BTreeSet::new();
        for object in &objects {
            kinds.insert(object["kind"].as_str().unwrap());
            let namespace = object["metadata"]["namespace"].as_str();
            assert!(namespace.is_some_and(|name| allowed.contains(&name)), "{object}");
        }
        assert_eq!(kinds, BTreeSet::from(IN_A_NAMESPACE));
    }
    // The plain manifest goes to whatever namespace it is applied to.
    let plain = fs::read_to_string(root().join("deploy/install-namespaced.yaml")).unwrap();
    for object in parsed(&plain) {
        assert!(IN_A_NAMESPACE.contains(&object["kind"].as_str().unwrap()), "{object}");
        assert_eq!(object["metadata"]["namespace"], Value::Null, "{object}");
    }
}

#[test]
fn no_user_is_named_and_pod_security_restricted_is_satisfied() {
    for (name, args) in matrix() {
        let args = words(&args);
        for word in ["runAsUser:", "runAsGroup:", "fsGroup:", "supplementalGroups:"] {
            // CRDs describe a pod's fields.
            let stream = rendered(&[&args[..], &["--set", "crds.enabled=false"]].concat()).unwrap();
            assert!(!stream.contains(word), "{name}: {word}");
        }
        let objects = objects(&args);
        let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["capabilities"]["drop"][0], "ALL");
    }
}

#[test]
fn operator_and_probes_run_from_the_image_that_was_asked_for() {
    let digest = format!("sha256:{}", "f".repeat(64));
    for (value, wanted) in [
        ("image.tag=".to_owned(), format!("localhost/connection-probe:{}", version())),
        ("image.tag=v7".to_owned(), "localhost/connection-probe:v7".to_owned()),
        (format!("image.digest={digest}"), format!("localhost/connection-probe@{digest}")),
    ] {
        let objects = objects(&["--set", &value]);
        let pod = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        assert_eq!(container["image"], wanted);
        assert_eq!(container["env"][0]["value"], wanted);
    }
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

#[test]
fn the_chart_has_the_version_of_the_workspace() {
    let text = fs::read_to_string(format!("{}/Chart.yaml", chart())).unwrap();
    let chart: Value = serde_saphyr::from_str(&text).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&version().into(), &version().into()));
    let example = chart["annotations"]["artifacthub.io/crdsExamples"].as_str().unwrap();
    let example: Vec<Value> = serde_saphyr::from_str(example).unwrap();
    checked(&example[0].to_string(), VERSIONS[0]).unwrap();
}

#[test]
fn crds_are_kept_unless_told_otherwise() {
    let kept = |args: &[&str]| -> Vec<Value> {
        let policy =
            |crd: &&Value| crd["metadata"]["annotations"]["helm.sh/resource-policy"].clone();
        of_kind(&objects(args), "CustomResourceDefinition").iter().map(policy).collect()
    };
    assert_eq!(kept(&[]), ["keep", "keep"]);
    assert_eq!(kept(&["--set", "crds.keep=false"]), [Value::Null, Value::Null]);
    assert!(kept(&["--set", "crds.enabled=false"]).is_empty());
}

#[test]
fn monitoring_objects_find_what_they_are_for() {
    let everything = format!("{}/lab/tests/chart/everything.yaml", root().display());
    let objects = objects(&["--values", &everything]);
    let one = |kind: &str| of_kind(&objects, kind)[0].clone();
    let labels = |object: &Value| object["metadata"]["labels"].clone();
    let service = one("Service");
    let wanted = one("ServiceMonitor")["spec"]["selector"]["matchLabels"].clone();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(&labels(&service)[name], value, "the ServiceMonitor finds the Service");
    }
    let pod = &one("Deployment")["spec"]["template"];
    for (name, value) in service["spec"]["selector"].as_object().unwrap() {
        assert_eq!(&pod["metadata"]["labels"][name], value, "the Service finds the pod");
    }
    for kind in ["ServiceMonitor", "PodMonitor", "PrometheusRule"] {
        assert_eq!(labels(&one(kind))["release"], "stack");
    }
    let rules = one("PrometheusRule")["spec"].to_string();
    assert!(rules.contains(" < 600") && !rules.contains(" < 2700"), "{rules}");
    assert!(rules.contains("https://docs.example/runbooks/ConnectionProbe"), "{rules}");

    let dashboards = one("ConfigMap");
    assert_eq!(labels(&dashboards)["grafana_dashboard"], "true");
    let folder = &dashboards["metadata"]["annotations"]["grafana-folder"];
    assert_eq!(folder, "/grafana-dashboard-definitions/Insights");
    for (name, text) in dashboards["data"].as_object().unwrap() {
        let file = fs::read_to_string(format!("{}/dashboards/{name}", chart())).unwrap();
        let [there, here] = [text.as_str().unwrap(), &file].map(|text| -> Value {
            serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"))
        });
        assert_eq!(there, here, "{name}");
    }
}

#[test]
fn what_is_generated_is_in_step() {
    let fresh = tempfile::tempdir().unwrap();
    run(Command::new(root().join("charts/render")).arg(fresh.path())).unwrap();
    for name in ["install.yaml", "install-namespaced.yaml", "kustomize/base/operator.yaml"] {
        let file = format!("deploy/{name}");
        let [is, should] = [root().join(&file), fresh.path().join(&file)]
            .map(|path| fs::read_to_string(path).unwrap_or_default());
        assert!(is == should, "{file} is stale: run `make generate` and commit it");
    }
}
