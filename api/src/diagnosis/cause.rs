//! Why connections were cut, in one word: a label of metrics, so there are only these.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($name:ident $doc:literal,)+) => {
        /// Why connections were cut. More may be added: clients must tolerate unknown values.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        pub enum Cause {
            $(#[doc = $doc] $name,)+
        }

        impl Cause {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The word as it stands in statuses and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

causes! {
    IdleSessionTimeout "PostgreSQL's idle_session_timeout.",
    IdleInTransactionTimeout "A limit on silence in a transaction.",
    TransactionTimeout "A limit on the age of a transaction.",
    StatementTimeout "A limit on the time of a statement.",
    PoolerIdleTimeout "A pooler's timer on idle clients.",
    SessionTerminated "Somebody ended sessions: pg_terminate_backend.",
    ServerRestart "The server was shut down or restarted.",
    ServerCrash "A server process crashed, and all sessions with it.",
    Failover "Another server took over.",
    RecoveryConflict "A standby ended sessions that stood in the way of its recovery.",
    PoolerShutdown "A pooler was told to let go.",
    PoolerLostServer "A pooler lost its own connection to the server.",
    ReadOnlyServer "The server takes no writes.",
    ConnectionRefused "Connections could not be opened.",
    OtherMessage "The peer gave a reason that is none of those that are known here.",
    RequestIdleTimer "A silent timer that counts from the last request.",
    ByteIdleTimer "A silent timer that counts from the last byte, such as that of a proxy in TCP mode.",
    IdleTimer "A silent idle timer; which kind is not known.",
    FlowForgotten "A device on the way forgot silent flows, and resets what comes next.",
    SilentDrop "Packets disappear without a word.",
    MaxLifetime "A limit on the age of a connection.",
    PinnedTimer "A silent timer on sessions with a SET or LISTEN.",
    OneMoment "Something that happened at one moment.",
    OneHost "One of several hosts behind a name went away.",
    Sweep "Something that comes at regular moments.",
    OwnNode "The pod's own node closed the sockets.",
    NotificationsLost "Connections live, and do not hear what they LISTEN for.",
    IdleTaskCut "Real tasks' connections were cut while they were silent.",
    WorkerCut "Real workers' own connections were cut.",
    WorkerLeft "Real workers left by themselves.",
    NoCut "Nothing was cut.",
    Unknown "What was seen does not tell.",
}

impl Cause {
    /// Its page in the documentation.
    #[must_use]
    pub fn page(self) -> String {
        format!("docs/causes/{}.md", self.as_str())
    }
}
