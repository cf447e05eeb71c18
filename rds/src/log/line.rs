//! A line of a proxy's log. AWS documents neither their words nor their form, and may change both.

use aws_sdk_cloudwatchlogs::types::FilteredLogEvent;

/// What CloudWatch is asked to leave out all else for: either of these.
pub(super) const PATTERN: &str = r#"?"client connected from" ?"client connection closed""#;

const OPENED: &str = "client connected from ";
const CLOSED: &str = "client connection closed";
const REASON: &str = "Reason: ";

/// A line about a client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// When, in milliseconds since 1970, by CloudWatch Logs.
    pub(super) at: i64,
    /// The log stream: numbers of connections may be those of one host of the proxy.
    pub(super) stream: String,
    /// The number of the connection.
    pub(super) connection: u64,
    /// What of it.
    pub(super) what: What,
}

/// What is said of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It was opened, from this TCP port.
    Opened(u16),
    /// It was closed, and why: in the proxy's words.
    Closed(String),
}

impl Line {
    /// What an event says; most say nothing of a client's connection.
    pub(super) fn of(event: &FilteredLogEvent) -> Option<Self> {
        let (connection, what) = parse(event.message()?)?;
        let stream = event.log_stream_name().unwrap_or_default().to_owned();
        Some(Self { at: event.timestamp()?, stream, connection, what })
    }
}

fn parse(message: &str) -> Option<(u64, What)> {
    let (tags, what) = if let Some((tags, address)) = message.split_once(OPENED) {
        let (_, port) = address.trim().trim_end_matches('.').rsplit_once(':')?;
        (tags, What::Opened(port.parse().ok()?))
    } else {
        let (tags, _) = message.split_once(CLOSED)?;
        let text = message.find(REASON).or_else(|| message.rfind("] ").map(|at| at + 2));
        (tags, What::Closed(message[text?..].trim().to_owned()))
    };
    let (_, number) = tags.split_once("[clientConnection=")?;
    Some((number.split(']').next()?.parse().ok()?, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGS: &str =
        "2026-03-01T12:40:49.123Z [INFO] [proxyEndpoint=default] [clientConnection=4242]";

    #[test]
    fn what_proxies_were_seen_to_write_is_understood() {
        let of = |text: &str| parse(&format!("{TAGS} {text}"));
        let closed = |text: &str| Some((4242, What::Closed(text.to_owned())));
        assert_eq!(
            of("A new client connected from 10.0.3.7:40962."),
            Some((4242, What::Opened(40962)))
        );
        assert_eq!(of("A new client connected from [fd00::7]:1"), Some((4242, What::Opened(1))));
        assert_eq!(
            of(
                "The client connection closed. Reason: The client requested that the connection close."
            ),
            closed("Reason: The client requested that the connection close.")
        );
        assert_eq!(of("The client connection closed."), closed("The client connection closed."));
        for other in [
            "The client session was pinned to the database connection [dbConnection=7] for the remainder of the \
             session. Reason: SQL changed session settings that the proxy doesn't track.",
            "The database connection closed. Reason: The client connection that borrowed this database connection \
             from the connection pool was closed in the middle of a request.",
            "A new client connected from nowhere.",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(parse("The client connection closed. Reason: It has no number."), None);
    }
}
