//! Splits SQL as PostgreSQL's own scanner does (src/backend/parser/scan.l with standard_conforming_strings on), as far as
//! telling statements apart needs it. What is open at the end of the text ends there: a view may have cut it off.

/// A piece of a statement. White space and comments are between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// As it was written.
    pub(super) text: &'a str,
    /// Whether white space or a comment is before it.
    pub(super) apart: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A string in any of its notations, or a number.
    Literal,
    /// `$1`.
    Parameter,
    /// One character of an operator or of punctuation.
    Mark,
}

impl Token<'_> {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    pub(super) fn is_mark(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }

    /// Whether it is this name, with quotes or without.
    pub(super) fn names(&self, name: &str) -> bool {
        self.is(name) || self.kind == Kind::Quoted && self.text.trim_matches('"') == name
    }
}

/// The tokens of a text.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    sql: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self { sql, at: 0 }
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.sql.get(self.at..)?;
        let blank = blank(rest.as_bytes());
        let rest = rest.get(blank..)?;
        let (kind, length) = first(rest.as_bytes())?;
        self.at += blank + length;
        Some(Token { kind, text: rest.get(..length)?, apart: blank > 0 })
    }
}

/// What the text begins with, and how many bytes it is long. All that ends a token is ASCII, or the end.
fn first(sql: &[u8]) -> Option<(Kind, usize)> {
    Some(match sql {
        [] => return None,
        [b'\'', ..] => (Kind::Literal, string(sql, 1, false)),
        [b'e' | b'E', b'\'', ..] => (Kind::Literal, string(sql, 2, true)),
        [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => {
            (Kind::Literal, string(sql, 2, false))
        }
        [b'u' | b'U', b'&', b'\'', ..] => (Kind::Literal, string(sql, 3, false)),
        [b'u' | b'U', b'&', b'"', ..] => (Kind::Quoted, quoted(sql, 3)),
        [b'"', ..] => (Kind::Quoted, quoted(sql, 1)),
        [b'$', b'0'..=b'9', ..] => {
            (Kind::Parameter, 1 + run(&sql[1..], |byte| byte.is_ascii_digit()))
        }
        [b'$', ..] => match dollars(sql) {
            Some(length) => (Kind::Literal, length),
            None => (Kind::Mark, 1),
        },
        [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => (Kind::Literal, number(sql)),
        [byte, ..] if is_name(*byte) => {
            (Kind::Word, run(sql, |byte| is_name(byte) || byte.is_ascii_digit() || byte == b'$'))
        }
        _ => (Kind::Mark, 1),
    })
}

/// How many bytes of white space and comments there are.
fn blank(sql: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let rest = sql.get(at..).unwrap_or_default();
        at += match rest {
            [b' ' | b'\t' | b'\n' | b'\r' | b'\x0b' | b'\x0c', ..] => 1,
            [b'-', b'-', ..] => run(rest, |byte| byte != b'\n' && byte != b'\r'),
            [b'/', b'*', ..] => comment(rest),
            _ => return at,
        };
    }
}

/// A comment, in which others may be.
fn comment(sql: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    loop {
        match sql.get(at..) {
            None | Some([]) => return sql.len(),
            Some([b'/', b'*', ..]) => (depth, at) = (depth + 1, at + 2),
            Some([b'*', b'/', ..]) => {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
}

/// A string whose content begins there. One that goes on after a line break is one string.
fn string(sql: &[u8], content: usize, escapes: bool) -> usize {
    let mut at = content;
    loop {
        match sql.get(at..) {
            None | Some([]) => return sql.len(),
            Some([b'\\', _, ..]) if escapes => at += 2,
            Some([b'\'', b'\'', ..]) => at += 2,
            Some([b'\'', rest @ ..]) => match continued(rest) {
                Some(more) => at += 1 + more,
                None => return at + 1,
            },
            _ => at += 1,
        }
    }
}

/// How far the next quote is, if nothing but a line break is before it.
fn continued(sql: &[u8]) -> Option<usize> {
    let (between, rest) = sql.split_at_checked(blank(sql))?;
    let goes_on =
        rest.first() == Some(&b'\'') && between.iter().any(|b| matches!(b, b'\n' | b'\r'));
    goes_on.then_some(between.len() + 1)
}

/// A name in quotes whose content begins there.
fn quoted(sql: &[u8], content: usize) -> usize {
    let mut at = content;
    loop {
        match sql.get(at..) {
            None | Some([]) => return sql.len(),
            Some([b'"', b'"', ..]) => at += 2,
            Some([b'"', ..]) => return at + 1,
            _ => at += 1,
        }
    }
}

/// A string between `$tag$` and `$tag$`.
fn dollars(sql: &[u8]) -> Option<usize> {
    let tag = run(&sql[1..], |byte| is_name(byte) || byte.is_ascii_digit());
    let (begin, rest) = sql.split_at_checked(tag + 2)?;
    // The tag has no `$` in it, so that no byte is compared twice.
    begin.ends_with(b"$").then(|| {
        let end = rest.windows(begin.len()).position(|window| window == begin);
        begin.len() + end.map_or(rest.len(), |end| end + begin.len())
    })
}

/// A number, or what begins with a digit and can be nothing else.
fn number(sql: &[u8]) -> usize {
    let mut before = 0;
    run(sql, |byte| {
        let is_sign = matches!(byte, b'+' | b'-') && matches!(before, b'e' | b'E');
        before = byte;
        is_sign || byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.')
    })
}

/// What a name may begin with: letters of every script.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn run(sql: &[u8], mut is: impl FnMut(u8) -> bool) -> usize {
    sql.iter().take_while(|byte| is(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(sql: &str) -> Vec<(Kind, &str)> {
        Tokens::new(sql).map(|token| (token.kind, token.text)).collect()
    }

    #[test]
    fn every_notation_of_a_string_is_one_token() {
        let strings = [
            "''",
            "'it''s'",
            "'a\\'",
            r"E'a\'b'",
            "e'a\\\\'",
            "B'01'",
            "x'1F'",
            "N'n'",
            "U&'d\\0061'",
            "$$a 'b' $1 $c$$",
            "$a$ $b$ $$ $a $a$",
            "$ä1$x$ä1$",
            "'one'\n  'two'",
            "E'one' -- and\n '\\'two'",
            "'open",
            "$open$ to the end",
            "1",
            "1.5e-3",
            ".5",
            "0x1F",
            "1_000",
        ];
        for string in strings {
            assert_eq!(split(string), [(Kind::Literal, string)], "{string}");
        }
        // On one line they are two, and the second has no escapes.
        assert_eq!(split(r"E'\'' 'b\' c").len(), 3);
    }

    #[test]
    fn names_parameters_and_marks_are_told_apart() {
        use Kind::{Literal, Mark, Parameter, Quoted, Word};
        let tokens = split("a$1$ \"b\"\"c\" u&\"d\" $12 $ é_1 <=-1");
        let expected = [
            (Word, "a$1$"),
            (Quoted, "\"b\"\"c\""),
            (Quoted, "u&\"d\""),
            (Parameter, "$12"),
            (Mark, "$"),
            (Word, "é_1"),
            (Mark, "<"),
            (Mark, "="),
            (Mark, "-"),
            (Literal, "1"),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn comments_are_white_space() {
        let tokens: Vec<_> = Tokens::new("/* a /* ' */ */x-- \"\ny/**/z /* open")
            .map(|t| (t.text, t.apart))
            .collect();
        assert_eq!(tokens, [("x", true), ("y", true), ("z", true)]);
    }
}
