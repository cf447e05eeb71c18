//! Stories of workers, told by looks that come every second.

use super::{
    look::{Look, Session, Since, Task, WorkerRow},
    watch::{Happened, Watch},
};
use api::{
    beats::Rhythm,
    observed::{Fate, Life, Role, State},
    statement::Class,
};

const START_MS: i64 = 1_900_000_000_000;

/// A server, its workers and their tasks, as a watcher sees them.
#[derive(Default)]
struct Scene {
    now_ms: i64,
    since: Since,
    may_read: bool,
    sessions: Vec<Session>,
    workers: Vec<WorkerRow>,
    running: Vec<Task>,
    ended: Vec<(String, bool)>,
    watch: Watch,
    told: Vec<Happened>,
}

impl Scene {
    fn new() -> Self {
        Self { now_ms: START_MS, may_read: true, ..Self::default() }
    }

    /// A session that is opened now, and asks something.
    fn opens(&mut self, pid: i32, query: &str) {
        let opened_us = self.now_ms * 1000;
        let address = Some("10.0.0.7".to_owned());
        self.sessions.push(Session { pid, opened_us, address, ..Session::default() });
        self.asks(pid, query);
    }

    fn asks(&mut self, pid: i32, query: &str) {
        let now_ms = self.now_ms;
        let session = self.session(pid);
        (session.query_ms, session.changed_ms) = (Some(now_ms), Some(now_ms + 2));
        query.clone_into(&mut session.query);
    }

    fn session(&mut self, pid: i32) -> &mut Session {
        self.sessions.iter_mut().find(|session| session.pid == pid).unwrap()
    }

    fn closes(&mut self, pid: i32) {
        self.sessions.retain(|session| session.pid != pid);
    }

    /// A worker that has just started.
    fn worker(&mut self, pid: i32, id: &str) {
        self.opens(pid, "LISTEN pulp_worker_wakeup");
        let name = format!("{id}@host");
        self.workers.push(WorkerRow { id: id.to_owned(), name, ..WorkerRow::default() });
        self.beats(pid, id);
    }

    fn beats(&mut self, pid: i32, id: &str) {
        let now_ms = self.now_ms;
        self.workers.iter_mut().find(|row| row.id == id).unwrap().beat_ms = now_ms - 1;
        self.asks(pid, "COMMIT");
    }

    fn task(&mut self, id: &str, worker: &str) {
        let (id, worker) = (id.to_owned(), Some(worker.to_owned()));
        self.running.push(Task { id, started_ms: Some(self.now_ms), worker });
    }

    fn task_ends(&mut self, id: &str, completed: bool) {
        self.running.retain(|task| task.id != id);
        self.ended.push((id.to_owned(), completed));
    }

    /// A second passes; what happened is kept.
    fn look(&mut self) {
        self.now_ms += 1000;
        let look = Look {
            at_ms: self.now_ms,
            since: self.since,
            sessions: self.sessions.clone(),
            workers: self.may_read.then(|| self.workers.clone()),
            rows_ms: self.now_ms,
            running: Some(self.running.clone()),
            ended: std::mem::take(&mut self.ended),
        };
        let happened = self.watch.look(look);
        self.told.extend(happened);
    }

    /// Seconds pass, in which these workers beat.
    fn wait(&mut self, seconds: i64, workers: &[(i32, &str)]) {
        for second in 0..seconds {
            for (i, (pid, id)) in workers.iter().enumerate() {
                let phase = 3 * i64::try_from(i).unwrap();
                if (second + phase) % 10 == 0 {
                    self.beats(*pid, id);
                }
            }
            self.look();
        }
    }

    /// The lives that have ended.
    fn ended(&self) -> Vec<&Life> {
        let ended = self.told.iter().filter_map(|told| match told {
            Happened::Ended(life) => Some(&**life),
            _ => None,
        });
        ended.collect()
    }

    fn fate(&self) -> (Role, Fate, Option<&str>) {
        let [life] = self.ended()[..] else { panic!("{:?}", self.told) };
        (life.role, life.end.unwrap().fate, life.worker.as_deref())
    }
}

/// Two workers that have beaten for a minute.
fn two_workers() -> Scene {
    let mut scene = Scene::new();
    scene.look();
    scene.worker(11, "one");
    scene.look();
    scene.worker(12, "two");
    scene.wait(60, &[(11, "one"), (12, "two")]);
    scene
}

