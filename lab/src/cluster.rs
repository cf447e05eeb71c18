//! The lab's cluster, for tests: a namespace each, waiting on conditions, a dump of the state on
//! failure.

use api::{ConnectionProbe, ConnectionProbeRun, ConnectionProbeStatus, conditions};
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{Api, Client, api::ListParams};
use serde::de::DeserializeOwned;
use std::{
    fmt::Debug,
    fs,
    future::Future,
    io::Write,
    os::unix::fs::MetadataExt,
    panic::AssertUnwindSafe,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// A namespace of the lab's cluster that belongs to one test. Restricted Pod Security is enforced
/// in it, and the Secret `pulp-db` leads to the lab's PgBouncer.
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// The API, as the lab's admin.
    pub client: Client,
}

/// What a kubectl command said.
#[derive(Debug)]
pub struct Said {
    /// Whether it succeeded.
    pub ok: bool,
    /// Standard output and standard error.
    pub text: String,
}

/// Refuses to go on outside the lab: the lab's addresses lead somewhere else there.
///
/// # Panics
/// This process is not in the lab's network namespace.
pub fn require_lab() {
    let state = std::env::var("LAB_STATE").expect("run this by lab/run (see `make test`)");
    let lab = fs::metadata(format!("{state}/netns")).expect("the lab is not running: make lab");
    let here = fs::metadata("/proc/self/ns/net").expect("/proc is mounted");
    assert_eq!(lab.ino(), here.ino(), "not in the lab's network namespace: run this by lab/run");
}

