//! A PgBouncer of one's own, on loopback, before a PostgreSQL of one's own.

use crate::{
    certificates::Identity,
    postgres::Postgres,
    server::{Folder, Server, command, free_port},
};
use std::net::TcpStream;

/// A running pooler.
pub struct PgBouncer {
    server: Server,
    _folder: Folder,
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
}

/// What differs between poolers.
#[derive(Default)]
pub struct Options<'a> {
    /// Lines for the section `[pgbouncer]`.
    pub settings: &'a str,
    /// Users and passwords, who are the same in PostgreSQL.
    pub users: &'a [(&'a str, &'a str)],
    /// TLS certificate and key.
    pub identity: Option<&'a Identity>,
}

impl PgBouncer {
    /// Starts a pooler.
    #[must_use]
    pub fn start(postgres: &Postgres, options: &Options<'_>) -> Self {
        let folder = Folder::default();
        let port = free_port();
        let users: String = options
            .users
            .iter()
            .map(|(user, password)| format!("\"{user}\" \"{password}\"\n"))
            .collect();
        let users = folder.write("users", &users);
        let mut ini = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n\
             auth_file = {users}\nmax_client_conn = 100\n",
            server = postgres.port,
            users = users.display(),
        );
        if let Some(identity) = options.identity {
            let certificate = folder.write("server.crt", &identity.certificate);
            let key = folder.write("server.key", &identity.key);
            ini += &format!(
                "client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\n",
                certificate.display(),
                key.display()
            );
        }
        let ini = folder.write("pgbouncer.ini", &(ini + options.settings + "\n"));
        let log = folder.path("log");
        let ini = ini.display().to_string();
        // It has no handler for SIGQUIT before 1.23, and a shell's background job inherits that as
        // ignored; SIGTERM waits for clients from 1.23 on.
        let mut server = Server::start("/usr/sbin/pgbouncer", &[&ini], &log, "KILL");
        server.wait_until(&log, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { server, _folder: folder, port }
    }

    /// Gives its console a command, as one of its `admin_users`.
    ///
    /// # Panics
    /// It fails.
    pub fn console(&self, (user, password): (&str, &str), sql: &str) {
        let output = command("psql")
            .args(["-XAtq", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", user, "-d", "pgbouncer", "-c", sql])
            .env("PGPASSWORD", password)
            .output()
            .expect("psql");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        self.server.signal(signal);
    }
}
