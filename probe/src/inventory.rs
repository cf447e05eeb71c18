//! Reads, once per run and over short connections of its own, the timers that can cut a connection.
//! Never an error: what could not be read is said in the inventory.

use crate::{
    client::Manner,
    clock::Clock,
    connect::{self, Dialer, Path, Refusal},
    mounts::Mounts,
    scrub::Scrubber,
    session::{ANSWER_TIMEOUT, Observer, Session},
    stall::Attention,
    target::Endpoint,
    wire::Row,
};
use api::{
    inventory::{ArmInventory, Inventory, PgBouncerTimers, Setting},
    settings::{Settings, TcpSettings},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout};

mod pgbouncer;
mod pod;
mod server;

/// The database server of an arm may take so long for everything. With PgBouncer's console and two
/// arms the pod waits for 20 s at worst.
const SERVER_LIMIT: Duration = Duration::from_secs(8);
/// PgBouncer's console.
const CONSOLE_LIMIT: Duration = Duration::from_secs(4);

/// Takes the inventory of all arms, one after the other.
pub async fn take(settings: &Settings, mounts: &Mounts, clock: Clock) -> Inventory {
    let now = Instant::now();
    let arms: Vec<_> = settings
        .arms()
        .map(|(arm, target)| (arm, target, Endpoint::new(target, &mounts.read(target))))
        .collect();
    let endpoints = arms.iter().filter_map(|(.., endpoint)| endpoint.as_ref().ok());
    let observer = Arc::new(Observer {
        scrubber: Scrubber::of(endpoints),
        // The limits come before it.
        answer_timeout: ANSWER_TIMEOUT,
        attention: Arc::new(Attention::new(now)),
        meter: Arc::default(),
    });
    let mut inventory =
        Inventory { taken_at: clock.at(now), pod_tcp: pod::tcp(), ..Inventory::default() };
    for (arm, target, endpoint) in arms {
        let mut read = ArmInventory { arm, ..ArmInventory::default() };
        match endpoint {
            Ok(endpoint) => {
                let server = server::read(&endpoint, &observer, clock, &mut read);
                read.problem = problem(timeout(SERVER_LIMIT, server).await, SERVER_LIMIT);
                if target.read_pgbouncer_config == Some(true) {
                    let mut timers = PgBouncerTimers::default();
                    let console = pgbouncer::read(endpoint, &observer, &mut timers);
                    timers.problem = problem(timeout(CONSOLE_LIMIT, console).await, CONSOLE_LIMIT);
                    read.pgbouncer = Some(timers);
                }
            }
            Err(problem) => read.problem = Some(problem.message),
        }
        inventory.arms.push(read);
    }
    inventory
}

fn problem<E>(result: Result<Result<(), String>, E>, limit: Duration) -> Option<String> {
    let late = || format!("There was no answer within {} s.", limit.as_secs());
    result.unwrap_or_else(|_| Err(late())).err()
}

async fn connect(endpoint: Endpoint, observer: &Arc<Observer>) -> Result<Session, String> {
    let addresses = connect::resolve(&endpoint.host, endpoint.port).await;
    let path = Path { addresses: addresses.map_err(|error| error.to_string()), endpoint };
    let dialer = Dialer {
        path: Arc::new(path),
        observer: Arc::clone(observer),
        tcp: TcpSettings::default(),
        manner: Manner::Raw,
        application_name: None,
    };
    dialer.connect(0).await.map(|opened| opened.session).map_err(Refusal::words)
}

/// The rows that answer a question, or in words why there are none.
async fn ask(session: &mut Session, sql: &str) -> Result<Vec<Row>, String> {
    session.answer(sql).await.flatten()
}

/// Parts what differs from its default from the names of what does not.
fn sort_out(found: impl Iterator<Item = Setting>) -> (Vec<Setting>, Vec<String>) {
    let (at_default, settings): (Vec<_>, Vec<_>) =
        found.partition(|setting| setting.default.as_ref() == Some(&setting.value));
    (settings, at_default.into_iter().map(|setting| setting.name).collect())
}
