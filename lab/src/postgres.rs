//! A PostgreSQL of one's own, on loopback.

use crate::{
    certificates::{Authority, Identity},
    server::{Folder, Server, command, free_port, send_signal},
};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex, Weak},
    thread::sleep,
    time::Duration,
};

/// Debian's folder of PostgreSQL 15's programs.
const BIN: &str = "/usr/lib/postgresql/15/bin";

/// A running server. Role and database `postgres` are the administrator's, over its own socket.
pub struct Postgres {
    server: Server,
    folder: Folder,
    _template: Arc<Folder>,
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
}

/// The administrator of one database, over the server's own socket. It can be asked, in vain, while
/// the server is away.
#[derive(Clone, Debug)]
pub struct Administrator {
    socket: PathBuf,
    port: u16,
    database: String,
}

/// What differs between servers.
#[derive(Default)]
pub struct Options<'a> {
    /// Lines for `postgresql.conf`.
    pub settings: &'a str,
    /// TLS certificate and key.
    pub identity: Option<&'a Identity>,
    /// Whose client certificates are asked for, with TLS.
    pub clients: Option<&'a Authority>,
}

impl Postgres {
    /// Starts a server.
    #[must_use]
    pub fn start(options: &Options<'_>) -> Self {
        let folder = Folder::default();
        let template = template();
        let data = template.path("data");
        let copied = command("cp").arg("-r").arg(data).arg(folder.path("data")).status();
        assert!(copied.expect("cp").success());
        let port = free_port();
        let mut settings = format!(
            "port = {port}\nunix_socket_directories = '{}'\n{FAST}{}\n",
            folder.path("").display(),
            options.settings
        );
        if let Some(identity) = options.identity {
            let certificate = folder.write("server.crt", &identity.certificate);
            let key = folder.write("server.key", &identity.key);
            settings += &format!(
                "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
                certificate.display(),
                key.display()
            );
        }
        if let Some(authority) = options.clients {
            let authority = folder.write("clients.crt", &authority.pem());
            settings += &format!("ssl_ca_file = '{}'\n", authority.display());
        }
        _ = folder.write("server.conf", &settings);
        _ = folder.write("hba.conf", HBA);
        let server = serve(&folder);
        Self { server, folder, _template: template, port }
    }

    /// Runs SQL as the administrator; the rows, fields separated by `|`.
    ///
    /// # Panics
    /// It fails.
    pub fn sql(&self, sql: &str) -> String {
        self.administrator("postgres").sql(sql)
    }

    /// Who administers a database.
    #[must_use]
    pub fn administrator(&self, database: &str) -> Administrator {
        let socket = self.socket();
        Administrator { socket, port: self.port, database: database.to_owned() }
    }

    /// The folder of its administrator's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path("")
    }

    /// Makes a role that may log in.
    pub fn role(&self, name: &str, password: &str) {
        self.sql(&format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'"));
    }

    /// Waits until `role` has `n` idle sessions, and returns their backends' process ids.
    ///
    /// # Panics
    /// After 10 s.
    pub fn backends(&self, role: &str, n: usize) -> Vec<u32> {
        self.backends_in(role, "idle", n)
    }

    /// Waits until `role` has `n` sessions in `state` (of pg_stat_activity) and all stay in it, and
    /// returns their backends' process ids. Between a client's first statements, a session is idle
    /// for a moment only.
    ///
    /// # Panics
    /// After 10 s.
    pub fn backends_in(&self, role: &str, state: &str, n: usize) -> Vec<u32> {
        let sql = format!(
            "SELECT pid, clock_timestamp() - state_change > '300 ms' FROM pg_stat_activity \
             WHERE usename = '{role}' AND state = '{state}' ORDER BY backend_start"
        );
        let mut rows = String::new();
        for _ in 0..200 {
            rows = self.sql(&sql);
            let settled = rows.lines().filter_map(|row| row.strip_suffix("|t")?.parse().ok());
            let settled: Vec<u32> = settled.collect();
            if settled.len() == n && rows.lines().count() == n {
                return settled;
            }
            sleep(Duration::from_millis(30));
        }
        panic!("not {n} sessions of {role} that stay {state}: {rows}");
    }

    /// Waits until it takes connections again.
    ///
    /// # Panics
    /// After 10 s.
    pub fn wait_until_ready(&self) {
        for _ in 0..200 {
            if self.administrator("postgres").try_sql("SELECT 1").is_ok() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("the server does not come back");
    }

    /// Shuts down by a signal, and comes back on the same port.
    pub fn restart(&mut self, signal: &str) {
        self.signal(signal);
        self.server.wait();
        self.server = serve(&self.folder);
    }

    /// Shuts down politely and comes back on the same port as a standby, which only reads. Wants
    /// `wal_level = replica`.
    pub fn restart_as_standby(&mut self) {
        _ = self.folder.write("data/standby.signal", "");
        self.restart("INT");
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path("log")).unwrap_or_default()
    }

    /// Sends a backend a signal.
    pub fn signal_backend(&self, pid: u32, signal: &str) {
        send_signal(pid, signal);
    }

    /// Shuts down: `QUIT` at once, `INT` politely.
    pub fn signal(&self, signal: &str) {
        self.server.signal(signal);
    }
}

