//! What a cause means, and what to do about it.

use crate::diagnosis::Cause;

/// What a cause means.
pub(in super::super) fn meaning(cause: Cause) -> &'static str {
    match cause {
        Cause::IdleSessionTimeout => {
            "PostgreSQL's idle_session_timeout ended sessions that sent nothing outside a transaction. LISTEN counts \
             as idle, and a notification that is delivered does not reset it. Behind a pooler it ends the pooler's \
             own connections, and only clients that hold one feel it."
        }
        Cause::IdleInTransactionTimeout => {
            "A timer of the server or of a pooler ended sessions that were silent in an open transaction. Whoever \
             said so is whose timer it is: PostgreSQL 25P03, PgBouncer 08P01."
        }
        Cause::TransactionTimeout => {
            "A limit on the age of transactions ended them, busy or idle: PostgreSQL's transaction_timeout (25P04), \
             or a pooler's (08P01)."
        }
        Cause::StatementTimeout => {
            "A limit on the time of a statement ended it. PostgreSQL's statement_timeout cancels the statement and \
             keeps the session; a pooler's query_timeout closes the connection."
        }
        Cause::PoolerIdleTimeout => {
            "A pooler's timer closed clients that had no server connection and sent nothing. PgBouncer in session \
             mode spares clients that have sent their first query."
        }
        Cause::SessionTerminated => {
            "Somebody ended the sessions, by pg_terminate_backend or DROP DATABASE … FORCE: a person, a job, an \
             operator. It is no timer of PostgreSQL's own."
        }
        Cause::ServerRestart => {
            "The database server was shut down or restarted, and all its sessions ended with it."
        }
        Cause::ServerCrash => {
            "A process of the database server died, out of memory or by a bug, and the server ended all sessions to \
             recover. The session of the process itself ends without a word."
        }
        Cause::Failover => {
            "Another server answers now: a failover, a switch-over, or a name that was pointed elsewhere."
        }
        Cause::RecoveryConflict => {
            "A standby ended sessions whose snapshot or lock stood in the way of what it replays."
        }
        Cause::PoolerShutdown => {
            "A pooler closed its clients on purpose: it was stopped, told to KILL a database, or given a new \
             configuration without it."
        }
        Cause::PoolerLostServer => {
            "A pooler's own connection to the server ended, and the client that held it with it. What ended it lies \
             between pooler and server, or in the server."
        }
        Cause::ReadOnlyServer => {
            "The server answers and takes no writes: it became a standby, or is set to read only. The connection \
             lives; a Pulp worker ends at its next heartbeat."
        }
        Cause::ConnectionRefused => {
            "New connections could not be opened. Those that were open are not concerned."
        }
        Cause::OtherMessage => {
            "The peer gave a reason that is not known here. It is quoted as it came."
        }
        Cause::RequestIdleTimer => {
            "Whoever closed knows PostgreSQL's protocol: it counts from the last request, and bytes that the server \
             sends do not reset it. RDS Proxy's IdleClientTimeout is described so; what it looks like on the wire \
             was never tried here."
        }
        Cause::ByteIdleTimer => {
            "Whoever closed only sees bytes: a proxy in TCP mode, such as HAProxy, Envoy or a mesh sidecar. Any byte \
             in either direction resets it, TCP keepalives do not."
        }
        Cause::IdleTimer => {
            "A timer on silence closed the connections, without saying so. Whether it counts requests (RDS Proxy, a \
             pooler) or bytes (HAProxy, Envoy) is not known."
        }
        Cause::FlowForgotten => {
            "A device on the way (load balancer, NAT, firewall) had forgotten the connection while it was silent, and \
             reset it at the next packet. Whoever only listens does not learn of it."
        }
        Cause::SilentDrop => {
            "Packets of these connections disappeared and nobody said so: a device forgot them and drops what comes, \
             or the path or the peer's host was gone. Whoever only listens does not learn of it."
        }
        Cause::MaxLifetime => {
            "Connections were ended at an age, busy or idle: a limit on the lifetime of clients."
        }
        Cause::PinnedTimer => {
            "Only sessions with a SET or LISTEN were closed, without a word: a timer that sees them otherwise than \
             others, as one behind a multiplexing proxy does, which they are pinned to."
        }
        Cause::OneMoment => {
            "Something happened at that moment that ended connections of any age: a restart, a deployment, a scale-in, \
             a network change."
        }
        Cause::OneHost => {
            "One of the hosts behind the name went away or was restarted; connections to the others lived on."
        }
        Cause::Sweep => {
            "Something comes by at regular moments and ends connections: a job, a reload, a health check."
        }
        Cause::OwnNode => {
            "The pod's own node destroyed the sockets (ECONNABORTED): a service proxy that removed an endpoint, or \
             somebody with ss --kill. The path is not to blame."
        }
        Cause::NotificationsLost => {
            "The connections answer and no longer hear: the pooler gave their server connection to somebody else, and \
             LISTEN stayed behind. A Pulp worker would wait for its next poll without an error."
        }
        Cause::IdleTaskCut => {
            "A task's connection is silent for as long as the task sends nothing: downloads take longer than many idle \
             timers. The worker's own connection has a heartbeat, which keeps it alive."
        }
        Cause::WorkerCut => {
            "Workers' own connections went while their rows stayed: something cut them, or killed their processes. A \
             worker that leaves in order deletes its row first."
        }
        Cause::WorkerLeft => {
            "The workers went by themselves, in order, or because their row had been deleted, which another worker does \
             to one whose heartbeats have not come for longer than WORKER_TTL."
        }
        Cause::NoCut => {
            "On this path nothing ends connections that behave like these within that time. If Pulp's own end \
             earlier, look at what they do otherwise, and at the worker itself: a worker whose heartbeat row is \
             deleted ends, too."
        }
        Cause::Unknown => {
            "Nothing that is known here explains these cuts alone. It may be chance, a person, or several causes of \
             which each cut too few."
        }
    }
}

