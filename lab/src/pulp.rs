//! A Pulp of one's own, on loopback: pulpcore from PyPI with its own schema, real workers, and tasks that are silent
//! or busy in a worker's child process. What can happen to a worker can be done to these.

mod process;
mod schema;
mod site;

pub use process::{Ended, Worker};

use crate::{
    pgbouncer::{self, PgBouncer},
    postgres::{Administrator, Postgres},
};
use process::Dispatcher;
use site::Site;
use std::{fs, sync::Mutex, thread::sleep, time::Duration};

/// The role that Pulp logs in as, and the name of its database.
pub const USER: &str = "pulp";
/// Its password, which `lab/pulp/settings.py` says too.
pub const PASSWORD: &str = "s3cret-of-pulp";

/// A running Pulp, as far as it matters to connections: workers, and somebody who gives them tasks.
pub struct Pulp {
    /// Its workers, in the order of their start.
    pub workers: Vec<Worker>,
    dispatcher: Mutex<Dispatcher>,
    administrator: Administrator,
    options: Options,
    /// The workers' way to the database.
    port: u16,
    // The folder goes last: processes write into it.
    site: Site,
}

/// What differs between Pulps.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many workers are started.
    pub workers: usize,
    /// How long a worker counts as there after a heartbeat (`WORKER_TTL`, whole seconds). It beats three times in it.
    /// Pulp's own is 30 s.
    pub ttl: Duration,
}

/// What a child process does: `lab/pulp/lab_tasks.py`.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// One statement, silence, one statement.
    Silent,
    /// A statement every 200 ms.
    Busy,
}

/// A task that runs.
#[derive(Clone, Debug)]
pub struct Running {
    /// The task's id.
    pub task: String,
    /// The process that does it.
    pub child: u32,
    /// The worker's process.
    pub worker: u32,
    /// The server's process for the child's connection.
    pub backend: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { workers: 2, ttl: Duration::from_secs(6) }
    }
}

impl Pulp {
    /// A pooler that lets Pulp in, and where each connection has a server's process for itself.
    #[must_use]
    pub fn pooler(postgres: &Postgres) -> PgBouncer {
        let users = &[(USER, PASSWORD)];
        let settings = "pool_mode = session";
        PgBouncer::start(postgres, &pgbouncer::Options { settings, users, ..Default::default() })
    }

    /// Makes database and role on a server, and starts workers that reach it at `port`, which is the server's own or a
    /// pooler's before it. They all have beaten once when this returns.
    ///
    /// # Panics
    /// Something of it does not work.
    #[must_use]
    pub fn start(postgres: &Postgres, port: u16, options: Options) -> Self {
        postgres.role(USER, PASSWORD);
        postgres.sql(&format!("CREATE DATABASE {USER} OWNER {USER}"));
        let administrator = postgres.administrator(USER);
        let site = Site::new(options.ttl);
        schema::make(&administrator, postgres.port, &site);
        let dispatcher = Mutex::new(Dispatcher::start(site.python("dispatch.py", postgres.port)));
        let workers = Vec::new();
        let mut pulp = Self { workers, dispatcher, administrator, options, port, site };
        for _ in 0..options.workers {
            pulp.start_worker();
            // No two of them beat together.
            sleep(Duration::from_millis(300));
        }
        pulp.wait_online();
        pulp
    }

    /// Starts one more worker, and does not wait for it.
    pub fn start_worker(&mut self) -> &Worker {
        let log = self.site.path(&format!("worker-{}.log", self.workers.len()));
        self.workers.push(Worker::start(self.site.script("pulpcore-worker", self.port), log));
        self.workers.last().expect("a worker")
    }

    /// Waits until Pulp knows every worker that has not ended, and each has beaten once since it began: then it listens.
    ///
    /// # Panics
    /// After a minute.
    pub fn wait_online(&self) {
        for worker in self.workers.iter().filter(|worker| worker.ended().is_none()) {
            let row = worker.row();
            let sql = format!(
                "SELECT 1 FROM core_appstatus WHERE {row} AND last_heartbeat > pulp_created + '1 s'"
            );
            until("a worker is online", Duration::from_secs(60), || {
                assert_eq!(worker.ended(), None, "{}", worker.log());
                (self.administrator.sql(&sql) == "1").then_some(())
            });
        }
    }

    /// Gives the workers a task for so many seconds, and returns its id.
    pub fn dispatch(&self, task: Task, seconds: f64) -> String {
        self.dispatcher.lock().expect("the dispatcher").dispatch(task.name(), seconds)
    }

