//! The command line.

use crate::watch_workers::WatchWorkers;
use api::{compare::Timer, render::Format};
use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValuesParser};
use clap_complete::Shell;
use jiff::SignedDuration;
use std::{path::PathBuf, time::Duration};

/// Runs, follows, reports and compares ConnectionProbes.
///
/// To read takes the rights of a viewer, to run and cancel those of an editor. PROBE is the name of a
/// ConnectionProbe; RUN that of a ConnectionProbeRun, or of a probe for its last run, or a file with a run as
/// JSON (a path with a slash or ending in .json, or `-` for standard input), which needs no cluster.
#[derive(Debug, Parser)]
#[command(name = "kubectl-cprobe", bin_name = "kubectl cprobe", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster, and where in it.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The namespace. Absent: that of the context
    #[arg(long, short, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// The context of the kubeconfig. Absent: the current one
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List probes, or the runs of one
    List {
        /// Whose runs
        probe: Option<String>,
        /// Of all namespaces
        #[arg(long, short = 'A')]
        all_namespaces: bool,
        /// More columns, or whole objects. Absent: columns
        #[arg(long, short, value_name = "FORMAT")]
        output: Option<Output>,
    },
    /// Say what a probe would do: connections, statements, time
    Plan {
        /// A probe of the cluster
        #[arg(required_unless_present = "file")]
        probe: Option<String>,
        /// A manifest; `-` reads standard input
        #[arg(long, short, value_name = "FILE", conflicts_with = "probe")]
        file: Option<PathBuf>,
    },
    /// Start a run, and follow it to its end
    Run {
        /// A probe of the cluster, which is run again
        #[arg(required_unless_present = "file")]
        probe: Option<String>,
        /// A manifest to apply; `-` reads standard input
        #[arg(long, short, value_name = "FILE", conflicts_with = "probe")]
        file: Option<PathBuf>,
        /// Don't follow it
        #[arg(long)]
        detach: bool,
        #[command(flatten)]
        until: Until,
    },
    /// Follow what goes on, live from the pods where their logs may be read
    Watch {
        /// The probe
        probe: String,
        #[command(flatten)]
        until: Until,
    },
    /// Wait in silence until the run that goes on has ended, or the last one did
    Wait {
        /// The probe
        probe: String,
        #[command(flatten)]
        until: Until,
    },
    /// Print a run
    Report {
        /// The run
        run: String,
        /// How it is set down
        #[arg(long, short, value_name = "FORMAT", value_parser = PossibleValuesParser::new(Format::NAMES), default_value = "table")]
        output: String,
        /// What `watch-workers --json` wrote meanwhile, beside it; it may be written several times
        #[arg(long, value_name = "FILE")]
        workers: Vec<PathBuf>,
    },
    /// Say what moved between two runs, two paths of a run, or two workloads of one
    Compare(Compare),
    /// End the run that goes on; what it measured is kept
    Cancel {
        /// The probe
        probe: String,
    },
    /// Put back an RDS Proxy that runs have left changed: by the tags that they have left on it
    Restore {
        /// A probe with rdsProxy that has run: whose account asks AWS
        probe: String,
    },
    /// Watch the connections of workers' pods, and say who closes which: by a container that it adds to each
    ///
    /// It sends no statement and reads nothing of what connections carry. The container has no rights, ends by itself, and
    /// stays in the pod's spec. It takes the rights to get (with -l, list) pods, to get pods/log and to patch
    /// pods/ephemeralcontainers.
    WatchWorkers(WatchWorkers),
    /// Print the completion of words for a shell: source <(kubectl cprobe completion bash)
    Completion {
        /// For which shell
        shell: Shell,
    },
}

/// How a list is set down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// More columns.
    Wide,
    /// Whole objects.
    Json,
    /// Whole objects.
    Yaml,
    /// Kinds and names, for kubectl.
    Name,
}

/// How long to follow a run, and when to be content.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Until {
    /// Exit by 7 after so long, such as 70m
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
    /// Exit by 3 if a connection of the measured path was cut
    #[arg(long)]
    pub(crate) no_cuts: bool,
}

/// What is compared.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// A run; with a probe alone, its last two
    pub(crate) before: String,
    /// A later run
    pub(crate) after: Option<String>,
    /// Compare the two paths of one run
    #[arg(long, conflicts_with_all = ["after", "workloads"])]
    pub(crate) paths: bool,
    /// Compare two workloads of one run, as the same one with different clients
    #[arg(long, num_args = 2, value_names = ["ONE", "OTHER"], conflicts_with = "after")]
    pub(crate) workloads: Option<Vec<String>>,
    /// A timer that was changed in between and that no run reads, such as idleClientTimeout=30m:60m
    #[arg(long, value_name = "NAME=OLD:NEW", value_parser = timer)]
    pub(crate) changed: Vec<Timer>,
    /// Compare what was not measured alike
    #[arg(long)]
    pub(crate) unlike: bool,
    /// How it is set down
    #[arg(long, short, value_name = "FORMAT", value_parser = PossibleValuesParser::new(["text", "markdown", "json"]), default_value = "text")]
    pub(crate) output: String,
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(parsed).map_err(|_| "it must not be negative".to_owned())
}

fn timer(text: &str) -> Result<Timer, String> {
    let parts =
        text.split_once('=').and_then(|(name, values)| Some((name, values.split_once(':')?)));
    let (name, (before, after)) =
        parts.ok_or("write NAME=OLD:NEW, such as idleClientTimeout=30m:60m")?;
    let ms = |text: &str| duration(text).map(api::lifetime::ms);
    Ok(Timer { name: name.to_owned(), before_ms: ms(before)?, after_ms: ms(after)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_timer_is_a_name_and_two_lengths_of_time() {
        let told = timer("idleClientTimeout=30m:1h").unwrap();
        assert_eq!((told.before_ms, told.after_ms), (1_800_000, 3_600_000));
        assert!(timer("idleClientTimeout=30m").unwrap_err().contains("NAME=OLD:NEW"));
        assert!(timer("a=30:60").is_err(), "a number has no unit");
    }
}
