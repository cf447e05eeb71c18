//! The processes of a Pulp. Each leads a process group, which ends with it: a worker's children are in it.

use super::until;
use crate::server::send_signal;
use nix::{
    sys::{
        signal::{Signal, killpg},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

/// A worker's process.
pub struct Worker {
    group: Group,
    log: PathBuf,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Status(i32),
    /// By this signal.
    Signal(Signal),
}

/// Who gives tasks to the workers.
pub(super) struct Dispatcher {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    _group: Group,
}

/// A process that leads a group. It is not waited for before the group is dropped: until then its number is nobody else's.
struct Group(Child);

impl Worker {
    pub(super) fn start(mut program: Command, log: PathBuf) -> Self {
        let output = fs::File::create(&log).expect("a log");
        program.stdout(output.try_clone().expect("a log")).stderr(output);
        Self { group: Group::start(program), log }
    }

    /// Its process id, which its name in Pulp begins with.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.group.0.id()
    }

    /// Sends it a signal, and its children none.
    pub fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    /// What it and its children have logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it did.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.group.ended()
    }

    /// Waits until it has ended, and says how.
    ///
    /// # Panics
    /// After half a minute.
    pub fn wait_ended(&self) -> Ended {
        let what = format!("worker {} ends", self.pid());
        until(&what, Duration::from_secs(30), || self.ended())
    }

    /// The condition that its row fulfils.
    pub(super) fn row(&self) -> String {
        format!("app_type = 'worker' AND name LIKE '{}@%'", self.pid())
    }
}

impl Dispatcher {
    pub(super) fn start(mut program: Command) -> Self {
        let mut group = Group::start({
            program.stdin(Stdio::piped()).stdout(Stdio::piped());
            program
        });
        let orders = group.0.stdin.take().expect("its input");
        let answers = BufReader::new(group.0.stdout.take().expect("its output"));
        Self { orders, answers, _group: group }
    }

    pub(super) fn dispatch(&mut self, task: &str, seconds: f64) -> String {
        writeln!(self.orders, "{task} {seconds}").expect("the dispatcher is there");
        let mut id = String::new();
        self.answers.read_line(&mut id).expect("an answer");
        assert!(!id.is_empty(), "the dispatcher ended: see what it printed");
        id.trim().to_owned()
    }
}

impl Group {
    fn start(mut program: Command) -> Self {
        let child = program.process_group(0).spawn();
        Self(child.unwrap_or_else(|error| panic!("{program:?}: {error}")))
    }

    fn id(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().expect("a process id"))
    }

    fn ended(&self) -> Option<Ended> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.id()), flags).expect("a child of ours") {
            WaitStatus::Exited(_, status) => Some(Ended::Status(status)),
            WaitStatus::Signaled(_, signal, _) => Some(Ended::Signal(signal)),
            _ => None,
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        _ = killpg(self.id(), Signal::SIGKILL);
        _ = self.0.wait();
    }
}
