//! Causes that are injected for real, each with its label.

use crate::relay::Fault;
use api::diagnosis::Cause;

/// One case: what is on the way, what happens, and what is to be found.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Its causes, each as the words that are right for it. None: nothing is to be named.
    pub causes: &'static [&'static [Cause]],
    /// Lines of `postgresql.conf`. `{t}` is the time in seconds here and below, `{u}` another, longer one.
    pub(super) postgres: &'static str,
    pub(super) hop: Hop,
    pub(super) device: Option<(Counts, Fault)>,
    pub(super) act: Act,
}

/// What the probe connects to, before a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Hop {
    Direct,
    /// With these lines of its settings.
    PgBouncer(&'static str),
    HaProxy(&'static str),
}

/// What a device counts, each for the time of the case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Counts {
    Nothing,
    Bytes,
    Packets,
    Requests,
    Age,
    /// The same, but it varies by a tenth.
    VaryingAge,
    Statement,
    Random,
    Sweep,
    /// The longer time.
    OldAge,
}

/// What somebody does, at the time of the case or for as long as it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    Nothing,
    Restart,
    ImmediateRestart,
    Crash,
    TerminateAll,
    /// Whoever is older.
    TerminateByAge,
    /// Whoever is in a transaction for longer.
    TerminateByState,
    TerminateAtRandom,
    /// The device cuts all.
    CutAll,
    /// The second of two hosts goes away.
    LoseHost,
    /// Another server takes over.
    Switch,
    /// The probe is told to stop, as when its pod is evicted.
    Evict,
    /// The probe is stopped for a while.
    Stall,
}

const PLAIN: Case =
    Case { name: "", causes: &[], postgres: "", hop: Hop::Direct, device: None, act: Act::Nothing };

const fn server(
    name: &'static str,
    causes: &'static [&'static [Cause]],
    postgres: &'static str,
) -> Case {
    Case { name, causes, postgres, ..PLAIN }
}

const fn hop(name: &'static str, causes: &'static [&'static [Cause]], hop: Hop) -> Case {
    Case { name, causes, hop, ..PLAIN }
}

const fn device(
    name: &'static str,
    causes: &'static [&'static [Cause]],
    counts: Counts,
    fault: Fault,
) -> Case {
    Case { name, causes, device: Some((counts, fault)), ..PLAIN }
}

