//! Every close form, caused for real: PostgreSQL 15, PgBouncer, and a relay with faults, on
//! loopback. The report must say what was done, and its time must contain when it was done.

#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use api::{
    close_form::CloseForm,
    report::{Ending, LaneEnd, Outcome},
};
use jiff::Timestamp;
use lab::{
    holding::{Holding, now, only_lane, span},
    pgbouncer::{self, PgBouncer},
    postgres::{self, Postgres},
};
use std::time::Duration;
use tokio::task::block_in_place;

mod between;
mod haproxy;
mod listening;
mod login;
mod network;
mod ours;
mod outage;
mod paths;
mod patterns;
mod server;

const USER: &str = "svc_probe";
const PASSWORD: &str = "s3cret-of-the-test";

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A PostgreSQL with our role.
fn postgres_with(options: &postgres::Options<'_>) -> Postgres {
    block_in_place(|| {
        let postgres = Postgres::start(options);
        postgres.role(USER, PASSWORD);
        postgres
    })
}

/// A PgBouncer before it, with these lines in its settings.
fn pgbouncer_with(postgres: &Postgres, settings: &str) -> PgBouncer {
    let users = &[(USER, PASSWORD)];
    let options = pgbouncer::Options { settings, users, ..pgbouncer::Options::default() };
    block_in_place(|| PgBouncer::start(postgres, &options))
}

fn holding(port: u16) -> Holding {
    Holding::new(port, USER, PASSWORD)
}

/// Does something blocking, and returns when it began and when it had been done.
fn done(act: impl FnOnce()) -> (Timestamp, Timestamp) {
    let before = now();
    block_in_place(act);
    (before, now())
}

/// What was announced is exact, up to a stall of this busy machine: it lies where it was done. A
/// signal takes a while until its process acts on it.
#[track_caller]
fn assert_announced(lane: &LaneEnd, (before, after): (Timestamp, Timestamp)) {
    let (first, last) = span(lane);
    let (rounding, after) = (ms(1), after + ms(200));
    assert!(before <= last + rounding, "{lane:?} was done at {before}");
    assert!(first <= after, "{lane:?} was done by {after}");
    assert!(last.duration_since(first) < jiff::SignedDuration::from_millis(300), "{lane:?}");
}

/// What only a write or a time-out revealed is an interval, from the last answer on, in which it
/// was done.
#[track_caller]
fn assert_revealed(lane: &LaneEnd, (before, after): (Timestamp, Timestamp)) {
    let (first, last) = span(lane);
    assert!(first <= before && after <= last, "{lane:?} was done {before} to {after}");
    let unknown = last.duration_since(first).as_millis();
    let since_answer = i128::from(lane.clocks.expect("clocks").request_ms.expect("a login"));
    assert!((unknown - since_answer).abs() <= 2, "{lane:?}");
}

/// Checks an ending of one cut connection, and gives its form and lane.
#[track_caller]
fn cut(ending: &Ending) -> (&CloseForm, &LaneEnd) {
    assert_eq!(ending.outcome, Outcome::Disconnected, "{ending:#?}");
    (ending.form.as_ref().expect("a form"), only_lane(ending))
}

fn codes(form: &CloseForm) -> Vec<&str> {
    form.messages.iter().map(|message| message.code.as_str()).collect()
}
