//! Whether anything of a Secret is told anywhere: every value of one is random, and is searched for.

use crate::{
    cluster::{Namespace, sql},
    operator::{self, operator},
};
use std::{fs, time::Duration};
use tokio::time::sleep;

/// The host that the marked Secrets name. Nobody else writes it like this.
const HOST: &str = "postgres.databases.svc.cluster.local";

/// What was found.
#[derive(Debug)]
pub struct Search {
    /// How many values were searched for, each in every place.
    pub values: usize,
    /// Which value was found where, with the line.
    pub leaks: Vec<String>,
}

/// Lets probes run with marked Secrets, and looks for what is in them in statuses, events, logs,
/// metrics, descriptions and the audit log.
///
/// # Panics
/// The probes can't be made, or what servers said of them did not arrive.
pub async fn search(ns: &Namespace) -> Search {
    let [user, database, password] = ["user", "database", "password"].map(random);
    // What is in the Secret beside what is used.
    let other = random("other");
    sql(&format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"));
    sql(&format!("CREATE DATABASE {database} OWNER {user}"));
    // One that works, one whose password is refused by a text that names the user, one whose
    // database does not exist: the text names it.
    let (wrong, missing) = (random("wrong"), random("missing"));
    let probes = [
        ("good", &database, &password),
        ("wrong", &database, &wrong),
        ("missing", &missing, &password),
    ];
    for (name, database, password) in probes {
        ns.apply(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{ name: {name} }}\nstringData:\n\
             \x20 db.host: {HOST}\n  db.port: \"5432\"\n  db.name: {database}\n  db.user: {user}\n\
             \x20 db.password: {password}\n  sslmode: require\n  other: {other}\n---\n\
             apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\n\
             metadata: {{ name: {name} }}\nspec:\n  target: {{ secretName: {name} }}\n\
             \x20 duration: 2s\n  connections: 1\n  workloads: [{{ name: idle, idle: {{}} }}]\n"
        ));
    }
    let ended = "--for=jsonpath={.status.lastRun.number}=1";
    for (name, ..) in probes {
        let said = ns.kubectl(&["wait", "cprobe", name, "--timeout=60s", ended]);
        assert!(said.ok, "{}", said.text);
    }
    // What comes late: events, the last lines of logs.
    sleep(Duration::from_secs(1)).await;
    let resources = "cprobe,cproberun,jobs,pods,events.events.k8s.io";
    let pods = "app.kubernetes.io/name=connection-probe";
    let audit = std::env::var("LAB_AUDIT_LOG").expect("run this by lab/run");
    let places = [
        ("objects", ns.kubectl(&["get", resources, "-o", "yaml"]).text),
        ("describe", ns.kubectl(&["describe", "cprobe,cproberun,jobs,pods"]).text),
        ("pods' logs", ns.kubectl(&["logs", "-l", pods, "--tail=-1"]).text),
        ("operator's log", operator(&["logs", operator::DEPLOYMENT])),
        ("metrics", operator::metrics()),
        ("audit log", fs::read_to_string(audit).expect("the audit log can be read")),
    ];
    let told: String = places.iter().map(|(_, text)| text.as_str()).collect();
    assert!(told.contains("28P01") && told.contains("3D000"), "both texts arrived");
    assert!(told.contains("connectionprobe_last_run_result"), "the metrics arrived");
    let host = HOST.to_owned();
    let values = [&user, &database, &password, &wrong, &missing, &other, &host];
    let leaks = values.iter().flat_map(|value| {
        places.iter().filter_map(move |(place, text)| {
            let line = text.lines().find(|line| line.contains(value.as_str()))?;
            Some(format!("{value} in {place}: {line}"))
        })
    });
    Search { values: values.len(), leaks: leaks.collect() }
}

fn random(prefix: &str) -> String {
    let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel has some");
    format!("{prefix}{}", uuid.replace(|c: char| !c.is_ascii_hexdigit(), ""))
}
