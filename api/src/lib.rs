//! What the operator and the probe share: the two resources, the settings that a probe pod gets,
//! the report that it gives back, and every sentence that a user reads.
//!
//! # Layout
//! - [`probe`], [`run`]: the resources `ConnectionProbe` and `ConnectionProbeRun`.
//! - [`measurement`], [`target`], [`control`], [`workload`], [`preset`], [`tcp`], [`pod_template`]: what is
//!   measured, as a user writes it.
//! - [`iam`]: how a probe asks for tokens of AWS IAM.
//! - [`rds_proxy`]: where a proxy of AWS is asked for its own facts, and what it told.
//! - [`manifest`]: the same from a file, held to the schema without an API server.
//! - [`settings`], [`pattern`]: the same, settled and parsed, as a probe pod gets it.
//! - [`lanes`]: when each connection starts. [`secret_keys`]: where credentials are found.
//! - [`forecast`]: what that would do to a database.
//! - [`report`], [`close_form`], [`lifetime`], [`inventory`], [`observed`]: what a probe pod tells. [`survival`]: which share
//!   lived how long.
//! - [`diagnosis`]: why connections were cut. [`expect`]: whether that was expected.
//! - [`conditions`], [`text`], [`render`]: what a person reads. [`metrics`]: what Prometheus does.
//! - [`beats`]: what kind of connection it is, by when it is active. [`sockets`]: those of a pod, as its kernel sees them.
//! - [`statement`]: what a statement does, and whether it pins a session of RDS Proxy.
//! - [`compare`]: two runs side by side. [`exit`]: exit codes. [`by_hand`]: a run without an operator.
//!
//! Nothing here reads a clock, waits, or talks to anyone.

#![allow(
    clippy::duplicated_attributes,
    reason = "printcolumns share types and priorities; clippy takes that for a repetition"
)]
#![allow(unreachable_pub, reason = "KubeSchema's derive copies a struct into a function")]

pub mod beats;
pub mod by_hand;
pub mod close_form;
pub mod compare;
pub mod conditions;
pub mod control;
pub mod diagnosis;
pub mod exit;
pub mod expect;
pub mod forecast;
pub mod iam;
pub mod inventory;
pub mod lanes;
pub mod lifetime;
pub mod manifest;
pub mod measurement;
pub mod metrics;
pub mod names;
pub mod observed;
pub mod pattern;
pub mod pod_template;
pub mod preset;
pub mod probe;
pub mod rds_proxy;
pub mod render;
pub mod report;
pub mod run;
pub mod scheduling;
pub mod schema;
pub mod secret_keys;
pub mod settings;
pub mod sockets;
pub mod statement;
pub mod survival;
pub mod target;
pub mod tcp;
pub mod text;
pub mod workload;

pub use inventory::Inventory;
pub use probe::{ConnectionProbe, ConnectionProbeSpec, ConnectionProbeStatus};
pub use report::Report;
pub use run::{ConnectionProbeRun, ConnectionProbeRunSpec, ConnectionProbeRunStatus};
pub use settings::Settings;
