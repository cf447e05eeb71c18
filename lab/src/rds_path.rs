//! The data path of an RDS Proxy of which AWS's stand-in tells. How AWS's own ends a client is not known: here by a FIN.

use crate::aws::Region;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    select,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::{sleep, timeout},
};

/// The proxy's value is looked at so often.
const LOOK: Duration = Duration::from_millis(200);

/// A relay that ends clients which have sent nothing for the proxy's IdleClientTimeout. It ends when it is dropped.
pub struct RdsPath {
    /// Its port.
    pub port: u16,
    tasks: [JoinHandle<()>; 2],
}

impl RdsPath {
    /// Starts one at an address, to a server.
    ///
    /// # Panics
    /// There is no such proxy, or no port.
    pub async fn start(at: &str, to: SocketAddr, region: Region, proxy: &'static str) -> Self {
        let seconds = move || {
            let told = region.proxy(proxy)["idleClientTimeout"].as_u64();
            Duration::from_secs(told.expect("a proxy's value"))
        };
        let (value, limit) = watch::channel(spawn_blocking(seconds).await.expect("an answer"));
        let looking = tokio::spawn(async move {
            while let Ok(now) = spawn_blocking(seconds).await {
                value.send_if_modified(|before| std::mem::replace(before, now) != now);
                sleep(LOOK).await;
            }
        });
        let listener = TcpListener::bind((at, 0)).await.expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let relaying = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, to, limit.clone()));
            }
        });
        Self { port, tasks: [looking, relaying] }
    }
}

impl Drop for RdsPath {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn relay(mut client: TcpStream, to: SocketAddr, limit: watch::Receiver<Duration>) {
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let requests = async {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            let allowed = *limit.borrow();
            let read = timeout(allowed, from_client.read(&mut bytes)).await;
            // What is changed while a client is silent holds for it from its next request on.
            let Ok(Ok(n @ 1..)) = read else { return };
            if to_server.write_all(&bytes[..n]).await.is_err() {
                return;
            }
        }
    };
    select! {
        () = requests => {}
        _ = copy(&mut from_server, &mut to_client) => {}
    }
}
