//! The command line.

use crate::{
    mounts::Mounts, problem, reconnect::DELAYS, run::Setup, session::ANSWER_TIMEOUT, voice::Output,
};
use api::{iam, measurement, render::Format, report::Problem, settings::Settings};
use clap::{Args, Parser, Subcommand, builder::PossibleValuesParser};
use clap_complete::Shell;
use jiff::SignedDuration;
use std::{
    env, fs,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

mod inventory;
mod sockets;

pub use inventory::{Inventory, Order};
pub use sockets::WatchSockets;

/// Holds the settings themselves, in a pod.
const SETTINGS_VARIABLE: &str = "CONNECTION_PROBE_SETTINGS";
/// Holds the index in a pod of an Indexed Job.
const INDEX_VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Where the kubelet mounts the termination message.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// How long a pod waits for a Secret that is created together with the probe.
const WAIT_IN_A_POD: Duration = Duration::from_secs(120);

/// Holds PostgreSQL connections and tells, to the millisecond, when, how and by whom each is cut.
#[derive(Debug, Parser)]
#[command(name = "connection-probe", version, max_term_width = 100)]
#[command(after_long_help = include_str!("args/cli.txt"))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Hold the connections of a probe.
    ///
    /// By hand (--file): takes the manifest of a ConnectionProbe, shows how far things are, and prints
    /// the result. placement and podTemplate are for pods and are left out.
    ///
    /// In a pod (--settings): each thing that happens is a JSON line on standard output. The report is
    /// the last one; it is also the termination message, rewritten whenever something happens.
    ///
    /// Credentials are files (--secrets DIR: DIR/<Secret's name>/<key>, as the kubelet mounts them).
    /// They are never read from arguments or the environment.
    Run(Box<Run>),
    /// Say what a run would do, without a single connection.
    ///
    /// When the connections start and end, how many there are at once, how many statements they send,
    /// and what of it is not harmless everywhere.
    Plan {
        /// The manifest of a ConnectionProbe, YAML or JSON; `-` reads standard input
        #[arg(long, short, value_name = "FILE")]
        file: PathBuf,
    },
    /// Read the timers that can cut a connection: of the pod, the database server and PgBouncer.
    ///
    /// Opens one short connection per path with the role that is measured, and prints what it read as
    /// JSON. What could not be read is said in there: it always exits by 0, within 20 s.
    Inventory(Inventory),
    /// Watch the connections of whoever is in the same pod, without a statement and without a capability.
    ///
    /// Tells of each connection whether it beats as a worker's main one, how long it was silent, and which side
    /// closed it when.
    WatchSockets(WatchSockets),
    /// Print a run: as a table, for a ticket, for a pipeline, or as a page with figures.
    ///
    /// Reads a ConnectionProbeRun as JSON:
    /// kubectl get cproberun NAME -o json | connection-probe report -o html > run.html
    Report {
        /// What `run --json` wrote, or kubectl; `-` reads standard input
        #[arg(default_value = "-")]
        file: PathBuf,
        /// How it is set down
        #[arg(long, short, value_name = "FORMAT", value_parser = PossibleValuesParser::new(Format::NAMES), default_value = "table")]
        output: String,
        /// What `kubectl cprobe watch-workers --json` or `watch-sockets` wrote meanwhile, beside it; it may be
        /// written several times
        #[arg(long, value_name = "FILE")]
        workers: Vec<PathBuf>,
    },
    /// Print the completion of words for a shell: source <(connection-probe completion bash)
    Completion {
        /// For which shell
        shell: Shell,
    },
}

/// What to hold, and with what.
#[derive(Debug, Args)]
#[command(after_long_help = include_str!("args/run.txt"))]
pub struct Run {
    /// The manifest of a ConnectionProbe, YAML or JSON; `-` reads standard input
    #[arg(long, short, value_name = "FILE", conflicts_with_all = ["settings", "index", "termination_log"])]
    pub file: Option<PathBuf>,

