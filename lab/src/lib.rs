//! Helpers for tests on real parts: the lab's cluster, its operator and its audit log; a PostgreSQL, a
//! PgBouncer and a HAProxy of one's own, a relay with faults, and the probe that is held against them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test support: what goes wrong here is a failed test"
)]

pub mod audit;
pub mod aws;
pub mod causes;
pub mod certificates;
pub mod cluster;
pub mod device;
pub mod elsewhere;
pub mod haproxy;
pub mod holding;
pub mod leaks;
pub mod namespace;
pub mod operator;
pub mod overridden;
pub mod overriding;
pub mod part;
pub mod pgbouncer;
pub mod postgres;
pub mod pulp;
pub mod rds_path;
pub mod recording;
pub mod relay;
pub mod server;
pub mod tools;
