//! The command line.

use crate::{mounts::Mounts, problem, run::Setup, session::ANSWER_TIMEOUT};
use api::{report::Problem, settings::Settings};
use clap::{Args, Parser, Subcommand};
use jiff::SignedDuration;
use std::{
    env, fs,
    io::{self, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

mod inventory;

pub use inventory::{Inventory, Order};

/// Holds the settings themselves, in a pod.
const SETTINGS_VARIABLE: &str = "CONNECTION_PROBE_SETTINGS";
/// Where the kubelet mounts the termination message.
const TERMINATION_LOG: &str = "/dev/termination-log";
/// How long a pod waits for a Secret that is created together with the probe.
const WAIT_IN_A_POD: Duration = Duration::from_secs(120);

/// Holds PostgreSQL connections and tells, to the millisecond, when, how and by whom each is cut.
#[derive(Debug, Parser)]
#[command(name = "connection-probe", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Hold the connections of one workload, or of all.
    ///
    /// Reads what to do from a JSON document (--settings) and credentials from files
    /// (--secrets DIR: DIR/<Secret's name>/<key>, as the kubelet mounts them). Credentials are never
    /// read from arguments or the environment.
    ///
    /// Each thing that happens is a JSON line on standard output. The report is the last one; in a pod
    /// it is also the termination message, rewritten whenever something happens.
    Run(Run),
    /// Read the timers that can cut a connection: of the pod, the database server and PgBouncer.
    ///
    /// Opens one short connection per path with the role that is measured, and prints what it read as
    /// JSON. What could not be read is said in there: it always exits by 0, within 20 s.
    Inventory(Inventory),
    /// Print the results table of a run.
    ///
    /// Reads a ConnectionProbeRun as JSON from standard input:
    /// kubectl get cproberun NAME -o json | connection-probe table
    Table,
}

/// What to hold, and with what.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Exit codes:
  0  the report is complete, whatever was found (a refused login too)
  2  the configuration can't be carried out; the report says what to write
  4  the probe itself failed
  5  told to stop by SIGTERM or SIGINT; the report is partial

Example, by hand:
  mkdir -p secrets/pulp-db
  printf %s db.example > secrets/pulp-db/host
  printf %s pulp       > secrets/pulp-db/user
  cat /path/to/password > secrets/pulp-db/password
  echo '{ \"run\": \"by-hand\", \"target\": { \"secretName\": \"pulp-db\" }, \"indexes\": [0],
    \"workloads\": [{ \"name\": \"quiet\", \"pattern\": \"idle\", \"durationMs\": 60000,
      \"connections\": 5, \"client\": \"Raw\" }] }' |
  connection-probe run --settings - --secrets secrets")]
pub struct Run {
    /// The settings as JSON; `-` reads standard input. Absent: the environment variable
    /// CONNECTION_PROBE_SETTINGS holds the JSON itself
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    #[command(flatten)]
    mounts: MountArgs,

    /// Which of the settings' indexes to hold, from 0. Absent: all workloads at the same time, and
    /// a summary on standard error at the end
    #[arg(long, value_name = "N", env = "JOB_COMPLETION_INDEX")]
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
}

impl MountArgs {
    fn mounts(self) -> Mounts {
        Mounts {
            config_maps: self.config_maps.unwrap_or_else(|| self.secrets.clone()),
            secrets: self.secrets,
        }
    }
}

impl Run {
    /// What the arguments mean.
    #[must_use]
    pub fn setup(self) -> Setup {
        // Without an index there are several reports, and one message would hide the others.
        let default_log = || {
            let path = Path::new(TERMINATION_LOG);
            (self.index.is_some() && path.exists()).then(|| path.to_owned())
        };
        Setup {
            settings: read_settings(self.settings.as_deref()),
            mounts: self.mounts.mounts(),
            index: self.index,
            termination_log: self.termination_log.or_else(default_log),
            listen: self.listen,
            wait: self.wait_for_secret.unwrap_or(match self.index {
                Some(_) => WAIT_IN_A_POD,
                None => Duration::ZERO,
            }),
            answer_timeout: self.answer_timeout.unwrap_or(ANSWER_TIMEOUT),
        }
    }
}

/// Reads the settings. What is wrong with them belongs into the report, so it is no error here.
fn read_settings(file: Option<&Path>) -> Result<Settings, Problem> {
    let unread = |what: &str| problem::invalid(&format!("The settings can't be read: {what}."));
    let json = match file {
        Some(path) if path == Path::new("-") => {
            let mut json = String::new();
            let read = io::stdin().read_to_string(&mut json);
            read.map(|_| json).map_err(|error| unread(&error.to_string()))?
        }
        Some(path) => fs::read_to_string(path)
            .map_err(|error| unread(&format!("{}: {error}", path.display())))?,
        None => env::var(SETTINGS_VARIABLE)
            .map_err(|_| unread(&format!("write --settings FILE, or set {SETTINGS_VARIABLE}")))?,
    };
    serde_json::from_str(&json).map_err(|error| unread(&error.to_string()))
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(parsed).map_err(|_| "it must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn setup(args: &[&str]) -> Setup {
        let args = ["connection-probe", "run"].iter().chain(args);
        match Cli::try_parse_from(args).unwrap().command {
            Command::Run(run) => run.setup(),
            Command::Inventory(_) | Command::Table => unreachable!("not asked for"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_teaches_and_its_example_is_valid() {
        let mut cli = Cli::command();
        let run = cli.find_subcommand_mut("run").unwrap();
        let help = run.render_long_help().to_string();
        assert!(help.contains("Credentials are never read from arguments"));
        let json = help.split("echo '").nth(1).unwrap().split('\'').next().unwrap();
        let settings: Settings = serde_json::from_str(json).unwrap();
        assert_eq!(settings.workloads.len(), 1);
    }

    #[test]
    fn by_hand_nothing_is_waited_for_and_in_a_pod_two_minutes() {
        let by_hand = setup(&["--secrets", "s", "--settings", "absent"]);
        assert_eq!((by_hand.wait, by_hand.index), (Duration::ZERO, None));
        assert_eq!(by_hand.mounts.config_maps, Path::new("s"));
        assert!(by_hand.settings.unwrap_err().message.contains("absent: No such file"));

        let in_a_pod = setup(&["--secrets", "s", "--config-maps", "c", "--index", "3"]);
        assert_eq!((in_a_pod.wait.as_secs(), in_a_pod.index), (120, Some(3)));
        assert_eq!(in_a_pod.mounts.config_maps, Path::new("c"));
        let short = setup(&["--secrets", "s", "--index", "3", "--wait-for-secret", "1500ms"]);
        assert_eq!(short.wait, Duration::from_millis(1500));
    }
}
