//! A statement without what was in it.

use super::token::{Kind, Token, Tokens};
use crate::report::shorten;

/// The longest text that is kept, in characters.
pub const LENGTH: usize = 200;

/// The statement with `$1`, `$2` … in place of every string, number and parameter, without comments, white space folded,
/// at most 200 characters. Names stay. PostgreSQL does this for queries, but before 16 not for other statements: `SET x = 'secret'`
/// and `CREATE ROLE … PASSWORD 'secret'` stand in pg_stat_statements as they were sent. The value of a SET goes without
/// quotes, too.
#[must_use]
pub fn normalise(sql: &str) -> String {
    let mut text = String::new();
    let mut values = 0;
    let mut value = Value::default();
    for token in Tokens::new(sql) {
        // More is cut off below.
        if text.len() > LENGTH * 4 {
            break;
        }
        let is_value = value.is_next(&token);
        let written = match token.kind {
            Kind::Word | Kind::Quoted if !is_value => token.text.to_owned(),
            Kind::Mark => token.text.to_owned(),
            _ => {
                values += 1;
                format!("${values}")
            }
        };
        // Two words that were told apart by a quote only.
        let would_join = text.ends_with(is_part) && written.starts_with(is_part);
        if !text.is_empty() && (token.apart || would_join) {
            text.push(' ');
        }
        text += &written;
    }
    shorten(&mut text, LENGTH);
    text
}

/// What a name may go on with.
fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii() || c == '_' || c == '$'
}

/// Where the value of a setting begins: after `SET name =`, `SET name TO` or `SET TIME ZONE`, in a SET, or in an ALTER or
/// CREATE of what has settings. In an UPDATE there are columns after SET.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Value {
    #[default]
    Verb,
    /// None can come.
    Never,
    /// SET may come.
    Perhaps,
    /// SET was there.
    Named,
    Here,
}

impl Value {
    /// Whether this token is one, or part of one.
    fn is_next(&mut self, token: &Token<'_>) -> bool {
        let is = |words: &[&str]| words.iter().any(|word| token.is(word));
        let is_value = *self == Self::Here && !token.is("DEFAULT");
        *self = match *self {
            _ if token.is_mark(";") => Self::Verb,
            Self::Verb if is(&["SET"]) => Self::Named,
            Self::Verb if is(&["ALTER", "CREATE"]) => Self::Perhaps,
            Self::Verb => Self::Never,
            Self::Perhaps if is(&["SET"]) => Self::Named,
            Self::Named if is(&["TO", "ZONE"]) || token.is_mark("=") => Self::Here,
            it => it,
        };
        is_value
    }
}
