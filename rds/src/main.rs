//! Asks AWS about an RDS Proxy, in a pod under an account that AWS knows. What it learns is its termination message.

mod args;
mod aws;
mod clock;
mod collect;
mod credentials;
mod events;
mod facts;
mod failure;
mod inquiry;
mod log;
mod metrics;
mod parameters;
mod progress;
mod scrub;
mod token;

use api::{exit::Exit, rds_proxy::Evidence};
use args::{Args, Command, Order};
use clap::Parser;
use clock::Clock;
use std::{future::pending, io, panic, path::Path, process::ExitCode};
use tokio::{
    runtime::Builder,
    select,
    signal::unix::{SignalKind, signal},
};

fn main() -> ExitCode {
    let exit = match Args::parse().command {
        Command::Collect(collect) => match collect.order() {
            Ok(order) => ask(&order).unwrap_or_else(|error| failed(&error)),
            Err(problem) => {
                eprintln!("{problem}");
                Exit::Misconfigured
            }
        },
        Command::Token(token) => token::serve(token).unwrap_or_else(|error| failed(&error)),
    };
    exit.into()
}

fn failed(error: &io::Error) -> Exit {
    eprintln!("{error}");
    Exit::Internal
}

/// Asks, and sets down what is known then: at the end, or when it is told to stop.
fn ask(order: &Order) -> io::Result<Exit> {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(Exit::Internal.code().into());
    }));
    let clock = Clock::read();
    let mut evidence = Evidence { taken_at: clock.now(), ..Evidence::default() };
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let exit = runtime.block_on(async {
        select! {
            () = collect::collect(order, clock, &mut evidence) => Exit::Complete,
            () = terminated() => Exit::Interrupted,
        }
    });
    // Not waiting for a name lookup that may take its time.
    runtime.shutdown_background();
    let message = evidence.to_message();
    progress::Event::Evidence { evidence: &evidence }.print(clock.now());
    match &order.termination_log {
        Some(path) => write(path, &message).map(|()| exit),
        None => Ok(exit),
    }
}

fn write(path: &Path, message: &str) -> io::Result<()> {
    let name = |error| io::Error::other(format!("{}: {error}", path.display()));
    std::fs::write(path, message).map_err(name)
}

async fn terminated() {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return pending().await;
    };
    select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
