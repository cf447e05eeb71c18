//! A device on the way that has a timer of its own, as a proxy, a load balancer or a firewall has.

use crate::relay::Fault;
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
    select,
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::{Instant, interval, sleep_until},
};

/// When it strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Timer {
    /// Never by itself.
    Off,
    /// After so long without a byte in either direction.
    Bytes(Duration),
    /// After so long without a packet from the client, keepalives included.
    Packets(Duration),
    /// After so long without a request, while none is under way.
    Requests(Duration),
    /// At this age, give or take a share of it.
    Age(Duration, f64),
    /// A request is under way for so long.
    Statement(Duration),
    /// At random, after so long in the mean.
    Random(Duration),
    /// Every so often, whoever is older than so long.
    Sweep(Duration, Duration),
}

/// The device, on a port of loopback. With its connections it ends when it is dropped.
pub struct Device {
    /// Where it listens.
    pub address: SocketAddr,
    order: watch::Sender<Order>,
    task: JoinHandle<()>,
}

/// What holds for new connections, and what was done to those before.
#[derive(Clone, Copy)]
struct Order {
    to: u16,
    /// How often all were cut.
    cuts: u32,
    fault: Fault,
}

impl Device {
    /// Starts one before a port of 127.0.0.1.
    pub async fn start(to: u16, timer: Timer, fault: Fault) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), to, timer, fault).await
    }

    /// Starts one at an address of its own.
    pub async fn start_at(address: SocketAddr, to: u16, timer: Timer, fault: Fault) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("its number");
        let (order, orders) = watch::channel(Order { to, cuts: 0, fault });
        let (counted, packets) = watch::channel(BTreeMap::new());
        let task = tokio::spawn(async move {
            let mut flows = JoinSet::new();
            let began = Instant::now();
            if matches!(timer, Timer::Packets(_)) {
                flows.spawn(count(address.port(), counted));
            }
            while let Ok((client, peer)) = listener.accept().await {
                let flow = Flow { timer, began, peer: peer.port(), packets: packets.clone() };
                flows.spawn(flow.pass(client, orders.clone()));
            }
        });
        Self { address, order, task }
    }

    /// Cuts all that is open, by its fault; from now on it leads to `to`.
    pub fn cut_over(&self, to: u16) {
        self.order.send_modify(|order| *order = Order { to, cuts: order.cuts + 1, ..*order });
    }

    /// Cuts all that is open, by its fault.
    pub fn cut(&self) {
        self.order.send_modify(|order| order.cuts += 1);
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Packets that came from each client's port.
type Packets = BTreeMap<u16, u64>;

/// One connection through it.
struct Flow {
    timer: Timer,
    /// When the device was started.
    began: Instant,
    peer: u16,
    packets: watch::Receiver<Packets>,
}

/// When what last happened.
struct Clocks {
    opened: Instant,
    byte: Instant,
    packet: (u64, Instant),
    /// Since when a request is under way.
    asked: Option<Instant>,
    /// The last request or its answer.
    request: Instant,
    /// From 0 to 1.
    dice: f64,
}

impl Flow {
    async fn pass(mut self, mut client: TcpStream, mut orders: watch::Receiver<Order>) {
        let Order { to, fault, .. } = *orders.borrow_and_update();
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", to)).await else {
            return;
        };
        _ = (client.set_nodelay(true), server.set_nodelay(true));
        let now = Instant::now();
        let mut clocks = Clocks {
            opened: now,
            byte: now,
            packet: (0, now),
            asked: None,
            request: now,
            dice: dice(),
        };
        let (mut up, mut down) = ([0; 4096], [0; 4096]);
        loop {
            let due = self.timer.due(&clocks, self.began);
            select! {
                read = client.read(&mut up) => match read {
                    Ok(n @ 1..) if server.write_all(&up[..n]).await.is_ok() => clocks.sent(),
                    _ => return,
                },
                read = server.read(&mut down) => match read {
                    Ok(n @ 1..) if client.write_all(&down[..n]).await.is_ok() => clocks.received(),
                    Ok(0) => return,
                    _ => { let _ = client.set_zero_linger(); return; }
                },
                Ok(()) = self.packets.changed() => {
                    let seen = self.packets.borrow_and_update().get(&self.peer).copied();
                    clocks.counted(seen.unwrap_or(0));
                },
                Ok(()) = orders.changed() => break,
                () = sleep_until(due.unwrap_or(now)), if due.is_some() => break,
            }
        }
        drop(server);
        fault.strike(client).await;
    }
}

impl Clocks {
    fn sent(&mut self) {
        let now = Instant::now();
        (self.byte, self.request) = (now, now);
        self.asked.get_or_insert(now);
    }

    fn received(&mut self) {
        self.byte = Instant::now();
        if self.asked.take().is_some() {
            self.request = self.byte;
        }
    }

    fn counted(&mut self, packets: u64) {
        if packets != self.packet.0 {
            self.packet = (packets, Instant::now());
        }
    }
}

impl Timer {
    /// When it strikes next.
    fn due(self, clocks: &Clocks, began: Instant) -> Option<Instant> {
        match self {
            Self::Off => None,
            Self::Bytes(after) => Some(clocks.byte + after),
            Self::Packets(after) => Some(clocks.packet.1.max(clocks.byte) + after),
            Self::Requests(after) => clocks.asked.is_none().then(|| clocks.request + after),
            Self::Age(age, share) => {
                Some(clocks.opened + age.mul_f64(1.0 + share * (2.0 * clocks.dice - 1.0)))
            }
            Self::Statement(after) => Some(clocks.asked? + after),
            Self::Random(mean) => Some(clocks.opened + mean.mul_f64(-(1.0 - clocks.dice).ln())),
            Self::Sweep(period, older) => {
                let old = clocks.opened + older;
                let rounds = (old - began).as_secs_f64() / period.as_secs_f64();
                Some(began + period.mul_f64(rounds.ceil()))
            }
        }
    }
}

/// A number from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "so many digits are enough")]
fn dice() -> f64 {
    (RandomState::new().hash_one(()) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Counts packets: the kernel alone sees keepalives.
async fn count(port: u16, counted: watch::Sender<Packets>) {
    let mut due = interval(Duration::from_millis(200));
    loop {
        due.tick().await;
        let filter = format!("sport = :{port}");
        let sockets = Command::new("ss").args(["-Htin", "state", "established", &filter]).output();
        let output = sockets.await.expect("ss; install iproute2").stdout;
        let text = String::from_utf8_lossy(&output).into_owned();
        let mut packets = Packets::new();
        let mut lines = text.lines().peekable();
        while let (Some(socket), Some(info)) = (lines.next(), lines.next()) {
            let peer = socket.split_whitespace().last().and_then(|peer| peer.rsplit_once(':'));
            let peer = peer.and_then(|(_, port)| port.parse().ok());
            let seen = info.split("segs_in:").nth(1).and_then(|it| it.split(' ').next());
            if let (Some(peer), Some(seen)) = (peer, seen.and_then(|seen| seen.parse().ok())) {
                packets.insert(peer, seen);
            }
        }
        counted.send_replace(packets);
    }
}
