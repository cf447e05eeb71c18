//! Those whose sockets are watched.

use crate::{USER, ms};
use jiff::Timestamp;
use lab::{holding::now, postgres::Postgres, server::command};
use std::{
    io::Write,
    process::{Child, ChildStdin, Stdio},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::{JoinHandle, block_in_place},
    time::sleep,
};

/// A client that does nothing of its own accord.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) port: u16,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let parameters = format!("user\0{USER}\0database\0postgres\0\0");
        let length = u32::try_from(parameters.len()).unwrap() + 8;
        let start = [&length.to_be_bytes(), &196_608_u32.to_be_bytes(), parameters.as_bytes()];
        stream.write_all(&start.concat()).await.unwrap();
        let port = stream.local_addr().unwrap().port();
        let mut client = Self { stream, port };
        client.until_ready().await;
        client
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask(&mut self, sql: &str) {
        self.send(sql).await;
        self.until_ready().await;
    }

    pub(crate) async fn send(&mut self, sql: &str) {
        let length = u32::try_from(sql.len()).unwrap() + 5;
        let query = [b"Q", &length.to_be_bytes()[..], sql.as_bytes(), b"\0"].concat();
        self.stream.write_all(&query).await.unwrap();
    }

    /// Reads up to ReadyForQuery.
    async fn until_ready(&mut self) {
        let mut head = [0; 5];
        loop {
            self.stream.read_exact(&mut head).await.unwrap();
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
            self.stream.read_exact(&mut vec![0; length]).await.unwrap();
            if head[0] == b'Z' {
                return;
            }
        }
    }

    /// Reads until it ends, then lets go; when that was.
    pub(crate) fn until_end(mut self) -> JoinHandle<Timestamp> {
        tokio::spawn(async move {
            let mut rest = [0; 4096];
            while let Ok(1..) = self.stream.read(&mut rest).await {}
            now()
        })
    }

    /// Sets a keepalive that gives up after three seconds, and a time-out for what is sent.
    pub(crate) fn impatient(self) -> Self {
        let socket = socket2::SockRef::from(&self.stream);
        let keepalive = socket2::TcpKeepalive::new().with_time(ms(1000));
        let keepalive = keepalive.with_interval(ms(1000)).with_retries(2);
        socket.set_tcp_keepalive(&keepalive).unwrap();
        self
    }
}

/// A real psql, which waits for its next command.
pub(crate) struct Psql {
    pub(crate) child: Child,
    pub(crate) input: Option<ChildStdin>,
    pub(crate) port: u16,
}

impl Psql {
    pub(crate) async fn start(postgres: &Postgres, name: &str) -> Self {
        let uri = format!("postgresql://{USER}@127.0.0.1:{}/postgres", postgres.port);
        let mut psql = command("psql");
        psql.args(["-XAtq", &uri]).env("PGAPPNAME", name).stdin(Stdio::piped());
        let mut child = psql.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "SELECT 1;").unwrap();
        let mut psql = Self { child, input: Some(input), port: 0 };
        let sql = format!(
            "SELECT client_port FROM pg_stat_activity WHERE application_name = '{name}' AND state = 'idle'"
        );
        while psql.port == 0 {
            sleep(ms(50)).await;
            psql.port = block_in_place(|| postgres.sql(&sql)).parse().unwrap_or(0);
        }
        psql
    }
}
