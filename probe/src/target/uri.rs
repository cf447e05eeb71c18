//! Connection URIs, read as libpq reads them (PostgreSQL documentation, "Connection URIs").
//!
//! No crate does: `tokio_postgres::Config` refuses `sslmode=verify-full` and every option that it
//! does not know; `url` refuses what libpq takes in a password (`#`, `?`), a user without a host
//! and several hosts with ports, and takes `+` for a space.

use api::secret_keys::Part;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// What a URI says; a part that it leaves empty is an empty text. Several hosts are a list with
/// commas, as in libpq's own `host`. Options that do not say where, as whom and how safely are
/// left out. `None`: libpq could not read it, or would take a piece of a password for the host.
pub(super) fn parse(uri: &str) -> Option<BTreeMap<Part, String>> {
    let rest = uri.strip_prefix("postgresql://").or_else(|| uri.strip_prefix("postgres://"))?;
    let (credentials, rest) = match rest.find(['@', '/']) {
        Some(at) if rest.as_bytes()[at] == b'@' => (&rest[..at], &rest[at + 1..]),
        _ => ("", rest),
    };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, database) = place.split_once('/').unwrap_or((place, ""));
    if hosts.contains('@') {
        return None;
    }
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let hosts: Vec<_> = hosts.split(',').map(host_and_port).collect::<Option<_>>()?;
    let (hosts, ports): (Vec<_>, Vec<_>) = hosts.into_iter().unzip();
    let ports = ports.join(",");
    let mut parts = BTreeMap::from([
        (Part::User, decode(user)?),
        (Part::Password, decode(password)?),
        (Part::Host, decode(&hosts.join(","))?),
        (Part::Port, decode(ports.trim_matches(','))?),
        (Part::Database, decode(database)?),
    ]);
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=')?;
        let (part, value) = match (name, value) {
            ("host", _) => (Part::Host, value),
            ("port", _) => (Part::Port, value),
            ("dbname", _) => (Part::Database, value),
            ("user", _) => (Part::User, value),
            ("password", _) => (Part::Password, value),
            ("sslmode", _) => (Part::Sslmode, value),
            // The spelling of JDBC, which libpq takes too.
            ("ssl", "true") => (Part::Sslmode, "require"),
            _ => continue,
        };
        parts.insert(part, decode(value)?);
    }
    Some(parts)
}

fn host_and_port(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(address) => match address.split_once(']')? {
            (address, "") => Some((address, "")),
            (address, port) => Some((address, port.strip_prefix(':')?)),
        },
        None => Some(text.split_once(':').unwrap_or((text, ""))),
    }
}

/// RFC 3986, section 2.1; a `%` without two hexadecimal digits and an encoded NUL are refused.
fn decode(text: &str) -> Option<String> {
    let is_escape = |text: &str| {
        text.as_bytes().get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    (text.split('%').skip(1).all(is_escape) && !decoded.contains('\0'))
        .then(|| decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    /// The parts as libpq's keywords, without those that are empty.
    fn parsed(uri: &str) -> Option<String> {
        let keyword = |part: Part| if part == Part::Database { "dbname" } else { part.word() };
        let parts = parse(uri)?.into_iter().filter(|(_, value)| !value.is_empty());
        let mut parts: Vec<_> = parts.map(|(p, value)| format!("{}={value}", keyword(p))).collect();
        parts.sort();
        Some(parts.join(" "))
    }

    /// What PQconninfoParse of libpq 15 makes of the same.
    #[test]
    fn uris_are_read_as_libpq_reads_them() {
        for (uri, wanted) in [
            ("postgresql://u:p%40w@h/db", "dbname=db host=h password=p@w user=u"),
            ("postgres://h", "host=h"),
            ("postgresql:///db", "dbname=db"),
            ("postgresql://u@/db?host=h&port=1", "dbname=db host=h port=1 user=u"),
            ("postgresql://:p@h:5433/", "host=h password=p port=5433"),
            ("postgresql://u:@h:/d", "dbname=d host=h user=u"),
            ("postgresql://u:p@[::1]:5433/d", "dbname=d host=::1 password=p port=5433 user=u"),
            ("postgresql://h1:1,h2:2/d", "dbname=d host=h1,h2 port=1,2"),
            ("postgresql://%2Ftmp/d", "dbname=d host=/tmp"),
            ("postgresql://u:p#?:q@h", "host=h password=p#?:q user=u"),
            ("postgresql://h?user=a?b", "host=h user=a?b"),
            ("postgresql://u:a+b@h/d/e?password=x+y", "dbname=d/e host=h password=x+y user=u"),
            ("postgresql://h?sslmode=verify-full&sslrootcert=/x&", "host=h sslmode=verify-full"),
            ("postgresql://h/d?dbname=e&ssl=true", "dbname=e host=h sslmode=require"),
        ] {
            assert_eq!(parsed(uri).as_deref(), Some(wanted), "{uri}");
        }
    }

    #[test]
    fn what_libpq_cannot_read_is_refused() {
        for uri in [
            "jdbc:postgresql://h/d",
            "host=h user=u",
            "postgresql://h/a%4",
            "postgresql://h/a%00",
            "postgresql://h/%zz",
            "postgresql://[::1/",
            "postgresql://[::1]x/",
            "postgresql://h/d?user",
            // libpq would look up q@h: it is the end of a password that was not encoded.
            "postgresql://u:p@q@h/d",
        ] {
            assert_eq!(parsed(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(user in "[^\0]{1,20}", password in "[^\0]{1,20}", database in "[^\0]{1,20}") {
            let [u, p, d] = [&user, &password, &database].map(|text| utf8_percent_encode(text, NON_ALPHANUMERIC));
            let parts = parse(&format!("postgresql://{u}:{p}@h:1/{d}")).unwrap();
            prop_assert_eq!([&parts[&Part::User], &parts[&Part::Password], &parts[&Part::Database]], [&user, &password, &database]);
        }
    }
}
