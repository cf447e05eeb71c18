//! A real Pulp and what ends its connections: two workers on PostgreSQL, behind PgBouncer in session mode or not. What is
//! said here is what docs/watch-pulp.md may say.

use lab::{
    pgbouncer::PgBouncer,
    postgres::{self, Postgres},
    pulp::{Ended, Options, Pulp, Running, Task, USER, Worker},
};
use nix::sys::signal::Signal;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread::sleep,
    time::Duration,
};

/// With the lab's TTL of 6 s there is a heartbeat every 2 s.
const MORE_THAN_A_BEAT: Duration = Duration::from_millis(2500);

/// A Pulp and the servers that it needs, which are dropped after it.
struct Site {
    pulp: Pulp,
    _pgbouncer: Option<PgBouncer>,
    postgres: Postgres,
}

impl Site {
    /// Two workers on a server's own port.
    fn direct() -> Self {
        let postgres = server();
        let pulp = Pulp::start(&postgres, postgres.port, Options::default());
        Self { pulp, _pgbouncer: None, postgres }
    }

    /// Two workers behind a pooler, where each connection has a server's process for itself.
    fn pooled() -> Self {
        let postgres = server();
        let pgbouncer = Pulp::pooler(&postgres);
        let pulp = Pulp::start(&postgres, pgbouncer.port, Options::default());
        Self { pulp, _pgbouncer: Some(pgbouncer), postgres }
    }

    /// Begins a task and waits until it runs.
    fn task(&self, task: Task, seconds: f64) -> Running {
        self.pulp.wait_running(&self.pulp.dispatch(task, seconds))
    }

    /// How many sessions Pulp has.
    fn sessions(&self) -> usize {
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE usename = '{USER}'");
        self.postgres.sql(&sql).lines().count()
    }

    /// Waits until Pulp has no session any more.
    fn wait_no_session(&self) {
        self.postgres.backends(USER, 0);
    }

    /// A session's state and since when it is in it.
    fn state(&self, backend: u32) -> String {
        let sql = format!("SELECT state, state_change FROM pg_stat_activity WHERE pid = {backend}");
        self.postgres.sql(&sql)
    }
}

fn server() -> Postgres {
    Postgres::start(&postgres::Options::default())
}

/// Shows what was seen, and what of it tells why a worker or a task ended.
fn show(pulp: &Pulp, what: &str, worker: &Worker) {
    let log = worker.log();
    let telling =
        ["psycopg", "RuntimeError", "WARNING", "ERROR", "Cleaning", "completed", "shut down"];
    let telling =
        |line: &&str| telling.iter().any(|word| line.contains(word)) && !line.starts_with("  ");
    let said: Vec<_> = log.lines().filter(telling).collect();
    println!("{what}: {:?}, row {}\n  {}", worker.ended(), pulp.has_row(worker), said.join("\n  "));
}

/// A worker, or its child, has logged this.
fn assert_said(worker: &Worker, words: &str) {
    let log = worker.log();
    assert!(log.contains(words), "not a word of `{words}`: {log}");
}

