//! The Helm chart, and the plain manifests that are rendered from it. `offline` needs no cluster, `live` the lab.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod live;
mod offline;
mod render;
mod schemas;
