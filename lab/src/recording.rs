//! A recording relay: what a client sends to PostgreSQL, one line per message, with as much of the
//! answers as shows the order.
//!
//! A message is written down before it is passed on, so the order of the lines is that of cause and
//! effect. Without TLS: the server must answer `N`.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// SSLRequest's code, where StartupMessage has the protocol's version.
const SSL_REQUEST: u32 = 80_877_103;

/// A relay on loopback. It ends when it is dropped.
pub struct Recording {
    /// Its port on 127.0.0.1.
    pub port: u16,
    connections: Arc<Mutex<Vec<Trace>>>,
    task: JoinHandle<()>,
}

/// The lines of one connection.
#[derive(Clone, Default)]
struct Trace(Arc<Mutex<Vec<String>>>);

impl Recording {
    /// Starts a relay to a PostgreSQL on loopback.
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its number").port();
        let connections = Arc::<Mutex<Vec<Trace>>>::default();
        let all = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let trace = Trace::default();
                all.lock().expect("the connections").push(trace.clone());
                tokio::spawn(async move {
                    let server = TcpStream::connect(("127.0.0.1", to)).await.expect("PostgreSQL");
                    // A peer that goes away in the middle is seen in the trace.
                    let _ = relay(client, server, &trace).await;
                });
            }
        });
        Self { port, connections, task }
    }

    /// Waits until the clients of all connections have gone, and returns their traces in the order
    /// in which they came.
    ///
    /// # Panics
    /// After 10 s.
    pub async fn traces(&self) -> Vec<String> {
        for _ in 0..1000 {
            let connections = self.connections.lock().expect("the connections").clone();
            let traces: Vec<_> = connections.iter().map(Trace::text).collect();
            if traces.iter().all(|trace| trace.ends_with("> FIN\n")) {
                return traces;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("a client did not leave");
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Trace {
    fn note(&self, line: impl Into<Option<String>>) {
        self.0.lock().expect("the lines").extend(line.into());
    }

    fn text(&self) -> String {
        self.0.lock().expect("the lines").iter().map(|line| format!("{line}\n")).collect()
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, trace: &Trace) -> io::Result<()> {
    // As the peers do: each message would otherwise wait for the acknowledgement of the last.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    // Before the session starts, messages have no type.
    loop {
        let body = body(&mut client).await?;
        let started = Body(&body).u32() != SSL_REQUEST;
        trace.note(if started { startup(&body) } else { "> SSLRequest".to_owned() });
        pass(&mut server, None, &body).await?;
        if started {
            break;
        }
        let answer = server.read_u8().await?;
        trace.note(format!("< {}", char::from(answer)));
        client.write_u8(answer).await?;
    }
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(
        direction(from_client, to_server, |message| trace.note(sent(message))),
        direction(from_server, to_client, |message| trace.note(answered(message))),
    )?;
    Ok(())
}

/// Passes on messages, until there is none: then the sender has gone.
async fn direction(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    note: impl Fn(Option<(u8, &[u8])>),
) -> io::Result<()> {
    while let Ok(tag) = from.read_u8().await {
        let body = body(&mut from).await?;
        note(Some((tag, &body)));
        pass(&mut to, Some(tag), &body).await?;
    }
    note(None);
    to.shutdown().await
}

/// What follows a message's length.
async fn body(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut body = vec![0; usize::try_from(length).expect("a length") - 4];
    from.read_exact(&mut body).await?;
    Ok(body)
}

async fn pass(to: &mut (impl AsyncWrite + Unpin), tag: Option<u8>, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len() + 4).expect("a length").to_be_bytes();
    let message = [tag.as_slice(), &length, body].concat();
    to.write_all(&message).await
}

fn startup(body: &[u8]) -> String {
    let mut body = Body(body);
    let version = body.u32();
    let mut line = format!("> StartupMessage {}.{}", version >> 16, version & 0xffff);
    loop {
        match body.text() {
            name if name.is_empty() => return line,
            name => line += &format!(" {name}={}", body.text()),
        }
    }
}

/// A message of the client (PostgreSQL documentation, "Message Formats").
fn sent(message: Option<(u8, &[u8])>) -> String {
    let Some((tag, body)) = message else {
        return "> FIN".to_owned();
    };
    let length = body.len();
    let mut body = Body(body);
    match tag {
        b'Q' => format!("> Query {}", body.text()),
        b'P' => {
            let (name, sql) = (body.text(), body.text());
            format!("> Parse \"{name}\" {sql} {}", body.hex())
        }
        b'B' => {
            let (portal, name) = (body.text(), body.text());
            format!("> Bind \"{portal}\" \"{name}\" {}", body.hex())
        }
        b'D' => format!("> Describe {} \"{}\"", char::from(body.u8()), body.text()),
        b'E' => format!("> Execute \"{}\", {} rows", body.text(), body.u32()),
        b'C' => format!("> Close {} \"{}\"", char::from(body.u8()), body.text()),
        b'S' => "> Sync".to_owned(),
        b'X' => "> Terminate".to_owned(),
        // A password, or SASL's: of secrets the length alone.
        b'p' => match body.text() {
            mechanism if mechanism.starts_with("SCRAM-") => {
                format!("> SASLInitialResponse {mechanism}, {} bytes", body.u32())
            }
            _ => format!("> SASLResponse, {length} bytes"),
        },
        _ => format!("> {}, {length} bytes", char::from(tag)),
    }
}

/// A message of the server, if it shows the order.
fn answered(message: Option<(u8, &[u8])>) -> Option<String> {
    let (tag, body) = message?;
    let mut body = Body(body);
    Some(match tag {
        b'Z' => format!("< ReadyForQuery {}", char::from(body.u8())),
        b'E' | b'N' => {
            let mut fields = std::iter::from_fn(|| {
                let field = body.u8();
                (field != 0).then(|| (field, body.text()))
            });
            let code = fields.find_map(|(field, text)| (field == b'C').then_some(text))?;
            format!("< {} {code}", if tag == b'E' { "ErrorResponse" } else { "NoticeResponse" })
        }
        b'A' => {
            body.u32();
            format!("< NotificationResponse {} {}", body.text(), body.text())
        }
        _ => return None,
    })
}

/// Takes a message's body apart.
struct Body<'a>(&'a [u8]);

impl Body<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("a whole message");
        self.0 = rest;
        *taken
    }

    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    /// Up to its zero byte.
    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        text
    }

    /// All that is left.
    fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