impl Administrator {
    /// Runs SQL; the rows, fields separated by `|`.
    ///
    /// # Panics
    /// It fails.
    pub fn sql(&self, sql: &str) -> String {
        self.try_sql(sql).unwrap_or_else(|said| panic!("{sql}: {said}"))
    }

    /// Runs SQL, or says what the server says.
    ///
    /// # Errors
    /// It fails.
    pub fn try_sql(&self, sql: &str) -> Result<String, String> {
        let output =
            self.program("psql").args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql]).output();
        let output = output.expect("psql");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    /// One of PostgreSQL's own programs that take a database, such as `pg_dump`.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut program = command(&format!("{BIN}/{name}"));
        program.arg("-h").arg(&self.socket).args(["-p", &self.port.to_string()]);
        program.args(["-U", "postgres", "-d", &self.database]);
        program
    }
}

/// Starts a server in its folder, and waits until it is ready.
fn serve(folder: &Folder) -> Server {
    let (data, log) = (folder.path("data"), folder.path("log"));
    let args = [
        "-D".to_owned(),
        data.display().to_string(),
        format!("--config-file={}", folder.path("server.conf").display()),
        format!("--hba-file={}", folder.path("hba.conf").display()),
    ];
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let mut server = Server::start(&format!("{BIN}/postgres"), &args, &log, "QUIT");
    server.wait_until(&log, || {
        let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        state.lines().last().is_some_and(|line| line.trim() == "ready")
    });
    server
}

/// SCRAM, but for roles whose name says otherwise.
const HBA: &str = "local all postgres trust\nhost all by_password 127.0.0.1/32 password\n\
host all by_md5 127.0.0.1/32 md5\nhost all by_trust 127.0.0.1/32 trust\n\
hostssl all by_certificate 127.0.0.1/32 cert\n\
hostssl all by_both 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n\
host all all 127.0.0.1/32 scram-sha-256\n";

/// Nothing here outlives a test, and many servers share two processors.
const FAST: &str = "listen_addresses = '127.0.0.1'\nfsync = off\nfull_page_writes = off\n\
shared_buffers = 8MB\nmax_connections = 40\nwal_level = minimal\nmax_wal_senders = 0\n\
autovacuum = off\nlogging_collector = off\n";

/// An initialised data folder to copy: initdb takes a second, copying does not. It goes with the
/// last server that was made of it.
fn template() -> Arc<Folder> {
    static TEMPLATE: Mutex<Weak<Folder>> = Mutex::new(Weak::new());
    let mut template = TEMPLATE.lock().expect("the template");
    if let Some(folder) = template.upgrade() {
        return folder;
    }
    let folder = Arc::new(Folder::default());
    let made = command(&format!("{BIN}/initdb"))
        .args(["--no-sync", "--wal-segsize=1", "-U", "postgres", "-A", "trust", "-D"])
        .arg(folder.path("data"))
        .stdout(Stdio::null())
        .status()
        .expect("initdb; install postgresql-15");
    assert!(made.success(), "initdb failed");
    *template = Arc::downgrade(&folder);
    folder
}
