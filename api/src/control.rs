//! The second path: the same workloads, straight to the database.

use crate::target::{Auth, SecretKeys, Target, Tls};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A second path: what is not written is the target's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.host) || has(self.port) || has(self.secretName)")
        .message("write host, port or secretName: a control with the target's own address compares nothing")
)]
pub struct Control {
    /// Name of a Secret with the credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "crate::schema::object_name")]
    pub secret_name: Option<String>,

    /// Names of the Secret's keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<SecretKeys>,

    /// Host name or address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[A-Za-z0-9._:-]+$"))]
    pub host: Option<String>,

    /// TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// Name of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub database: Option<String>,

    /// Name of the PostgreSQL role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub user: Option<String>,

    /// How the connection is encrypted and the server is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,

    /// How a login is proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
}

impl Control {
    /// A control that inherits nothing more.
    pub(crate) fn of(target: Target) -> Self {
        let Target { secret_name, keys, host, port, database, user, tls, auth, .. } = target;
        Self { secret_name: Some(secret_name), keys, host, port, database, user, tls, auth }
    }

    /// The target that it is, with what it inherits filled in.
    #[must_use]
    pub fn over(&self, target: &Target) -> Target {
        let own = self.secret_name.is_some();
        let inherited = |keys: &Option<SecretKeys>| keys.clone().filter(|_| !own);
        Target {
            secret_name: self.secret_name.clone().unwrap_or_else(|| target.secret_name.clone()),
            keys: self.keys.clone().or_else(|| inherited(&target.keys)),
            host: self.host.clone().or_else(|| target.host.clone().filter(|_| !own)),
            port: self.port.or(target.port),
            database: self.database.clone().or_else(|| target.database.clone()),
            user: self.user.clone().or_else(|| target.user.clone()),
            tls: self.tls.clone().or_else(|| target.tls.clone()),
            auth: self.auth.or(target.auth),
            // The control is the path without a pooler.
            read_pgbouncer_config: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_its_own_brings_its_own_host_and_keys() {
        let target = Target {
            secret_name: "proxy".into(),
            keys: Some(SecretKeys { user: Some("u".into()), ..SecretKeys::default() }),
            host: Some("proxy.example".into()),
            port: Some(6432),
            user: Some("pulp".into()),
            ..Target::default()
        };
        let direct = Control { host: Some("db.example".into()), ..Control::default() };
        let expected = Target { host: Some("db.example".into()), ..target.clone() };
        assert_eq!(direct.over(&target), expected);

        let other = Control { secret_name: Some("db".into()), ..Control::default() };
        let expected =
            Target { secret_name: "db".into(), keys: None, host: None, ..target.clone() };
        assert_eq!(other.over(&target), expected);
    }
}
