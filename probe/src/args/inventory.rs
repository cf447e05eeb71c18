//! Arguments of `connection-probe inventory`.

use super::{MountArgs, TERMINATION_LOG, read_settings};
use crate::mounts::Mounts;
use api::{report::Problem, settings::Settings};
use clap::Args;
use std::path::PathBuf;

/// Of what to take an inventory, and with what.
#[derive(Debug, Args)]
pub struct Inventory {
    /// The settings as JSON; `-` reads standard input. Absent: the environment variable
    /// CONNECTION_PROBE_SETTINGS holds the JSON itself
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,

    #[command(flatten)]
    mounts: MountArgs,

    /// Which pod of a Job this is. Only the first one, 0, takes an inventory
    #[arg(long, value_name = "N", env = "JOB_COMPLETION_INDEX", default_value_t = 0)]
    index: usize,

    /// Where the inventory is also written, in at most 4096 bytes. Absent: /dev/termination-log if
    /// there is one
    #[arg(long, value_name = "FILE")]
    termination_log: Option<PathBuf>,
}

/// What to take an inventory of.
pub struct Order {
    /// The settings, or what is wrong with them.
    pub settings: Result<Settings, Problem>,
    /// Where credentials are.
    pub mounts: Mounts,
    /// Where the termination message goes.
    pub termination_log: Option<PathBuf>,
}

impl Inventory {
    /// What the arguments mean; `None`: another pod takes the inventory.
    #[must_use]
    pub fn order(self) -> Option<Order> {
        let default_log = || Some(PathBuf::from(TERMINATION_LOG)).filter(|path| path.exists());
        (self.index == 0).then(|| Order {
            settings: read_settings(self.settings.as_deref()),
            mounts: self.mounts.mounts(),
            termination_log: self.termination_log.or_else(default_log),
        })
    }
}
