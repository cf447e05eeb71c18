//! The inventory of real parts: what is set where, as the probe's role sees it.

#![expect(clippy::expect_used, reason = "what goes wrong here is a failed test")]

use api::inventory::{ArmInventory, Hop, Setting};
use jiff::SignedDuration;
use lab::{
    holding::{Holding, now},
    pgbouncer::{self, PgBouncer},
    postgres::{self, Postgres},
    server::free_port,
};
use tokio::task::block_in_place;

const USER: &str = "svc_probe";
const PASSWORD: &str = "s3cret-of-the-test";

/// A PostgreSQL with a timer of its own, and our role with another one.
fn postgres() -> Postgres {
    block_in_place(|| {
        let postgres = Postgres::start(&postgres::Options {
            settings: "idle_session_timeout = 10min",
            ..postgres::Options::default()
        });
        postgres.role(USER, PASSWORD);
        postgres.sql(&format!("ALTER ROLE {USER} SET statement_timeout = '7s'"));
        postgres
    })
}

fn holding(port: u16) -> Holding {
    Holding::new(port, USER, PASSWORD)
}

async fn target(holding: Holding) -> ArmInventory {
    holding.inventory().await.arms.remove(0)
}

fn told(settings: &[Setting], name: &str) -> String {
    let setting = settings.iter().find(|setting| setting.name == name).expect(name);
    let Setting { value, unit, source, default, .. } = setting;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{value} {} from {}, else {}", text(unit), text(source), text(default))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_seen_as_the_role_that_is_measured_sees_it() {
    let postgres = postgres();
    let inventory = holding(postgres.port).inventory().await;
    assert_eq!(inventory.problem, None);
    assert!(inventory.pod_tcp.keepalive_time_s > Some(0) && inventory.pod_tcp.retries2 > Some(0));
    let arm = &inventory.arms[0];
    assert_eq!((&arm.problem, arm.hop), (&None, Some(Hop::Direct)));
    let of = |name| told(&arm.settings, name);
    assert_eq!(of("idle_session_timeout"), "600000 ms from configuration file, else 0");
    assert_eq!(of("statement_timeout"), "7000 ms from user, else 0");
    // The socket's own, from the server's kernel.
    let idle = inventory.pod_tcp.keepalive_time_s.expect("the same kernel");
    assert_eq!(of("tcp_keepalives_idle"), format!("{idle} s from default, else 0"));
    assert!(arm.at_default.iter().any(|name| name == "lock_timeout"), "{arm:#?}");
    let known = |name: &str| format!("{arm:?}").contains(name);
    assert!(!known("\"transaction_timeout"), "PostgreSQL 15 has none: {arm:#?}");

    let server = arm.server.as_ref().expect("a server");
    assert!(server.version.starts_with("15.") && !server.in_recovery, "{server:?}");
    let age = now().duration_since(server.started_at.expect("a start"));
    assert!(age > SignedDuration::ZERO && age < SignedDuration::from_mins(2), "{age:?}");
    let (offset, error) = (server.clock_offset_ms, server.clock_error_ms.expect("an error"));
    assert!(offset.expect("an offset").abs() <= error, "the same clock: {server:?}");
    assert_eq!(server.address.as_deref(), Some(&*format!("127.0.0.1:{}", postgres.port)));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_pgbouncer_the_hop_is_another_and_its_own_timers_are_read_on_request() {
    let postgres = postgres();
    let start = |users| {
        block_in_place(|| {
            PgBouncer::start(
                &postgres,
                &pgbouncer::Options {
                    settings: &format!(
                        "pool_mode = transaction\nclient_idle_timeout = 77\nstats_users = {users}"
                    ),
                    users: &[(USER, PASSWORD)],
                    ..pgbouncer::Options::default()
                },
            )
        })
    };
    let (allowed, refused) = (start(USER), start("somebody"));
    let arm = target(holding(allowed.port)).await;
    assert_eq!((arm.hop, &arm.pgbouncer), (Some(Hop::Indirect), &None));
    assert_eq!(told(&arm.settings, "statement_timeout"), "7000 ms from user, else 0");

    let arm = target(holding(allowed.port).reading_pgbouncer()).await;
    let pgbouncer = arm.pgbouncer.expect("its timers");
    let of = |name| told(&pgbouncer.settings, name);
    assert_eq!(pgbouncer.problem, None);
    assert_eq!(of("client_idle_timeout"), "77 s from , else 0");
    assert_eq!(of("pool_mode"), "transaction  from , else ");
    assert!(pgbouncer.at_default.iter().any(|name| name == "server_lifetime"), "{pgbouncer:?}");

    let arm = target(holding(refused.port).reading_pgbouncer()).await;
    let problem = arm.pgbouncer.and_then(|pgbouncer| pgbouncer.problem).expect("a problem");
    assert!(problem.contains("stats_users") && problem.starts_with("FATAL 08P01"), "{problem}");
    assert!(arm.server.is_some(), "the server was read all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_said_without_credentials() {
    let postgres = postgres();
    for (holding, wanted) in [
        (
            Holding::new(postgres.port, USER, "wrong-password"),
            "FATAL 28P01 password authentication failed for user \"<user>\"",
        ),
        (holding(free_port()), "TCP connect: Connection refused"),
        (holding(postgres.port).host("no-such-host.invalid"), "name lookup: "),
    ] {
        let inventory = holding.inventory().await;
        let problem = inventory.arms[0].problem.clone().expect("a problem");
        assert!(problem.starts_with(wanted), "{problem}");
        let message = inventory.to_message();
        for secret in [USER, PASSWORD, "wrong-password", "no-such-host"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}
