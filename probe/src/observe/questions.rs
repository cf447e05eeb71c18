//! What is asked. Each statement is a read of its own, without a transaction around it.

use api::pattern::Watched;
use std::collections::BTreeSet;

/// Of each statement only its beginning: what it does, not what it says.
const BEGINNING: usize = 400;
/// A statement of more than 16 KB pins a session of RDS Proxy: just enough is read to see that.
const TOO_LONG: usize = 16_400;

/// Whether the role sees the sessions of others (`pg_read_all_stats`, a part of `pg_monitor`), and who it is.
pub(super) const RIGHTS: &str =
    "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), current_user";

/// Which columns of Pulp's tables the role may read: a grant on those few is enough.
pub(super) const COLUMNS: &str = "SELECT c.relname, a.attname FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
    WHERE a.attrelid IN (pg_catalog.to_regclass('core_appstatus'), pg_catalog.to_regclass('core_worker'), \
    pg_catalog.to_regclass('core_task')) AND a.attnum > 0 AND NOT a.attisdropped \
    AND pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')";

/// In which schema pg_stat_statements is, if it is there.
pub(super) const STATISTICS: &str = "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'";

/// Columns of Pulp's tables that may be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Readable(pub(super) BTreeSet<(String, String)>);

/// The sessions of a look, and the checkpointer: one row with the server's times even where there is none.
pub(super) fn sessions(watched: &Watched) -> String {
    let mut chosen = format!("a.usename = {}", literal(&watched.user));
    chosen += &match &watched.database {
        Some(database) => format!(" AND a.datname = {}", literal(database)),
        None => " AND a.datname = pg_catalog.current_database()".to_owned(),
    };
    if let Some(name) = &watched.application_name {
        chosen += &format!(" AND a.application_name = {}", literal(name));
    }
    if let Some(address) = &watched.address {
        chosen += &format!(" AND a.client_addr <<= {}::inet", literal(address));
    }
    format!(
        "SELECT {now}, {started}, a.pid, \
         (extract(epoch FROM a.backend_start) * 1000000)::bigint, {query}, {changed}, {transaction}, \
         a.state, a.wait_event_type || '/' || a.wait_event, pg_catalog.host(a.client_addr), \
         pg_catalog.left(a.query, {BEGINNING}), a.backend_type FROM (SELECT 1) one \
         LEFT JOIN pg_catalog.pg_stat_activity a ON a.backend_type = 'checkpointer' \
         OR (a.backend_type = 'client backend' OR a.backend_type IS NULL) \
         AND a.pid <> pg_catalog.pg_backend_pid() AND {chosen}",
        now = ms("pg_catalog.clock_timestamp()"),
        started = ms("pg_catalog.pg_postmaster_start_time()"),
        query = ms("a.query_start"),
        changed = ms("a.state_change"),
        transaction = ms("a.xact_start"),
    )
}

/// Calls of each statement of the watched role.
pub(super) fn statements(schema: &str, watched: &Watched) -> String {
    let database = match &watched.database {
        Some(database) => literal(database),
        None => "pg_catalog.current_database()".to_owned(),
    };
    format!(
        "SELECT s.queryid, s.calls, pg_catalog.left(s.query, {TOO_LONG}) FROM {schema}.pg_stat_statements s \
         JOIN pg_catalog.pg_roles r ON r.oid = s.userid JOIN pg_catalog.pg_database d ON d.oid = s.dbid \
         WHERE r.rolname = {} AND d.datname = {database} ORDER BY s.calls DESC LIMIT 5000",
        literal(&watched.user)
    )
}

