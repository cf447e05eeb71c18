//! `kubectl cprobe` against a real cluster, each test in a namespace of its own. What it said is kept in
//! target/cprobe.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbeRun,
    run::{Trigger, TriggerType},
};
use lab::{
    cluster::{Namespace, eventually, in_namespace},
    pgbouncer::{self, PgBouncer},
    postgres::{self, Postgres},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::task::block_in_place;

const SOON: Duration = Duration::from_secs(30);
const PROGRAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/x86_64-unknown-linux-gnu/release/kubectl-cprobe"
);
const USER: &str = "svc_probe";
const PASSWORD: &str = "s3cret-of-the-test";

/// What a command said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The plugin, as whoever has this kubeconfig.
struct Cprobe<'a> {
    ns: &'a Namespace,
    kubeconfig: PathBuf,
    folder: tempfile::TempDir,
}

impl<'a> Cprobe<'a> {
    /// As the lab's admin.
    fn new(ns: &'a Namespace) -> Self {
        let kubeconfig = std::env::var("KUBECONFIG").unwrap().into();
        Self { ns, kubeconfig, folder: tempfile::tempdir().unwrap() }
    }

    /// As a service account that has the viewer's role in the namespace, and nothing else.
    fn viewer(ns: &'a Namespace) -> Self {
        let admin = Self::new(ns);
        let account = format!("{}:reader", ns.name);
        let role = "--clusterrole=connection-probe-viewer";
        for create in [
            &["create", "serviceaccount", "reader"][..],
            &["create", "rolebinding", "reader", role, "--serviceaccount", &account],
        ] {
            let said = ns.kubectl(create);
            assert!(said.ok, "{}", said.text);
        }
        let token = ns.kubectl(&["create", "token", "reader"]).text;
        let text = fs::read_to_string(&admin.kubeconfig).unwrap();
        let mut config: Value = serde_saphyr::from_str(&text).unwrap();
        for user in config["users"].as_array_mut().unwrap() {
            user["user"] = json!({ "token": token.trim() });
        }
        let kubeconfig = admin.write("kubeconfig", &config.to_string());
        Self { kubeconfig, ..admin }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The manifest of a probe `t`, in a file.
    fn manifest(&self, spec: &str) -> String {
        let manifest = format!(
            "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
             metadata: {{ name: t, namespace: {} }}\nspec:\n{spec}",
            self.ns.name
        );
        self.write("probe.yaml", &manifest).display().to_string()
    }

    /// Runs a program so that one that waits for ever fails its test.
    fn command(&self, program: &[&str]) -> Said {
        let output = Command::new("timeout")
            .arg("300")
            .args(program)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn run(&self, args: &[&str]) -> Said {
        self.command(&[&[PROGRAM, "-n", &self.ns.name], args].concat())
    }

    /// Standard output of a command that ends by 0.
    fn done(&self, args: &[&str]) -> String {
        let said = self.run(args);
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.out
    }

    /// The same on a terminal: what that shows.
    fn on_a_terminal(&self, args: &str) -> Said {
        let line = format!("{PROGRAM} -n {} {args}", self.ns.name);
        self.command(&["script", "-qefc", &line, "/dev/null"])
    }

    /// A run, as it is reported.
    fn report(&self, run: &str) -> ConnectionProbeRun {
        serde_json::from_str(&self.done(&["report", run, "-o", "json"])).unwrap()
    }
}

fn keep(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cprobe");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), text).unwrap();
}

fn trigger(run: &ConnectionProbeRun) -> TriggerType {
    let Trigger { type_, .. } = run.spec.trigger;
    type_
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_from_its_plan_to_its_reports() {
    in_namespace(async |ns| {
        let cprobe = Cprobe::new(&ns);
        let file = cprobe.manifest(
            "  target: { secretName: pulp-db }\n\
             \x20 control: { host: postgres.databases.svc, port: 5432 }\n\
             \x20 duration: 30s\n  connections: 3\n  workloads:\n\
             \x20 - { name: idle, idle: {} }\n\
             \x20 - { name: beat, heartbeat: { interval: 5s } }\n\
             \x20 expect: { workloads: [{ name: idle, survives: true }, { name: beat, survives: true }] }\n",
        );
        let planned = cprobe.done(&["plan", "-f", &file]);
        assert!(planned.contains("Connections: 12 at once"), "{planned}");

        let started = cprobe.done(&["run", "-f", &file, "--detach"]);
        assert!(started.contains(" has started."), "{started}");
        assert_eq!(cprobe.done(&["plan", "t"]), planned);
        let watched = cprobe.on_a_terminal("watch t --timeout 3m");
        keep("watch.typescript", &watched.out);
        assert_eq!(watched.code, Some(0), "{watched:?}");
        for part in [" of 0:", " alive, ", "idle: connection ", " was cut after 0:2", "3 of 6 cut"] {
            assert!(watched.out.contains(part), "{part}: {}", watched.out);
        }
        // The run that it waits for may have ended long ago.
        assert_eq!(cprobe.run(&["wait", "t"]).code, Some(0));
        assert_eq!(cprobe.run(&["wait", "t", "--no-cuts"]).code, Some(3));

        let run = cprobe.report("t");
        assert_eq!(trigger(&run), TriggerType::Created);
        let name = run.metadata.name.unwrap();
        let table = cprobe.done(&["report", "t"]);
        assert!(table.contains("| yes (3 of 3) |") && table.contains("PoolerIdleTimeout"), "{table}");
        let markdown = cprobe.done(&["report", &name, "-o", "markdown"]);
        keep("report.md", &markdown);
        for part in [
            "| idle | 0:30 | yes (3 of 3) | 0:2",
            "- Missed: 0 of 3 connections of idle answered at the end.",
            "\n### PoolerIdleTimeout",
            "kind: ConnectionProbe",
            "client_idle_timeout",
        ] {
            assert!(markdown.contains(part), "{part}: {markdown}");
        }
        let junit = cprobe.done(&["report", "t", "-o", "junit"]);
        assert!(junit.contains(r#"tests="4" failures="1" errors="0""#), "{junit}");
        let page = cprobe.done(&["report", "t", "-o", "html"]);
        keep("report.html", &page);
        assert!(page.starts_with("<!DOCTYPE html>") && page.contains("<svg"), "{page}");

        let list = cprobe.done(&["list"]);
        assert!(list.contains("3 of 6 cut") && !list.contains("MESSAGE"), "{list}");
        assert!(cprobe.done(&["list", "-o", "wide"]).contains("secret/pulp-db   Run 1: 3 of 6 cut"));
        let names = cprobe.done(&["list", "t", "-o", "name"]);
        assert_eq!(names, format!("connectionproberun.probes.pulpproject.org/{name}\n"));
        let json: Value = serde_json::from_str(&cprobe.done(&["list", "-o", "json"])).unwrap();
        let yaml = cprobe.done(&["list", "-o", "yaml"]);
        assert_eq!(json, serde_saphyr::from_str::<Value>(&yaml).unwrap());
        assert_eq!(json["items"][0]["metadata"]["name"], "t");

        // The manifest changes nothing, and is run all the same; then another goes on already.
        cprobe.done(&["run", "-f", &file, "--detach"]);
        ns.holding(2).await;
        for again in [&["run", "t"][..], &["run", "-f", &file]] {
            let said = cprobe.run(again);
            assert_eq!(said.code, Some(6), "{said:?}");
            assert!(said.err.contains("Run 2 of t goes on"), "{said:?}");
        }
        assert_eq!(cprobe.run(&["wait", "t", "--timeout", "1s"]).code, Some(7));
        let cancelled = cprobe.done(&["cancel", "t"]);
        assert!(cancelled.contains("Run 2 is asked to end"), "{cancelled}");
        assert_eq!(cprobe.run(&["wait", "t", "--timeout", "1m"]).code, Some(5));
        assert_eq!(trigger(&cprobe.report("t")), TriggerType::Requested);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_run_that_does_not_come() {
    in_namespace(async |ns| {
        let cprobe = Cprobe::new(&ns);
        let yearly = |duration: &str| {
            cprobe.manifest(&format!(
                "  target: {{ secretName: pulp-db }}\n  duration: {duration}\n  connections: 1\n\
                 \x20 schedule: 0 3 1 1 *\n  workloads: [{{ name: idle, idle: {{}} }}]\n"
            ))
        };
        let file = yearly("1s");
        assert!(ns.kubectl(&["apply", "-f", &file]).ok);
        eventually("the next time of the schedule", SOON, async || {
            ns.status().await.next_schedule_time
        })
        .await;
        for command in ["watch", "wait"] {
            let said = cprobe.run(&[command, "t"]);
            assert_eq!(said.code, Some(6), "{said:?}");
            assert!(said.err.contains("-01-01T03:00:00Z"), "{said:?}");
        }
        for (duration, number) in [("1s", 1), ("1s", 2), ("2s", 3)] {
            let said = cprobe.done(&["run", "-f", &yearly(duration), "--timeout", "2m"]);
            assert!(said.contains(&format!("Run {number}: ")), "{said}");
            assert_eq!(trigger(&cprobe.report("t")), TriggerType::Requested);
        }
        ns.patch_probe(r#"{"suspend":true}"#);
        let said = cprobe.run(&["run", "t"]);
        assert_eq!(said.code, Some(6), "{said:?}");
        assert!(said.err.contains("t is suspended"), "{said:?}");

        // No database: a run that measured nothing, and says why.
        assert!(ns.kubectl(&["delete", "secret", "pulp-db"]).ok);
        ns.patch_probe(r#"{"suspend":false}"#);
        let said = cprobe.run(&["run", "t", "--timeout", "4m"]);
        assert_eq!(said.code, Some(6), "{said:?}");
        assert!(said.out.contains("pulp-db"), "{said:?}");
        let missing = cprobe.run(&["run", "missing"]);
        assert_eq!(missing.code, Some(1), "{missing:?}");
        assert!(missing.err.contains(r#""missing" not found"#), "{missing:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_reads_and_is_told_what_it_may_not() {
    in_namespace(async |ns| {
        let viewer = Cprobe::viewer(&ns);
        ns.apply_probe(
            "  control: { host: postgres.databases.svc, port: 5432 }\n  duration: 8s\n\
             \x20 connections: 4\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        let watched = viewer.run(&["watch", "t", "--timeout", "2m"]);
        assert_eq!(watched.code, Some(0), "{watched:?}");
        assert!(watched.out.contains("0 of 4 cut, control 0 of 4"), "{watched:?}");
        for command in [
            &["list"][..],
            &["list", "t", "-o", "yaml"],
            &["plan", "t"],
            &["wait", "t", "--no-cuts"],
            &["report", "t", "-o", "html"],
        ] {
            assert!(!viewer.run(command).err.contains("forbidden"), "{command:?}");
        }
        let paths = viewer.done(&["compare", "t", "--paths"]);
        assert!(paths.contains("never cut on either side: idle"), "{paths}");

        let file = viewer.manifest(
            "  target: { secretName: pulp-db }\n  workloads: [{ name: idle, idle: {} }]\n",
        );
        let may_not = [&["run", "t"][..], &["run", "-f", &file], &["list", "--all-namespaces"]];
        for command in may_not {
            let said = viewer.run(command);
            assert_eq!(said.code, Some(1), "{command:?}: {said:?}");
            let who = format!("system:serviceaccount:{}:reader", ns.name);
            assert!(said.err.contains("connectionprobes") && said.err.contains(&who), "{said:?}");
            assert_eq!(said.err.lines().count(), 1, "{said:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_was_raised_is_seen_to_have_moved() {
    in_namespace(async |ns| {
        let (postgres, pooler) = block_in_place(|| {
            let postgres = Postgres::start(&postgres::Options::default());
            postgres.role(USER, PASSWORD);
            // It listens where pods reach it, and nobody else: this is the lab's network.
            let settings = format!(
                "listen_addr = 0.0.0.0\npool_mode = transaction\nclient_idle_timeout = 5\nadmin_users = {USER}"
            );
            let users = &[(USER, PASSWORD)][..];
            let options =
                pgbouncer::Options { settings: &settings, users, ..pgbouncer::Options::default() };
            let pooler = PgBouncer::start(&postgres, &options);
            (postgres, pooler)
        });
        let node = std::env::var("LAB_NODE_ADDRESS").unwrap();
        ns.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{ name: own }}\nstringData:\n  host: {node}\n\
             \x20 port: \"{}\"\n  database: postgres\n  user: {USER}\n  password: {PASSWORD}\n\
             \x20 sslmode: disable\n",
            pooler.port
        ));
        let cprobe = Cprobe::new(&ns);
        let file = cprobe.manifest(
            "  target: { secretName: own }\n  duration: 22s\n  connections: 5\n  workloads:\n\
             \x20 - { name: idle, idle: {} }\n  - { name: beat, heartbeat: { interval: 2s } }\n",
        );
        let run = || cprobe.done(&["run", "-f", &file, "--timeout", "3m"]);
        let idle = |args: &[&str]| {
            let json = cprobe.done(&[&["compare", "t", "-o", "json"], args].concat());
            let compared: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(compared["moves"][1]["verdict"]["is"], "NeverCut", "{json}");
            compared["moves"][0].clone()
        };
        run();
        block_in_place(|| pooler.console((USER, PASSWORD), "SET client_idle_timeout = 12"));
        run();
        let moved = idle(&[]);
        assert_eq!(moved["verdict"]["is"], "Moved", "{moved}");
        assert_eq!(moved["shift"]["isSure"], true, "{moved}");
        for bound in ["lowMs", "fromMs", "toMs", "highMs"] {
            let ms = moved["shift"][bound].as_i64().unwrap();
            assert!((ms - 7000).abs() < 1000, "{bound}: {moved}");
        }
        let told = ["--changed", "client_idle_timeout=5s:12s"];
        let confirmed = idle(&told);
        assert_eq!(confirmed["verdict"]["is"], "Confirmed", "{confirmed}");
        let words = cprobe.done(&["compare", "t"]);
        assert!(words.contains("\n- idle: moved from 0:0") && words.contains("(since "), "{words}");
        let both = [words, cprobe.done(&[&["compare", "t"], &told[..]].concat())].join("\n");
        keep("compare.txt", &both);

        // The files say the same, and so does nobody who has only one of them.
        let names = cprobe.done(&["list", "t", "-o", "name"]);
        let saved: Vec<String> = names
            .lines()
            .map(|name| {
                let name = name.split('/').next_back().unwrap();
                let json = cprobe.done(&["report", name, "-o", "json"]);
                cprobe.write(&format!("{name}.json"), &json).display().to_string()
            })
            .collect();
        let [after, before] = &saved[..] else { panic!("{names}") };
        assert!(both.starts_with(&cprobe.done(&["compare", before, after])));

        run();
        let stayed = idle(&told);
        assert_eq!(stayed["verdict"]["is"], "Stayed", "{stayed}");
        drop((pooler, postgres));
    })
    .await;
}
