//! The connection-probe operator: turns ConnectionProbes into runs, runs into Jobs, and what their pods
//! report into status.
//!
//! # Layout
//! - [`controller`]: the sentence: observe, plan, act, record, announce, wake.
//! - [`observe`], [`cache`], [`pods`], [`facts`]: what is known. No step reads the API.
//! - [`plan`]: what to do about it. Pure: all of the product's behaviour is there.
//! - [`act`], [`job`], [`announce`]: what is written.
//! - [`metrics`], [`http`], [`client`]: the rim.

mod act;
mod announce;
mod cache;
mod client;
mod controller;
mod error;
mod facts;
mod http;
mod job;
mod metrics;
mod observe;
mod plan;
mod pods;

use api::{names::MANAGED_BY, run::Versions};
use clap::Parser;
use controller::Context;
use kube::runtime::events::{Recorder, Reporter};
use std::{net::SocketAddr, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs ConnectionProbes: watches them in all namespaces, starts a Job for each run, and writes what
/// was found to their status. Needs the CRDs of crds/ and the roles of deploy/.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Image of the probe pods: the one that this operator runs from.
    #[arg(long, env = "PROBE_IMAGE")]
    probe_image: String,
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
    let client = client::client().await?;
    let metrics = metrics::Metrics::new()?;
    let http = tokio::spawn(http::serve(args.listen, metrics.clone()));
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), Reporter::from(MANAGED_BY)),
        client,
        world: Arc::default(),
        versions: Versions {
            operator: env!("CARGO_PKG_VERSION").to_owned(),
            image: args.probe_image,
        },
        metrics,
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "watching ConnectionProbes");
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    tokio::select! {
        () = controller::run(context, stop) => Ok(()),
        served = http => Ok(served??),
    }
}
