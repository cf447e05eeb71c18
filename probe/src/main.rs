//! Arguments in, exit code out.

use api::{
    ConnectionProbeRun, Inventory, Report,
    render::{self, Format},
    sockets::{Event, Line},
    text,
};
use clap::{CommandFactory, Parser};
use probe::{
    args::{self, Cli, Command, Run, WatchSockets},
    by_hand::ByHand,
    clock::Clock,
    exit::{self, Exit},
    inventory,
    run::{self, Setup},
    sockets,
    termination::TerminationMessage,
    voice::Output,
};
use std::{
    fs::File,
    future::{Future, ready},
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::{
    runtime::{Builder, Runtime},
    select,
    signal::unix::{SignalKind, signal},
    time::Instant,
};

fn main() -> ExitCode {
    exit::on_panic(Exit::Internal);
    let clock = clock();
    let done = match Cli::parse().command {
        Command::Run(args) => match args.file.clone() {
            Some(file) => run_by_hand(*args, &file, clock),
            None => hold(args.in_a_pod(), clock, ready(())).map(|(exit, ..)| exit),
        },
        Command::Plan { file } => ByHand::read(&file, clock.at(clock.start())).map(|by_hand| {
            print(&by_hand.forecast().to_string());
            Exit::Complete
        }),
        Command::Inventory(args) => {
            // A run does without an inventory, so nothing that goes wrong with it may end the pod.
            exit::on_panic(Exit::Complete);
            Ok(args.order().map_or(Exit::Complete, |order| take_inventory(&order, clock)))
        }
        Command::WatchSockets(args) => watch_sockets(&args, clock),
        Command::Report { file, output, workers } => {
            report(&file, output.parse().unwrap_or_default(), &workers)
        }
        Command::Completion { shell } => {
            let mut completion = Vec::new();
            clap_complete::generate(
                shell,
                &mut Cli::command(),
                "connection-probe",
                &mut completion,
            );
            print(&String::from_utf8_lossy(&completion));
            Ok(Exit::Complete)
        }
    };
    done.unwrap_or_else(|why| {
        complain(&why);
        Exit::Misconfigured
    })
    .into()
}

/// Holds what a manifest says, and tells a person what came of it.
fn run_by_hand(args: Run, file: &Path, clock: Clock) -> Result<Exit, String> {
    let by_hand = ByHand::read(file, clock.at(clock.start()))?;
    by_hand.left_out().iter().for_each(|note| complain(note));
    // Opened now: after an hour it would be too late.
    let json = args
        .json
        .as_ref()
        .map(|path| File::create(path).map_err(|error| format!("{}: {error}", path.display())));
    let json = json.transpose()?;
    let format = args.format();
    let setup = args.by_hand(by_hand.settings().clone(), by_hand.order());
    let (settings, mounts) = (by_hand.settings().clone(), setup.mounts.clone());
    let inventory = async move { inventory::take(&settings, &mounts, clock).await };
    let (exit, reports, inventory) = hold(setup, clock, inventory)?;
    let problem = reports.iter().find_map(|report| report.problem.clone());
    let times = (clock.at(clock.start()), clock.at(Instant::now()));
    let run = by_hand.run(exit, reports, inventory, times);
    if let Some(mut file) = json {
        let written = serde_json::to_writer_pretty(&file, &run).map_err(io::Error::from);
        written.and_then(|()| file.write_all(b"\n")).map_err(|error| error.to_string())?;
    }
    match (problem, format) {
        (Some(problem), _) => complain(&problem.message),
        (None, Some(format)) => print(&render::run(&run, by_hand.expect(), format)),
        (None, None) => {}
    }
    Ok(exit)
}

/// Holds the connections to their ends, and does something `beside`: its result, if it has one by then.
fn hold<T: Send + 'static>(
    setup: Setup,
    clock: Clock,
    beside: impl Future<Output = T> + Send + 'static,
) -> Result<(Exit, Vec<Report>, Option<T>), String> {
    // As many descriptors as we may have: each connection needs one. If it can't be raised, lanes
    // that find none say so themselves.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("The runtime can't be started: {error}."));
            return Ok((Exit::Internal, Vec::new(), None));
        }
    };
    let done = runtime.block_on(async {
        let beside = tokio::spawn(beside);
        let (exit, reports) = run::run(setup, clock, terminated()).await;
        let beside = if beside.is_finished() { beside.await.ok() } else { None };
        (exit, reports, beside)
    });
    // Not waiting for a name lookup that may take its time.
    runtime.shutdown_background();
    Ok(done)
}

/// Takes an inventory, unless it is told to stop.
fn take_inventory(order: &args::Order, clock: Clock) -> Exit {
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

/// Watches connections of others, and tells what became of them.
fn watch_sockets(args: &WatchSockets, clock: Clock) -> Result<Exit, String> {
    let (order, output) = (args.order(), args.output());
    let runtime = runtime().map_err(|error| error.to_string())?;
    let mut stopped = false;
    let report = runtime.block_on(async {
        let stop = async {
            terminated().await;
            stopped = true;
        };
        sockets::watch(&order, clock, stop, |line| match output {
            Output::Lines => print_line(&line),
            Output::Words => {
                let words = text::socket_event(&line.event);
                words
                    .iter()
                    .for_each(|words| complain(&format!("{} {words}", text::clock(line.time))));
            }
        })
        .await
    })?;
    match output {
        Output::Lines => {
            print_line(&Line { time: report.ended_at, event: Event::Report { report } });
        }
        Output::Words => print(&render::sockets::plain(&[report])),
    }
    Ok(if stopped && order.length.is_some() { Exit::Interrupted } else { Exit::Complete })
}

fn print_line(line: &Line) {
    print(&(serde_json::to_string(line).unwrap_or_default() + "\n"));
}

/// Prints the run in a file, beside what was seen of workers' sockets.
fn report(file: &Path, format: Format, workers: &[PathBuf]) -> Result<Exit, String> {
    let sockets = api::sockets::read_all(workers, format, args::read)?;
    let run: ConnectionProbeRun = serde_json::from_str(&args::read(file)?)
        .map_err(|e| format!("{}: no ConnectionProbeRun in JSON: {e}", file.display()))?;
    print(&render::beside(&run, None, &sockets, format));
    Ok(Exit::Complete)
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

/// Waits for SIGTERM or SIGINT. A second SIGINT ends the process at once.
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
    tokio::spawn(async move {
        int.recv().await;
        exit::now(Exit::Interrupted);
    });
}

/// Writes to standard output. That nobody reads to the end is no failure of ours.
fn print(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Writes to standard error.
fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