impl Readable {
    /// The workers' rows: from core_appstatus, or from core_worker before pulpcore 3.90. Absent if too little of
    /// them may be read.
    pub(super) fn workers(&self) -> Option<String> {
        let optional = |table, column, sql: &str| match self.has(table, column) {
            true => sql.to_owned(),
            false => "NULL".to_owned(),
        };
        let select = |table, filter: &str| {
            format!(
                "SELECT pulp_id::text, name, {}, {}, {}, {} FROM {table}{filter}",
                ms("last_heartbeat"),
                optional(table, "ttl", "(extract(epoch FROM ttl) * 1000)::bigint"),
                optional(table, "versions", "versions::text"),
                optional(table, "pulp_created", &ms("pulp_created")),
            )
        };
        let needed = ["pulp_id", "name", "last_heartbeat"];
        if self.has_all("core_appstatus", &needed) && self.has("core_appstatus", "app_type") {
            return Some(select("core_appstatus", " WHERE app_type = 'worker'"));
        }
        self.has_all("core_worker", &needed).then(|| select("core_worker", ""))
    }

    /// Tasks that are running: `core_task` has an index on its state.
    pub(super) fn running(&self) -> Option<String> {
        let worker = match self.has("core_task", "app_lock_id") {
            true => "app_lock_id::text",
            false => "NULL",
        };
        self.has_all("core_task", &["pulp_id", "state", "started_at"]).then(|| {
            format!(
                "SELECT pulp_id::text, {}, {worker} FROM core_task WHERE state IN ('running', 'canceling')",
                ms("started_at")
            )
        })
    }

    fn has(&self, table: &str, column: &str) -> bool {
        self.0.contains(&(table.to_owned(), column.to_owned()))
    }

    fn has_all(&self, table: &str, columns: &[&str]) -> bool {
        columns.iter().all(|column| self.has(table, column))
    }
}

/// What became of tasks.
pub(super) fn ended(ids: &[String]) -> String {
    let ids: Vec<_> = ids.iter().map(|id| literal(id)).collect();
    format!(
        "SELECT pulp_id::text, state FROM core_task WHERE pulp_id::text IN ({})",
        ids.join(", ")
    )
}

/// Milliseconds of the Unix epoch.
fn ms(time: &str) -> String {
    format!("(extract(epoch FROM {time}) * 1000)::bigint")
}

/// A string in SQL (PostgreSQL docs, "String Constants": standard_conforming_strings is on by default).
fn literal(text: &str) -> String {
    let text = text.replace('\0', "").replace('\'', "''");
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\")),
        false => format!("'{text}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::workload::StatementDetail;

    #[test]
    fn names_are_quoted_whatever_is_in_them() {
        let watched = Watched {
            user: "o'neil\\".to_owned(),
            database: None,
            application_name: Some(String::new()),
            address: Some("10.0.0.0/8".to_owned()),
            interval_ms: 1000,
            statements: StatementDetail::Classes,
            config_map: None,
        };
        let sql = sessions(&watched);
        assert!(sql.contains("a.usename = E'o''neil\\\\'"), "{sql}");
        assert!(sql.contains("a.application_name = ''"), "{sql}");
        assert!(sql.contains("a.client_addr <<= '10.0.0.0/8'::inet"), "{sql}");
        assert!(sql.contains("a.datname = pg_catalog.current_database()"), "{sql}");
    }

    #[test]
    fn what_may_not_be_read_is_not_asked_for() {
        let of = |columns: &[(&str, &str)]| {
            Readable(columns.iter().map(|(t, c)| ((*t).to_owned(), (*c).to_owned())).collect())
        };
        assert_eq!(of(&[]).workers(), None);
        let beats = ["pulp_id", "name", "last_heartbeat"];
        let old: Vec<_> = beats.map(|column| ("core_worker", column)).to_vec();
        assert!(of(&old).workers().unwrap().ends_with("NULL, NULL, NULL FROM core_worker"));
        let task = ["pulp_id", "state", "started_at"].map(|column| ("core_task", column));
        assert!(of(&task).running().unwrap().contains(", NULL FROM core_task"));
        assert_eq!(of(&task[..2]).running(), None);
    }
}
