//! A network of a test's own, in which packets can be lost.

use nix::sched::{CloneFlags, unshare};
use std::{panic, process::Command, thread};
use tokio::runtime::Builder;

/// Runs a test in a network namespace that has loopback and nothing else. All threads and processes
/// that it starts are in there, and the namespace ends with the last of them.
///
/// # Panics
/// We are not root, or the test panics.
pub fn in_namespace(test: impl AsyncFnOnce() + Send + 'static) {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace; be root");
        privileged("ip", "link set lo up");
        let runtime = Builder::new_multi_thread().enable_all().build().expect("a runtime");
        runtime.block_on(test());
    });
    if let Err(reason) = thread.join() {
        panic::resume_unwind(reason);
    }
}

/// What happens to packets on their way to or from a port.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    /// Nothing arrives, in either direction.
    BlackHole,
    /// What is sent to it is answered by a reset, as by a device that has forgotten the flow.
    Reset,
}

/// Does this from now on. To be called in a namespace.
pub fn lose(loss: Loss, port: u16) {
    let rule = |rest: String| privileged("iptables", &format!("-w -A INPUT -p tcp {rest}"));
    match loss {
        Loss::BlackHole => {
            rule(format!("--dport {port} -j DROP"));
            rule(format!("--sport {port} -j DROP"));
        }
        Loss::Reset => rule(format!("--dport {port} -j REJECT --reject-with tcp-reset")),
    }
}

fn privileged(program: &str, args: &str) {
    let status = Command::new(program).args(args.split_whitespace()).status();
    let status =
        status.unwrap_or_else(|error| panic!("{program}: {error}; install iproute2, iptables"));
    assert!(status.success(), "{program} {args}");
}
