//! The chart and the plain manifests in the lab, in namespaces of their own.

use crate::render::{IMAGE, chart, helm, root, run};
use api::report::Arm;
use lab::{
    audit,
    cluster::{Namespace, eventually, in_namespace, kubectl, kubectl_with},
};
use std::{fs, path::Path, process::Command, time::Duration};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
const CRDS: [&str; 2] = ["connectionprobes", "connectionproberuns"];

/// Two connections that no idle timer cuts, for some seconds.
fn probe(seconds: u8) -> String {
    format!(
        "  duration: {seconds}s\n  connections: 2\n\
         \x20 workloads: [{{ name: beat, heartbeat: {{ interval: 1s }} }}]\n"
    )
}

#[tokio::test]
async fn a_release_is_upgraded_rolled_back_and_removed_in_the_middle_of_runs() {
    in_namespace(async |ns| {
        let _refused = RefusedToTheLabsOperator::in_namespace(&ns).await;
        let _crds = CrdsAsTheyWere;
        let older = older_chart();
        let older = older.path().to_str().unwrap();
        let release = |args: &[&str]| {
            let said =
                helm(&[args, &["--namespace", &ns.name, "--wait", "--timeout=90s"]].concat());
            println!("helm {}: {}", args[0], said.as_ref().unwrap().replace('\n', "\n  "));
        };
        let current = chart();
        let upgrade = |verb: &[&str]| {
            let values = ["--set", IMAGE, "--set", "scope.ownNamespace=true"];
            release(&[verb, &[&current], &values].concat());
        };

        // Another hand installed the lab's CRDs.
        release(&["install", "t", older, "--take-ownership"]);
        assert!(!column_is_there(), "the CRDs are the older ones");

        // Longer than an upgrade takes.
        ns.apply_probe(&probe(25));
        ns.holding(1).await;
        upgrade(&["upgrade", "t"]);
        assert!(column_is_there(), "the CRDs were upgraded");
        nothing_was_lost(&ns, 1).await;

        ns.patch_probe("{\"runID\":\"2\"}");
        ns.holding(1).await;
        release(&["rollback", "t", "1"]);
        assert!(!column_is_there(), "the CRDs were rolled back");
        nothing_was_lost(&ns, 2).await;

        upgrade(&["upgrade", "t"]);
        ns.patch_probe("{\"runID\":\"3\"}");
        ns.holding(1).await;
        // A release that is removed takes the operator's rights before its pod has ended.
        was_allowed_everything(&ns);
        release(&["uninstall", "t"]);
        upgrade(&["install", "t", "--take-ownership"]);
        nothing_was_lost(&ns, 3).await;

        release(&["uninstall", "t"]);
        for crd in CRDS {
            assert!(kubectl(&["get", "crd", &crd_name(crd)]).ok, "{crd} stay");
        }
        assert_eq!(ns.runs().await.len(), 3, "and so do probe and runs");
        assert!(ns.kubectl(&["get", "cprobe", "t"]).ok);
        assert_eq!(
            ns.kubectl(&["get", "deployments,roles"]).text,
            "No resources found in ".to_owned() + &ns.name + " namespace.\n"
        );
        made_by(&ns, &ns);
    })
    .await;
}

#[tokio::test]
async fn the_plain_manifest_for_one_namespace_runs_there() {
    in_namespace(async |ns| {
        let _refused = RefusedToTheLabsOperator::in_namespace(&ns).await;
        let manifest = root().join("deploy/install-namespaced.yaml");
        let said = ns.kubectl(&["apply", "-f", manifest.to_str().unwrap()]);
        assert!(said.ok, "{}", said.text);
        ns.apply_probe(&probe(2));
        nothing_was_lost(&ns, 1).await;
        only_this_operator_acted(&ns);
    })
    .await;
}

