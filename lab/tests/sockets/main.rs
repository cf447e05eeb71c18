//! `connection-probe watch-sockets` on real parts: each way in which a connection can end, and what a process without
//! any right sees of it. In a network of its own, as in a pod.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    beats::Rhythm,
    sockets::{ClosedBy, Event, Fate, Form, Noticed, Role},
};
use case::{Case, Truth, done, life};
use client::{Client, Psql};
use jiff::Timestamp;
use lab::{
    certificates::Authority,
    holding::now,
    namespace::{Loss, in_namespace, lose},
    pgbouncer::{self, PgBouncer},
    postgres::{self, Postgres},
    relay::{Fault, Relay},
    server::{command, send_signal},
};
use std::{
    process::{Child, Stdio},
    time::Duration,
};
use tokio::{
    io::AsyncWriteExt,
    task::{JoinHandle, block_in_place},
    time::{interval, sleep},
};
use watcher::Watcher;

mod case;
mod client;
mod watcher;

/// May log in without a password.
const USER: &str = "by_trust";
const TERMINATE: &[u8] = b"X\0\0\0\x04";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn postgres() -> Postgres {
    let postgres = Postgres::start(&postgres::Options::default());
    postgres.sql(&format!("CREATE ROLE {USER} LOGIN"));
    postgres
}

fn pgbouncer(postgres: &Postgres) -> PgBouncer {
    let settings = format!(
        "auth_type = trust\npool_mode = transaction\nclient_idle_timeout = 3\nadmin_users = {USER}"
    );
    let users = &[(USER, "")][..];
    PgBouncer::start(
        postgres,
        &pgbouncer::Options { settings: &settings, users, ..Default::default() },
    )
}

/// Ends the session of this client's port.
fn terminate(postgres: &Postgres, port: u16) -> Truth {
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = {port}"
    );
    done(|| assert_eq!(postgres.sql(&sql), "t"))
}

/// Kills the session of this client's port.
fn kill(postgres: &Postgres, port: u16) -> Truth {
    let sql = format!("SELECT pid FROM pg_stat_activity WHERE client_port = {port}");
    let pid = block_in_place(|| postgres.sql(&sql)).parse().unwrap();
    done(|| postgres.signal_backend(pid, "KILL"))
}

/// A worker's main connection.
fn beating(mut client: Client) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut beats = interval(ms(1300));
        loop {
            beats.tick().await;
            client.ask("BEGIN").await;
            client.ask("SELECT pg_current_xact_id()").await;
            client.ask("COMMIT").await;
        }
    })
}

/// Until when the client noticed.
async fn noticed(truth: Truth, ended: JoinHandle<Timestamp>) -> Option<Truth> {
    Some((truth.0, ended.await.unwrap()))
}

