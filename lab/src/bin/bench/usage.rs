//! What a process takes, and how busy the machine is.

use anyhow::{Context, Result};
use std::{fs, time::Duration};
use tokio::time::sleep;

/// How long the machine is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Percent of processor time up to which the machine is quiet: an idle cluster takes some.
const QUIET: f64 = 20.0;

/// A process on this machine.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) pid: u32,
}

impl Usage {
    /// Resident bytes.
    pub(crate) fn resident(self) -> Result<f64> {
        self.status("VmRSS:")
    }

    /// The most that was ever resident, in bytes.
    pub(crate) fn peak(self) -> Result<f64> {
        self.status("VmHWM:")
    }

    fn status(self, name: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find(|line| line.starts_with(name)).context("no such line")?;
        let kb: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kb * 1024.0)
    }

    /// Seconds on a processor until now, of all its threads.
    pub(crate) fn cpu(self) -> Result<f64> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid))?;
        threads
            .map(|thread| {
                let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
                let nanoseconds = schedstat.split(' ').next().context("an empty schedstat")?;
                Ok(nanoseconds.parse::<f64>()? / 1e9)
            })
            .sum()
    }
}

/// Says how busy the machine is before something is measured on it.
pub(crate) async fn tell_whether_quiet(part: &str) -> Result<()> {
    let before = machine()?;
    sleep(LOOK).await;
    let after = machine()?;
    let percent = (after.busy - before.busy) / (after.all - before.all) * 100.0;
    let word = if percent < QUIET { "quiet" } else { "NOT QUIET: measure again" };
    println!("{part}: {word}, processors {percent:.0} % busy before it began");
    Ok(())
}

/// Processor time since the start, in ticks.
struct Ticks {
    busy: f64,
    all: f64,
}

fn machine() -> Result<Ticks> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("an empty /proc/stat")?;
    // user nice system idle iowait irq softirq steal; guests are in user already.
    let ticks = line.split_whitespace().skip(1).take(8).map(str::parse);
    let ticks = ticks.collect::<Result<Vec<f64>, _>>()?;
    let all: f64 = ticks.iter().sum();
    let idle: f64 = ticks.iter().skip(3).take(2).sum();
    Ok(Ticks { busy: all - idle, all })
}