#[tokio::test]
async fn a_release_for_two_other_namespaces_acts_in_both() {
    in_namespace(async |home| {
        in_namespace(async |a| {
            in_namespace(async |b| {
                let scope =
                    format!("scope.namespaces={{{},{}}},crds.enabled=false", a.name, b.name);
                let mut refused = Vec::new();
                for ns in [&a, &b] {
                    refused.push(RefusedToTheLabsOperator::in_namespace(ns).await);
                }
                let said = helm(&[
                    "install",
                    "t",
                    &chart(),
                    "--namespace",
                    &home.name,
                    "--set",
                    IMAGE,
                    "--set",
                    &scope,
                    "--wait",
                    "--timeout=90s",
                ]);
                said.unwrap();
                for ns in [&a, &b] {
                    ns.apply_probe(&probe(2));
                }
                for ns in [&a, &b] {
                    nothing_was_lost(ns, 1).await;
                    acted(&home, ns);
                }
                helm(&["uninstall", "t", "--namespace", &home.name]).unwrap();
            })
            .await;
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn samples_and_the_overlay_are_admitted() {
    in_namespace(async |ns| {
        let samples = root().join("deploy/samples");
        let said = ns.kubectl(&["apply", "--dry-run=server", "-f", samples.to_str().unwrap()]);
        assert!(said.ok, "{}", said.text);
        let files = fs::read_dir(&samples).unwrap().count();
        assert_eq!(said.text.matches("(server dry run)").count(), files, "{}", said.text);

        let overlay = root().join("deploy/kustomize/pulp-perf");
        let overlay = run(Command::new("kubectl").arg("kustomize").arg(overlay)).unwrap();
        assert!(!overlay.contains("localhost/"), "the image is written once: {overlay}");
        let here = overlay.replace("namespace: pulp-perf", &format!("namespace: {}", ns.name));
        let said = kubectl_with(&here, &["apply", "--dry-run=server", "-f", "-"]);
        assert!(said.ok, "{}", said.text);
    })
    .await;
}

/// Run `number` measured what it should, and neither it nor its Job was made twice.
async fn nothing_was_lost(ns: &Namespace, number: i64) {
    let run = ns.ended(number, MINUTE).await;
    ns.condition("Ready", "True", "Measured", SOON).await;
    let status = run.status.unwrap();
    let survived: i32 = status.arms(Arm::Target).map(|(_, arm)| arm.counts.survived).sum();
    assert_eq!(survived, 2, "{status:?}");
    let made = usize::try_from(number).unwrap();
    assert_eq!((ns.runs().await.len(), ns.jobs().await.len()), (made, made));
}

fn only_this_operator_acted(ns: &Namespace) {
    acted(ns, ns);
}

/// The operator in `home`, and no other, made what there is in a namespace, and was allowed everything that it tried.
fn acted(home: &Namespace, ns: &Namespace) {
    was_allowed_everything(home);
    made_by(home, ns);
}

fn accounts(home: &Namespace) -> String {
    format!("system:serviceaccount:{}:", home.name)
}

fn was_allowed_everything(home: &Namespace) {
    let (accounts, calls) = (accounts(home), audit::calls());
    let refused: Vec<_> =
        calls.iter().filter(|call| call.user.starts_with(&accounts) && call.forbidden).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

fn made_by(home: &Namespace, ns: &Namespace) {
    let (accounts, calls) = (accounts(home), audit::calls());
    let made: Vec<_> = calls
        .iter()
        .filter(|call| call.namespace == ns.name && call.ok() && call.verb == "create")
        .filter(|call| call.resource == "probes.pulpproject.org/connectionproberuns")
        .collect();
    assert!(!made.is_empty(), "runs were made");
    assert!(made.iter().all(|call| call.user.starts_with(&accounts)), "{made:?}");
}

fn crd_name(plural: &str) -> String {
    format!("{plural}.probes.pulpproject.org")
}

/// What the older CRDs lack: it changes nothing for others who use the same cluster.
const COLUMN: &str =
    "    - jsonPath: .status.lastRun.finding\n      name: Finding\n      type: string\n";

fn column_is_there() -> bool {
    let columns = "-o=jsonpath={.spec.versions[0].additionalPrinterColumns[*].name}";
    let said = kubectl(&["get", "crd", &crd_name(CRDS[0]), columns]);
    assert!(said.ok, "{}", said.text);
    said.text.contains("Finding")
}

/// The older chart, with CRDs that are older by a column.
fn older_chart() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let older = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/older");
    run(Command::new("cp").arg("-r").arg(older.join(".")).arg(folder.path())).unwrap();
    fs::create_dir(folder.path().join("crd-files")).unwrap();
    for crd in CRDS {
        let file = format!("{crd}.yaml");
        let text = fs::read_to_string(root().join("crds").join(&file)).unwrap();
        let keep = "\n  annotations:\n    helm.sh/resource-policy: keep\n";
        let older = text.replace(COLUMN, "").replacen("\n  annotations:\n", keep, 1);
        assert!(crd != CRDS[0] || !older.contains(COLUMN.trim()) && text.contains(COLUMN), "{crd}");
        fs::write(folder.path().join("crd-files").join(file), older).unwrap();
    }
    folder
}

/// The lab's CRDs are no release's afterwards, and as in the repository.
struct CrdsAsTheyWere;

impl Drop for CrdsAsTheyWere {
    fn drop(&mut self) {
        for crd in CRDS {
            let helms = ["meta.helm.sh/release-name-", "meta.helm.sh/release-namespace-"];
            kubectl(
                &[&["annotate", "crd", &crd_name(crd), "helm.sh/resource-policy-"], &helms[..]]
                    .concat(),
            );
            kubectl(&["label", "crd", &crd_name(crd), "app.kubernetes.io/managed-by-"]);
        }
        kubectl(&["apply", "-f", root().join("crds").to_str().unwrap()]);
    }
}

/// The lab's operator heeds all namespaces. Here it may change nothing while this lives, so that what happens is the
/// release's doing.
struct RefusedToTheLabsOperator(String);

impl RefusedToTheLabsOperator {
    async fn in_namespace(ns: &Namespace) -> Self {
        let name = format!("left-alone-{}", ns.name);
        let (operator, namespace) = (audit::OPERATOR, &ns.name);
        let policy = format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\n\
             metadata: {{ name: {name} }}\nspec:\n  matchConstraints:\n    resourceRules:\n\
             \x20   - {{ apiGroups: ['*'], apiVersions: ['*'], operations: [CREATE, UPDATE, DELETE], resources: ['*/*'] }}\n\
             \x20 matchConditions: [{{ name: operator, expression: \"request.userInfo.username == '{operator}'\" }}]\n\
             \x20 validations: [{{ expression: 'false', message: left alone }}]\n\
             ---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\n\
             metadata: {{ name: {name} }}\nspec:\n  policyName: {name}\n  validationActions: [Deny]\n\
             \x20 matchResources:\n    namespaceSelector:\n\
             \x20     matchLabels: {{ kubernetes.io/metadata.name: {namespace} }}\n"
        );
        let refused = Self(name);
        let said = kubectl_with(&policy, &["apply", "-f", "-"]);
        assert!(said.ok, "{}", said.text);
        let operator = format!("--as={operator}");
        let job = ["create", "job", "refused", "--image=none", "--dry-run=server", &operator];
        eventually("the policy to be heeded", SOON, async || {
            ns.kubectl(&job).text.contains("left alone").then_some(())
        })
        .await;
        refused
    }
}

impl Drop for RefusedToTheLabsOperator {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            kubectl(&["delete", kind, &self.0]);
        }
    }
}
