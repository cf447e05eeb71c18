//! How the end of a connection looked: a record, and one word for tables.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Everything that was seen of an end. The one-word name is derived from the rest.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct CloseForm {
    /// One word for tables.
    pub word: CloseWord,
    /// ErrorResponses and NoticeResponses that announced the end, in the order of arrival.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    pub messages: Vec<ServerMessage>,
    /// How TLS ended; absent on a plain connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub tls: Option<TlsEnd>,
    /// How TCP ended.
    #[schemars(length(max = 32))]
    pub tcp: TcpEnd,
    /// Whether bytes of ours were under way, so that the end was noticed by writing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub on_write: bool,
}

/// A word for how a connection ended. More may be added: clients must tolerate unknown values.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum CloseWord {
    /// The peer said why, in an ErrorResponse or NoticeResponse.
    Message,
    /// The peer closed in good order, without a word.
    Fin,
    /// The peer or a device between reset the connection, unprompted.
    Rst,
    /// A reset answered something that we sent: the flow was forgotten some time before.
    RstOnWrite,
    /// The TLS endpoint sent an alert other than close_notify, or something that is not TLS.
    TlsAlert,
    /// TCP closed in good order without TLS's close_notify: the TLS endpoint died, or something
    /// between closed for it.
    Truncated,
    /// Nothing came back in time.
    TimedOut,
}

/// A message that the server, or a proxy in its name, sent. Scrubbed of user, database, host name
/// and password.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct ServerMessage {
    /// `Error` or `Notice`: PostgreSQL announces a crash and an immediate shutdown by a notice.
    pub kind: MessageKind,
    /// Severity, not translated: FATAL, PANIC, ERROR, WARNING, …
    #[schemars(length(max = 16))]
    pub severity: String,
    /// SQLSTATE (PostgreSQL documentation, appendix A).
    #[schemars(length(max = 8))]
    pub code: String,
    /// The text, at most 200 characters.
    #[schemars(length(max = 200))]
    pub text: String,
    /// The routine of the server that reported it. PostgreSQL sends one, poolers do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub routine: Option<String>,
}

/// Which protocol message carried it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum MessageKind {
    /// ErrorResponse.
    Error,
    /// NoticeResponse.
    Notice,
}

/// How TLS ended (RFC 8446, section 6.1). Written as `CloseNotify`, `Alert <name>`, `Truncated`,
/// `Corrupt` or `Open`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", from = "String")]
#[schemars(with = "String")]
pub enum TlsEnd {
    /// With a close_notify: the TLS endpoint itself closed.
    CloseNotify,
    /// With this alert.
    Alert(String),
    /// TCP closed in good order, without a close_notify.
    Truncated,
    /// With bytes that could not be decrypted: something between wrote into the connection.
    Corrupt,
    /// TLS was still up when TCP failed.
    Open,
}

/// How TCP ended. Written as `Fin`, `Rst`, `TimedOut`, `Errno <number>` or `Open`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(into = "String", from = "String")]
#[schemars(with = "String")]
pub enum TcpEnd {
    /// The peer sent a FIN.
    Fin,
    /// A reset: ECONNRESET or EPIPE.
    Rst,
    /// ETIMEDOUT: keepalives or retransmissions went unanswered.
    TimedOut,
    /// Another errno.
    Errno(i32),
    /// The socket was still open when we gave up.
    Open,
}

impl From<TlsEnd> for String {
    fn from(end: TlsEnd) -> Self {
        match end {
            TlsEnd::CloseNotify => "CloseNotify".to_owned(),
            TlsEnd::Alert(alert) => format!("Alert {alert}"),
            TlsEnd::Truncated => "Truncated".to_owned(),
            TlsEnd::Corrupt => "Corrupt".to_owned(),
            TlsEnd::Open => "Open".to_owned(),
        }
    }
}

impl From<String> for TlsEnd {
    fn from(text: String) -> Self {
        match text.as_str() {
            "CloseNotify" => Self::CloseNotify,
            "Truncated" => Self::Truncated,
            "Corrupt" => Self::Corrupt,
            "Open" => Self::Open,
            other => Self::Alert(other.strip_prefix("Alert ").unwrap_or(other).to_owned()),
        }
    }
}

impl From<TcpEnd> for String {
    fn from(end: TcpEnd) -> Self {
        match end {
            TcpEnd::Fin => "Fin".to_owned(),
            TcpEnd::Rst => "Rst".to_owned(),
            TcpEnd::TimedOut => "TimedOut".to_owned(),
            TcpEnd::Errno(errno) => format!("Errno {errno}"),
            TcpEnd::Open => "Open".to_owned(),
        }
    }
}

