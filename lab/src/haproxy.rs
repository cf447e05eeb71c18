//! A HAProxy of one's own in TCP mode, on loopback, before a PostgreSQL of one's own.

use crate::{
    postgres::Postgres,
    server::{Folder, Server, free_port},
};
use std::net::TcpStream;

/// A running load balancer.
pub struct HaProxy {
    server: Server,
    _folder: Folder,
    /// Its TCP port on 127.0.0.1.
    pub port: u16,
}

impl HaProxy {
    /// Starts one with these lines in its section, such as `timeout client 2s`.
    #[must_use]
    pub fn start(postgres: &Postgres, settings: &str) -> Self {
        let folder = Folder::default();
        let port = free_port();
        let file = folder.write(
            "haproxy.cfg",
            &format!(
                "listen postgres\n mode tcp\n timeout connect 5s\n{settings}\n \
                 bind 127.0.0.1:{port}\n server postgres 127.0.0.1:{}\n",
                postgres.port
            ),
        );
        let log = folder.path("log");
        // In the foreground: the process that is started is the one that serves.
        let args = ["-db", "-f", &file.display().to_string()];
        let mut server = Server::start("/usr/sbin/haproxy", &args, &log, "KILL");
        server.wait_until(&log, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { server, _folder: folder, port }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        self.server.signal(signal);
    }
}