#[test]
fn every_end_is_told_by_whom_and_when_to_somebody_without_any_right() {
    in_namespace(async || {
        let (postgres, other) = block_in_place(|| (postgres(), postgres()));
        let pooler = block_in_place(|| pgbouncer(&postgres));
        let (fin, rst, forget) = (
            Relay::start(postgres.port).await,
            Relay::start(postgres.port).await,
            Relay::start(postgres.port).await,
        );
        let was_there = Client::connect(postgres.port).await;
        let ports = [postgres.port, other.port, pooler.port, fin.port, rst.port, forget.port];
        let watcher = Watcher::start(&ports, &[]).await;
        assert_eq!(watcher.status("CapEff"), "0000000000000000");
        assert_eq!(watcher.status("Uid").split_whitespace().next(), Some("65534"));

        let main = Client::connect(postgres.port).await;
        let main_port = main.port;
        let main = beating(main);
        let connect = async |port| Client::connect(port).await;
        let (reading, late, pooled, asleep) = (
            connect(postgres.port).await,
            connect(postgres.port).await,
            connect(pooler.port).await,
            connect(postgres.port).await,
        );
        let (by_fin, by_rst, mut forgotten, crashed) = (
            connect(fin.port).await,
            connect(rst.port).await,
            connect(forget.port).await,
            connect(other.port).await,
        );
        let (leaver, aborter, unread) = (
            connect(postgres.port).await,
            connect(postgres.port).await,
            connect(postgres.port).await,
        );
        let (quitter, mut killed) =
            (Psql::start(&postgres, "quitter").await, Psql::start(&postgres, "killed").await);
        let pooled_port = pooled.port;
        let pooled = pooled.until_end();
        sleep(ms(2500)).await;

        let mut cases = Vec::new();
        let mut case = |name, port, truth, by, forms, words, fate| {
            cases.push(Case { name, port, truth, by, forms, words, fate });
        };
        use ClosedBy::{Own, Peer};
        let fin_only = &[Form::Fin][..];

        let (port, ended) = (reading.port, reading.until_end());
        let truth = noticed(terminate(&postgres, port), ended).await;
        case("terminated", port, truth, Peer, fin_only, Some(80..200), Fate::CutIdle);

        // The session ends a moment after it was told to.
        let (before, told) = terminate(&postgres, late.port);
        let truth = Some((before, told + ms(300)));
        case(
            "terminated, not noticed",
            late.port,
            truth,
            Peer,
            fin_only,
            Some(80..200),
            Fate::CutIdle,
        );

        let port = asleep.port;
        let mut asleep = asleep;
        asleep.send("SELECT pg_sleep(60)").await;
        sleep(ms(400)).await;
        let ended = asleep.until_end();
        let truth = noticed(terminate(&postgres, port), ended).await;
        case("terminated in a query", port, truth, Peer, fin_only, None, Fate::CutActive);

        let (port, ended) = (by_fin.port, by_fin.until_end());
        let truth = noticed(done(|| fin.fault(Fault::Fin)), ended).await;
        case("FIN of a relay", port, truth, Peer, fin_only, Some(0..1), Fate::CutIdle);

        let (port, ended) = (by_rst.port, by_rst.until_end());
        let truth = noticed(done(|| rst.fault(Fault::Rst)), ended).await;
        case("RST of a relay", port, truth, Peer, &[Form::Rst], Some(0..1), Fate::CutIdle);

        forget.fault(Fault::Forget);
        sleep(ms(300)).await;
        let (port, before) = (forgotten.port, now());
        forgotten.send("SELECT 1").await;
        let truth = noticed((before, before), forgotten.until_end()).await;
        case("RST on a write", port, truth, Peer, &[Form::Rst], None, Fate::CutActive);

        let (port, ended) = (crashed.port, crashed.until_end());
        let truth = noticed(kill(&other, port), ended).await;
        case("backend killed", port, truth, Peer, fin_only, Some(0..1), Fate::CutIdle);

        let (port, mut stream) = (leaver.port, leaver.stream);
        stream.write_all(TERMINATE).await.unwrap();
        let truth = Some(done(|| drop(stream)));
        case("left politely", port, truth, Own, fin_only, None, Fate::Left);

        let (port, stream) = (aborter.port, aborter.stream);
        let truth = Some(done(|| drop(stream)));
        case("left without a word", port, truth, Own, fin_only, None, Fate::Left);

        let port = unread.port;
        let mut unread = unread;
        unread.send("SELECT 1").await;
        sleep(ms(600)).await;
        let truth = Some(done(|| drop(unread)));
        case("left with something unread", port, truth, Own, &[Form::Rst], None, Fate::Left);

        let (port, mut psql) = (quitter.port, quitter);
        let truth = Some(done(|| {
            drop(psql.input.take());
            psql.child.wait().unwrap()
        }));
        case("psql quits", port, truth, Own, fin_only, None, Fate::Left);

        let truth = Some(done(|| {
            send_signal(killed.child.id(), "KILL");
            killed.child.wait().unwrap()
        }));
        case("psql is killed", killed.port, truth, Own, fin_only, None, Fate::Left);

        pooled.await.unwrap();
        case(
            "client_idle_timeout",
            pooled_port,
            None,
            Peer,
            fin_only,
            Some(30..200),
            Fate::CutIdle,
        );

        let gone = connect(pooler.port).await;
        let (port, ended) = (gone.port, gone.until_end());
        sleep(ms(1500)).await;
        let truth = done(|| pooler.console((USER, ""), "KILL postgres"));
        let truth = noticed(truth, ended).await;
        case("KILL of PgBouncer", port, truth, Peer, fin_only, Some(30..200), Fate::CutIdle);

        drop(late);
        sleep(ms(500)).await;
        let (report, lines) = watcher.end();
        main.abort();
        for case in &cases {
            case.check(&report);
        }
        assert_eq!(report.noticed, Noticed::Events);
        let main = life(&report, main_port);
        assert_eq!(
            (main.rhythm, main.role, main.end),
            (Rhythm::Beating, Role::Main, None),
            "{main:?}"
        );
        assert!((main.beat_ms.unwrap() - 1300).abs() < 60, "{main:?}");
        let pooled = life(&report, pooled_port);
        assert_eq!((pooled.role, pooled.rhythm), (Role::Task, Rhythm::Silent), "{pooled:?}");
        let silence = pooled.end.unwrap().silence();
        assert!(silence.0 >= 2_900 && silence.1 < 5_000, "{pooled:?}");
        let there = life(&report, was_there.port);
        assert!(there.born.is_none() && there.end.is_none(), "{there:?}");
        let closed: Vec<u16> = lines
            .iter()
            .filter_map(|line| match &line.event {
                Event::Closed(life) => Some(life.local_port),
                _ => None,
            })
            .collect();
        assert!(closed.contains(&cases[1].port), "{closed:?}");
        let late = life(&report, cases[1].port).end.unwrap();
        assert!(late.let_go_ms.unwrap() > 2_000, "{late:?}");
        println!("{}", api::render::sockets::plain(&[report]));
    });
}

