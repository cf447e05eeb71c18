//! Arguments in, exit code out.

use api::Inventory;
use clap::Parser;
use probe::{
    args::{Cli, Command, Order},
    clock::Clock,
    exit::Exit,
    inventory,
    run::{self, Setup},
    termination::TerminationMessage,
};
use std::{io, panic, process::ExitCode};
use tokio::{
    runtime::{Builder, Runtime},
    select,
    signal::unix::{SignalKind, signal},
    time::Instant,
};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => {
            exit_on_panic(Exit::Internal);
            hold(args.setup()).into()
        }
        Command::Inventory(args) => {
            // A run does without an inventory, so nothing that goes wrong with it may end the pod.
            exit_on_panic(Exit::Complete);
            args.order().map_or(Exit::Complete, |order| take_inventory(&order)).into()
        }
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
    let exit = runtime.block_on(run::run(setup, clock(), terminated()));
    // Not waiting for a name lookup that may take its time.
    runtime.shutdown_background();
    exit
}

/// Takes an inventory, unless it is told to stop.
fn take_inventory(order: &Order) -> Exit {
    let clock = clock();
    let inventory = match (&order.settings, runtime()) {
        (Ok(settings), Ok(runtime)) => {
            let taken = runtime.block_on(async {
                select! {
                    taken = inventory::take(settings, &order.mounts, clock) => Some(taken),
                    () = terminated() => None,
                }
            });
            runtime.shutdown_background();
            taken
        }
        (Err(problem), _) => {
            Some(Inventory::of_problem(clock.at(clock.start()), problem.message.clone()))
        }
        (_, Err(error)) => {
            eprintln!("The runtime can't be started: {error}.");
            None
        }
    };
    if let Some(message) = inventory.map(|inventory| inventory.to_message()) {
        println!("{message}");
        let log = order.termination_log.as_deref().map(TerminationMessage::open);
        if let Some(Err(error)) = log.map(|log| log?.finish(&message)) {
            eprintln!("The termination message can't be written: {error}.");
        }
    }
    Exit::Complete
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

#[expect(
    clippy::disallowed_methods,
    reason = "the one reading of the wall clock; all else is counted from it"
)]
fn clock() -> Clock {
    Clock::new(jiff::Timestamp::now(), Instant::now())
}

/// One thread for all connections, so that none waits for a lock or another processor; a second
/// one for name lookups and the hashing of passwords.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(1).build()
}

/// A panic anywhere ends the process. The last termination message stays.
fn exit_on_panic(exit: Exit) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(exit.code().into());
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
