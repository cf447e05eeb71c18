//! Held connections, real sessions and real sockets on one page: on the same axes. The run and the sockets are made
//! up: an idle timer of 8 s, two workers, a task that it cut, one that ended, a worker whose row was deleted.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use api::{
    ConnectionProbeRun,
    observed::{Fate, Life, Observed, Role},
    render::{self, Format},
    sockets::{self, SocketsReport},
};
use jiff::SignedDuration;
use std::{fs, path::Path};

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/timeline").join(name))
        .unwrap()
}

fn run() -> ConnectionProbeRun {
    serde_json::from_str(&text("run.json")).unwrap()
}

fn pods() -> Vec<SocketsReport> {
    sockets::read("sockets.json", &text("sockets.json")).unwrap()
}

/// The run, with something else seen of its workers.
fn seen(change: impl FnOnce(&mut Observed)) -> ConnectionProbeRun {
    let mut run = run();
    let workloads = run.status.iter_mut().flat_map(|status| &mut status.workloads);
    let mut reports = workloads.filter_map(|workload| workload.report.as_mut());
    change(reports.find_map(|report| report.observed.as_mut()).unwrap());
    run
}

/// The part of its page that has figures, an element on each line.
fn figures(run: &ConnectionProbeRun, pods: &[SocketsReport]) -> String {
    let page = render::beside(run, None, pods, Format::Html);
    let part = page.split("<h2>Connections</h2>").nth(1).unwrap().split("<h2>").next().unwrap();
    part.replace("><", ">\n<").replace(">\n</", "></")
}

/// The drawing that is `number` under this heading.
fn drawing<'a>(page: &'a str, heading: &str, number: usize) -> &'a str {
    let part = page.split(&format!("<h3>{heading}</h3>")).nth(1).unwrap();
    let part = part.split("<h3>").next().unwrap();
    part.split("<svg").nth(number).unwrap().split("</svg>").next().unwrap()
}

/// What stands at its marks of time, and where.
fn times(drawing: &str) -> Vec<&str> {
    let times = drawing.lines().filter(|line| line.contains("class=\"time\""));
    times.map(|line| line.split(" y=").next().unwrap()).collect()
}

/// Numbers of its lanes, from above.
fn numbers(drawing: &str) -> Vec<&str> {
    let lanes = drawing.split("<g class=").skip(1);
    lanes
        .map(|lane| {
            let label = lane.split("class=\"number").nth(1).unwrap();
            label.split('>').nth(1).unwrap().split('<').next().unwrap()
        })
        .collect()
}

#[test]
fn held_and_real_connections_stand_on_one_page() {
    insta::assert_snapshot!(figures(&run(), &pods()));
}

#[test]
fn all_of_them_have_the_same_axes() {
    let page = figures(&run(), &pods());
    for number in [1, 2] {
        let held = times(drawing(&page, "idle", number));
        assert!(held.len() > 2, "{held:?}");
        for real in ["workers", "Pod pulp-worker-0", "Pod pulp-worker-1"] {
            assert_eq!(times(drawing(&page, real, number)), held, "{real}");
        }
    }
    // A worker that was there for 40 minutes does not press them into the margin.
    let ages = drawing(&page, "idle", 2);
    assert!(ages.contains("0:45</text>") && !ages.contains("15:00</text>"), "{ages}");
}

#[test]
fn each_kind_stands_together_those_that_were_cut_first() {
    let page = figures(
        &seen(|observed| {
            let mut earlier = life(observed, 4110);
            earlier.born -= SignedDuration::from_secs(2);
            earlier.pid = 4109;
            observed.lives.push(earlier);
            observed.lives.reverse();
        }),
        &[],
    );
    let real = drawing(&page, "workers", 1);
    assert_eq!(numbers(real), ["4101", "4102", "4109", "4110", "4111", "1048577"]);
    let names = ["workers</text>", "tasks</text>", "others</text>"];
    let at = names.map(|name| real.find(name).unwrap());
    assert!(at.is_sorted(), "{at:?}");
}

fn life(observed: &Observed, pid: i32) -> Life {
    observed.lives.iter().find(|life| life.pid == pid).unwrap().clone()
}

#[test]
fn what_is_not_drawn_is_counted() {
    let run = seen(|observed| {
        let one = life(observed, 4110);
        observed.lives.extend((0..70).map(|i| Life { pid: 5000 + i, ..one.clone() }));
        observed.lives_seen = 80;
    });
    let page = figures(&run, &[]);
    let real = drawing(&page, "workers", 1);
    assert_eq!(numbers(real).len(), 64);
    assert!(real.contains("+16 more</text>"), "{real}");
    let of_workload = page.split("<h3>workers</h3>").nth(1).unwrap();
    assert_eq!(of_workload.matches("<svg").count(), 2, "a curve of some would speak for all");
}

#[test]
fn a_row_that_went_is_marked_on_the_last_session_of_its_worker_before() {
    let lane = |page: &str, pid: &str| {
        let real = drawing(page, "workers", 1).to_owned();
        let lane = real.split("<g class=").find(|lane| lane.contains(&format!(">{pid}</text>")));
        lane.unwrap().contains(">R</text>")
    };
    let page = figures(&run(), &[]);
    assert!(lane(&page, "4102") && !lane(&page, "4111") && !lane(&page, "4101"));
    let run = seen(|observed| {
        let mut next = life(observed, 4102);
        next.pid = 4103;
        next.born += SignedDuration::from_secs(10);
        observed.lives.push(next);
    });
    let page = figures(&run, &[]);
    assert!(lane(&page, "4103") && !lane(&page, "4102"));
}

