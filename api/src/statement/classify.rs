//! Which class a statement is of, by its own words.

use super::{
    Class,
    token::{Kind, Token, Tokens},
};

/// Where a statement calls several functions: the one that says most of it.
const BY_WEIGHT: [Class; 6] = [
    Class::SetConfig,
    Class::SessionLock,
    Class::Sequence,
    Class::SetLocal,
    Class::TransactionLock,
    Class::Notify,
];
/// How many tokens of a call are read for its third argument: the rest of the text would be read once for each call.
const CALL: usize = 64;

pub(super) fn class(sql: &str) -> Class {
    let open = |token: &Token<'_>| token.is_mark("(") || token.is_mark(";");
    let tokens = Tokens::new(sql).skip_while(open).take_while(|token| !token.is_mark(";"));
    let tokens: Vec<Token<'_>> = tokens.collect();
    let Some(first) = tokens.first() else { return Class::Empty };
    let next = |keyword: &str| tokens.get(1).is_some_and(|token| token.is(keyword));
    let any = |keyword: &str| tokens.iter().any(|token| token.is(keyword));
    if first.kind != Kind::Word {
        return Class::Other;
    }
    match first.text.to_ascii_uppercase().as_str() {
        "SELECT" | "VALUES" | "TABLE" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "WITH" => {
            query(&tokens)
        }
        "BEGIN" | "START" => Class::Begin,
        "COMMIT" | "END" => Class::Commit,
        "ROLLBACK" if any("TO") => Class::Savepoint,
        "ROLLBACK" | "ABORT" => Class::Rollback,
        "SAVEPOINT" | "RELEASE" => Class::Savepoint,
        "SET" if next("LOCAL") || next("TRANSACTION") || next("CONSTRAINTS") => Class::SetLocal,
        "SET" => Class::Set,
        "RESET" => Class::Reset,
        "LISTEN" => Class::Listen,
        "UNLISTEN" => Class::Unlisten,
        "NOTIFY" => Class::Notify,
        "DECLARE" | "FETCH" | "MOVE" | "CLOSE" => Class::Cursor,
        // Of two-phase commit.
        "PREPARE" if next("TRANSACTION") => Class::Other,
        "PREPARE" | "EXECUTE" | "DEALLOCATE" => Class::Prepare,
        "DISCARD" if next("ALL") => Class::DiscardAll,
        "DISCARD" => Class::Discard,
        "LOAD" => Class::Load,
        "COPY" => Class::Copy,
        "SHOW" => Class::Show,
        "CREATE" if creates_temporary(&tokens) => Class::TemporaryTable,
        "CREATE" | "ALTER" | "DROP" | "TRUNCATE" | "COMMENT" | "GRANT" | "REVOKE" | "REINDEX"
        | "REFRESH" | "REASSIGN" | "IMPORT" | "SECURITY" => Class::Ddl,
        _ => Class::Other,
    }
}

