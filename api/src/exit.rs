//! What the exit codes of both commands tell, `connection-probe` and `kubectl cprobe`.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: it is done. A run measured, whatever it found.
    Complete,
    /// 1: the cluster could not be asked, or refused.
    Failed,
    /// 2: what was written can't be carried out.
    Misconfigured,
    /// 3: a connection was cut, and none was to be.
    Cut,
    /// 4: the program itself failed. A panic counts as this.
    Internal,
    /// 5: it was told to stop.
    Interrupted,
    /// 6: the run says nothing, or never will without a person.
    Inconclusive,
    /// 7: it took too long.
    TimedOut,
}

const BOTH: &str = "both";
const PLUGIN: &str = "`kubectl cprobe`";

impl Exit {
    /// All of them, with who says so and what it means.
    pub const ALL: [(Self, &'static str, &'static str); 8] = [
        (
            Self::Complete,
            BOTH,
            "done; of a run: it measured, whatever it found, a refused login too",
        ),
        (Self::Failed, PLUGIN, "no cluster, no right, no such name"),
        (
            Self::Misconfigured,
            BOTH,
            "what was written can't be carried out: command line, manifest, Secret",
        ),
        (
            Self::Cut,
            PLUGIN,
            "a connection of the measured path was cut, and `--no-cuts` was asked for",
        ),
        (Self::Internal, BOTH, "the program itself failed: please report it, with the log"),
        (
            Self::Interrupted,
            BOTH,
            "it was told to stop, and its report is partial; the run was cancelled or superseded",
        ),
        (
            Self::Inconclusive,
            PLUGIN,
            "the run measured nothing, none comes, or it can't go on without a person; the message says why",
        ),
        (Self::TimedOut, PLUGIN, "the run had not ended within `--timeout`; it goes on"),
    ];

    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Misconfigured => 2,
            Self::Cut => 3,
            Self::Internal => 4,
            Self::Interrupted => 5,
            Self::Inconclusive => 6,
            Self::TimedOut => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
