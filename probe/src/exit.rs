//! What the process's exit code tells.

use std::{panic, process::ExitCode};

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: the report is complete, whatever was found.
    Complete,
    /// 2: the configuration can't be carried out; the report says why.
    Misconfigured,
    /// 4: the probe itself failed. A panic counts as this.
    Internal,
    /// 5: the probe was told to stop; the report is partial.
    Interrupted,
}

impl Exit {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Misconfigured => 2,
            Self::Internal => 4,
            Self::Interrupted => 5,
        }
    }
}

/// Ends the process at once. The last termination message stays.
pub fn now(exit: Exit) -> ! {
    std::process::exit(exit.code().into())
}

/// From now on a panic anywhere, in a lane too, ends the process.
pub fn on_panic(exit: Exit) {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        print(panic);
        now(exit);
    }));
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
