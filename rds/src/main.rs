//! Asks AWS about an RDS Proxy, or changes it for a while, in a pod under an account that AWS knows. What it learns is
//! its termination message.

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
mod overriding;
mod parameters;
mod progress;
mod scrub;
mod stop;
mod token;

use api::{exit::Exit, rds_proxy::Evidence};
use args::{Args, Command, Order};
use clap::Parser;
use clock::Clock;
use std::{io, panic, path::Path, process::ExitCode};
use stop::Stop;
use tokio::runtime::Builder;

fn main() -> ExitCode {
    let exit = match Args::parse().command {
        Command::Collect(collect) => match collect.order() {
            Ok(order) => ask(&order).unwrap_or_else(|error| failed(&error)),
            Err(problem) => misconfigured(&problem),
        },
        Command::Override(it) => overriding::guard(it).unwrap_or_else(|error| failed(&error)),
        Command::Restore(it) => overriding::restore(it).unwrap_or_else(|error| failed(&error)),
        Command::Token(token) => token::serve(token).unwrap_or_else(|error| failed(&error)),
    };
    exit.into()
}

fn misconfigured(problem: &str) -> Exit {
    eprintln!("{problem}");
    Exit::Misconfigured
}

fn failed(error: &io::Error) -> Exit {
    eprintln!("{error}");
    Exit::Internal
}

/// Asks, and sets down what is known then: at the end, or when it is told to stop.
fn ask(order: &Order) -> io::Result<Exit> {
    end_by_panic();
    let clock = Clock::read();
    let mut evidence = Evidence { taken_at: clock.now(), ..Evidence::default() };
    let exit = run(async {
        let mut stop = Stop::listen()?;
        let done = stop.unless(collect::collect(order, clock, &mut evidence)).await;
        io::Result::Ok(done.map_or(Exit::Interrupted, |()| Exit::Complete))
    })??;
    let message = evidence.to_message();
    progress::Event::Evidence { evidence: &evidence }.print(clock.now());
    match &order.termination_log {
        Some(path) => write(path, &message).map(|()| exit),
        None => Ok(exit),
    }
}

fn run<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build()?;
    let done = runtime.block_on(future);
    // Not waiting for a name lookup that may take its time.
    runtime.shutdown_background();
    Ok(done)
}

fn write(path: &Path, message: &str) -> io::Result<()> {
    let name = |error| io::Error::other(format!("{}: {error}", path.display()));
    std::fs::write(path, message).map_err(name)
}

/// A panic is told, and ends all.
fn end_by_panic() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(Exit::Internal.code().into());
    }));
}
