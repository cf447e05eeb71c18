//! What is done to the operator, and to the parts around it.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::EvictParams};
use lab::{
    cluster::{Namespace, eventually, kubectl},
    elsewhere::Elsewhere,
    operator::{self, away, back, operator, rolled_out},
    part::Killed,
};
use std::{fmt, fs, process::Command, time::Duration};
use tokio::time::sleep;

/// How long something is away.
const AWAY: Duration = Duration::from_secs(8);
/// How long the node is: it is lost after 20 s, and its pods are given up soon after.
const NODE_AWAY: Duration = Duration::from_secs(45);

/// A blow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blow {
    OperatorKilled,
    OperatorAway,
    ApiServerKilled,
    ApiServerAway,
    EtcdAway,
    EtcdFrozen,
    ConnectionsReset,
    PacketsLost,
    FlowsForgotten,
    PodsEvicted,
    NodeLost,
}

impl fmt::Display for Blow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OperatorKilled => "operator killed",
            Self::OperatorAway => "operator away",
            Self::ApiServerKilled => "API server killed and started",
            Self::ApiServerAway => "API server away for 8 s",
            Self::EtcdAway => "etcd away for 8 s",
            Self::EtcdFrozen => "etcd frozen for 8 s",
            Self::ConnectionsReset => "operator's connections reset for 8 s",
            Self::PacketsLost => "operator's packets lost for 8 s",
            Self::FlowsForgotten => "operator's flows forgotten for good",
            Self::PodsEvicted => "pods evicted",
            Self::NodeLost => "node lost (kubelet killed)",
        })
    }
}

impl Blow {
    /// Strikes, and returns when the blow is over: what was taken away is back.
    pub(super) async fn strike(self, ns: &Namespace) -> Result<()> {
        match self {
            Self::OperatorKilled => {
                operator::kill();
                rolled_out();
            }
            Self::OperatorAway => {
                away().await;
                sleep(AWAY).await;
                back();
            }
            Self::ApiServerKilled => part_away("kube-apiserver", Duration::ZERO).await,
            Self::ApiServerAway => part_away("kube-apiserver", AWAY).await,
            Self::EtcdAway => part_away("etcd", AWAY).await,
            Self::EtcdFrozen => {
                frozen("etcd", AWAY).await?;
                answering().await;
            }
            Self::ConnectionsReset => {
                let ip = operators_address();
                let _reset = Rule::add(format!(
                    "INPUT -s {ip} -p tcp --dport 6443 -j REJECT --reject-with tcp-reset"
                ))?;
                sleep(AWAY).await;
            }
            Self::PacketsLost => {
                let ip = operators_address();
                let _lost = Rule::both_ways(&ip, "", "")?;
                sleep(AWAY).await;
            }
            Self::FlowsForgotten => forget_flows()?,
            Self::PodsEvicted => {
                for pod in ns.pods().await {
                    ns.api::<Pod>().evict(&pod.name_any(), &EvictParams::default()).await?;
                }
            }
            Self::NodeLost => node_lost().await?,
        }
        Ok(())
    }
}

/// Kills a part of the lab, and starts it again after a while.
async fn part_away(name: &'static str, time: Duration) {
    let killed = Killed::new(name);
    sleep(time).await;
    drop(killed);
    answering().await;
}

/// Stops a part's process for a while; it does not end.
async fn frozen(name: &str, time: Duration) -> Result<()> {
    let file = format!("{}/run/{name}.pid", std::env::var("LAB_STATE")?);
    let pid = fs::read_to_string(file)?;
    let pid = pid.split(' ').next().context("no pid")?;
    let signal = |signal| run("kill", &[signal, pid]);
    signal("-STOP")?;
    sleep(time).await;
    signal("-CONT")
}

/// Waits until the API server answers.
async fn answering() {
    eventually("the API server", Duration::from_secs(60), async || {
        kubectl(&["get", "--raw", "/readyz"]).ok.then_some(())
    })
    .await;
}

fn operators_address() -> String {
    operator(&["get", "pods", "-o", "jsonpath={.items[0].status.podIP}"])
}

/// A rule of the lab's packet filter. It goes when this is dropped.
struct Rule(String);

impl Rule {
    fn add(rule: String) -> Result<Self> {
        iptables("-I", &rule)?;
        Ok(Self(rule))
    }

    /// Loses what goes from an address to the API server, and back.
    fn both_ways(ip: &str, from: &str, to: &str) -> Result<[Self; 2]> {
        Ok([
            Self::add(format!("INPUT -s {ip} -p tcp {from} --dport 6443 -j DROP"))?,
            Self::add(format!("OUTPUT -d {ip} -p tcp {to} --sport 6443 -j DROP"))?,
        ])
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        let _ = iptables("-D", &self.0);
    }
}

fn iptables(how: &str, rule: &str) -> Result<()> {
    let args: Vec<&str> = ["-w", how].into_iter().chain(rule.split_whitespace()).collect();
    run("iptables", &args)
}

fn run(program: &str, args: &[&str]) -> Result<()> {
    let said = Command::new(program).args(args).output()?;
    ensure!(said.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}

/// Loses the packets of each connection that the operator has now: the rules stay, as nobody will
/// have these ports again while the pod lives.
fn forget_flows() -> Result<()> {
    let pid = operator::pid().context("the operator does not run")?;
    let ip = operators_address();
    let sockets = fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    for line in sockets.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, ..] = words[..] else { continue };
        // Established, with port 443.
        if state == "01" && remote.ends_with(":01BB") {
            let port = local.split(':').nth(1).context("a port")?;
            let port = u16::from_str_radix(port, 16)?;
            let rules =
                Rule::both_ways(&ip, &format!("--sport {port}"), &format!("--dport {port}"))?;
            std::mem::forget(rules);
        }
    }
    Ok(())
}

/// Stops the kubelet until the node is lost and its pods are given up.
async fn node_lost() -> Result<()> {
    let elsewhere = Elsewhere::new();
    let killed = Killed::new("kubelet");
    sleep(NODE_AWAY).await;
    drop((killed, elsewhere));
    let ready = kubectl(&["wait", "node", "--all", "--for=condition=Ready", "--timeout=60s"]);
    ensure!(ready.ok, "{}", ready.text);
    Ok(())
}