const fn act(name: &'static str, causes: &'static [&'static [Cause]], act: Act) -> Case {
    Case { name, causes, act, ..PLAIN }
}

const SESSION: &[Cause] = &[Cause::IdleSessionTimeout];
const IN_TRANSACTION: &[Cause] = &[Cause::IdleInTransactionTimeout];
const STATEMENT: &[Cause] = &[Cause::StatementTimeout];
const POOLER: &[Cause] = &[Cause::PoolerIdleTimeout];
const DEAF: &[Cause] = &[Cause::NotificationsLost];
const BYTES: &[Cause] = &[Cause::ByteIdleTimer, Cause::IdleTimer];
const REQUESTS: &[Cause] = &[Cause::RequestIdleTimer, Cause::IdleTimer];
const FORGOTTEN: &[Cause] = &[Cause::FlowForgotten];
const DROPPED: &[Cause] = &[Cause::SilentDrop];
const LIFETIME: &[Cause] = &[Cause::MaxLifetime];
const RESTART: &[Cause] = &[Cause::ServerRestart];
const CRASH: &[Cause] = &[Cause::ServerCrash];
const TERMINATED: &[Cause] = &[Cause::SessionTerminated];
const MOMENT: &[Cause] = &[Cause::OneMoment];
const HOST: &[Cause] = &[Cause::OneHost];
const FAILOVER: &[Cause] = &[Cause::Failover];
/// What comes once looks like a moment.
const SWEEP: &[Cause] = &[Cause::Sweep, Cause::OneMoment];

const TRANSACTION_POOL: &str = "pool_mode = transaction\ndefault_pool_size = 60";
const IDLE_CLIENTS: &str =
    "pool_mode = transaction\ndefault_pool_size = 60\nclient_idle_timeout = {t}";
const IDLE_IN_POOL: &str =
    "pool_mode = transaction\ndefault_pool_size = 60\nidle_transaction_timeout = {t}";
const SESSION_POOL: &str = "pool_mode = session\ndefault_pool_size = 60\nclient_idle_timeout = {t}";
const QUERIES: &str = "pool_mode = session\ndefault_pool_size = 60\nquery_timeout = {t}";
const SMALL_POOL: &str = "pool_mode = session\ndefault_pool_size = 5\nquery_wait_timeout = 3";
const CLIENT_AND_SERVER: &str = " timeout client {t}s\n timeout server {t}s";
const TUNNEL: &str = " timeout client 60s\n timeout server 60s\n timeout tunnel {t}s";
const IDLE_SESSION: &str = "idle_session_timeout = {t}s\n";
const IDLE_TRANSACTION: &str = "idle_in_transaction_session_timeout = {t}s\n";

/// Each cause by itself, and some of them two at once.
pub const CASES: [Case; 41] = [
    act("nothing", &[], Act::Nothing),
    server("PostgreSQL idle_session_timeout", &[SESSION], IDLE_SESSION),
    server("PostgreSQL idle_in_transaction_session_timeout", &[IN_TRANSACTION], IDLE_TRANSACTION),
    server("PostgreSQL statement_timeout", &[STATEMENT], "statement_timeout = {t}s\n"),
    hop(
        "PgBouncer client_idle_timeout, transaction",
        &[POOLER, DEAF],
        Hop::PgBouncer(IDLE_CLIENTS),
    ),
    hop("PgBouncer client_idle_timeout, session", &[POOLER], Hop::PgBouncer(SESSION_POOL)),
    hop(
        "PgBouncer idle_transaction_timeout",
        &[IN_TRANSACTION, DEAF],
        Hop::PgBouncer(IDLE_IN_POOL),
    ),
    hop("PgBouncer query_timeout", &[STATEMENT], Hop::PgBouncer(QUERIES)),
    hop("LISTEN in a transaction pool", &[DEAF], Hop::PgBouncer(TRANSACTION_POOL)),
    hop("exhausted pool", &[], Hop::PgBouncer(SMALL_POOL)),
    hop("HAProxy timeout client, server", &[BYTES], Hop::HaProxy(CLIENT_AND_SERVER)),
    hop("HAProxy timeout tunnel", &[BYTES], Hop::HaProxy(TUNNEL)),
    device("requests counted, FIN", &[REQUESTS], Counts::Requests, Fault::Fin),
    device("flows forgotten after silence", &[FORGOTTEN], Counts::Bytes, Fault::Forget),
    device("flows forgotten, keepalives count", &[FORGOTTEN], Counts::Packets, Fault::Forget),
    device("flows dropped after silence", &[DROPPED], Counts::Bytes, Fault::BlackHole),
    device("lifetime", &[LIFETIME], Counts::Age, Fault::Fin),
    device("lifetime that varies by 10 %", &[LIFETIME], Counts::VaryingAge, Fault::Fin),
    device("cap on statements", &[STATEMENT], Counts::Statement, Fault::Fin),
    device("silent cuts at random", &[], Counts::Random, Fault::Fin),
    device("sweep", &[SWEEP], Counts::Sweep, Fault::Fin),
    act("restart", &[RESTART], Act::Restart),
    act("immediate shutdown", &[RESTART], Act::ImmediateRestart),
    act("crash", &[CRASH], Act::Crash),
    act("pg_terminate_backend, all", &[TERMINATED], Act::TerminateAll),
    act("pg_terminate_backend by age", &[TERMINATED], Act::TerminateByAge),
    act("pg_terminate_backend by state", &[TERMINATED], Act::TerminateByState),
    act("pg_terminate_backend at random", &[TERMINATED], Act::TerminateAtRandom),
    Case {
        device: Some((Counts::Nothing, Fault::Fin)),
        ..act("proxy restarted", &[MOMENT], Act::CutAll)
    },
    act("one of two hosts lost", &[HOST], Act::LoseHost),
    Case {
        device: Some((Counts::Nothing, Fault::Fin)),
        ..act("switch to another server", &[FAILOVER], Act::Switch)
    },
    Case {
        device: Some((Counts::Nothing, Fault::BlackHole)),
        ..act("route lost", &[&[Cause::OneMoment, Cause::SilentDrop]], Act::CutAll)
    },
    act("eviction", &[], Act::Evict),
    Case {
        act: Act::Stall,
        ..server("stalled probe and idle_session_timeout", &[SESSION], IDLE_SESSION)
    },
    // Two at once.
    Case {
        device: Some((Counts::OldAge, Fault::Fin)),
        ..server("idle_session_timeout and lifetime", &[SESSION, LIFETIME], IDLE_SESSION)
    },
    Case {
        device: Some((Counts::OldAge, Fault::Fin)),
        ..hop("HAProxy and lifetime", &[BYTES, LIFETIME], Hop::HaProxy(CLIENT_AND_SERVER))
    },
    Case {
        act: Act::Restart,
        ..server(
            "idle_in_transaction_session_timeout and restart",
            &[IN_TRANSACTION, RESTART],
            "idle_in_transaction_session_timeout = 5s\n",
        )
    },
    Case {
        act: Act::TerminateAtRandom,
        ..hop(
            "HAProxy and pg_terminate_backend",
            &[BYTES, TERMINATED],
            Hop::HaProxy(CLIENT_AND_SERVER),
        )
    },
    Case {
        postgres: IDLE_TRANSACTION,
        ..device(
            "requests counted and idle_in_transaction",
            &[REQUESTS, IN_TRANSACTION],
            Counts::Requests,
            Fault::Fin,
        )
    },
    Case {
        device: Some((Counts::OldAge, Fault::Forget)),
        ..hop(
            "client_idle_timeout and forgotten at an age",
            &[POOLER, &[Cause::FlowForgotten, Cause::MaxLifetime], DEAF],
            Hop::PgBouncer(IDLE_CLIENTS),
        )
    },
    Case {
        act: Act::CutAll,
        ..device(
            "flows forgotten, and then all cut",
            &[&[Cause::FlowForgotten, Cause::OneMoment]],
            Counts::Bytes,
            Fault::Forget,
        )
    },
];
