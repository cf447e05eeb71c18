//! Where to connect, and as whom.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The PostgreSQL endpoint that is measured: a proxy, a pooler, a load balancer or a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.auth) || self.auth != 'AwsIam' || !has(self.tls) || !has(self.tls.mode) || !(self.tls.mode in ['Disable', 'Prefer'])")
        .message("auth AwsIam sends its token only to a server that TLS has verified: write tls.mode VerifyFull and its CA")
)]
pub struct Target {
    /// Name of a Secret in the probe's namespace with the credentials. The kubelet mounts it into
    /// the probe pod; the operator never reads it. Common key names are found by themselves
    /// (pulp-operator, app-interface, CloudNativePG, Crunchy, Zalando, servicebinding, libpq's
    /// PG* names, a postgresql:// URI); others are named in `keys`. What is written in `target`
    /// goes before a key of the Secret, and that before a part of the URI.
    #[schemars(schema_with = "crate::schema::object_name")]
    pub secret_name: String,

    /// Names of the Secret's keys, for Secrets whose key names are not known. A name given here goes
    /// before the known ones: `uri: pgbouncer-uri` takes everything from that URI that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<SecretKeys>,

    /// Host name or address to connect to. Overrides the Secret: the endpoint of a proxy is
    /// usually not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._:-]+$"))]
    pub host: Option<String>,

    /// TCP port. Overrides the Secret; 5432 where neither has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// Name of the database. Overrides the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub database: Option<String>,

    /// Name of the PostgreSQL role. Overrides the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub user: Option<String>,

    /// How the connection is encrypted, and who proves to be whom. Absent: the Secret's sslmode; without
    /// one, VerifyFull where the Secret has a CA, else Require.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// See [`Auth`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,

    /// Whether the run's inventory includes PgBouncer's own timers: the probe logs in to PgBouncer's
    /// database `pgbouncer` once, as the same role, and sends SHOW CONFIG. The role must be among
    /// PgBouncer's stats_users or admin_users. Absent: no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_pgbouncer_config: Option<bool>,
}

/// How a login is proved: Password when absent, the Secret's. AwsIam: a token that is signed for each login
/// (AWS documentation, "IAM database authentication"), in the account of `rdsProxy`; the Secret needs no password,
/// and TLS has to verify the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Auth {
    /// The Secret's password.
    #[default]
    Password,
    /// A token of AWS IAM.
    AwsIam,
}

/// Names of the keys of a Secret.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeys {
    /// Key of the host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub host: Option<String>,
    /// Key of the port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub port: Option<String>,
    /// Key of the database name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub database: Option<String>,
    /// Key of the role name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub user: Option<String>,
    /// Key of the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub password: Option<String>,
    /// Key of libpq's sslmode (`disable`, `prefer`, `require`, `verify-ca`, `verify-full`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub sslmode: Option<String>,
    /// Key of the certificate authority, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub ca: Option<String>,
    /// Key of a URI, `postgresql://user:password@host:port/database?sslmode=require` with special
    /// characters percent-encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub uri: Option<String>,
    /// Key of the client certificate, with its chain, in PEM: in `tls.certificateSecretName` where
    /// that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub certificate: Option<String>,
    /// Key of the client certificate's private key, in PEM and not encrypted: in the same Secret as
    /// the certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub private_key: Option<String>,
}

/// How a connection is encrypted, and who proves to be whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.caConfigMapName) && has(self.caSecretName))")
        .message("write one of caConfigMapName and caSecretName, not both"),
    validation = Rule::new("!has(self.caKey) || has(self.caConfigMapName) || has(self.caSecretName)")
        .message("caKey needs caConfigMapName or caSecretName beside it"),
    validation = Rule::new("!has(self.mode) || self.mode != 'Disable' || (!has(self.caConfigMapName) && !has(self.caSecretName))")
        .message("mode Disable uses no CA: remove the CA, or write mode: VerifyFull"),
    validation = Rule::new("!has(self.mode) || self.mode != 'Disable' || !has(self.certificateSecretName)")
        .message("mode Disable shows no certificate: remove certificateSecretName, or write mode: VerifyFull")
)]
pub struct Tls {
    /// See [`TlsMode`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<TlsMode>,
    /// Name of a ConfigMap with the certificate authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_name")]
    pub ca_config_map_name: Option<String>,
    /// Name of a Secret with the certificate authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_name")]
    pub ca_secret_name: Option<String>,
    /// Key of the certificate authority in that ConfigMap or Secret: `ca.crt` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_key")]
    pub ca_key: Option<String>,
    /// Name of a Secret with a client certificate and its private key, such as one of type
    /// kubernetes.io/tls (`tls.crt`, `tls.key`); other keys are named in `target.keys`. Absent: the
    /// target's own Secret may hold them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_name")]
    pub certificate_secret_name: Option<String>,
}

/// Disable, Prefer, Require, VerifyCA or VerifyFull, with libpq's meanings (PostgreSQL documentation,
/// "SSL Mode Descriptions"): Require with a CA verifies like VerifyCA. Absent: the Secret's sslmode,
/// else VerifyFull where a CA is at hand, else Require.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server can; the server is not verified.
    Prefer,
    /// Encrypted; the server is not verified.
    Require,
    /// Encrypted; the certificate must come from the CA.
    VerifyCA,
    /// Encrypted; the certificate must come from the CA and be made out to the host name.
    VerifyFull,
}

impl TlsMode {
    /// Parses libpq's spelling. `allow` is refused: no mode of ours means "plain first".
    #[must_use]
    pub fn from_sslmode(sslmode: &str) -> Option<Self> {
        Some(match sslmode {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCA,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// Whether the server's certificate is checked against a CA.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyCA | Self::VerifyFull)
    }
}
