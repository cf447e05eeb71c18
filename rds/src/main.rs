//! Asks AWS about an RDS Proxy, in a pod under an account that AWS knows. What it learns is its termination message.

use clap::{Parser, Subcommand};

/// Asks AWS about an RDS Proxy: its configuration, events, CloudWatch metrics and log.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {}

fn main() {
    match Args::parse().command {}
}
