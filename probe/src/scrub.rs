//! Removes what a Secret holds from texts of the server, before they leave the probe.

use crate::target::Endpoint;

/// Texts are cut to so many characters.
const MAX_TEXT: usize = 200;
/// Shorter values are only replaced where they stand alone: a database called `app` must not
/// eat the middle of `application`.
const SHORT: usize = 6;

/// What begins the part of a token of AWS IAM that lets somebody in (AWS documentation, "Create a signed request"), in
/// lower case. Behind it is no secret of ours that could be known before: each login has its own.
const TOKEN: &[u8] = b"x-amz-";

/// Knows what must not be shown.
#[derive(Clone, Default)]
pub struct Scrubber {
    /// Values in lower case with what stands for them, the longest first.
    secrets: Vec<(Vec<u8>, &'static str)>,
}

impl Scrubber {
    /// Scrubs these values, each with the word that is put in its place.
    #[must_use]
    pub fn new(values: &[(&str, &'static str)]) -> Self {
        let mut secrets: Vec<_> = values
            .iter()
            .filter(|(value, _)| !value.is_empty())
            .map(|(value, word)| (value.to_ascii_lowercase().into_bytes(), *word))
            .collect();
        secrets.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        Self { secrets }
    }

    /// Scrubs what these endpoints were given.
    #[must_use]
    pub fn of<'a>(endpoints: impl Iterator<Item = &'a Endpoint>) -> Self {
        let values: Vec<_> = endpoints.flat_map(Endpoint::secrets).collect();
        Self::new(&values)
    }

    /// The text without secrets and control characters, of at most 200 characters.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let mut clean = String::with_capacity(text.len());
        let mut rest = 0;
        while let Some(next) = text.get(rest..).and_then(|tail| tail.chars().next()) {
            match self.secret_at(lower.as_bytes(), rest) {
                Some((length, word)) => {
                    clean.push_str(word);
                    rest += length;
                }
                None => {
                    // Line breaks part words; other control characters only garble terminals.
                    match next {
                        '\n' | '\t' => clean.push(' '),
                        c if c.is_control() => {}
                        c => clean.push(c),
                    }
                    rest += next.len_utf8();
                }
            }
        }
        clean.chars().take(MAX_TEXT).collect()
    }

    fn secret_at(&self, text: &[u8], at: usize) -> Option<(usize, &'static str)> {
        let tail = text.get(at..)?;
        if tail.starts_with(TOKEN) {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'');
            return Some((tail.iter().position(ends).unwrap_or(tail.len()), "<token>"));
        }
        self.secrets
            .iter()
            .find(|(secret, _)| {
                tail.starts_with(secret)
                    && (secret.len() >= SHORT || stands_alone(text, at, secret.len()))
            })
            .map(|(secret, word)| (secret.len(), *word))
    }
}

fn stands_alone(text: &[u8], at: usize, length: usize) -> bool {
    let part_of_a_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let before = at.checked_sub(1).and_then(|i| text.get(i));
    let after = text.get(at + length);
    !before.is_some_and(part_of_a_word) && !after.is_some_and(part_of_a_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scrubber() -> Scrubber {
        Scrubber::new(&[
            ("app", "<database>"),
            ("app_user", "<user>"),
            ("db.prod.example", "<host>"),
            ("s3cret", "<password>"),
        ])
    }

    #[test]
    fn what_servers_say_keeps_its_sense_without_names() {
        let clean = |text| scrubber().clean(text);
        assert_eq!(
            clean("password authentication failed for user \"app_user\""),
            "password authentication failed for user \"<user>\""
        );
        assert_eq!(
            clean(
                "no pg_hba.conf entry for host \"10.0.0.7\", user \"app_user\", database \"app\""
            ),
            "no pg_hba.conf entry for host \"10.0.0.7\", user \"<user>\", database \"<database>\""
        );
        assert_eq!(clean("not valid for DB.Prod.Example"), "not valid for <host>");
        assert_eq!(clean("xs3cretx"), "x<password>x");
    }

    #[test]
    fn a_short_name_is_only_replaced_where_it_stands_alone() {
        let clean = |text| scrubber().clean(text);
        assert_eq!(clean("the application ended"), "the application ended");
        assert_eq!(clean("app, app."), "<database>, <database>.");
    }

    #[test]
    fn a_token_is_known_by_how_it_looks() {
        let token = "db.prod.example:5432/?Action=connect&DBUser=app_user&X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIDEXAMPLE%2F20261125%2Fus-east-1%2Frds-db%2Faws4_request&X-Amz-Signature=0f1e";
        assert_eq!(
            scrubber().clean(&format!("no role for \"{token}\"")),
            "no role for \"<host>:5432/?Action=connect&DBUser=<user>&<token>\""
        );
        let cut = "?x-amz-security-token=IQoJb3JpZ2lu";
        assert_eq!(scrubber().clean(cut), "?<token>");
    }

    #[test]
    fn control_characters_go_and_long_texts_are_cut() {
        assert_eq!(scrubber().clean("a\u{1b}[31m\nb\0"), "a[31m b");
        assert_eq!(scrubber().clean(&"ä".repeat(500)).chars().count(), 200);
    }

    proptest! {
        #[test]
        fn no_long_secret_survives(before in "\\PC{0,40}", after in "\\PC{0,40}", secret in "[a-z0-9]{8,20}") {
            let scrubber = Scrubber::new(&[(secret.as_str(), "*")]);
            let clean = scrubber.clean(&format!("{before}{secret}{after}"));
            prop_assert!(!clean.contains(&secret));
        }
    }
}
