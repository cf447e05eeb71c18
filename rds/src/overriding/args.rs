//! The command lines of both.

use super::guard::Guard;
use crate::args::{duration, termination_log};
use api::rds_proxy::{
    RdsProxy,
    overriding::{Mark, Order, Override},
};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// What an IdleClientTimeout may be, in seconds.
const VALUES: std::ops::RangeInclusive<i64> = 1..=28_800;

/// A change for a run.
#[derive(clap::Args)]
pub(crate) struct Guarding {
    /// Which proxy is changed to what, for which run, until when
    #[arg(long, value_name = "JSON", env = "ORDER", hide_env_values = true)]
    order: String,

    /// Where TCP connections are taken exactly while the new value is in force: for a readiness check
    #[arg(long, value_name = "ADDRESS", default_value = "[::]:8081")]
    listen: SocketAddr,

    #[command(flatten)]
    common: Common,
}

/// What is put back.
#[derive(clap::Args)]
pub(crate) struct Restoring {
    /// The change of a run: the order that its guard had
    #[arg(
        long,
        value_name = "JSON",
        env = "ORDER",
        hide_env_values = true,
        conflicts_with = "proxy",
        required_unless_present = "proxy"
    )]
    order: Option<String>,

    /// By hand: name of the proxy
    #[arg(long, value_name = "NAME", requires = "region")]
    proxy: Option<String>,

    /// By hand: its region, such as us-east-1
    #[arg(long, requires = "proxy")]
    region: Option<String>,

    /// By hand: where to ask in place of AWS's public endpoint
    #[arg(long, value_name = "URL", requires = "proxy")]
    endpoint_url: Option<String>,

    /// By hand: the run whose change is put back. Absent: the changes of all
    #[arg(long, value_name = "UID", requires = "proxy")]
    run: Option<String>,

    #[command(flatten)]
    common: Common,
}

/// What both are told.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// A folder with the files aws_access_key_id and aws_secret_access_key, and aws_session_token where they are
    /// temporary: a Secret as the kubelet mounts it. They are read anew for each call. Absent: see below
    #[arg(long, value_name = "DIR")]
    pub(super) credentials: Option<PathBuf>,

    /// Where the last line is also written. Absent: /dev/termination-log if there is one
    #[arg(long, value_name = "FILE")]
    pub(super) termination_log: Option<PathBuf>,

    /// For how long it is tried to put a proxy back, such as 9m
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "9m")]
    pub(super) grace: Duration,

    /// From one look at the proxy to the next
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "2s", hide = true)]
    pub(super) pace: Duration,
}

/// What is to be put back.
pub(crate) struct Wanted {
    pub(super) proxy: RdsProxy,
    /// The run's uid; or all.
    pub(super) id: Option<String>,
    /// The value for the run, where it is known.
    pub(super) seconds: i64,
    /// What is to be put back, should there be no tag.
    pub(super) known: Option<Mark>,
    pub(super) common: Common,
}

impl Guarding {
    /// What is to be done.
    ///
    /// # Errors
    /// The order can't be used.
    pub(super) fn guard(self) -> Result<Guard, String> {
        let Self { order, listen, common } = self;
        let order = parse(&order)?;
        let unusable = |why: &str| format!("The order can't be used: {why}.");
        let change = order.proxy.timeout_override.as_ref();
        let change = change.ok_or_else(|| unusable("the proxy has no override"))?;
        let (to, is_dry) = (change.seconds(), change.is_dry());
        if !VALUES.contains(&to) {
            return Err(unusable("idleClientTimeout is not from 1s to 8h"));
        }
        if change.allow_modify != Some(true) && !is_dry {
            return Err(unusable("allowModify is not true"));
        }
        let common = common.complete();
        Ok(Guard { order, to, is_dry, listen, common })
    }
}

impl Restoring {
    /// What is to be done.
    ///
    /// # Errors
    /// The order can't be used.
    pub(super) fn wanted(self) -> Result<Wanted, String> {
        let common = self.common.complete();
        if let Some(order) = &self.order {
            let Order { proxy, id, run, until, original_seconds } = parse(order)?;
            let seconds = proxy.timeout_override.as_ref().map_or(0, Override::seconds);
            let known = original_seconds.map(|from| Mark { from, to: seconds, until, run });
            return Ok(Wanted { proxy, id: Some(id), seconds, known, common });
        }
        let proxy = RdsProxy {
            name: self.proxy.unwrap_or_default(),
            region: self.region.unwrap_or_default(),
            endpoint_url: self.endpoint_url,
            ..RdsProxy::default()
        };
        Ok(Wanted { proxy, id: self.run, seconds: 0, known: None, common })
    }
}

impl Common {
    fn complete(self) -> Self {
        Self { termination_log: termination_log(self.termination_log), ..self }
    }
}

fn parse(order: &str) -> Result<Order, String> {
    serde_json::from_str(order).map_err(|error| format!("The order can't be used: {error}."))
}

#[cfg(test)]
mod tests {
    use crate::args::{Args, Command};
    use clap::Parser;

    /// What is wrong with a command line, if anything is.
    fn problem(line: &[&str]) -> Option<String> {
        let line = ["connection-probe-rds"].iter().chain(line);
        match Args::try_parse_from(line) {
            Ok(Args { command: Command::Override(it) }) => it.guard().err(),
            Ok(Args { command: Command::Restore(it) }) => it.wanted().err(),
            Ok(_) => Some("another command".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }

    #[test]
    fn the_examples_in_the_help_can_be_used_and_nonsense_not() {
        let json = include_str!("../args/override.txt").split('\'').nth(1).unwrap();
        let order = |json: &str| problem(&["override", "--order", json]);
        assert_eq!(order(json), None);
        assert_eq!(problem(&["restore", "--order", json]), None);
        for (part, other, why) in [
            ("\"60s\"", "\"9h\"", "idleClientTimeout is not from 1s to 8h."),
            ("true", "false", "allowModify is not true."),
            ("\"override\"", "\"other\"", "the proxy has no override."),
            ("\"until\"", "\"other\"", "missing field `until`"),
        ] {
            assert!(json.contains(part), "{part}");
            let problem = order(&json.replace(part, other)).unwrap();
            assert!(problem.starts_with("The order can't be used: "), "{problem}");
            assert!(problem.contains(why), "{problem}");
        }
        let example = include_str!("../args/restore.txt").lines().last().unwrap();
        let line: Vec<_> = example.split_whitespace().skip(1).collect();
        assert_eq!(problem(&line), None);
        for wrong in [&["restore"][..], &["restore", "--proxy", "pulp"], &["restore", "--run", "x"]]
        {
            assert!(problem(wrong).is_some(), "{wrong:?}");
        }
    }
}
