//! `kubectl cprobe watch-workers` in a real cluster: on pods that hold connections as Pulp's workers do, in a namespace
//! that enforces Restricted Pod Security. What it said is kept in target/cprobe.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    beats::Rhythm,
    sockets::{Fate, Noticed, Role, SocketLife, SocketsReport},
};
use lab::cluster::{Namespace, eventually, in_namespace, sql};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::{task::block_in_place, time::sleep};

const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/x86_64-unknown-linux-gnu/release/kubectl-cprobe"
);
const IMAGE: &str = "localhost/connection-probe:dev";
const SOON: Duration = Duration::from_secs(60);

/// What the plugin said, and its exit code.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The plugin at work.
struct Watching {
    child: Child,
    folder: tempfile::TempDir,
}

impl Watching {
    fn start(ns: &Namespace, kubeconfig: &Path, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let child = Command::new("timeout")
            .args(["300", PROGRAM, "-n", &ns.name, "watch-workers"])
            .args(args)
            .arg("--json")
            .arg(folder.path().join("json"))
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"))
            .spawn()
            .unwrap();
        Self { child, folder }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Waits until it has told something.
    async fn told(&self, words: &str) {
        eventually(words, SOON, async || self.read("err").contains(words).then_some(())).await;
    }

    fn end(mut self) -> (Said, Vec<SocketsReport>) {
        let status = block_in_place(|| self.child.wait()).unwrap();
        let said = Said { code: status.code(), out: self.read("out"), err: self.read("err") };
        let reports = serde_json::from_str(&self.read("json")).unwrap_or_default();
        (said, reports)
    }
}

/// The lab's admin.
fn admin() -> PathBuf {
    std::env::var("KUBECONFIG").unwrap().into()
}

/// A pod that holds what these workloads say, for as long as the test takes.
fn worker(ns: &Namespace, name: &str, spec: &str) {
    let probe = format!(
        "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\nmetadata: {{ name: {name} }}\n\
         spec:\n  duration: 4m\n  connections: 1\n{spec}"
    );
    let config = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name },
        "data": { "probe.yaml": probe } });
    ns.apply(&config.to_string());
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": "worker" } },
        "spec": {
            "automountServiceAccountToken": false,
            "restartPolicy": "Never",
            "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "worker",
                "image": IMAGE,
                "command": ["/connection-probe"],
                "args": ["run", "--file", "/probe/probe.yaml", "--secrets", "/secrets", "--output", "lines"],
                "securityContext": { "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } },
                "volumeMounts": [
                    { "name": "probe", "mountPath": "/probe" },
                    { "name": "pulp-db", "mountPath": "/secrets/pulp-db" },
                ],
            }],
            "volumes": [
                { "name": "probe", "configMap": { "name": name } },
                { "name": "pulp-db", "secret": { "secretName": "pulp-db" } },
            ],
        },
    });
    ns.apply(&pod.to_string());
}

async fn running(ns: &Namespace, pods: usize) {
    eventually("the workers", SOON, async || {
        let phase = |pod: &k8s_openapi::api::core::v1::Pod| pod.status.clone()?.phase;
        let all = ns.pods().await;
        (all.iter().filter(|pod| phase(pod).as_deref() == Some("Running")).count() == pods)
            .then_some(())
    })
    .await;
}

fn of<'a>(reports: &'a [SocketsReport], pod: &str) -> &'a SocketsReport {
    reports.iter().find(|report| report.pod.as_deref() == Some(pod)).unwrap()
}

/// The first of this role: after a cut the probe connects anew, several times.
fn with(report: &SocketsReport, role: Role) -> &SocketLife {
    let found = report.sockets.iter().find(|life| life.role == role);
    found.unwrap_or_else(|| panic!("{role:?}: {report:#?}"))
}

