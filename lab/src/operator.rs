//! The operator that all tests share: ended, counted, started anew.

use crate::cluster::{eventually, kubectl};
use nix::{
    sys::signal::{Signal, kill as signal},
    unistd::Pid,
};
use std::{fs, time::Duration};

/// Where it is installed.
pub const NAMESPACE: &str = "connection-probe";
/// What keeps it running.
pub const DEPLOYMENT: &str = "deployment/connection-probe-operator";

/// kubectl in the operator's namespace.
///
/// # Panics
/// It failed.
pub fn operator(args: &[&str]) -> String {
    let said = kubectl(&[&["--namespace", NAMESPACE], args].concat());
    assert!(said.ok, "{}", said.text);
    said.text
}

/// Waits until it is there.
pub fn rolled_out() {
    operator(&["rollout", "status", DEPLOYMENT, "--timeout=60s"]);
}

/// Ends it in the middle of whatever it does. Another one starts.
///
/// # Panics
/// It can't be signalled.
pub fn kill() {
    if let Some(pid) = pid() {
        signal(Pid::from_raw(pid), Signal::SIGKILL).expect("it is ours");
    }
    // The kubelet would let a container that ends again and again wait; a new pod starts at once.
    operator(&["delete", "pod", "--all", "--grace-period=0", "--force"]);
}

/// So many operators; this does not wait for them.
pub fn scale(replicas: u8) {
    operator(&["scale", DEPLOYMENT, &format!("--replicas={replicas}")]);
}

/// Takes it away, and waits until it is gone.
pub async fn away() {
    scale(0);
    eventually("the operator's end", Duration::from_secs(60), async || {
        operator(&["get", "pods", "-o", "name"]).trim().is_empty().then_some(())
    })
    .await;
}

/// Brings it back.
pub fn back() {
    scale(1);
    rolled_out();
}

/// What it tells Prometheus.
pub fn metrics() -> String {
    let pod = operator(&["get", "pods", "-o", "jsonpath={.items[0].metadata.name}"]);
    operator(&[
        "get",
        "--raw",
        &format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}:8080/proxy/metrics"),
    ])
}

/// Its process on this machine.
#[must_use]
pub fn pid() -> Option<i32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|process| process.file_name().to_str()?.parse().ok()).find(|pid| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let ours = |text: String| text.contains("connection-probe-lab");
        read("cmdline").is_ok_and(|line| line.starts_with("/connection-probe-operator"))
            && read("cgroup").is_ok_and(ours)
    })
}
