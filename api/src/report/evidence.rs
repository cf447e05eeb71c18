//! What a report tells beside the ends: with which timers connections were held, at what cost, and
//! how attentive the probe itself was.

use crate::schema;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// TCP's timers as they were in force on a socket, read back from the kernel. What is smaller than
/// a timer on the path decides who notices, and whether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TcpTimers {
    /// Silence before the first keepalive packet, in seconds (TCP_KEEPIDLE).
    pub keepalive_idle_seconds: i32,
    /// Time between two keepalive packets that were not answered, in seconds (TCP_KEEPINTVL).
    pub keepalive_interval_seconds: i32,
    /// Keepalive packets that may go unanswered (TCP_KEEPCNT).
    pub keepalive_count: i32,
    /// How long what was sent may go unacknowledged, in milliseconds (TCP_USER_TIMEOUT). Absent:
    /// until the kernel has retransmitted net.ipv4.tcp_retries2 times, some 15 minutes as a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_timeout_ms: Option<i64>,
}

/// What the kernel knew of a connection when its end was noticed (TCP_INFO). A 0 is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TcpInfo {
    /// Retransmissions in a row that went unanswered.
    #[serde(skip_serializing_if = "schema::is_zero")]
    pub retransmits: i32,
    /// Keepalive packets in a row that went unanswered.
    #[serde(skip_serializing_if = "schema::is_zero")]
    pub probes: i32,
    /// How often the time between two retransmissions had been doubled.
    #[serde(skip_serializing_if = "schema::is_zero")]
    pub backoff: i32,
    /// Packets that the peer had not acknowledged. The kernel forgets them when it gives up.
    #[serde(skip_serializing_if = "schema::is_zero")]
    pub unacked: i32,
    /// Milliseconds since the peer last acknowledged something, to 10 ms: until then its kernel
    /// was there, if perhaps nobody else.
    pub last_ack_recv_ms: i64,
    /// Milliseconds since the peer's last data, to 10 ms.
    pub last_data_recv_ms: i64,
    /// Round trip as the kernel smoothed it, in microseconds.
    pub rtt_us: i64,
}

/// What the server was asked for, logins included. Bytes are PostgreSQL's protocol: without TLS, TCP
/// and IP around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// Requests that were sent after the login: what ReadyForQuery answers.
    pub requests: i64,
    /// Bytes to the server.
    pub bytes_sent: i64,
    /// Bytes from the server.
    pub bytes_received: i64,
}

/// What came of connecting anew after a cut: 0, 1, 5, 15 and 60 s after it was noticed, until a SELECT
/// was answered. These connections count into no figure but the cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reconnect {
    /// Outages that were followed: a cut, and all others until a connection was answered again.
    pub outages: i32,
    /// Connections that were tried.
    pub attempts: i32,
    /// The longest time from when a cut was noticed until an answer, in milliseconds: the outage was
    /// no longer than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_outage_ms: Option<i64>,
    /// An outage was not over when it was last tried, so many milliseconds after the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unended_after_ms: Option<i64>,
    /// Why the last attempt that failed did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub last_error: Option<String>,
    /// When the server that answered last was started, by its own clock: after a cut, if it was
    /// restarted or another one took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub server_started_at: Option<Timestamp>,
    /// Whether it is a standby.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_recovery: Option<bool>,
    /// Its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub server_address: Option<String>,
}

/// How often something lapsed, and by how much at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lapses {
    /// How often.
    pub n: i32,
    /// The longest, in milliseconds.
    pub longest_ms: i64,
}

/// NOTIFYs to the connections of one arm, each sent by a connection of its own that listens too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Notifications {
    /// How many were committed.
    pub sent: i32,
    /// How many were not, or nobody knows.
    pub send_failed: i32,
    /// How many of those sent their own sender heard: only then silence says something about a
    /// connection.
    pub heard_by_sender: i32,
    /// How many the connections should have heard, all together: those that were committed while they
    /// listened.
    pub expected: i32,
    /// How many they heard, all together.
    pub received: i32,
}

/// What became of the connections of a ladder that were silent for the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rung {
    /// How long they were to be silent, in milliseconds.
    pub silence_ms: i64,
    /// How many were cut in that time, or at the request after it.
    pub cut: i32,
    /// How many answered after it.
    pub survived: i32,
}

impl Lapses {
    /// One more.
    pub fn add(lapses: &mut Option<Self>, ms: i64) {
        let Self { n, longest_ms } = lapses.get_or_insert_default();
        *n = n.saturating_add(1);
        *longest_ms = ms.max(*longest_ms);
    }
}