    /// Also writes the result to this file, as a ConnectionProbeRun in JSON
    #[arg(long, value_name = "FILE", requires = "file")]
    pub json: Option<PathBuf>,

    /// How the result is set down; `lines`: not at all, but one JSON line for each thing that happens, as
    /// in a pod
    #[arg(long, short, value_name = "FORMAT", value_parser = PossibleValuesParser::new(outputs()), default_value = "table", requires = "file")]
    output: String,

    /// The settings as JSON; `-` reads standard input. Absent, and no --file: the environment variable
    /// CONNECTION_PROBE_SETTINGS holds the JSON itself
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    #[command(flatten)]
    mounts: MountArgs,

    /// Which of the settings' indexes to hold, from 0. Absent, and no --file: the environment variable
    /// JOB_COMPLETION_INDEX holds it; if it is absent too, all workloads are held at the same time
    #[arg(long, value_name = "N")]
    index: Option<usize>,

    /// Where the report is also written, in at most 4096 bytes; it needs one workload. Absent:
    /// /dev/termination-log if there is one, and an index
    #[arg(long, value_name = "FILE")]
    termination_log: Option<PathBuf>,

    /// Serves /ready, /metrics and /healthz at this address, such as 0.0.0.0:8080
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,

    /// How long to wait for a Secret or CA that is not there, such as 120s. Absent: 120s with an
    /// index, else not at all
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wait_for_secret: Option<Duration>,

    /// How long a request may go unanswered before the connection counts as timed out. Absent:
    /// 150s, as poolers make requests wait up to 120s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    answer_timeout: Option<Duration>,
}

/// Where credentials are.
#[derive(Debug, Args)]
struct MountArgs {
    /// Holds a folder for each Secret, with a file for each key
    #[arg(long, value_name = "DIR")]
    secrets: PathBuf,

    /// Holds a folder for each ConfigMap. Absent: the same as --secrets
    #[arg(long, value_name = "DIR")]
    config_maps: Option<PathBuf>,

    /// For auth AwsIam: the Unix socket at which `connection-probe-rds token` hands out tokens
    #[arg(long, value_name = "PATH", default_value = iam::SOCKET)]
    iam_socket: PathBuf,
}

impl MountArgs {
    fn mounts(self) -> Mounts {
        Mounts {
            config_maps: self.config_maps.unwrap_or_else(|| self.secrets.clone()),
            secrets: self.secrets,
            iam_socket: self.iam_socket,
        }
    }
}

impl Run {
    /// What the arguments mean by hand, for these settings in this order.
    #[must_use]
    pub fn by_hand(self, settings: Settings, order: measurement::Order) -> Setup {
        let output = if self.format().is_some() { Output::Words } else { Output::Lines };
        Setup { order, output, ..self.setup(Ok(settings), None) }
    }

    /// How the result is set down at the end.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        self.output.parse().ok()
    }

    /// What the arguments mean in a pod.
    #[must_use]
    pub fn in_a_pod(self) -> Setup {
        let of_the_job = || env::var(INDEX_VARIABLE).ok()?.parse().ok();
        let index = self.index.or_else(of_the_job);
        let settings = read_settings(self.settings.as_deref());
        self.setup(settings, index)
    }

    fn setup(self, settings: Result<Settings, Problem>, index: Option<usize>) -> Setup {
        // Without an index there are several reports, and one message would hide the others.
        let default_log = || {
            let path = Path::new(TERMINATION_LOG);
            (index.is_some() && path.exists()).then(|| path.to_owned())
        };
        Setup {
            settings,
            order: measurement::Order::Parallel,
            output: Output::Lines,
            mounts: self.mounts.mounts(),
            index,
            termination_log: self.termination_log.or_else(default_log),
            listen: self.listen,
            wait: self.wait_for_secret.unwrap_or(match index {
                Some(_) => WAIT_IN_A_POD,
                None => Duration::ZERO,
            }),
            answer_timeout: self.answer_timeout.unwrap_or(ANSWER_TIMEOUT),
            reconnect_after: DELAYS.to_vec(),
        }
    }
}

