//! The connection-probe operator: turns ConnectionProbes into runs, runs into Jobs, and what their pods
//! report into status.
//!
//! # Layout
//! - [`controller`]: the sentence: observe, plan, act, record, announce, wake.
//! - [`observe`], [`cache`], [`pods`], [`facts`]: what is known. No step reads the API.
//! - [`plan`]: what to do about it. Pure: all of the product's behaviour is there.
//! - [`act`], [`job`], [`announce`]: what is written. [`kind`]: of which kinds.
//! - [`metrics`], [`http`], [`client`]: the rim.

mod act;
mod announce;
mod cache;
mod client;
mod controller;
mod error;
mod facts;
mod failing;
mod http;
mod job;
mod kind;
mod metrics;
mod observe;
mod plan;
mod pods;
#[cfg(test)]
mod reports;

use api::{names::MANAGED_BY, run::Versions};
use clap::Parser;
use controller::Context;
use futures::{FutureExt, future::join_all};
use kube::runtime::events::{Recorder, Reporter};
use observe::Scope;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs ConnectionProbes: watches them, starts a Job for each run, and writes what was found to their
/// status. Needs the CRDs of crds/ and the roles of deploy/.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Image of the probe pods: the one that this operator runs from.
    #[arg(long, env = "PROBE_IMAGE")]
    probe_image: String,
    /// Image of the pods that ask AWS about an RDS Proxy. Absent: the probe image's name with `-rds` after it, and its
    /// tag.
    #[arg(long, env = "RDS_IMAGE")]
    rds_image: Option<String>,
    /// Namespaces whose probes are run, separated by commas. Absent or empty: all namespaces, which needs
    /// a ClusterRole where these need a Role in each.
    #[arg(long, env = "WATCH_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACE")]
    watch_namespaces: Vec<String>,
    /// Where to serve /healthz and /metrics.
    #[arg(long, env = "LISTEN", default_value = "[::]:8080")]
    listen: SocketAddr,
    /// What to log: a level, or tracing directives such as `info,kube=debug`.
    #[arg(long, env = "LOG", default_value = "info")]
    log: String,
}

// One thread: the work is waiting, and a thread of its own would cost each core's share of memory.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    // The image has one TLS stack; the client must not have to guess it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let args = Args::parse();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::try_new(&args.log)?)
        .with_writer(std::io::stderr)
        .init();
    let metrics = Arc::new(metrics::Metrics::new()?);
    let client = client::client(metrics.clone()).await?;
    let http = tokio::spawn(http::serve(args.listen, metrics.clone()));
    let recorder = Recorder::new(client.clone(), Reporter::from(MANAGED_BY));
    let rds_image = args.rds_image.clone().unwrap_or_else(|| beside(&args.probe_image));
    let context = |namespace| {
        Arc::new(Context {
            scope: Scope { client: client.clone(), namespace, metrics: metrics.clone() },
            world: Arc::default(),
            recorder: recorder.clone(),
            failing: failing::Failing::default(),
            versions: Versions {
                operator: env!("CARGO_PKG_VERSION").to_owned(),
                image: args.probe_image.clone(),
                rds_image: Some(rds_image.clone()),
            },
        })
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    let stop = stop.shared();
    let scopes = scopes(&args.watch_namespaces);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?scopes, "watching ConnectionProbes");
    let controllers = scopes.into_iter().map(|scope| controller::run(context(scope), stop.clone()));
    tokio::select! {
        _ = join_all(controllers) => Ok(()),
        served = http => Ok(served??),
    }
}

/// The image of `connection-probe-rds` that belongs to a probe image. A digest tells nothing of another image.
fn beside(probe_image: &str) -> String {
    let image = probe_image.split('@').next().unwrap_or_default();
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[name..].rfind(':') {
        Some(colon) => format!("{}-rds{}", &image[..name + colon], &image[name + colon..]),
        None => format!("{image}-rds:{}", env!("CARGO_PKG_VERSION")),
    }
}

/// The namespaces to look after, each once; `None`: all.
fn scopes(namespaces: &[String]) -> BTreeSet<Option<String>> {
    let named = namespaces.iter().map(|namespace| namespace.trim());
    let named: BTreeSet<_> =
        named.filter(|name| !name.is_empty()).map(|name| Some(name.to_owned())).collect();
    if named.is_empty() { BTreeSet::from([None]) } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_that_asks_aws_is_beside_the_probes() {
        assert_eq!(beside("r.example:5000/a/probe:1.2"), "r.example:5000/a/probe-rds:1.2");
        assert_eq!(beside("r.example:5000/probe:1.2@sha256:ab"), "r.example:5000/probe-rds:1.2");
        let bare = format!("r.example:5000/probe-rds:{}", env!("CARGO_PKG_VERSION"));
        assert_eq!(beside("r.example:5000/probe@sha256:ab"), bare);
    }

    #[test]
    fn no_name_means_all_namespaces_and_each_name_counts_once() {
        let scopes = |text: &str| {
            let args = ["operator", "--probe-image=i", "--watch-namespaces", text];
            super::scopes(&Args::try_parse_from(args).unwrap().watch_namespaces)
        };
        assert_eq!(scopes(""), BTreeSet::from([None]));
        let both = BTreeSet::from([Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(scopes("b, a,,b"), both);
    }
}
