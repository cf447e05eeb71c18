//! The command line.

use crate::{overriding, token};
use api::rds_proxy::request::Request;
use clap::{Parser, Subcommand};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the kubelet mounts the termination message.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// Asks AWS about an RDS Proxy: its configuration, events, CloudWatch metrics and log.
#[derive(Parser)]
#[command(name = "connection-probe-rds", version, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Ask, and set down what AWS told.
    ///
    /// Only reads. Each step is a JSON line on standard output; the last one is the evidence, which is also
    /// the termination message. What can't be read is a gap in it that names the permission, says what was
    /// wrong, and what to do.
    #[command(after_long_help = include_str!("args/collect.txt"))]
    Collect(Collect),
    /// Change a proxy's IdleClientTimeout for a run, hold that, and put it back.
    ///
    /// Each step is a JSON line on standard output; the last one says what became of it, and is also the
    /// termination message.
    #[command(after_long_help = include_str!("args/override.txt"))]
    Override(overriding::Guarding),
    /// Put a proxy back that a run has changed, as the tag says that it left.
    ///
    /// Each step is a JSON line on standard output; the last one says what became of it, and is also the
    /// termination message.
    #[command(after_long_help = include_str!("args/restore.txt"))]
    Restore(overriding::Restoring),
    /// Sign tokens of AWS IAM for a probe beside, and hand them out over a Unix socket.
    ///
    /// A request is a line such as {"host":"pulp.proxy-x.us-east-1.rds.amazonaws.com","port":5432,"user":"pulp"};
    /// the answer is {"token":…} or {"error":…}.
    Token(token::Args),
}

/// What to ask for, and as whom.
#[derive(Parser)]
pub(crate) struct Collect {
    /// What to ask for: which proxy, when, of which time, about which connections
    #[arg(long, value_name = "JSON", env = "REQUEST", hide_env_values = true)]
    request: String,

    /// A folder with the files aws_access_key_id and aws_secret_access_key, and aws_session_token where they are
    /// temporary: a Secret as the kubelet mounts it. Absent: see below
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,

    /// Where the evidence is also written, in at most 4096 bytes. Absent: /dev/termination-log if there is
    /// one
    #[arg(long, value_name = "FILE")]
    termination_log: Option<PathBuf>,

    /// For how long metrics are waited for after a run, such as 8m
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "8m")]
    patience: Duration,
}

/// What is to be done.
pub(crate) struct Order {
    pub(crate) request: Request,
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) termination_log: Option<PathBuf>,
    pub(crate) patience: Duration,
}

impl Collect {
    /// What is to be done.
    ///
    /// # Errors
    /// The request can't be used.
    pub(crate) fn order(self) -> Result<Order, String> {
        let request: Request = serde_json::from_str(&self.request)
            .map_err(|error| format!("The request can't be used: {error}."))?;
        if request.until < request.from {
            return Err("The request can't be used: until is before from.".to_owned());
        }
        let Self { credentials, patience, .. } = self;
        let termination_log = termination_log(self.termination_log);
        Ok(Order { request, credentials, termination_log, patience })
    }
}

/// Where the termination message goes: where it was told to, or where the kubelet reads it.
pub(crate) fn termination_log(told: Option<PathBuf>) -> Option<PathBuf> {
    let default = Path::new(TERMINATION_LOG);
    told.or_else(|| default.exists().then(|| default.to_owned()))
}

/// Reads a duration such as `8m`.
///
/// # Errors
/// It is none.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from(span).map_err(|_| "it is negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::rds_proxy::request::Moment;
    use clap::CommandFactory;

    fn order(json: &str) -> Result<Order, String> {
        let args = Args::try_parse_from(["connection-probe-rds", "collect", "--request", json]);
        let Command::Collect(collect) = args.ok().unwrap().command else {
            panic!("another command")
        };
        collect.order()
    }

    #[test]
    fn the_example_in_the_help_can_be_used_and_nonsense_not() {
        Args::command().debug_assert();
        let help = include_str!("args/collect.txt");
        let json = help.split('\'').nth(1).unwrap();
        let order = order(json).unwrap();
        assert_eq!((order.request.moment, order.patience), (Moment::After, Request::PATIENCE));
        for wrong in ["", "{}", &json.replace("13:00", "11:00")] {
            assert!(self::order(wrong).err().unwrap().starts_with("The request can't be used: "));
        }
    }
}
