//! How the process ends.

use std::panic;

pub use api::exit::Exit;

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
