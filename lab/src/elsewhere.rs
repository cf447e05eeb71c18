//! A second node, on which nothing runs. Where every node is lost, Kubernetes takes that for a fault of its own and
//! gives up no pods: with this one there, the lab's node can be lost.

use crate::{
    cluster::{kubectl, kubectl_with},
    holding::now,
};
use std::time::Duration;
use tokio::{task::JoinHandle, time::sleep};

const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: { name: elsewhere }\n\
                    spec: { taints: [{ key: nobody, effect: NoSchedule }] }\n";
/// As often as the lab's kubelet.
const HEARTBEAT: Duration = Duration::from_secs(4);

/// The node. It goes when this is dropped.
pub struct Elsewhere(JoinHandle<()>);

impl Elsewhere {
    /// Makes it, and keeps it ready.
    ///
    /// # Panics
    /// The API server refuses it.
    #[must_use]
    pub fn new() -> Self {
        let said = kubectl_with(NODE, &["apply", "-f", "-"]);
        assert!(said.ok, "{}", said.text);
        Self(tokio::spawn(async {
            loop {
                let ready = format!(
                    "{{\"status\":{{\"conditions\":[{{\"type\":\"Ready\",\"status\":\"True\",\
                     \"reason\":\"Alive\",\"lastHeartbeatTime\":\"{:.0}\"}}]}}}}",
                    now()
                );
                kubectl(&["patch", "node", "elsewhere", "--subresource=status", "-p", &ready]);
                sleep(HEARTBEAT).await;
            }
        }))
    }
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.abort();
        kubectl(&["delete", "node", "elsewhere", "--ignore-not-found"]);
    }
}
