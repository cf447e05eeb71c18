//! A server that says of each of its connections when exactly it cut it, and how.
//!
//! It speaks as much of PostgreSQL's protocol as a login and `SELECT 1` need.

use anyhow::{Context, Result};
use jiff::Timestamp;
use lab::holding::now;
use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::sleep,
};

/// PostgreSQL closes the socket of a session by the end of its process, a while after the FATAL.
const EXIT: Duration = Duration::from_millis(1);

/// How a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// PostgreSQL's FATAL, then a FIN.
    Message,
    /// A FIN.
    Fin,
    /// A reset.
    Rst,
    /// The flow is forgotten: silence, and a reset for whoever sends.
    Forgotten,
    /// Silence for ever.
    Silent,
}

/// The server. It ends, with its connections, when it is dropped.
pub(crate) struct Cutter {
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    known: Arc<Mutex<Known>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Known {
    /// Connections that are open, by the client's port.
    open: BTreeMap<u16, oneshot::Sender<Way>>,
    /// Those that were cut.
    cuts: Cuts,
}

/// How and when a client's connection was cut: the clock was read right before the system call.
pub(crate) type Cuts = BTreeMap<u16, (Way, Timestamp)>;

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl Cutter {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let known = Arc::new(Mutex::new(Known::default()));
        let task = tokio::spawn(serve(listener, Arc::clone(&known)));
        Ok(Self { port, known, task })
    }

    /// Waits until so many connections are open.
    pub(crate) async fn opened(&self, connections: usize) {
        while lock(&self.known).open.len() < connections {
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Cuts one of the open connections.
    pub(crate) fn cut(&self, way: Way) -> Result<()> {
        let (_, connection) = lock(&self.known).open.pop_first().context("none is open")?;
        connection.send(way).ok().context("it is gone already")
    }

    /// What was cut, and when.
    pub(crate) fn cuts(self) -> Cuts {
        std::mem::take(&mut lock(&self.known).cuts)
    }
}

impl Drop for Cutter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, known: Arc<Mutex<Known>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((client, address)) = listener.accept().await {
        connections.spawn(hold(client, address.port(), Arc::clone(&known)));
    }
}

/// Whoever asks waits for the answer here, so each read is one message.
async fn hold(mut client: TcpStream, port: u16, known: Arc<Mutex<Known>>) -> io::Result<()> {
    let mut message = [0; 1024];
    if client.read(&mut message).await? == 0 {
        return Ok(());
    }
    client.write_all(WELCOME).await?;
    let (connection, mut order) = oneshot::channel();
    lock(&known).open.insert(port, connection);
    let way = loop {
        tokio::select! {
            way = &mut order => break way.unwrap_or(Way::Fin),
            read = client.read(&mut message) => match read? {
                0 => return Ok(()),
                _ => client.write_all(ANSWER).await?,
            },
        }
    };
    if way == Way::Rst {
        client.set_zero_linger()?;
    }
    let at = now();
    let cut = || lock(&known).cuts.insert(port, (way, at));
    match way {
        Way::Message => {
            client.write_all(FATAL).await?;
            cut();
            sleep(EXIT).await;
            client.shutdown().await?;
        }
        Way::Fin => client.shutdown().await?,
        Way::Rst => drop(client),
        Way::Forgotten => {
            cut();
            client.readable().await?;
            client.set_zero_linger()?;
            return Ok(());
        }
        Way::Silent => {
            cut();
            return std::future::pending().await;
        }
    }
    cut();
    Ok(())
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// AuthenticationOk, ReadyForQuery.
const WELCOME: &[u8] = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
/// RowDescription, DataRow, CommandComplete, ReadyForQuery: the answer to `SELECT 1`.
const ANSWER: &[u8] =
    b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0\
D\0\0\0\x0b\0\x01\0\0\0\x011C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
/// What PostgreSQL 15 says when an administrator ends a session.
const FATAL: &[u8] = b"E\0\0\0\x74SFATAL\0VFATAL\0C57P01\0\
Mterminating connection due to administrator command\0Fpostgres.c\0L3195\0RProcessInterrupts\0\0";
