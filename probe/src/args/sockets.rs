//! Arguments of `connection-probe watch-sockets`.

use super::parse_duration;
use crate::{
    sockets::{Order, tracker::Watched},
    voice::Output,
};
use clap::{Args, ValueEnum};
use std::{
    io::{IsTerminal, stdout},
    net::IpAddr,
    time::Duration,
};

/// Which connections to watch, and for how long.
#[derive(Debug, Args)]
#[command(after_long_help = include_str!("sockets.txt"))]
pub struct WatchSockets {
    /// The peer's port; it may be written several times
    #[arg(long, value_name = "PORT", value_delimiter = ',', default_values_t = [5432, 6432])]
    port: Vec<u16>,

    /// Only connections to this address
    #[arg(long, value_name = "ADDRESS")]
    to: Option<IpAddr>,

    /// From one look to the next, 50ms to 60s. Over 2s it is seldom told how a connection was reset
    #[arg(long, value_name = "DURATION", value_parser = parse_interval, default_value = "250ms")]
    interval: Duration,

    /// For how long, such as 90m. Absent: until SIGTERM or SIGINT
    #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
    length: Option<Duration>,

    /// `lines`: one JSON line on standard output for each thing that happens, the report last; `words`: a table, and
    /// what happens on standard error. Absent: words on a terminal, else lines
    #[arg(long, short, value_name = "FORMAT")]
    output: Option<Form>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Lines,
    Words,
}

impl WatchSockets {
    /// What the arguments mean.
    #[must_use]
    pub fn order(&self) -> Order {
        let watched = Watched { ports: self.port.clone(), to: self.to };
        Order { watched, interval: self.interval, length: self.length }
    }

    /// Who is told.
    #[must_use]
    pub fn output(&self) -> Output {
        match self.output {
            Some(Form::Lines) => Output::Lines,
            Some(Form::Words) => Output::Words,
            None if stdout().is_terminal() => Output::Words,
            None => Output::Lines,
        }
    }
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    let bounds = Duration::from_millis(50)..=Duration::from_secs(60);
    if bounds.contains(&interval) { Ok(interval) } else { Err("write 50ms to 60s".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::super::{Cli, Command};
    use super::*;
    use clap::{CommandFactory, Parser};

    fn watch(args: &[&str]) -> Result<WatchSockets, clap::Error> {
        let args = ["connection-probe", "watch-sockets"].iter().chain(args);
        match Cli::try_parse_from(args)?.command {
            Command::WatchSockets(watch) => Ok(watch),
            other => unreachable!("not asked for: {other:?}"),
        }
    }

    #[test]
    fn what_is_not_written_is_what_a_worker_needs() {
        let order = watch(&[]).unwrap().order();
        assert_eq!(order.watched, Watched { ports: vec![5432, 6432], to: None });
        assert_eq!((order.interval.as_millis(), order.length), (250, None));
        let order =
            watch(&["--port", "7000", "--port", "7001", "--to", "10.0.0.7", "--for", "90m"]);
        let order = order.unwrap().order();
        assert_eq!(order.watched.ports, [7000, 7001]);
        assert_eq!(order.length, Some(Duration::from_secs(5400)));
    }

    #[test]
    fn an_interval_has_bounds() {
        for (text, is_right) in [("49ms", false), ("50ms", true), ("60s", true), ("61s", false)] {
            assert_eq!(watch(&["--interval", text]).is_ok(), is_right, "{text}");
        }
    }

    #[test]
    fn the_help_teaches_commands_that_work() {
        let mut cli = Cli::command();
        let help = cli.find_subcommand_mut("watch-sockets").unwrap().render_long_help().to_string();
        let commands: Vec<_> = help
            .lines()
            .filter_map(|l| l.strip_prefix("  connection-probe watch-sockets"))
            .collect();
        assert_eq!(commands.len(), 2, "{help}");
        for command in commands {
            assert!(watch(&command.split_whitespace().collect::<Vec<_>>()).is_ok(), "{command}");
        }
    }
}
