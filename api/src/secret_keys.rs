//! Where a Secret keeps host, port, database, user, password, sslmode and CA.
//!
//! One ordered table for the layouts of pulp-operator, app-interface, CloudNativePG, Crunchy,
//! Zalando, servicebinding.io and libpq. The first name that the Secret has wins; a name that the
//! user gives goes before the table.

use crate::target::SecretKeys;
use std::collections::BTreeMap;

/// A part of the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Host name or address.
    Host,
    /// TCP port.
    Port,
    /// Database name.
    Database,
    /// Role name.
    User,
    /// Password.
    Password,
    /// libpq's sslmode.
    Sslmode,
    /// Certificate authority in PEM.
    Ca,
}

impl Part {
    /// The key names that are tried, in order.
    #[must_use]
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Host => &["POSTGRES_HOST", "db.host", "host", "hostname", "PGHOST"],
            Self::Port => &["POSTGRES_PORT", "db.port", "port", "PGPORT"],
            Self::Database => &["POSTGRES_DB_NAME", "db.name", "dbname", "database", "PGDATABASE"],
            Self::User => &["POSTGRES_USERNAME", "db.user", "username", "user", "PGUSER"],
            Self::Password => &["POSTGRES_PASSWORD", "db.password", "password", "PGPASSWORD"],
            Self::Sslmode => &["POSTGRES_SSLMODE", "sslmode", "PGSSLMODE"],
            Self::Ca => &["db.ca_cert", "ca.crt", "ca"],
        }
    }

    /// The word for it in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Port => "port",
            Self::Database => "database",
            Self::User => "user",
            Self::Password => "password",
            Self::Sslmode => "sslmode",
            Self::Ca => "ca",
        }
    }

    fn named(self, keys: &SecretKeys) -> Option<&str> {
        match self {
            Self::Host => keys.host.as_deref(),
            Self::Port => keys.port.as_deref(),
            Self::Database => keys.database.as_deref(),
            Self::User => keys.user.as_deref(),
            Self::Password => keys.password.as_deref(),
            Self::Sslmode => keys.sslmode.as_deref(),
            Self::Ca => keys.ca.as_deref(),
        }
    }
}

/// A key that the user named and the Secret does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingKey {
    /// What it was to hold.
    pub part: Part,
    /// Its name.
    pub key: String,
}

/// Finds the value of `part` in a Secret, with trailing line breaks removed (files made by hand
/// often end in one).
///
/// # Errors
/// A key that the user named is not there. A part without a named key may well be absent: `None`.
pub fn find<'a>(
    secret: &'a BTreeMap<String, String>,
    keys: &SecretKeys,
    part: Part,
) -> Result<Option<&'a str>, MissingKey> {
    let trim = |value: &'a String| value.trim_end_matches(['\n', '\r']);
    if let Some(key) = part.named(keys) {
        return secret
            .get(key)
            .map(|value| Some(trim(value)))
            .ok_or_else(|| MissingKey { part, key: key.to_owned() });
    }
    Ok(part.aliases().iter().find_map(|alias| secret.get(*alias)).map(trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn pulp_operator_and_app_interface_are_found_by_themselves() {
        let pulp = secret(&[("POSTGRES_HOST", "db1"), ("POSTGRES_USERNAME", "pulp")]);
        let app_interface = secret(&[("db.host", "db2\n"), ("db.user", "svc")]);
        let keys = SecretKeys::default();
        assert_eq!(find(&pulp, &keys, Part::Host), Ok(Some("db1")));
        assert_eq!(find(&pulp, &keys, Part::User), Ok(Some("pulp")));
        assert_eq!(find(&app_interface, &keys, Part::Host), Ok(Some("db2")));
        assert_eq!(find(&app_interface, &keys, Part::Port), Ok(None));
    }

    #[test]
    fn a_named_key_goes_first_and_must_be_there() {
        let both = secret(&[("password", "a"), ("pw", "b")]);
        let keys = SecretKeys { password: Some("pw".into()), ..SecretKeys::default() };
        assert_eq!(find(&both, &keys, Part::Password), Ok(Some("b")));
        let without = secret(&[("password", "a")]);
        let missing = find(&without, &keys, Part::Password);
        assert_eq!(missing, Err(MissingKey { part: Part::Password, key: "pw".into() }));
    }
}