    /// Waits until a child process does the task, past its first statement.
    ///
    /// # Panics
    /// After half a minute.
    pub fn wait_running(&self, task: &str) -> Running {
        let file = self.site.path("running").join(task);
        let numbers =
            until("the task runs", Duration::from_secs(30), || fs::read_to_string(&file).ok());
        let mut numbers =
            numbers.split_whitespace().map(|number| number.parse().expect("a number"));
        let mut next = || numbers.next().expect("three numbers");
        Running { task: task.to_owned(), child: next(), worker: next(), backend: next() }
    }

    /// A task's state, and what is written of why it failed.
    #[must_use]
    pub fn task(&self, task: &str) -> String {
        self.administrator.sql(&format!(
            "SELECT concat_ws(': ', state, error->>'reason', error->>'description') FROM core_task WHERE pulp_id = '{task}'"
        ))
    }

    /// Waits until a task has ended, and says how.
    ///
    /// # Panics
    /// After a minute.
    pub fn wait_task(&self, task: &str) -> String {
        until("the task ends", Duration::from_secs(60), || {
            let state = self.task(task);
            let going = ["waiting", "running", "canceling"];
            (!going.contains(&state.as_str())).then_some(state)
        })
    }

    /// The worker that a task runs under.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn worker_of(&self, task: &Running) -> &Worker {
        self.workers.iter().find(|worker| worker.pid() == task.worker).expect("a worker")
    }

    /// Another worker, which has not ended.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn another(&self, than: &Worker) -> &Worker {
        let mut there = self.workers.iter().filter(|worker| worker.ended().is_none());
        there.find(|worker| worker.pid() != than.pid()).expect("another worker")
    }

    /// Whether Pulp has a row of this worker.
    #[must_use]
    pub fn has_row(&self, worker: &Worker) -> bool {
        let row = worker.row();
        self.administrator.sql(&format!("SELECT count(*) FROM core_appstatus WHERE {row}")) == "1"
    }

    /// Deletes a worker's row, as another worker's clean-up does with one that has not beaten for long: the lock that it has
    /// on a task goes with it.
    pub fn delete_row(&self, worker: &Worker) {
        let row = worker.row();
        self.administrator.sql(&format!(
            "UPDATE core_task SET app_lock_id = NULL WHERE app_lock_id = (SELECT pulp_id FROM core_appstatus WHERE {row});
             DELETE FROM core_appstatus WHERE {row}"
        ));
    }

    /// The server's process for a worker's main connection. It is known by a heartbeat, which has just ended when this
    /// returns: who waits for the worker's row, while we hold it, is the worker. The next one is a third of the TTL away.
    ///
    /// # Panics
    /// The worker does not beat.
    #[must_use]
    pub fn main_backend(&self, worker: &Worker) -> u32 {
        let waiting = "SELECT DISTINCT pid FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))";
        let pid = self.administrator.sql(&format!(
            "SET statement_timeout = '{ms}ms';
             DO $$ BEGIN
               PERFORM FROM core_appstatus WHERE {row} FOR UPDATE;
               WHILE NOT EXISTS ({waiting}) LOOP PERFORM pg_sleep(0.01); END LOOP;
             END $$;
             {waiting}",
            ms = self.options.ttl.as_millis(),
            row = worker.row(),
        ));
        let rests = format!(
            "SELECT state = 'idle' AND clock_timestamp() - state_change > '100 ms' \
             FROM pg_stat_activity WHERE pid = {pid}"
        );
        until("the heartbeat ends", Duration::from_secs(10), || {
            (self.administrator.sql(&rests) == "t").then_some(())
        });
        pid.parse().expect("one process")
    }

    /// Runs SQL in Pulp's database, as its administrator.
    pub fn sql(&self, sql: &str) -> String {
        self.administrator.sql(sql)
    }

    /// Ends a session as its administrator.
    pub fn terminate(&self, backend: u32) {
        assert_eq!(self.administrator.sql(&format!("SELECT pg_terminate_backend({backend})")), "t");
    }

    /// Wakes the workers, as whoever dispatches a task does: from now on they wait for a whole period of heartbeats, so that the
    /// next one is late.
    pub fn wake(&self) {
        self.administrator.sql("SELECT pg_notify('pulp_worker_wakeup', 'handle')");
    }
}

impl Task {
    fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Busy => "busy",
        }
    }
}

/// Waits until there is an answer.
///
/// # Panics
/// After `limit`.
fn until<T>(what: &str, limit: Duration, answer: impl Fn() -> Option<T>) -> T {
    let step = Duration::from_millis(30);
    for _ in 0..limit.as_millis() / step.as_millis() {
        if let Some(answer) = answer() {
            return answer;
        }
        sleep(step);
    }
    panic!("{limit:?} are over before {what}");
}
