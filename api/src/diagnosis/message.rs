//! Causes that whoever closed names himself. The text of a pooler goes before the SQLSTATE, which poolers borrow from
//! PostgreSQL; otherwise the SQLSTATE goes before the text, which a server may say in another language.

use super::Cause;
use crate::close_form::{MessageKind, ServerMessage};

/// A rule: what is said, and by what it is meant.
struct Rule {
    code: Option<&'static str>,
    /// Part of the text, in small letters.
    text: &'static str,
    cause: Cause,
}

const fn text(text: &'static str, cause: Cause) -> Rule {
    Rule { code: None, text, cause }
}

const fn code(code: &'static str, cause: Cause) -> Rule {
    Rule { code: Some(code), text: "", cause }
}

/// The first that fits decides. Sources: PgBouncer's src/janitor.c, src/server.c and src/admin.c; PgDog's
/// error_response.rs; Odyssey's frontend.c; pgcat's messages.rs; PostgreSQL's documentation, appendix A.
const RULES: [Rule; 27] = [
    text("client_idle_timeout", Cause::PoolerIdleTimeout),
    text("disconnecting idle client", Cause::PoolerIdleTimeout),
    text("dropped by odyssey due to idle timeout", Cause::PoolerIdleTimeout),
    text("disconnecting idle in transaction client", Cause::IdleInTransactionTimeout),
    text("dropped by odyssey due to idle in transaction", Cause::IdleInTransactionTimeout),
    Rule {
        code: Some("08P01"),
        text: "idle transaction timeout",
        cause: Cause::IdleInTransactionTimeout,
    },
    Rule {
        code: Some("58000"),
        text: "idle transaction timeout",
        cause: Cause::IdleInTransactionTimeout,
    },
    Rule { code: Some("08P01"), text: "transaction timeout", cause: Cause::TransactionTimeout },
    Rule { code: Some("08P01"), text: "query timeout", cause: Cause::StatementTimeout },
    Rule { code: Some("58000"), text: "statement timeout", cause: Cause::StatementTimeout },
    text("database removed", Cause::PoolerShutdown),
    text("pgdog is shutting down", Cause::PoolerShutdown),
    Rule { code: Some("08P01"), text: "shutting down", cause: Cause::PoolerShutdown },
    text("immediate shutdown", Cause::ServerRestart),
    text("conflict with recovery", Cause::RecoveryConflict),
    code("57P05", Cause::IdleSessionTimeout),
    code("25P03", Cause::IdleInTransactionTimeout),
    code("25P04", Cause::TransactionTimeout),
    code("57P02", Cause::ServerCrash),
    code("57P03", Cause::ServerRestart),
    code("57P04", Cause::RecoveryConflict),
    code("57P01", Cause::SessionTerminated),
    Rule { code: Some("57014"), text: "statement timeout", cause: Cause::StatementTimeout },
    code("25006", Cause::ReadOnlyServer),
    text("server conn crashed", Cause::PoolerLostServer),
    text("server login has been failing", Cause::PoolerLostServer),
    text("pgbouncer cannot connect to server", Cause::PoolerLostServer),
];

/// What the messages name: the first that names something known.
pub(super) fn cause(messages: &[ServerMessage]) -> Option<Cause> {
    let known = messages.iter().find_map(named);
    known.or_else(|| messages.iter().any(is_an_end).then_some(Cause::OtherMessage))
}

fn named(message: &ServerMessage) -> Option<Cause> {
    let text = message.text.to_lowercase();
    let fits = |rule: &&Rule| {
        rule.code.is_none_or(|code| code == message.code) && text.contains(rule.text)
    };
    RULES.iter().find(fits).map(|rule| rule.cause)
}

/// A notice that is not known may have come by chance.
fn is_an_end(message: &ServerMessage) -> bool {
    message.kind == MessageKind::Error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_names_the_cause() {
        let table = [
            (
                "57P05",
                "terminating connection due to idle-session timeout",
                Cause::IdleSessionTimeout,
            ),
            ("57P05", "Verbindung wird abgebrochen", Cause::IdleSessionTimeout),
            ("57P05", "disconnecting idle client", Cause::PoolerIdleTimeout),
            ("08P01", "client_idle_timeout", Cause::PoolerIdleTimeout),
            ("08P01", "idle transaction timeout", Cause::IdleInTransactionTimeout),
            ("08P01", "transaction timeout", Cause::TransactionTimeout),
            ("08P01", "query timeout", Cause::StatementTimeout),
            ("08P01", "server conn crashed?", Cause::PoolerLostServer),
            ("08P01", "something new", Cause::OtherMessage),
            ("25P03", "x", Cause::IdleInTransactionTimeout),
            (
                "57P01",
                "terminating connection due to administrator command",
                Cause::SessionTerminated,
            ),
            ("57P01", "PgDog is shutting down", Cause::PoolerShutdown),
            (
                "57P01",
                "terminating connection due to immediate shutdown command",
                Cause::ServerRestart,
            ),
            ("57P02", "x", Cause::ServerCrash),
            (
                "40001",
                "terminating connection due to conflict with recovery",
                Cause::RecoveryConflict,
            ),
            ("57014", "canceling statement due to statement timeout", Cause::StatementTimeout),
            ("57014", "canceling statement due to user request", Cause::OtherMessage),
        ];
        for (code, text, wanted) in table {
            let said = ServerMessage {
                kind: MessageKind::Error,
                severity: "FATAL".into(),
                code: code.into(),
                text: text.into(),
                routine: None,
            };
            assert_eq!(cause(std::slice::from_ref(&said)), Some(wanted), "{code} {text}");
            let notice = ServerMessage { kind: MessageKind::Notice, ..said };
            let unknown = wanted == Cause::OtherMessage;
            assert_eq!(cause(&[notice]), (!unknown).then_some(wanted), "{code} {text}");
        }
    }
}