#[test]
fn a_task_has_a_session_of_its_own_and_the_worker_outlives_it() {
    let site = Site::pooled();
    let pulp = &site.pulp;
    let (silent, busy) = (site.task(Task::Silent, 9.0), site.task(Task::Busy, 6.0));
    assert_ne!(silent.worker, busy.worker, "both workers were free");
    assert_eq!(site.sessions(), 4, "a main connection and a child's for each of two workers");
    let main = pulp.main_backend(pulp.worker_of(&silent));
    let states = || [silent.backend, busy.backend, main].map(|pid| site.state(pid));
    let before = states();
    sleep(MORE_THAN_A_BEAT);
    let after = states();
    assert!(after[0].starts_with("idle|"), "{after:?}");
    assert_eq!(after[0], before[0], "a download says nothing to the database");
    assert_ne!(after[1], before[1], "another task does");
    assert_ne!(after[2], before[2], "the worker beats on another connection");

    pulp.terminate(silent.backend);
    assert_eq!(pulp.wait_task(&busy.task), "completed");
    assert_eq!(pulp.task(&silent.task), "running", "it has nothing to say, and so does not know");
    // It can't write why: its connection is closed. Its worker does, and knows less.
    let why = "failed: Task process died unexpectedly with exitcode 1.";
    assert_eq!(pulp.wait_task(&silent.task), why);
    let worker = pulp.worker_of(&silent);
    show(pulp, "the child's connection cut", worker);
    assert_said(worker, "psycopg.errors.AdminShutdown");
    assert_eq!(worker.ended(), None);

    let other = pulp.another(worker);
    pulp.terminate(pulp.main_backend(other));
    assert_eq!(other.wait_ended(), Ended::Status(1));
    show(pulp, "the main connection cut, by way of the pooler", other);
    assert_said(other, "psycopg.errors.AdminShutdown");
    assert!(pulp.has_row(other), "nobody has cleaned up yet");
    assert_eq!(worker.ended(), None);
}

#[test]
fn a_cut_of_the_main_connection_has_two_forms() {
    let site = Site::direct();
    let pulp = &site.pulp;
    let task = site.task(Task::Silent, 6.0);
    let worker = pulp.worker_of(&task);
    pulp.terminate(pulp.main_backend(worker));
    sleep(Duration::from_secs(1));
    assert_said(worker, "psycopg.errors.AdminShutdown");
    assert_eq!(worker.ended(), None, "Python waits for the child");
    assert_eq!(pulp.wait_task(&task.task), "completed");
    assert_eq!(worker.wait_ended(), Ended::Status(1));
    show(pulp, "the main connection cut between heartbeats, during a task", worker);

    let worker = pulp.another(worker);
    let task = site.task(Task::Silent, 60.0);
    // The next beat is late, and so it is the beat that finds the connection cut.
    let main = pulp.main_backend(worker);
    sleep(Duration::from_millis(1200));
    pulp.wake();
    sleep(Duration::from_millis(1300));
    pulp.terminate(main);
    assert_eq!(pulp.wait_task(&task.task), "failed: Aborted during worker shutdown.");
    assert_eq!(worker.wait_ended(), Ended::Status(1));
    show(pulp, "the main connection cut while a heartbeat is due, during a task", worker);
    assert_said(worker, "Updating the heartbeat of worker");
    assert!(
        !worker.log().contains("AdminShutdown"),
        "Django dropped what the server said: {}",
        worker.log()
    );
}

#[test]
fn a_worker_whose_row_is_gone_ends_by_itself() {
    let site = Site::pooled();
    let pulp = &site.pulp;
    let task = site.task(Task::Silent, 60.0);
    let busy = pulp.worker_of(&task);
    let idle = pulp.another(busy);
    pulp.delete_row(idle);
    assert_eq!(idle.wait_ended(), Ended::Status(0), "as if it had been asked to");
    show(pulp, "the row deleted", idle);
    pulp.delete_row(busy);
    assert_eq!(busy.wait_ended(), Ended::Status(1));
    show(pulp, "the row deleted during a task", busy);
    for worker in [idle, busy] {
        assert_said(worker, "Updating the heartbeat of worker");
        assert!(!worker.log().contains("psycopg"), "no connection was cut: {}", worker.log());
    }
    assert_eq!(pulp.task(&task.task), "canceling", "until another worker comes");
}