fn outputs() -> impl Iterator<Item = &'static str> {
    Format::NAMES.into_iter().chain(["lines"])
}

/// Reads the settings. What is wrong with them belongs into the report, so it is no error here.
fn read_settings(file: Option<&Path>) -> Result<Settings, Problem> {
    let unread = |what: &str| problem::invalid(&format!("The settings can't be read: {what}."));
    let json = match file {
        Some(path) => read(path).map_err(|error| unread(&error))?,
        None => env::var(SETTINGS_VARIABLE)
            .map_err(|_| unread(&format!("write --settings FILE, or set {SETTINGS_VARIABLE}")))?,
    };
    serde_json::from_str(&json).map_err(|error| unread(&error.to_string()))
}

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// The file, and why it can't be read.
pub fn read(path: &Path) -> Result<String, String> {
    let mut text = String::new();
    let read = match path == Path::new("-") {
        true => io::stdin().read_to_string(&mut text).map(|_| text),
        false => fs::read_to_string(path),
    };
    read.map_err(|error| format!("{}: {error}", path.display()))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(parsed).map_err(|_| "it must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::manifest;
    use clap::CommandFactory;

    fn run(args: &[&str]) -> Run {
        let args = ["connection-probe", "run"].iter().chain(args);
        match Cli::try_parse_from(args).unwrap().command {
            Command::Run(run) => *run,
            other => unreachable!("not asked for: {other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_teaches_commands_and_a_manifest_that_work() {
        let mut cli = Cli::command();
        let all = cli.render_long_help().to_string();
        let run = cli.find_subcommand_mut("run").unwrap().render_long_help().to_string();
        assert!(run.contains("Credentials are files (--secrets DIR"), "{run}");
        let manifest = run.split("<<'EOF'\n").nth(1).unwrap().split("  EOF").next().unwrap();
        let probe = manifest::parse(manifest).unwrap();
        assert_eq!(probe.spec.measurement.workloads.len(), 2);
        let commands = all.lines().chain(run.lines()).filter_map(|line| {
            line.trim().strip_prefix("connection-probe ").filter(|_| line.starts_with("  "))
        });
        let commands: Vec<_> = commands.map(|c| c.split(" > ").next().unwrap()).collect();
        assert_eq!(commands.len(), 5, "{commands:?}");
        for command in commands {
            let words = ["connection-probe"].into_iter().chain(command.split_whitespace());
            assert!(Cli::try_parse_from(words).is_ok(), "{command}");
        }
    }

    #[test]
    fn by_hand_nothing_is_waited_for_and_in_a_pod_two_minutes() {
        let by_hand = run(&["--secrets", "s", "--settings", "absent"]).in_a_pod();
        assert_eq!((by_hand.wait, by_hand.index), (Duration::ZERO, None));
        assert_eq!(by_hand.mounts.config_maps, Path::new("s"));
        assert_eq!(by_hand.mounts.iam_socket, Path::new(iam::SOCKET));
        assert!(by_hand.settings.unwrap_err().message.contains("absent: No such file"));

        let in_a_pod = run(&["--secrets", "s", "--config-maps", "c", "--index", "3"]).in_a_pod();
        assert_eq!((in_a_pod.wait.as_secs(), in_a_pod.index), (120, Some(3)));
        assert_eq!(in_a_pod.mounts.config_maps, Path::new("c"));
        assert_eq!(in_a_pod.output, Output::Lines);
        let short = run(&["--secrets", "s", "--index", "3", "--wait-for-secret", "1500ms"]);
        assert_eq!(short.in_a_pod().wait, Duration::from_millis(1500));
    }
}
