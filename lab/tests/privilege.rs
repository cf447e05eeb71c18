//! What the operator may do, what it did, and what leaks. Runs after the other cluster tests: it reads the
//! audit log that they left.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use lab::{
    audit,
    cluster::{eventually, in_namespace, kubectl_with, require_lab},
    leaks,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, time::Duration};

const SOON: Duration = Duration::from_secs(30);

/// Granted and not necessarily used, each with its reason.
const EXCEPTIONS: [(&str, &str); 5] = [
    (
        "get probes.pulpproject.org/connectionproberuns",
        "only after a crash, to see whose the name is",
    ),
    ("get batch/jobs", "only after a crash, to see whose the name is"),
    (
        "update probes.pulpproject.org/connectionprobes/finalizers",
        "checked by OwnerReferencesPermissionEnforcement",
    ),
    (
        "update probes.pulpproject.org/connectionproberuns/finalizers",
        "checked by OwnerReferencesPermissionEnforcement",
    ),
    ("patch events.k8s.io/events", "only for an event that repeats within minutes"),
];

#[test]
fn the_operator_uses_what_it_may_and_nothing_else() {
    require_lab();
    let granted = granted();
    let (mut used, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for call in audit::calls().iter().filter(|call| call.by_operator()) {
        let name = format!("{} {}", call.verb, call.resource);
        if call.forbidden {
            refused.insert(name)
        } else {
            used.insert(name)
        };
    }
    assert!(used.len() > 5, "the operator did something: {used:?}");
    // An API server that has just started refuses for a moment what it will grant.
    let missing: Vec<_> = refused.difference(&used).collect();
    assert!(missing.is_empty(), "missing from deploy/install.yaml: {missing:?}");
    let excepted: BTreeSet<String> =
        EXCEPTIONS.iter().map(|(call, _)| (*call).to_owned()).collect();
    let unused: Vec<_> =
        granted.difference(&used).filter(|call| !excepted.contains(*call)).collect();
    assert!(unused.is_empty(), "granted and never used: {unused:?}");
}

/// What deploy/install.yaml grants to the operator.
fn granted() -> BTreeSet<String> {
    let manifests =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/install.yaml")).unwrap();
    let documents: Vec<Value> = manifests
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect();
    let role = documents
        .iter()
        .find(|d| {
            d["kind"] == "ClusterRole" && d["metadata"]["name"] == "connection-probe-operator"
        })
        .unwrap();
    let words = |rule: &Value, name: &str| -> Vec<String> {
        rule[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    };
    let mut granted = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in words(rule, "apiGroups") {
            for resource in words(rule, "resources") {
                for verb in words(rule, "verbs") {
                    granted.insert(format!("{verb} {group}/{resource}"));
                }
            }
        }
    }
    granted
}

#[tokio::test]
async fn nothing_of_a_secret_is_found_anywhere() {
    let search = in_namespace(async |ns| leaks::search(&ns).await).await;
    assert_eq!(search.leaks, Vec::<String>::new());
}

#[tokio::test]
async fn a_role_for_probes_is_no_way_around_the_roles_for_secrets_pods_and_accounts() {
    in_namespace(async |ns| {
        let manifest = "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
                        metadata: { name: t }\nspec:\n  target:\n    secretName: pulp-db\n\
                        \x20   tls: { certificateSecretName: pulp-client }\n\
                        \x20 podTemplate: { serviceAccountName: probe }\n  suspend: true\n\
                        \x20 workloads: [{ name: idle, idle: {} }]\n";
        let author = format!("--as=system:serviceaccount:{}:author", ns.name);
        let apply = || kubectl_with(manifest, &["-n", &ns.name, &author, "apply", "-f", "-"]).text;
        let allow = |name: &str, rule: &[&str]| {
            let role = [&["create", "role", name], rule].concat();
            assert!(ns.kubectl(&role).ok);
            let subject = format!("--serviceaccount={}:author", ns.name);
            let role = format!("--role={name}");
            assert!(ns.kubectl(&["create", "rolebinding", name, &role, &subject]).ok);
        };
        let probes = "--resource=connectionprobes.probes.pulpproject.org";
        allow("probes", &["--verb=get,create,update,patch,delete", probes]);
        eventually("the role for probes", SOON, async || {
            apply().contains("must be allowed to create pods").then_some(())
        })
        .await;
        allow("pods", &["--verb=create", "--resource=pods"]);
        eventually("the role for pods", SOON, async || {
            apply().contains("must be allowed to get the Secret pulp-db").then_some(())
        })
        .await;
        allow("secret", &["--verb=get", "--resource=secrets", "--resource-name=pulp-db"]);
        eventually("the role for the Secret", SOON, async || {
            apply().contains("must be allowed to get the Secret pulp-client").then_some(())
        })
        .await;
        allow("client", &["--verb=get", "--resource=secrets", "--resource-name=pulp-client"]);
        eventually("the role for the client's Secret", SOON, async || {
            apply()
                .contains("must be allowed to impersonate the service account probe")
                .then_some(())
        })
        .await;
        allow(
            "account",
            &["--verb=impersonate", "--resource=serviceaccounts", "--resource-name=probe"],
        );
        eventually("the role for the service account", SOON, async || {
            apply().contains("created").then_some(())
        })
        .await;
        // The author may not watch, so kubectl could not wait.
        let delete = [&author, "delete", "cprobe", "t", "--cascade=foreground", "--wait=false"];
        assert!(ns.kubectl(&delete).ok);
        eventually("the garbage collector, which makes no pods, to finish", SOON, async || {
            (!ns.kubectl(&["get", "cprobe", "t"]).ok).then_some(())
        })
        .await;
    })
    .await;
}
