//! Where a Secret keeps the parts of the credentials.
//!
//! One ordered table for the layouts of pulp-operator, app-interface, CloudNativePG, Crunchy,
//! Zalando, servicebinding.io, kubernetes.io/tls and libpq. The first name that the Secret has wins;
//! a name that the user gives goes before the table.

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
    /// `postgresql://` URI that holds several of the others.
    Uri,
    /// Certificate of the client, with its chain, in PEM.
    Certificate,
    /// The certificate's private key in PEM.
    PrivateKey,
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
            Self::Uri => &["uri", "DATABASE_URL"],
            Self::Certificate => &["tls.crt", "certificates"],
            Self::PrivateKey => &["tls.key", "private-key"],
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
            Self::Uri => "uri",
            Self::Certificate => "certificate",
            Self::PrivateKey => "privateKey",
        }
    }

    /// The key that the user named for it.
    #[must_use]
    pub fn named(self, keys: &SecretKeys) -> Option<&str> {
        match self {
            Self::Host => keys.host.as_deref(),
            Self::Port => keys.port.as_deref(),
            Self::Database => keys.database.as_deref(),
            Self::User => keys.user.as_deref(),
            Self::Password => keys.password.as_deref(),
            Self::Sslmode => keys.sslmode.as_deref(),
            Self::Ca => keys.ca.as_deref(),
            Self::Uri => keys.uri.as_deref(),
            Self::Certificate => keys.certificate.as_deref(),
            Self::PrivateKey => keys.private_key.as_deref(),
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

    const PARTS: [Part; 10] = [
        Part::Host,
        Part::Port,
        Part::Database,
        Part::User,
        Part::Password,
        Part::Sslmode,
        Part::Ca,
        Part::Uri,
        Part::Certificate,
        Part::PrivateKey,
    ];

    /// A Secret whose values are the names of its keys.
    fn secret(keys: &str) -> BTreeMap<String, String> {
        keys.split_whitespace().map(|key| (key.to_owned(), key.to_owned())).collect()
    }

    /// Which key is found for each part.
    fn found(keys: &str) -> String {
        let secret = secret(keys);
        let keys = PARTS.map(|part| (part, find(&secret, &SecretKeys::default(), part).unwrap()));
        let found =
            keys.iter().filter_map(|(part, key)| Some(format!("{}={}", part.word(), (*key)?)));
        found.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_secrets_of_every_producer_are_read_as_they_are() {
        let producers = [
            // pulp/pulp-operator, controllers/repo_manager/secret.go: external_db_secret,
            (
                "POSTGRES_HOST POSTGRES_PORT POSTGRES_USERNAME POSTGRES_PASSWORD POSTGRES_DB_NAME POSTGRES_SSLMODE",
                "host=POSTGRES_HOST port=POSTGRES_PORT database=POSTGRES_DB_NAME user=POSTGRES_USERNAME \
                 password=POSTGRES_PASSWORD sslmode=POSTGRES_SSLMODE",
            ),
            // and its own database, whose host is `<name>-database-svc`.
            (
                "username password database port sslmode",
                "port=port database=database user=username password=password sslmode=sslmode",
            ),
            // app-sre/er-aws-rds, module/outputs.tf; RedHatInsights/clowder reads the same keys.
            (
                "db.host db.port db.name db.user db.password db.ca_cert reset_password",
                "host=db.host port=db.port database=db.name user=db.user password=db.password ca=db.ca_cert",
            ),
            // cloudnative-pg/cloudnative-pg, pkg/specs/secrets.go: `<cluster>-app`.
            (
                "username user password dbname host port pgpass uri jdbc-uri fqdn-uri fqdn-jdbc-uri",
                "host=host port=port database=dbname user=username password=password uri=uri",
            ),
            // CrunchyData/postgres-operator, internal/controller/postgrescluster/postgres.go:
            // `<cluster>-pguser-<user>`; its `verifier` is no password.
            (
                "host port user password verifier dbname uri jdbc-uri pgbouncer-host pgbouncer-port \
                 pgbouncer-uri pgbouncer-jdbc-uri",
                "host=host port=port database=dbname user=user password=password uri=uri",
            ),
            // zalando/postgres-operator, pkg/cluster/k8sres.go, generateSingleUserSecret.
            ("username password", "user=username password=password"),
            // servicebinding/spec, README.md, "Well-known Secret Entries"; `database` is customary.
            (
                "type provider host port database uri username password certificates private-key",
                "host=host port=port database=database user=username password=password uri=uri \
                 certificate=certificates privateKey=private-key",
            ),
            // Kubernetes' type kubernetes.io/tls, with cert-manager's ca.crt.
            ("tls.crt tls.key ca.crt", "ca=ca.crt certificate=tls.crt privateKey=tls.key"),
            // libpq's environment variables (PostgreSQL documentation, "Environment Variables").
            (
                "PGHOST PGPORT PGDATABASE PGUSER PGPASSWORD PGSSLMODE",
                "host=PGHOST port=PGPORT database=PGDATABASE user=PGUSER password=PGPASSWORD sslmode=PGSSLMODE",
            ),
        ];
        for (keys, wanted) in producers {
            assert_eq!(found(keys), wanted);
        }
    }

    #[test]
    fn a_named_key_goes_first_and_must_be_there() {
        let keys = SecretKeys { uri: Some("pgbouncer-uri".into()), ..SecretKeys::default() };
        let both = secret("uri pgbouncer-uri");
        assert_eq!(find(&both, &keys, Part::Uri), Ok(Some("pgbouncer-uri")));
        let without = secret("uri");
        let missing = find(&without, &keys, Part::Uri);
        assert_eq!(missing, Err(MissingKey { part: Part::Uri, key: "pgbouncer-uri".into() }));
    }

    #[test]
    fn a_value_ends_before_its_line_break() {
        let secret = BTreeMap::from([("host".to_owned(), "db \r\n".to_owned())]);
        assert_eq!(find(&secret, &SecretKeys::default(), Part::Host), Ok(Some("db ")));
    }
}