/// `CREATE [OR REPLACE] [GLOBAL | LOCAL] TEMP [RECURSIVE] …`
fn creates_temporary(tokens: &[Token<'_>]) -> bool {
    let before = ["OR", "REPLACE", "GLOBAL", "LOCAL"];
    let mut words = tokens.iter().skip(1).skip_while(|token| before.iter().any(|it| token.is(it)));
    words.next().is_some_and(is_temporary)
}

fn is_temporary(token: &Token<'_>) -> bool {
    token.is("TEMP") || token.is("TEMPORARY")
}

fn query(tokens: &[Token<'_>]) -> Class {
    let called = calls(tokens);
    if let Some(class) = BY_WEIGHT.into_iter().find(|class| called.contains(class)) {
        return class;
    }
    match verb(tokens) {
        Class::Select if selects_into_temporary(tokens) => Class::TemporaryTable,
        Class::Update if is_heartbeat(tokens) => Class::Heartbeat,
        class => class,
    }
}

/// What a query may be for.
const VERBS: [(&str, Class); 7] = [
    ("SELECT", Class::Select),
    ("VALUES", Class::Select),
    ("TABLE", Class::Select),
    ("INSERT", Class::Insert),
    ("UPDATE", Class::Update),
    ("DELETE", Class::Delete),
    ("MERGE", Class::Merge),
];

/// What the statement itself does, not what stands in its parentheses. A name of a CTE may look like a verb.
fn verb(tokens: &[Token<'_>]) -> Class {
    let mut depth = 0;
    let mut is_name = false;
    for token in tokens {
        let verb = VERBS.into_iter().find(|(word, _)| token.is(word));
        if let Some((_, class)) = verb.filter(|_| depth <= 0 && !is_name) {
            return class;
        }
        depth += depth_of(token);
        is_name = token.is("WITH") || token.is("RECURSIVE") || token.is_mark(",");
    }
    Class::Other
}

fn depth_of(token: &Token<'_>) -> i32 {
    i32::from(token.is_mark("(")) - i32::from(token.is_mark(")"))
}

/// `SELECT … INTO [LOCAL | GLOBAL] TEMP …`
fn selects_into_temporary(tokens: &[Token<'_>]) -> bool {
    let into = |two: &[Token<'_>]| two[1].is("INTO") && !two[0].is("INSERT") && !two[0].is("MERGE");
    let into = tokens.windows(2).position(into);
    let mut after = tokens.iter().skip(into.map_or(tokens.len(), |at| at + 2));
    after.find(|token| !token.is("LOCAL") && !token.is("GLOBAL")).is_some_and(is_temporary)
}

/// `UPDATE "core_appstatus" SET "last_heartbeat" …`, or of the older `"core_worker"`.
fn is_heartbeat(tokens: &[Token<'_>]) -> bool {
    tokens.windows(3).find(|three| three[1].is("SET")).is_some_and(|three| {
        let is_workers = three[0].names("core_appstatus") || three[0].names("core_worker");
        is_workers && three[2].names("last_heartbeat")
    })
}

/// What the functions do that are called: a name without quotes before a parenthesis, of no other schema than pg_catalog.
fn calls(tokens: &[Token<'_>]) -> Vec<Class> {
    let call = |(at, two): (usize, &[Token<'_>])| {
        let [name, open] = two else { return None };
        let earlier = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
        let is_qualified = earlier(1).is_some_and(|token| token.is_mark("."));
        let is_ours = !is_qualified || earlier(2).is_some_and(|token| token.is("pg_catalog"));
        let is_call = name.kind == Kind::Word && open.is_mark("(") && is_ours;
        is_call.then(|| called(name.text, tokens.get(at + 2..).unwrap_or_default())).flatten()
    };
    tokens.windows(2).enumerate().filter_map(call).collect()
}

/// What a function of PostgreSQL's does to the session.
fn called(name: &str, arguments: &[Token<'_>]) -> Option<Class> {
    let name = name.to_ascii_lowercase();
    let begins = |with: [&str; 2]| with.iter().any(|with| name.starts_with(with));
    match name.as_str() {
        "set_config" if is_local(arguments) => Some(Class::SetLocal),
        "set_config" => Some(Class::SetConfig),
        "nextval" | "setval" => Some(Class::Sequence),
        "pg_notify" => Some(Class::Notify),
        _ if begins(["pg_advisory_xact_lock", "pg_try_advisory_xact_lock"]) => {
            Some(Class::TransactionLock)
        }
        _ if begins(["pg_advisory_", "pg_try_advisory_"]) => Some(Class::SessionLock),
        _ => None,
    }
}

/// Whether the third argument is written as true.
fn is_local(arguments: &[Token<'_>]) -> bool {
    let (mut depth, mut commas) = (0, 0);
    for token in arguments.iter().take(CALL) {
        if commas == 2 {
            let is_true = ["'true'", "'t'", "'on'", "'yes'", "'1'"];
            return token.is("true") || is_true.contains(&token.text.to_ascii_lowercase().as_str());
        }
        depth += depth_of(token);
        commas += i32::from(depth == 0 && token.is_mark(","));
        if depth < 0 {
            break;
        }
    }
    false
}
