//! Arguments in, exit code out.

use clap::Parser;
use probe::{
    args::{Cli, Command},
    clock::Clock,
    exit::Exit,
    run::{self, Setup},
};
use std::{io, panic, process::ExitCode};
use tokio::{
    runtime::{Builder, Runtime},
    select,
    signal::unix::{SignalKind, signal},
    time::Instant,
};

fn main() -> ExitCode {
    exit_on_panic();
    match Cli::parse().command {
        Command::Run(args) => hold(args.setup()).into(),
        Command::Table => print_table().into(),
    }
}

/// Holds the connections to their ends.
fn hold(setup: Setup) -> Exit {
    // As many descriptors as we may have: each connection needs one. If it can't be raised, lanes
    // that find none say so themselves.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("The runtime can't be started: {error}.");
            return Exit::Internal;
        }
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of the wall clock; all else is counted from it"
    )]
    let clock = Clock::new(jiff::Timestamp::now(), Instant::now());
    let exit = runtime.block_on(run::run(setup, clock, terminated()));
    // Not waiting for a name lookup that may take its time.
    runtime.shutdown_background();
    exit
}

/// Prints the results table of the run on standard input.
fn print_table() -> Exit {
    match serde_json::from_reader(io::stdin().lock()) {
        Ok(run) => {
            print!("{}", api::table::results(&run));
            Exit::Complete
        }
        Err(error) => {
            eprintln!("Standard input is no ConnectionProbeRun in JSON: {error}.");
            Exit::Misconfigured
        }
    }
}

/// One thread for all connections, so that none waits for a lock or another processor; a second
/// one for name lookups and the hashing of passwords.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(1).build()
}

/// A panic anywhere is our own failure. The last termination message stays.
fn exit_on_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(Exit::Internal.code().into());
    }));
}

/// Waits for SIGTERM or SIGINT.
async fn terminated() {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