/// Runs a test in a namespace of its own, and returns what it returns. When the test fails, what the
/// cluster knows of the namespace is printed; the namespace goes in either case.
pub async fn in_namespace<F, Fut, T>(test: F) -> T
where
    F: FnOnce(Namespace) -> Fut,
    Fut: Future<Output = T>,
{
    require_lab();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("test-{}-{number}", std::process::id());
    let secret = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/secret")).arg(&name).output();
    let secret = secret.expect("lab/secret can be run");
    assert!(secret.status.success(), "{}", String::from_utf8_lossy(&secret.stderr));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = Client::try_default().await.expect("the lab's kubeconfig works");
    let namespace = Namespace { name: name.clone(), client: client.clone() };
    let result = futures::FutureExt::catch_unwind(AssertUnwindSafe(test(namespace))).await;
    if result.is_err() {
        Namespace { name: name.clone(), client }.dump();
    }
    kubectl(&["delete", "namespace", &name, "--wait=false"]);
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Waits until `look` finds something, looking ten times a second.
///
/// # Panics
/// It did not within `limit`; `what` says what was waited for.
pub async fn eventually<T, Fut: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> Fut,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Runs kubectl as the lab's admin.
///
/// # Panics
/// kubectl can't be run.
pub fn kubectl(args: &[&str]) -> Said {
    kubectl_with("", args)
}

/// Runs kubectl with `input` on its standard input.
///
/// # Panics
/// kubectl can't be run.
pub fn kubectl_with(input: &str, args: &[&str]) -> Said {
    // A kubectl that waits for ever must fail its test, not the whole run.
    let mut kubectl = Command::new("timeout")
        .args(["120", "kubectl"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("kubectl is on the PATH that lab/run sets");
    kubectl.stdin.take().expect("piped").write_all(input.as_bytes()).expect("kubectl reads");
    let output = kubectl.wait_with_output().expect("kubectl ends");
    let text = [output.stdout, output.stderr].concat();
    Said { ok: output.status.success(), text: String::from_utf8_lossy(&text).into_owned() }
}

/// Runs SQL on the lab's PostgreSQL, as its administrator; the rows, fields separated by `|`.
///
/// # Panics
/// It fails.
pub fn sql(sql: &str) -> String {
    let socket = std::env::var("LAB_SOCKET").expect("run this by lab/run");
    let psql = ["-XAtq", "-h", &socket, "-U", "lab_admin", "-c", sql, "postgres"];
    let said = Command::new("psql").args(psql).output().expect("psql is there");
    assert!(said.status.success(), "{sql}: {}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

impl Namespace {
    /// kubectl in this namespace.
    pub fn kubectl(&self, args: &[&str]) -> Said {
        kubectl(&[&["--namespace", &self.name], args].concat())
    }

    /// Applies a manifest.
    ///
    /// # Panics
    /// The API server refuses it.
    pub fn apply(&self, manifest: &str) {
        let said = kubectl_with(manifest, &["--namespace", &self.name, "apply", "-f", "-"]);
        assert!(said.ok, "{}\n{manifest}", said.text);
    }

    /// A probe named `t` through the lab's PgBouncer: `spec` is added to the target.
    pub fn apply_probe(&self, spec: &str) {
        self.apply(&format!(
            "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
             metadata: {{ name: t }}\nspec:\n  target: {{ secretName: pulp-db }}\n{spec}"
        ));
    }

    /// Changes the spec of the probe `t`.
    ///
    /// # Panics
    /// The API server refuses the change.
    pub fn patch_probe(&self, spec: &str) {
        let patch = format!("{{\"spec\":{spec}}}");
        let said = self.kubectl(&["patch", "cprobe", "t", "--type=merge", "-p", &patch]);
        assert!(said.ok, "{}", said.text);
    }

    /// The status of the probe `t`.
    pub async fn status(&self) -> ConnectionProbeStatus {
        let probe = self.api::<ConnectionProbe>().get_opt("t").await.expect("the API answers");
        probe.and_then(|probe| probe.status).unwrap_or_default()
    }

    /// Waits for a condition of the probe `t` with this status and reason.
    pub async fn condition(
        &self,
        type_: &str,
        status: &str,
        reason: &str,
        limit: Duration,
    ) -> ConnectionProbeStatus {
        let what = format!("{type_}={status} {reason} in {}", self.name);
        eventually(&what, limit, async || {
            let seen = self.status().await;
            let wanted = |c: &&k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
                (c.type_.as_str(), c.status.as_str(), c.reason.as_str()) == (type_, status, reason)
            };
            seen.conditions.iter().find(wanted).is_some().then_some(seen.clone())
        })
        .await
    }

    /// Waits until run `number` of the probe `t` has ended.
    pub async fn ended(&self, number: i64, limit: Duration) -> ConnectionProbeRun {
        eventually(&format!("the end of run {number} in {}", self.name), limit, async || {
            let runs = self.runs().await;
            runs.into_iter().find(|run| {
                run.spec.number == number && run.status.as_ref().is_some_and(|s| s.has_ended())
            })
        })
        .await
    }

    /// The runs, in the order of their numbers.
    pub async fn runs(&self) -> Vec<ConnectionProbeRun> {
        let mut runs = all(self.api::<ConnectionProbeRun>()).await;
        runs.sort_by_key(|run| run.spec.number);
        runs
    }

    /// The Jobs.
    pub async fn jobs(&self) -> Vec<Job> {
        all(self.api()).await
    }

    /// The pods.
    pub async fn pods(&self) -> Vec<Pod> {
        all(self.api()).await
    }

    /// Waits until every pod of a going run holds its connections.
    pub async fn holding(&self, pods: usize) {
        let what = format!("{pods} ready pods in {}", self.name);
        eventually(&what, Duration::from_secs(60), async || {
            let ready = |pod: &Pod| {
                let conditions = pod.status.as_ref()?.conditions.as_ref()?;
                Some(conditions.iter().any(|c| c.type_ == conditions::READY && c.status == "True"))
            };
            let ready = self.pods().await.iter().filter(|pod| ready(pod) == Some(true)).count();
            (ready == pods).then_some(())
        })
        .await;
    }

    /// The API of a kind in this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Prints what the cluster knows of this namespace.
    fn dump(&self) {
        let commands: [&[&str]; 6] = [
            &["get", "cprobe,cproberun,job,pod", "-o", "wide"],
            &["get", "cprobe,cproberun", "-o", "yaml"],
            &["describe", "jobs,pods"],
            &["logs", "--prefix", "--tail=50", "-l", "app.kubernetes.io/name=connection-probe"],
            &["get", "events.events.k8s.io", "--sort-by=.metadata.creationTimestamp"],
            &[
                "logs",
                "--tail=60",
                "-n",
                "connection-probe",
                "deployment/connection-probe-operator",
            ],
        ];
        for command in commands {
            eprintln!("---- kubectl {}\n{}", command.join(" "), self.kubectl(command).text);
        }
    }
}

/// All objects that an API has.
async fn all<K: Clone + Debug + DeserializeOwned>(api: Api<K>) -> Vec<K> {
    api.list(&ListParams::default()).await.expect("the API answers").items
}
