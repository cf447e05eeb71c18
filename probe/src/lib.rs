//! Holds PostgreSQL connections in given ways, notices to the millisecond when, how and by whom
//! each is cut, and reports.
//!
//! # Layout
//! - [`args`], [`by_hand`], [`run`], [`hold`], [`exit`], [`stop`]: what to do, in one sentence, and how it ends.
//! - [`mounts`], [`target`], [`password`], [`problem`]: credentials in files, an endpoint out. [`iam`]: tokens in
//!   place of a password.
//! - [`connect`], [`tls`], [`auth`]: opening a connection, each phase timed.
//! - [`link`], [`wire`], [`session`]: the socket; frames; requests, answers and the end. [`meter`]:
//!   what that costs the server.
//! - [`close`], [`life`], [`tcp_info`], [`stall`], [`clock`]: what is concluded from an end, and how
//!   exactly.
//! - [`lane`], [`held`], [`workload`]: one connection from beginning to end. [`reconnect`]: what
//!   is to be had afterwards.
//! - [`announcer`], [`heard`]: what those that listen are told, and what they hear.
//! - [`inventory`]: the timers on the way, read once before a run.
//! - [`sockets`]: other processes' connections, as their kernel sees them.
//! - [`end`], [`recorder`], [`reporter`], [`events`], [`termination`], [`http`]: what is told; [`voice`],
//!   [`screen`], [`progress`]: to a person. [`scrub`]: and what is not.
//!
//! One thread does all of it; name lookups and the hashing of passwords borrow a second one.

pub mod announcer;
pub mod args;
pub mod auth;
pub mod by_hand;
pub mod client;
pub mod clock;
pub mod close;
pub mod connect;
pub mod end;
pub mod events;
pub mod exit;
pub mod heard;
pub mod held;
pub mod hold;
pub mod http;
pub mod iam;
pub mod inventory;
pub mod lane;
pub mod life;
pub mod link;
pub mod meter;
pub mod mounts;
pub mod observe;
pub mod password;
pub mod problem;
pub mod progress;
pub mod reconnect;
pub mod recorder;
pub mod reporter;
pub mod run;
pub mod screen;
pub mod scrub;
pub mod session;
pub mod sockets;
pub mod stall;
pub mod stop;
pub mod target;
pub mod tcp_info;
pub mod termination;
pub mod tls;
pub mod voice;
pub mod wire;
pub mod workload;