#[test]
fn a_worker_is_known_by_its_beats_and_cut_if_its_row_stays() {
    let mut scene = two_workers();
    let observed = scene.watch.observed();
    let worker = observed.lives.iter().find(|life| life.pid == 12).unwrap();
    assert_eq!((worker.role, worker.rhythm), (Role::Main, Rhythm::Beating));
    assert_eq!(worker.worker.as_deref(), Some("two@host"));
    assert!((9_000..=11_000).contains(&worker.beat_ms.unwrap()), "{worker:?}");
    assert_eq!(observed.facts[0].name, "heartbeat interval");

    scene.closes(12);
    scene.look();
    assert_eq!(scene.fate(), (Role::Main, Fate::CutIdle, Some("two@host")));
    let end = scene.ended()[0].end.unwrap();
    assert_eq!(end.before.as_millisecond() - end.after.as_millisecond(), 1000, "between two looks");
    let alive = scene.watch.observed().alive;
    assert_eq!((alive.len(), alive[0].role, alive[0].lived.n), (1, Role::Main, 1), "{alive:?}");
}

#[test]
fn a_worker_that_takes_its_row_along_left_by_itself() {
    let mut scene = two_workers();
    scene.workers.retain(|row| row.id != "one");
    scene.closes(11);
    scene.look();
    assert_eq!(scene.fate(), (Role::Main, Fate::Left, Some("one@host")));
    // Its process may take a moment longer.
    let mut scene = two_workers();
    scene.asks(11, "DELETE FROM core_appstatus WHERE pulp_id = $1");
    scene.workers.retain(|row| row.id != "one");
    scene.wait(2, &[]);
    scene.closes(11);
    scene.look();
    assert_eq!(scene.fate().1, Fate::Left);
}

#[test]
fn a_worker_whose_row_was_deleted_lives_until_its_next_beat() {
    let mut scene = two_workers();
    scene.workers.retain(|row| row.id != "one");
    scene.wait(6, &[]);
    scene.asks(11, "UPDATE core_appstatus SET last_heartbeat = $1");
    scene.closes(11);
    scene.look();
    assert_eq!(scene.fate(), (Role::Main, Fate::RowDeleted, Some("one@host")));
    let gone =
        scene.told.iter().any(|it| matches!(it, Happened::WorkerGone(w) if w.name == "one@host"));
    assert!(gone);
    // Its next beat, and its end, may lie between two looks.
    let mut scene = two_workers();
    scene.workers.retain(|row| row.id != "one");
    scene.wait(2, &[]);
    scene.closes(11);
    scene.look();
    assert_eq!(scene.fate().1, Fate::RowDeleted, "it did nothing when its row went");
}

#[test]
fn whether_a_row_stayed_is_not_known_where_it_was_not_read_or_others_may_have_deleted_it() {
    let mut scene = two_workers();
    scene.may_read = false;
    scene.closes(11);
    scene.look();
    assert_eq!(scene.fate(), (Role::Main, Fate::Unknown, Some("one@host")));
    // Nobody looked for a minute: it may have been cut, and its row deleted half a minute later.
    let mut scene = two_workers();
    scene.now_ms += 60_000;
    scene.workers.retain(|row| row.id != "one");
    scene.closes(11);
    scene.look();
    assert_eq!(scene.fate().1, Fate::Unknown);
}

#[test]
fn a_task_is_known_by_its_start_and_cut_if_it_goes_on() {
    let end = |how: fn(&mut Scene)| {
        let mut scene = two_workers();
        scene.task("t", "one");
        scene.opens(21, "BEGIN");
        scene.wait(40, &[(11, "one"), (12, "two")]);
        how(&mut scene);
        scene.look();
        let life = scene.ended()[0];
        assert_eq!((life.role, life.rhythm), (Role::Task, Rhythm::Silent));
        assert!(life.end.unwrap().silence_ms >= 40_000, "{life:?}");
        (life.end.unwrap().fate, life.worker.clone())
    };
    let worker = Some("one@host".to_owned());
    assert_eq!(end(|scene| scene.closes(21)), (Fate::CutIdle, worker.clone()));
    let completed = end(|scene| {
        scene.task_ends("t", true);
        scene.closes(21);
    });
    assert_eq!(completed, (Fate::TaskEnded, worker.clone()));
    let failed = end(|scene| {
        scene.task_ends("t", false);
        scene.closes(21);
    });
    assert_eq!(failed, (Fate::Unknown, worker.clone()));
    let purged = end(|scene| {
        scene.running.clear();
        scene.closes(21);
    });
    assert_eq!(purged, (Fate::Unknown, worker), "neither running nor over");
}

