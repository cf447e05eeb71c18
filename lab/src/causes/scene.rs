//! A stage of real parts, and the release binary held against it.

use super::case::{Act, Case, Counts, Hop};
use crate::{
    device::{Device, Timer},
    haproxy::HaProxy,
    pgbouncer::{self, PgBouncer},
    postgres::{self, Postgres},
    relay::Fault,
    server::{free_port, send_signal},
};
use anyhow::{Context, Result, ensure};
use api::ConnectionProbeRun;
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    task::block_in_place,
    time::{Instant, interval, sleep, timeout},
};

const USER: &str = "bench";
const PASSWORD: &str = "bench";
/// A name that leads to two addresses, in a mount namespace of the probe's own.
const HOSTS: &str = "127.0.0.1 localhost\n127.0.0.2 two-hosts\n127.0.0.3 two-hosts\n";

/// What differs between two runs of the same case.
#[derive(Clone, Copy, Debug)]
pub struct Variation {
    /// Seconds that connections are held.
    pub held: u64,
    /// Connections of most workloads.
    pub connections: usize,
    /// Seconds of the timer, or until something is done.
    pub time: u64,
}

/// All that a run needs; it goes when this is dropped.
struct Scene {
    postgres: Postgres,
    /// Where a device leads after a switch.
    second: Option<Postgres>,
    _pgbouncer: Option<PgBouncer>,
    _haproxy: Option<HaProxy>,
    devices: Vec<Device>,
    probe: Child,
    folder: TempDir,
}