/// What to do about it.
pub(in super::super) fn next_step(cause: Cause) -> &'static str {
    match cause {
        Cause::IdleSessionTimeout => {
            "Raise idle_session_timeout for the role, or have the client send something more often."
        }
        Cause::IdleInTransactionTimeout => {
            "Commit before waiting; raise the timer only if transactions must be left open."
        }
        Cause::TransactionTimeout => "Make transactions shorter, or raise the limit for the role.",
        Cause::StatementTimeout => "Raise the limit for the role, or make the statement shorter.",
        Cause::PoolerIdleTimeout => {
            "Raise client_idle_timeout, or have the client send something more often."
        }
        Cause::SessionTerminated => {
            "Look into the server's log at these moments for who called pg_terminate_backend, and stop or tame it."
        }
        Cause::ServerRestart => {
            "Look into the server's log and the provider's events for the reason; have clients connect anew."
        }
        Cause::ServerCrash => {
            "Look into the server's log for which process died and why, most often for want of memory."
        }
        Cause::Failover => {
            "Look into the provider's events for the reason; have clients connect anew."
        }
        Cause::RecoveryConflict => {
            "Send long sessions to the primary, or raise max_standby_streaming_delay."
        }
        Cause::PoolerShutdown => {
            "Look into the pooler's log and deployments at that moment; have clients connect anew."
        }
        Cause::PoolerLostServer => {
            "Look into the server's log at these moments; compare with a control straight to the server."
        }
        Cause::ReadOnlyServer => "Point the path at the primary, and find out why it was moved.",
        Cause::ConnectionRefused => {
            "See what was said: credentials, limits, certificates or the address."
        }
        Cause::OtherMessage => {
            "Look the message up in the documentation of whoever is on the path; its log at that moment has more."
        }
        Cause::RequestIdleTimer => {
            "Raise the timer of the proxy, or have the client send a request more often than it."
        }
        Cause::ByteIdleTimer => {
            "Raise the proxy's idle timers, or have something sent more often than them; keepalives do not help."
        }
        Cause::IdleTimer => {
            "Run the experiment, which tells requests from bytes; a request more often than the timer helps in any case."
        }
        Cause::FlowForgotten => {
            "Set TCP keepalives on client and server to less than the time, or raise the device's idle time-out."
        }
        Cause::SilentDrop => {
            "Set TCP keepalives and TCP_USER_TIMEOUT on the client, which prevent it where a device forgets and show it early where a path breaks."
        }
        Cause::MaxLifetime => {
            "Have the client renew its connections before that age, or raise the limit where that is possible."
        }
        Cause::PinnedTimer => {
            "Avoid SET and LISTEN on that path, or raise the server's timers that see pinned sessions."
        }
        Cause::OneMoment => {
            "Look into logs and events of everything on the path at that moment; run the probe again to see whether it comes back."
        }
        Cause::OneHost => "Look into that host's events at that moment; have clients connect anew.",
        Cause::Sweep => "Look for a job with that period on server, pooler and nodes.",
        Cause::OwnNode => "Look into the node's service proxy and its log at that moment.",
        Cause::NotificationsLost => {
            "LISTEN through a session pool or straight to the server; a transaction pool can't keep it."
        }
        Cause::IdleTaskCut => {
            "Run idleLadder on the same path for the timer's value. Then raise it, or have TCP keepalives sent if it \
             counts packets."
        }
        Cause::WorkerCut => {
            "kubectl cprobe watch-workers tells who closed the socket; kubectl describe pod, whether the process was \
             killed."
        }
        Cause::WorkerLeft => {
            "Read the worker's log at that moment. If rows are deleted, look for what stalls a worker for longer than \
             WORKER_TTL: CPU limits, a full database, a suspended node."
        }
        Cause::NoCut => {
            "Run longer, or closer to what Pulp does: client Django, pulpWorker, pulpTask."
        }
        Cause::Unknown => "Run the experiment: more connections and more ways of holding them.",
    }
}