/// libpq says goodbye when it leaves, and under TLS the server answers; what a server says last is longer.
#[test]
fn who_says_goodbye_is_told_from_who_is_told_to_go_with_and_without_tls() {
    in_namespace(async || {
        let postgres = block_in_place(|| {
            let identity = Authority::default().identity(&["localhost"]);
            let options = postgres::Options { identity: Some(&identity), ..Default::default() };
            let postgres = Postgres::start(&options);
            postgres.sql(&format!("CREATE ROLE {USER} LOGIN"));
            postgres
        });
        let watcher = Watcher::start(&[postgres.port], &[]).await;
        let start = |(n, tls, seconds): (usize, &str, &str)| {
            let uri =
                format!("postgresql://{USER}@127.0.0.1:{}/postgres?sslmode={tls}", postgres.port);
            let mut psql = command("psql");
            psql.args([
                "-XAtq",
                &uri,
                "-c",
                "SELECT 1",
                "-c",
                &format!("SELECT pg_sleep({seconds})"),
            ]);
            psql.env("PGAPPNAME", format!("{tls}-{seconds}-{n}")).stdin(Stdio::null());
            psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let ways = ["disable", "require"].into_iter().flat_map(|tls| [(tls, "2.5"), (tls, "60")]);
        let all = ways.flat_map(|(tls, seconds)| (0..6).map(move |n| (n, tls, seconds)));
        let mut clients: Vec<Child> = all.map(start).collect();
        let asleep = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        let count = format!("SELECT count(*) {asleep}");
        while block_in_place(|| postgres.sql(&count)) != "24" {
            sleep(ms(50)).await;
        }
        let ports = block_in_place(|| {
            postgres.sql(&format!("SELECT application_name, client_port {asleep}"))
        });
        sleep(ms(600)).await;
        let terminate = format!("SELECT pg_terminate_backend(pid) {asleep} AND query LIKE '%60%'");
        block_in_place(|| postgres.sql(&terminate));
        for client in &mut clients {
            block_in_place(|| client.wait()).unwrap();
        }
        sleep(ms(600)).await;
        let (report, _) = watcher.end();
        for (name, port) in ports.lines().map(|row| row.split_once('|').unwrap()) {
            let life = life(&report, port.parse().unwrap());
            let end = life.end.unwrap();
            if name.contains("-60-") {
                assert_eq!(end.closed_by, ClosedBy::Peer, "{name}: {life:?}");
                assert!(end.last_words_bytes.unwrap() > 80, "{name}: {life:?}");
            } else {
                assert_eq!(Fate::of(life), Fate::Left, "{name}: {life:?}");
            }
        }
    });
}

#[test]
fn where_nothing_is_acknowledged_nobody_has_closed_it() {
    in_namespace(async || {
        let (idle_path, used_path) = block_in_place(|| (postgres(), postgres()));
        let watcher = Watcher::start(&[idle_path.port, used_path.port], &[]).await;
        let idle = Client::connect(idle_path.port).await.impatient();
        let mut used = Client::connect(used_path.port).await;
        let socket = socket2::SockRef::from(&used.stream);
        socket.set_tcp_user_timeout(Some(ms(1500))).unwrap();
        sleep(ms(600)).await;
        lose(Loss::BlackHole, idle_path.port);
        lose(Loss::BlackHole, used_path.port);
        let ports = (idle.port, used.port);
        used.send("SELECT 1").await;
        let (idle, used) = (idle.until_end(), used.until_end());
        let ends = (idle.await.unwrap(), used.await.unwrap());
        sleep(ms(500)).await;
        let (report, _) = watcher.end();
        for (port, end) in [(ports.0, ends.0), (ports.1, ends.1)] {
            let life = life(&report, port);
            let told = life.end.unwrap();
            assert_eq!(
                (told.closed_by, told.form),
                (ClosedBy::Unknown, Form::TimedOut),
                "{life:?}"
            );
            assert_eq!(Fate::of(life), Fate::GaveUp);
            assert!(told.at.after <= end && end <= told.at.before + ms(50), "{end}: {life:?}");
        }
        assert!(life(&report, ports.1).retransmits > 0, "{report:?}");
    });
}

/// What that costs is printed.
#[test]
fn a_thousand_connections_are_followed_as_three_are() {
    in_namespace(async || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut held = Vec::new();
        for connections in [3, 1000] {
            while held.len() < 2 * connections {
                held.push(std::net::TcpStream::connect(("127.0.0.1", port)).unwrap());
                held.push(listener.accept().unwrap().0);
            }
            let watcher = Watcher::start(&[port], &[]).await;
            sleep(ms(10_000)).await;
            let (report, _) = watcher.end();
            assert_eq!(report.sockets.len(), connections);
            let per_minute = report.cpu_ms.unwrap() * 6;
            println!("{connections} connections: {per_minute} ms of processor time a minute");
        }
    });
}
