//! A TCP relay with faults: what a load balancer, a NAT or a firewall may do to a connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    select,
    sync::watch,
    task::JoinHandle,
};

/// What is done to all connections from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// They are closed by a FIN: under TLS without a close_notify.
    Fin,
    /// They are closed by a reset.
    Rst,
    /// Nothing passes any more, and nobody is told.
    BlackHole,
    /// Nothing passes any more, and the next packet from the client is answered by a reset, as by a
    /// device that has forgotten the flow.
    Forget,
}

impl Fault {
    /// Does it to a client from which nothing is read any more.
    pub(crate) async fn strike(self, mut client: TcpStream) {
        match self {
            Self::None => {}
            // Our side alone: the client's own FIN would answer it, and that is the client's business.
            Self::Fin => {
                let _ = client.shutdown().await;
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            Self::Rst => {
                let _ = client.set_zero_linger();
            }
            Self::BlackHole => std::future::pending().await,
            Self::Forget => {
                let _ = client.read_u8().await;
                let _ = client.set_zero_linger();
            }
        }
    }
}

/// A relay on loopback. It ends when it is dropped.
pub struct Relay {
    /// Its port on 127.0.0.1.
    pub port: u16,
    fault: watch::Sender<Fault>,
    accepted: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay to a port on loopback.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let (fault, seen) = watch::channel(Fault::None);
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(relay(client, SocketAddr::from(([127, 0, 0, 1], to)), seen.clone()));
            }
        });
        Self { port, fault, accepted, task }
    }

    /// How many connections have come so far.
    #[must_use]
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Does this to all connections.
    pub fn fault(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn relay(mut client: TcpStream, to: SocketAddr, mut fault: watch::Receiver<Fault>) {
    let Ok(mut server) = TcpStream::connect(to).await else {
        return;
    };
    let copied = select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => None,
        fault = fault.wait_for(|fault| *fault != Fault::None) => fault.ok().map(|fault| *fault),
    };
    copied.unwrap_or_default().strike(client).await;
}
