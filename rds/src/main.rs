//! Asks AWS about an RDS Proxy, in a pod under an account that AWS knows. What it learns is its termination message.

use api::exit::Exit;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

mod token;

/// Asks AWS about an RDS Proxy: its configuration, events, CloudWatch metrics and log.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Sign tokens of AWS IAM for a probe beside, and hand them out over a Unix socket.
    ///
    /// A request is a line such as {"host":"pulp.proxy-x.us-east-1.rds.amazonaws.com","port":5432,"user":"pulp"};
    /// the answer is {"token":…} or {"error":…}.
    Token(token::Args),
}

fn main() -> ExitCode {
    let Command::Token(token) = Args::parse().command;
    let exit = token::serve(token).unwrap_or_else(|error| {
        eprintln!("{error}");
        Exit::Internal
    });
    exit.into()
}
