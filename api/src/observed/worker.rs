//! A worker as its row tells, and Pulp's settings as far as they were seen.

use crate::{report::shorten, schema};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A row of core_appstatus, or of core_worker before pulpcore 3.90.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worker {
    /// `pid@host`.
    #[schemars(length(max = 80))]
    pub name: String,
    /// Its last heartbeat, by its own clock.
    #[schemars(schema_with = "schema::time")]
    pub last_heartbeat: Timestamp,
    /// The row went between this look …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub gone_after: Option<Timestamp>,
    /// … and this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub gone_before: Option<Timestamp>,
}

/// One of Pulp's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// Its name, as Pulp or Django calls it.
    #[schemars(length(max = 40))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 80))]
    pub value: String,
    /// Where it was seen.
    #[schemars(length(max = 80))]
    pub seen: String,
}

/// The settings that matter here, and may be shown: no other is ever read from a ConfigMap.
pub const SETTINGS: [&str; 12] = [
    "WORKER_TTL",
    "WORKER_TYPE",
    "CONN_MAX_AGE",
    "CONN_HEALTH_CHECKS",
    "DISABLE_SERVER_SIDE_CURSORS",
    "TIME_ZONE",
    "USE_TZ",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// Pulp's settings in a text: `NAME = value` or `"NAME": value` of a settings.py, or, with a `key` of its own, the
/// value of a variable such as PULP_WORKER_TTL. Only of [`SETTINGS`], and only values that are a number, a word or
/// a short string: nothing that could be a secret.
#[must_use]
pub fn facts_of(key: &str, text: &str, seen: &str) -> Vec<Fact> {
    let fact =
        |name: &str, value: String| Fact { name: name.to_owned(), value, seen: seen.to_owned() };
    let own = key.strip_prefix("PULP_").unwrap_or(key);
    if let Some(name) =
        SETTINGS.iter().find(|name| own == **name || own.ends_with(&format!("__{name}")))
    {
        return plain(text).map(|value| fact(name, value)).into_iter().collect();
    }
    let mut facts: Vec<Fact> = Vec::new();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    // Several may stand on one line, in a dictionary.
    for part in lines.flat_map(|line| line.split([',', '{', '}'])) {
        let Some((name, value)) = part.split_once(['=', ':']) else { continue };
        let name = name.trim().trim_matches(['"', '\'']);
        let name = name.strip_prefix("PULP_").unwrap_or(name);
        if let Some(known) = SETTINGS.iter().find(|known| **known == name)
            && let Some(value) = plain(value)
        {
            facts.retain(|fact| fact.name != *known);
            facts.push(fact(known, value));
        }
    }
    facts
}

/// A value that may be shown.
fn plain(text: &str) -> Option<String> {
    let text = text.split('#').next().unwrap_or_default().trim();
    let text = text.trim_matches(['"', '\'']);
    let may_stand = |c: char| c.is_ascii_alphanumeric() || "_+-/.:".contains(c);
    (!text.is_empty() && text.len() <= 40 && text.chars().all(may_stand)).then(|| text.to_owned())
}

impl Worker {
    pub(super) fn bound(&mut self) {
        shorten(&mut self.name, 80);
    }
}

impl Fact {
    pub(super) fn bound(&mut self) {
        shorten(&mut self.name, 40);
        shorten(&mut self.value, 80);
        shorten(&mut self.seen, 80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(key: &str, text: &str) -> Vec<String> {
        facts_of(key, text, "ConfigMap")
            .into_iter()
            .map(|f| format!("{}={}", f.name, f.value))
            .collect()
    }

    #[test]
    fn a_settings_file_tells_what_matters_and_nothing_else() {
        let text = r#"
SECRET_KEY = "very-secret"
WORKER_TTL = 60  # seconds
# CONN_MAX_AGE = 5
DATABASES = {"default": {"HOST": "db", "PASSWORD": "hunter2", "CONN_MAX_AGE": 0,
    "OPTIONS": {"keepalives_idle": 30, 'sslmode': 'require'}}}
TIME_ZONE = 'Europe/Prague'
"#;
        assert_eq!(
            values("settings.py", text),
            ["WORKER_TTL=60", "CONN_MAX_AGE=0", "keepalives_idle=30", "TIME_ZONE=Europe/Prague"]
        );
    }

    #[test]
    fn variables_are_read_too_and_a_value_that_is_no_word_is_not() {
        assert_eq!(values("PULP_WORKER_TTL", "30\n"), ["WORKER_TTL=30"]);
        assert_eq!(values("PULP_DATABASES__default__CONN_MAX_AGE", "600"), ["CONN_MAX_AGE=600"]);
        assert!(values("PULP_TIME_ZONE", "a b; DROP TABLE").is_empty());
        assert!(values("PULP_SECRET_KEY", "abc").is_empty());
        assert_eq!(values("env", "PULP_WORKER_TYPE: redis"), ["WORKER_TYPE=redis"]);
    }
}