fn keep(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cprobe");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_task_is_cut_by_the_pooler_and_a_worker_by_the_server() {
    in_namespace(async |ns| {
        // Through the lab's PgBouncer, which cuts who is idle for 20 s.
        worker(
            &ns,
            "worker-0",
            "  target: { secretName: pulp-db }\n  workloads:\n\
             \x20 - { name: main, pulpWorker: { interval: 2s } }\n\
             \x20 - { name: child, pulpTask: { work: 2s } }\n",
        );
        // Directly, with a name by which the server knows it.
        worker(
            &ns,
            "worker-1",
            &format!(
                "  target: {{ secretName: pulp-db, host: postgres.databases.svc, port: 5432 }}\n\
                 \x20 applicationName: {}\n  workloads: [{{ name: main, pulpWorker: {{ interval: 2s }} }}]\n",
                ns.name
            ),
        );
        running(&ns, 2).await;
        let pooler = ns.kubectl(&["get", "secret", "pulp-db", "-o", "go-template={{.data.port | base64decode}}"]);
        let port = pooler.text.trim().to_owned();
        let args = ["-l", "app=worker", "--for", "50s", "--image", IMAGE, "--port", "5432", "--port", &port];
        let watching = Watching::start(&ns, &admin(), &args);
        watching.told("worker-0: ").await;
        watching.told("worker-1: ").await;
        sleep(Duration::from_secs(20)).await;
        let terminate = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '{}'",
            ns.name
        );
        assert_eq!(block_in_place(|| sql(&terminate)), "1");
        watching.told("worker-1: ").await;
        let (said, reports) = watching.end();
        keep("watch-workers.txt", &format!("{}\n{}", said.err, said.out));
        assert_eq!(said.code, Some(0), "{said:?}");

        let pooled = of(&reports, "worker-0");
        assert_eq!(pooled.noticed, Noticed::Events, "{pooled:#?}");
        let main = with(pooled, Role::Main);
        assert_eq!((main.rhythm, Fate::of(main)), (Rhythm::Beating, Fate::There), "{main:?}");
        assert!((main.beat_ms.unwrap() - 2_000).abs() < 100, "{main:?}");
        let child = with(pooled, Role::Task);
        assert_eq!(Fate::of(child), Fate::CutIdle, "{child:?}");
        let (least, most) = child.end.unwrap().silence();
        assert!(least > 19_000 && most < 23_000, "{child:?}");

        let terminated = with(of(&reports, "worker-1"), Role::Main);
        assert!(Fate::of(terminated).is_cut(), "{terminated:?}");
        assert!(terminated.end.unwrap().last_words_bytes.is_none_or(|bytes| bytes > 60));

        for words in ["Main, beats every 2.0 s", "| worker-0 |", "closed by the peer after 0:2", "the heartbeating one is not:", "nothing cuts it:"] {
            assert!(said.out.contains(words), "{words}: {said:?}");
        }
        // Once more: a container of another name, since the first one stays.
        let (said, reports) =
            Watching::start(&ns, &admin(), &["worker-0", "--for", "3s", "--image", IMAGE, "-o", "markdown"]).end();
        assert_eq!((said.code, reports.len()), (Some(0), 1), "{said:?}");
        assert!(said.out.starts_with("# Connections of a pod"), "{said:?}");
        let names = ns.kubectl(&[
            "get", "pod", "worker-0", "-o", "jsonpath={.spec.ephemeralContainers[*].name}",
        ]);
        let mut names: Vec<_> = names.text.split(' ').collect();
        names.sort_unstable();
        assert_eq!(names, ["watch-sockets-1", "watch-sockets-2"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    in_namespace(async |ns| {
        worker(
            &ns,
            "worker-0",
            "  target: { secretName: pulp-db }\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        running(&ns, 1).await;
        let said =
            |kubeconfig: &Path, args: &[&str]| Watching::start(&ns, kubeconfig, args).end().0;
        let image = ["--image", "localhost/connection-probe:missing", "--for", "5s"];
        for (args, code, words) in [
            (&["worker-0"][..], 1, "write --image"),
            (&["worker-7", "--image", IMAGE], 1, "\"worker-7\" not found"),
            (
                &["-l", "app=nobody", "--image", IMAGE],
                1,
                "No running pod has the labels app=nobody",
            ),
            (&[&["worker-0"], &image[..]].concat(), 6, "the container does not start: "),
        ] {
            let said = said(&admin(), args);
            assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
            assert!(said.err.contains(words), "{args:?}: {said:?}");
        }
        // Who may look at pods only.
        let account = format!("{}:reader", ns.name);
        for create in [
            &["create", "serviceaccount", "reader"][..],
            &["create", "role", "reader", "--verb=get,list", "--resource=pods"],
            &["create", "rolebinding", "reader", "--role=reader", "--serviceaccount", &account],
        ] {
            let said = ns.kubectl(create);
            assert!(said.ok, "{}", said.text);
        }
        let token = ns.kubectl(&["create", "token", "reader"]).text;
        let text = fs::read_to_string(admin()).unwrap();
        let mut config: Value = serde_saphyr::from_str(&text).unwrap();
        for user in config["users"].as_array_mut().unwrap() {
            user["user"] = json!({ "token": token.trim() });
        }
        let kubeconfig = tempfile::NamedTempFile::new().unwrap();
        fs::write(kubeconfig.path(), config.to_string()).unwrap();
        let said = said(kubeconfig.path(), &["worker-0", "--image", IMAGE]);
        assert_eq!(said.code, Some(1), "{said:?}");
        assert!(said.err.contains("the right to patch pods/ephemeralcontainers"), "{said:?}");
    })
    .await;
}