impl From<String> for TcpEnd {
    fn from(text: String) -> Self {
        match text.as_str() {
            "Fin" => Self::Fin,
            "Rst" => Self::Rst,
            "TimedOut" => Self::TimedOut,
            "Open" => Self::Open,
            other => {
                let number = other.strip_prefix("Errno ").and_then(|n| n.parse().ok());
                Self::Errno(number.unwrap_or_default())
            }
        }
    }
}

/// ECONNABORTED on Linux: the own host destroyed the socket (`ss --kill`, a service proxy that
/// drops connections to removed endpoints). The only errno besides a reset that tells at once.
const ABORTED: i32 = 103;

impl CloseForm {
    /// Derives the word from what was seen.
    #[must_use]
    pub fn new(
        messages: Vec<ServerMessage>,
        tls: Option<TlsEnd>,
        tcp: TcpEnd,
        on_write: bool,
    ) -> Self {
        let word = if !messages.is_empty() {
            CloseWord::Message
        } else if matches!(tls, Some(TlsEnd::Alert(_) | TlsEnd::Corrupt)) {
            CloseWord::TlsAlert
        } else {
            match (tcp, &tls) {
                (TcpEnd::Fin, Some(TlsEnd::Truncated)) => CloseWord::Truncated,
                // Who said goodbye in TLS has closed, even if he waits for ours before he closes TCP.
                (TcpEnd::Fin, _) | (TcpEnd::Open, Some(TlsEnd::CloseNotify)) => CloseWord::Fin,
                (TcpEnd::Rst, _) if on_write => CloseWord::RstOnWrite,
                (TcpEnd::Rst | TcpEnd::Errno(ABORTED), _) => CloseWord::Rst,
                // EHOSTUNREACH and its like surface when retransmission is given up, not when
                // the path breaks.
                (TcpEnd::TimedOut | TcpEnd::Errno(_) | TcpEnd::Open, _) => CloseWord::TimedOut,
            }
        };
        Self { word, messages, tls, tcp, on_write }
    }

    /// Whether a packet of the peer's announced the end at the moment it was noticed. Otherwise it
    /// came to light by writing or by waiting, and only an interval is known.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        match self.word {
            CloseWord::Message => true,
            CloseWord::Fin | CloseWord::Rst | CloseWord::TlsAlert | CloseWord::Truncated => {
                !self.on_write
            }
            CloseWord::RstOnWrite | CloseWord::TimedOut => false,
        }
    }
}

impl CloseWord {
    /// The word as it is written in tables and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "Message",
            Self::Fin => "Fin",
            Self::Rst => "Rst",
            Self::RstOnWrite => "RstOnWrite",
            Self::TlsAlert => "TlsAlert",
            Self::Truncated => "Truncated",
            Self::TimedOut => "TimedOut",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_and_its_precision_follow_from_what_was_seen() {
        use CloseWord as W;
        let alert = || Some(TlsEnd::Alert("internal_error".into()));
        #[rustfmt::skip]
        let table = [
            (None, TcpEnd::Fin, false, W::Fin, true),
            (None, TcpEnd::Fin, true, W::Fin, false),
            (Some(TlsEnd::CloseNotify), TcpEnd::Fin, false, W::Fin, true),
            (Some(TlsEnd::CloseNotify), TcpEnd::Open, false, W::Fin, true),
            (Some(TlsEnd::Truncated), TcpEnd::Fin, false, W::Truncated, true),
            (alert(), TcpEnd::Fin, false, W::TlsAlert, true),
            (Some(TlsEnd::Corrupt), TcpEnd::Open, false, W::TlsAlert, true),
            (None, TcpEnd::Rst, false, W::Rst, true),
            (Some(TlsEnd::Open), TcpEnd::Rst, false, W::Rst, true),
            (None, TcpEnd::Rst, true, W::RstOnWrite, false),
            (None, TcpEnd::Errno(ABORTED), false, W::Rst, true),
            (None, TcpEnd::Errno(113), false, W::TimedOut, false),
            (None, TcpEnd::TimedOut, false, W::TimedOut, false),
            (None, TcpEnd::Open, true, W::TimedOut, false),
        ];
        for (tls, tcp, on_write, word, exact) in table {
            let form = CloseForm::new(Vec::new(), tls, tcp, on_write);
            assert_eq!((form.word, form.is_exact()), (word, exact), "{form:?}");
        }
    }

    #[test]
    fn ends_are_written_as_they_are_read() {
        for end in [TlsEnd::Corrupt, TlsEnd::Open, TlsEnd::Alert("x_y".into())] {
            assert_eq!(TlsEnd::from(String::from(end.clone())), end);
        }
        for end in [TcpEnd::Errno(113), TcpEnd::Rst, TcpEnd::Open] {
            assert_eq!(TcpEnd::from(String::from(end)), end);
        }
    }
}
