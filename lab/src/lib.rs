//! Helpers for tests on real parts: the lab's cluster, its audit log.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "test support: what goes wrong here is a failed test"
)]

pub mod audit;
pub mod cluster;