#[test]
fn every_fate_has_its_shape_and_a_restart_a_line() {
    let shape = |fate: Fate| {
        let run = seen(|observed| {
            observed.restarts = vec![life(observed, 4110).end.unwrap().before];
            let task = observed.lives.iter_mut().find(|life| life.pid == 4110).unwrap();
            task.end.as_mut().unwrap().fate = fate;
        });
        let page = figures(&run, &[]);
        let real = drawing(&page, "workers", 1);
        assert_eq!(real.matches("class=\"restart\"").count(), 1);
        assert_eq!(drawing(&page, "workers", 2).matches("class=\"restart\"").count(), 0);
        let lane = real.split("<g class=\"").find(|lane| lane.contains(">4110</text>")).unwrap();
        lane.split('"').next().unwrap().to_owned()
    };
    for (fate, wanted) in [
        (Fate::CutIdle, "cut"),
        (Fate::CutActive, "cut"),
        (Fate::Left, "left"),
        (Fate::TaskEnded, "left"),
        (Fate::RowDeleted, "left"),
        (Fate::ServerRestarted, "left"),
        (Fate::Unknown, "odd"),
    ] {
        assert_eq!(shape(fate), wanted, "{fate:?}");
    }
}

#[test]
fn a_curve_takes_only_a_cut_for_an_event() {
    let page = figures(&run(), &[]);
    let curve = drawing(&page, "workers", 3);
    // Of two tasks one was cut at 8.2 s; the other ended at 4.5 s, which says nothing of a longer life.
    assert!(curve.contains("tasks: 0%"), "{curve}");
    assert!(curve.contains("workers: 100%"), "{curve}");
    assert!(page.contains("workers not reached (n = 1), tasks 0:07–0:08 (n = 2)"), "{page}");
}

#[test]
fn a_pod_that_was_watched_at_another_time_is_compared_by_age_alone() {
    let mut pods = pods();
    pods.truncate(1);
    let shift = SignedDuration::from_hours(48);
    let report = &mut pods[0];
    report.started_at += shift;
    report.ended_at += shift;
    for window in report
        .sockets
        .iter_mut()
        .flat_map(|life| life.born.iter_mut().chain(life.end.as_mut().map(|end| &mut end.at)))
    {
        window.after += shift;
        window.before += shift;
    }
    let page = figures(&run(), &pods);
    assert!(page.contains("It was watched from 2026-11-27 12:00:01 UTC to"), "{page}");
    let pod = page.split("<h3>Pod pulp-worker-0</h3>").nth(1).unwrap();
    assert!(!pod.contains("Connections by time of day") && pod.contains("Connections by age"));
    let alone = figures(&run(), &[]);
    assert_eq!(
        times(drawing(&page, "idle", 1)),
        times(drawing(&alone, "idle", 1)),
        "the day of the others stretches no axis"
    );
}

#[test]
fn names_of_others_stay_text() {
    let harm = "<script>alert(1)</script>\"'&\u{1b}[2J|`x`";
    let run = seen(|observed| {
        for life in &mut observed.lives {
            life.worker = Some(harm.to_owned());
        }
        for worker in &mut observed.workers {
            worker.name = harm.to_owned();
        }
    });
    let mut pods = pods();
    pods[0].pod = Some(harm.to_owned());
    let page = render::beside(&run, None, &pods, Format::Html);
    assert!(!page.contains("<script") && !page.contains('\u{1b}'));
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;&quot;'&amp;\u{fffd}[2J|";
    assert!(page.matches(escaped).count() > 10, "titles, labels, tables and a heading have it");
    for format in [Format::Table, Format::Markdown] {
        let told = render::beside(&run, None, &pods, format);
        assert!(!told.contains('\u{1b}'), "{told}");
        assert!(told.contains("alert(1)"), "{told}");
    }
}

#[test]
fn a_ticket_and_a_table_have_the_sockets_after_the_rest() {
    let (run, pods) = (run(), pods());
    let ticket = render::beside(&run, None, &pods, Format::Markdown);
    let at = |what: &str| ticket.find(what).unwrap_or_else(|| panic!("{what}: {ticket}"));
    let order = ["\n## Real workers\n", "\n## Real workers' sockets\n", "\n## Evidence"].map(at);
    assert!(order.is_sorted(), "{ticket}");
    assert!(ticket.contains("| pulp-worker-0 | 40002"), "{ticket}");
    let table = render::beside(&run, None, &pods, Format::Table);
    let alone = render::run(&run, None, Format::Table);
    assert_eq!(table, format!("{alone}\n{}", render::sockets::plain(&pods)));
    let without = render::beside(&run, None, &[], Format::Markdown);
    assert!(!without.contains("sockets"), "{without}");
}

#[test]
fn formats_without_a_place_for_sockets_refuse_them() {
    for format in Format::NAMES {
        let answer = format.parse::<Format>().unwrap().beside_sockets();
        assert_eq!(answer.is_ok(), !["json", "junit"].contains(&format), "{answer:?}");
    }
}

#[test]
fn the_made_up_run_has_what_the_story_says() {
    let run = run();
    let observed = run.status.as_ref().unwrap().observed().next().unwrap();
    let all = |role, fate| observed.count(role, fate);
    assert_eq!(all(Role::Task, Fate::CutIdle), 1);
    assert_eq!(all(Role::Task, Fate::TaskEnded), 1);
    assert_eq!(all(Role::Main, Fate::RowDeleted), 1);
    assert_eq!(pods().len(), 2);
}