#[test]
fn of_two_tasks_that_began_together_none_is_judged_by_the_other() {
    let mut scene = two_workers();
    scene.task("t", "one");
    scene.task("u", "two");
    scene.opens(21, "BEGIN");
    scene.wait(20, &[(11, "one"), (12, "two")]);
    scene.task_ends("u", true);
    scene.closes(21);
    scene.look();
    assert_eq!(scene.fate(), (Role::Task, Fate::Unknown, None));
}

#[test]
fn a_poolers_session_has_one_life_for_each_of_its_clients() {
    let mut scene = two_workers();
    scene.task("t", "one");
    scene.opens(21, "BEGIN");
    scene.wait(10, &[(11, "one"), (12, "two")]);
    scene.task_ends("t", true);
    scene.asks(21, "DISCARD ALL");
    scene.look();
    assert_eq!(scene.fate(), (Role::Task, Fate::TaskEnded, Some("one@host")));
    assert_eq!(scene.watch.observed().going_on(), 2, "an empty session is nobody's");
    scene.wait(10, &[(11, "one"), (12, "two")]);
    scene.asks(21, "SELECT 1");
    scene.look();
    let born = scene.told.iter().filter(|told| matches!(told, Happened::Born(_))).count();
    assert_eq!(born, 4, "two workers, a task, and whoever came after it");
    let next =
        scene.watch.observed().lives.into_iter().find(|life| life.pid == 21 && life.end.is_none());
    let next = next.unwrap();
    assert_eq!((next.role, next.last), (Role::Other, Class::Select));
    assert_eq!(next.born.as_millisecond(), scene.now_ms - 1000, "not when the session was opened");
}

#[test]
fn a_restart_ends_all_and_is_told() {
    let mut scene = two_workers();
    scene.since.started_ms = scene.now_ms;
    scene.sessions.clear();
    scene.look();
    let fates: Vec<_> = scene.ended().iter().map(|life| life.end.unwrap().fate).collect();
    assert_eq!(fates, [Fate::ServerRestarted; 2]);
    assert!(scene.told.contains(&Happened::Restarted));
    assert_eq!(scene.watch.observed().restarts.len(), 1);
}

#[test]
fn the_crash_of_one_process_ends_all_too() {
    let mut scene = two_workers();
    scene.since.recovered_ms = Some(START_MS);
    scene.look();
    assert!(!scene.told.contains(&Happened::Restarted), "it may be seen only now");
    scene.since.recovered_ms = Some(scene.now_ms);
    scene.sessions.clear();
    scene.look();
    let fates: Vec<_> = scene.ended().iter().map(|life| life.end.unwrap().fate).collect();
    assert_eq!(fates, [Fate::ServerRestarted; 2]);
}

#[test]
fn whoever_is_at_work_at_each_look_does_not_beat() {
    let mut scene = Scene::new();
    scene.look();
    scene.task("t", "one");
    scene.opens(21, "BEGIN");
    for _ in 0..60 {
        scene.asks(21, "INSERT INTO t VALUES ($1)");
        scene.now_ms += 1000;
        scene.look();
    }
    let life = scene.watch.observed().lives.remove(0);
    assert_eq!((life.role, life.rhythm, life.beat_ms), (Role::Task, Rhythm::Working, None));
}

#[test]
fn without_rows_and_tasks_an_end_is_not_judged() {
    let mut scene = Scene::new();
    scene.opens(11, "LISTEN a");
    let look = |scene: &mut Scene| {
        scene.now_ms += 1000;
        let (sessions, at_ms) = (scene.sessions.clone(), scene.now_ms);
        let look = Look { at_ms, sessions, ..Look::default() };
        let happened = scene.watch.look(look);
        scene.told.extend(happened);
    };
    for second in 0..60 {
        if second % 10 == 0 {
            scene.asks(11, "COMMIT");
        }
        look(&mut scene);
    }
    scene.closes(11);
    look(&mut scene);
    assert_eq!(
        scene.fate(),
        (Role::Main, Fate::Unknown, None),
        "it beats, and whose it is nobody knows"
    );
}

#[test]
fn a_busy_session_is_told_by_its_transactions() {
    let mut scene = Scene::new();
    scene.look();
    scene.opens(31, "BEGIN");
    let begun = scene.now_ms;
    scene.session(31).transaction_ms = Some(begun);
    scene.session(31).state = State::InTransaction;
    scene.wait(5, &[]);
    scene.asks(31, "COMMIT");
    scene.session(31).transaction_ms = None;
    scene.session(31).state = State::Idle;
    scene.look();
    let life = scene.watch.observed().lives.remove(0);
    assert_eq!((life.transactions, life.longest_transaction_ms), (1, Some(5_002)));
    assert_eq!((life.first_query_ms, life.last), (Some(0), Class::Commit));
}