/// Runs a case once.
pub(super) async fn run(case: &Case, variation: Variation) -> Result<ConnectionProbeRun> {
    let Variation { held, connections, time } = variation;
    let longer = time + 5;
    let settled =
        |text: &str| text.replace("{t}", &time.to_string()).replace("{u}", &longer.to_string());
    let settings = format!("max_connections = 130\n{}\n", settled(case.postgres));
    let postgres = || {
        let options = postgres::Options { settings: &settings, ..Default::default() };
        let postgres = Postgres::start(&options);
        postgres.role(USER, PASSWORD);
        postgres
    };
    let first = block_in_place(postgres);
    let mut second = None;
    if case.act == Act::Switch {
        // One that was started in the same moment could be the same server, by all that can be asked of it.
        sleep(Duration::from_secs(3)).await;
        second = Some(block_in_place(postgres));
        sleep(Duration::from_secs(3)).await;
    }
    let (mut pgbouncer, mut haproxy) = (None, None);
    let port = match case.hop {
        Hop::Direct => first.port,
        Hop::PgBouncer(settings) => {
            let users = &[(USER, PASSWORD)];
            let settings = format!("{}\nstats_users = {USER}", settled(settings));
            let options = pgbouncer::Options { settings: &settings, users, identity: None };
            pgbouncer.insert(block_in_place(|| PgBouncer::start(&first, &options))).port
        }
        Hop::HaProxy(settings) => {
            haproxy.insert(block_in_place(|| HaProxy::start(&first, &settled(settings)))).port
        }
    };
    let mut devices = Vec::new();
    let mut host = ("127.0.0.1", port);
    if let Some((counts, fault)) = case.device {
        let timer = counts.timer(Duration::from_secs(time), Duration::from_secs(longer));
        let device = Device::start(port, timer, fault).await;
        host.1 = device.address.port();
        devices.push(device);
    }
    if case.act == Act::LoseHost {
        host = ("two-hosts", free_port());
        for last in [2, 3] {
            let address = SocketAddr::from(([127, 0, 0, last], host.1));
            devices.push(Device::start_at(address, port, Timer::Off, Fault::Fin).await);
        }
    }
    let folder = tempfile::tempdir()?;
    let asks = matches!(case.hop, Hop::PgBouncer(_));
    let manifest = manifest(host, asks, held, connections);
    let probe = start(folder.path(), &manifest)?;
    let mut scene = Scene {
        postgres: first,
        second,
        _pgbouncer: pgbouncer,
        _haproxy: haproxy,
        devices,
        probe,
        folder,
    };
    let began = Instant::now();
    let at = Duration::from_secs(time);
    let ended = async {
        scene.act(case.act, at).await;
        while scene.probe.try_wait()?.is_none() {
            sleep(Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    timeout(Duration::from_secs(held * 2 + 150), ended).await.context("it does not end")??;
    ensure!(began.elapsed() > Duration::from_secs(1), "it ended at once: {}", scene.said());
    let json = fs::read(scene.folder.path().join("run.json"))
        .with_context(|| format!("{}: {}", case.name, scene.said()))?;
    Ok(serde_json::from_slice(&json)?)
}

/// The plan's workloads and what tells more, scaled: a second is a minute.
fn manifest((host, port): (&str, u16), asks: bool, held: u64, connections: usize) -> String {
    format!(
        "apiVersion: probes.pulpproject.org/v1alpha1\nkind: ConnectionProbe\nmetadata: {{ name: bench }}\n\
         spec:\n  target: {{ secretName: credentials, host: {host}, port: {port}, database: postgres, user: {USER}, \
         tls: {{ mode: Disable }}, readPgbouncerConfig: {asks} }}\n  \
         duration: {held}s\n  connections: {connections}\n  workloads:\n  \
         - {{ name: idle, idle: {{}} }}\n  \
         - {{ name: heartbeat, heartbeat: {{ interval: 1s }} }}\n  \
         - {{ name: idle-in-transaction, idleInTransaction: {{}} }}\n  \
         - {{ name: active-transaction, activeTransaction: {{ interval: 2s }} }}\n  \
         - {{ name: session-variable, sessionVariable: {{}} }}\n  \
         - {{ name: listen, listen: {{}} }}\n  \
         - {{ name: listen-notify, listenNotify: {{ interval: 2s }} }}\n  \
         - {{ name: pulp-worker, pulpWorker: {{ interval: 1s }} }}\n  \
         - {{ name: idle-keepalive, idle: {{ keepalive: 1s }} }}\n  \
         - {{ name: slow, slowStatement: {{}}, connections: 3 }}\n"
    )
}

fn start(folder: &Path, manifest: &str) -> Result<Child> {
    let secret = folder.join("credentials");
    fs::create_dir(&secret)?;
    fs::write(secret.join("password"), PASSWORD)?;
    fs::write(folder.join("probe.yaml"), manifest)?;
    fs::write(folder.join("hosts"), HOSTS)?;
    let output = fs::File::create(folder.join("output"))?;
    let binary = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/x86_64-unknown-linux-gnu/release/connection-probe");
    let script = "mount --bind \"$1/hosts\" /etc/hosts && exec \"$2\" run --file \"$1/probe.yaml\" \
                  --secrets \"$1\" --json \"$1/run.json\" --answer-timeout 3s";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(folder).arg(binary);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    Ok(command.spawn()?)
}

impl Counts {
    fn timer(self, time: Duration, longer: Duration) -> Timer {
        match self {
            Self::Nothing => Timer::Off,
            Self::Bytes => Timer::Bytes(time),
            Self::Packets => Timer::Packets(time),
            Self::Requests => Timer::Requests(time),
            Self::Age => Timer::Age(longer, 0.0),
            Self::VaryingAge => Timer::Age(longer, 0.1),
            Self::OldAge => Timer::Age(longer + time, 0.0),
            Self::Statement => Timer::Statement(time),
            Self::Random => Timer::Random(longer),
            Self::Sweep => Timer::Sweep(time / 2, longer),
        }
    }
}

impl Scene {
    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// Does it, while connections are held.
    async fn act(&mut self, act: Act, at: Duration) {
        /// From the probe's start until its connections are open.
        const OPEN: Duration = Duration::from_secs(4);
        let terminate = |whom: &str| {
            let sql = format!(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{USER}' AND {whom}"
            );
            block_in_place(|| self.postgres.sql(&sql));
        };
        let seconds = at.as_secs();
        let again = match act {
            Act::TerminateByAge => format!("backend_start < now() - interval '{seconds} s'"),
            Act::TerminateByState => {
                format!(
                    "state = 'idle in transaction' AND state_change < now() - interval '{seconds} s'"
                )
            }
            Act::TerminateAtRandom => "random() < 0.06".to_owned(),
            _ => String::new(),
        };
        if !again.is_empty() {
            let mut due = interval(Duration::from_secs(1));
            for _ in 0..seconds * 3 {
                due.tick().await;
                terminate(&again);
            }
            return;
        }
        sleep(OPEN + at).await;
        let process = self.probe.id();
        match act {
            Act::TerminateAll => terminate("true"),
            Act::Restart => block_in_place(|| self.postgres.restart("INT")),
            Act::ImmediateRestart => block_in_place(|| self.postgres.restart("QUIT")),
            Act::Crash => block_in_place(|| {
                let pid = self.postgres.sql(&format!(
                    "SELECT pid FROM pg_stat_activity WHERE usename = '{USER}' ORDER BY random() LIMIT 1"
                ));
                if let Ok(pid) = pid.trim().parse() {
                    self.postgres.signal_backend(pid, "KILL");
                }
            }),
            Act::CutAll => self.devices.iter().for_each(Device::cut),
            Act::LoseHost => self.devices.iter().take(1).for_each(Device::cut),
            Act::Switch => {
                let other = self.second.as_ref().map_or(0, |other| other.port);
                self.devices.iter().for_each(|device| device.cut_over(other));
            }
            Act::Evict => send_signal(process, "TERM"),
            Act::Stall => {
                send_signal(process, "STOP");
                sleep(Duration::from_secs(12)).await;
                send_signal(process, "CONT");
            }
            Act::Nothing | Act::TerminateByAge | Act::TerminateByState | Act::TerminateAtRandom => {
            }
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.probe.kill();
        let _ = self.probe.wait();
    }
}