#[test]
fn a_worker_ends_by_signals() {
    let mut site = Site::direct();
    let task = site.task(Task::Silent, 6.0);
    let pulp = &mut site.pulp;
    let busy = pulp.worker_of(&task);
    let idle = pulp.another(busy);
    for worker in [busy, idle] {
        worker.signal("TERM");
    }
    assert_eq!(idle.wait_ended(), Ended::Status(0));
    assert_eq!(
        (busy.ended(), pulp.task(&task.task).as_str()),
        (None, "running"),
        "it waits for the task"
    );
    assert_eq!(busy.wait_ended(), Ended::Status(0));
    assert_eq!(pulp.task(&task.task), "completed");
    for worker in [busy, idle] {
        show(pulp, "SIGTERM", worker);
        assert!(!pulp.has_row(worker));
    }

    let killed = pulp.start_worker().pid();
    pulp.wait_online();
    let task = site.task(Task::Silent, 5.0);
    let pulp = &site.pulp;
    let worker = pulp.worker_of(&task);
    assert_eq!(worker.pid(), killed);
    let main = pulp.main_backend(worker);
    worker.signal("KILL");
    assert_eq!(worker.wait_ended(), Ended::Signal(Signal::SIGKILL));
    sleep(Duration::from_secs(1));
    assert!(site.state(main).starts_with("idle|"), "{}", site.state(main));
    assert_eq!(site.sessions(), 2, "its child holds the main connection's socket, too");
    assert_eq!(pulp.wait_task(&task.task), "completed");
    site.wait_no_session();
    show(pulp, "SIGKILL during a task", worker);
    assert!(pulp.has_row(worker));
}

#[test]
fn a_restart_of_the_server_ends_all_workers() {
    let mut site = Site::direct();
    let pulp = &site.pulp;
    let task = site.task(Task::Silent, 3.0);
    site.postgres.restart("INT");
    for worker in &pulp.workers {
        assert_eq!(worker.wait_ended(), Ended::Status(1));
        show(pulp, "the server shut down", worker);
        assert_said(worker, "psycopg.errors.AdminShutdown");
    }
    assert_eq!(pulp.task(&task.task), "running", "nobody is left who knows better");

    let after = site.pulp.start_worker().pid();
    site.pulp.wait_online();
    site.postgres.restart("QUIT");
    let pulp = &site.pulp;
    let worker = pulp.workers.iter().find(|worker| worker.pid() == after).expect("it");
    assert_eq!(worker.wait_ended(), Ended::Status(1));
    show(pulp, "the server shut down at once", worker);
    let said = "server closed the connection unexpectedly";
    assert_said(worker, said);
}

/// The probe, as `make build` leaves it; or the one that CONNECTION_PROBE names.
fn program() -> PathBuf {
    let built = lab("../target/x86_64-unknown-linux-gnu/release/connection-probe");
    env::var_os("CONNECTION_PROBE").map_or(built, Into::into)
}

fn lab(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn a_reader_of_the_tutorial_sees_what_it_says() {
    let postgres = server();
    let document = fs::read_to_string(lab("../docs/watch-pulp.md")).expect("the tutorial");
    let blocks = document.split("```bash\n").skip(1).filter_map(|rest| rest.split("```").next());
    let program = program().canonicalize().expect("the probe: run `make build`");
    let folder = program.parent().expect("a folder").display().to_string();
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &blocks.collect::<String>()])
        .env("PATH", format!("{folder}:{}", env::var("PATH").expect("a path")))
        .env("PGHOST", postgres.socket())
        .env("PGPORT", postgres.port.to_string())
        .env("PGUSER", "postgres")
        .current_dir(lab(".."))
        .output()
        .expect("bash");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    println!("{said}");
    let row = |words: &[&str]| {
        let mut lines = said.lines().filter(|line| words.iter().all(|word| line.contains(word)));
        assert!(lines.next().is_some(), "no line with {words:?}: {said}");
    };
    for words in [
        &["| task ", "cut while idle, silent for 0:1"][..],
        // On a busy machine the process goes long after its row, and then it seems that another worker deleted it.
        &["| worker ", "beats every 2.0 s", "left"],
        &["| worker ", "beats every 2.0 s", "was there at the end"],
        &["Task, silent after its first 5 s", "closed by the peer", "117 bytes of last words"],
        &["Main, beats every 2.0 s", "left by the pod itself"],
        &["Main, beats every 2.0 s", "still there"],
        &["### ", "IdleTaskCut (1 of 1)"],
        &["failed", "Task process died unexpectedly with exitcode 1."],
    ] {
        row(words);
    }
}
