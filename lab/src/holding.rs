//! The probe, held against something in this very process.

use crate::certificates::Identity;
use api::{
    Inventory,
    measurement::{Client, Order},
    pattern::Pattern,
    report::{Ending, LaneEnd, Report},
    settings::{Settings, TargetSettings, TcpSettings, WorkloadSettings},
    target::{Auth, TlsMode},
};
use jiff::Timestamp;
use probe::{clock::Clock, exit::Exit, inventory, mounts::Mounts, run, run::Setup, voice::Output};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{runtime::Builder, sync::oneshot, time::Instant};

/// What is to be held.
pub struct Holding {
    settings: Settings,
    files: Vec<(&'static str, String)>,
    delays: Vec<Duration>,
    iam_socket: PathBuf,
}

/// A probe at work, on a thread of its own as in its own process.
pub struct Held {
    ended: oneshot::Receiver<(Exit, Report, Report)>,
    stop: Option<oneshot::Sender<()>>,
}

impl Holding {
    /// One lane of a workload, on a port on loopback, for two seconds and without TLS.
    #[must_use]
    pub fn new(port: u16, user: &str, password: &str) -> Self {
        let target = TargetSettings {
            secret_name: "credentials".into(),
            keys: api::target::SecretKeys::default(),
            host: Some("127.0.0.1".into()),
            port: Some(port),
            database: Some("postgres".into()),
            user: Some(user.into()),
            tls_mode: Some(TlsMode::Disable),
            ca: None,
            certificate_secret: None,
            auth: Auth::Password,
            read_pgbouncer_config: None,
        };
        let workload = WorkloadSettings {
            name: "held".into(),
            pattern: Pattern::Idle,
            duration_ms: 2000,
            connections: 1,
            client: Client::Raw,
            tcp: TcpSettings::default(),
            application_name: None,
        };
        Self {
            settings: Settings {
                run: "test-1".into(),
                target,
                control: None,
                workloads: vec![workload],
                indexes: vec![0],
            },
            files: vec![("password", password.into())],
            delays: vec![Duration::ZERO, Duration::from_millis(300)],
            iam_socket: PathBuf::new(),
        }
    }

    /// The same, but everything is in the Secret: a URI.
    #[must_use]
    pub fn of_uri(uri: &str) -> Self {
        let mut holding = Self::new(0, "", "");
        let target = &mut holding.settings.target;
        (target.host, target.port, target.database) = (None, None, None);
        (target.user, target.tls_mode) = (None, None);
        holding.files = vec![("uri", uri.into())];
        holding
    }

    /// Under another name: runs of the same one listen to each other.
    #[must_use]
    pub fn name(mut self, run: &str) -> Self {
        run.clone_into(&mut self.settings.run);
        self
    }

    /// In another database.
    #[must_use]
    pub fn database(mut self, name: &str) -> Self {
        self.settings.target.database = Some(name.into());
        self
    }

    /// Does something else.
    #[must_use]
    pub fn pattern(mut self, pattern: Pattern) -> Self {
        self.settings.workloads[0].pattern = pattern;
        self
    }

    /// Talks as another client.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.settings.workloads[0].client = client;
        self
    }

    /// Connects anew at these moments after a cut, in place of at once and 0.3 s later.
    #[must_use]
    pub fn reconnect_after(mut self, delays: &[Duration]) -> Self {
        self.delays = delays.to_vec();
        self
    }

    /// Sets TCP's timers.
    #[must_use]
    pub fn tcp(mut self, tcp: TcpSettings) -> Self {
        self.settings.workloads[0].tcp = tcp;
        self
    }

    /// Holds longer or shorter.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.settings.workloads[0].duration_ms =
            u64::try_from(duration.as_millis()).expect("short");
        self
    }

    /// Holds more connections.
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.settings.workloads[0].connections = connections;
        self
    }

    /// Holds the same connections on another port of loopback.
    #[must_use]
    pub fn control(mut self, port: u16) -> Self {
        let target = self.settings.target.clone();
        self.settings.control = Some(TargetSettings { port: Some(port), ..target });
        self
    }

    /// Connects to another name.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.settings.target.host = Some(host.into());
        self
    }

    /// Encrypts.
    #[must_use]
    pub fn tls(mut self, mode: TlsMode) -> Self {
        self.settings.target.tls_mode = Some(mode);
        self
    }

    /// Has a certificate authority in the Secret.
    #[must_use]
    pub fn ca(mut self, pem: &str) -> Self {
        self.files.push(("ca.crt", pem.to_owned()));
        self
    }

    /// Has no password.
    #[must_use]
    pub fn without_password(mut self) -> Self {
        self.files.retain(|(key, _)| *key != "password");
        self
    }

    /// Has no password, but tokens that are handed out at this socket.
    #[must_use]
    pub fn iam(mut self, socket: &Path) -> Self {
        self.settings.target.auth = Auth::AwsIam;
        self.iam_socket = socket.to_owned();
        self.without_password()
    }

    /// Has a client certificate in the Secret.
    #[must_use]
    pub fn certificate(mut self, Identity { certificate, key }: &Identity) -> Self {
        self.files.extend([("tls.crt", certificate.clone()), ("tls.key", key.clone())]);
        self
    }

    /// Starts the probe.
    #[must_use]
    pub fn start(self) -> Held {
        let (stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let folder = tempfile::tempdir().expect("a folder");
            let setup = self.setup(&folder);
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (exit, mut whole) = runtime.block_on(async {
                let clock = Clock::new(now(), Instant::now());
                run::run(setup, clock, async { _ = stopped.await }).await
            });
            let message = fs::read_to_string(folder.path().join("message")).expect("a message");
            // Nobody waits any more if the test has failed.
            let _ = end.send((exit, Report::parse(&message).expect("a report"), whole.remove(0)));
        });
        Held { ended, stop: Some(stop) }
    }

    /// Starts the probe and waits for its report.
    pub async fn run(self) -> Report {
        self.start().report().await
    }

    /// Asks PgBouncer for its own timers, too.
    #[must_use]
    pub fn reading_pgbouncer(mut self) -> Self {
        self.settings.target.read_pgbouncer_config = Some(true);
        self
    }

    /// Takes an inventory in place of holding.
    pub async fn inventory(self) -> Inventory {
        let folder = tempfile::tempdir().expect("a folder");
        let mounts = self.mounts(folder.path());
        let settings = self.write(folder.path());
        let clock = Clock::new(now(), Instant::now());
        inventory::take(&settings, &mounts, clock).await
    }

    /// Writes the Secret into `folder`, and gives the settings that go with it.
    #[must_use]
    pub fn write(self, folder: &Path) -> Settings {
        let secret = folder.join("credentials");
        fs::create_dir(&secret).expect("a folder");
        for (key, value) in self.files {
            fs::write(secret.join(key), value).expect("a file");
        }
        self.settings
    }

    fn mounts(&self, folder: &Path) -> Mounts {
        Mounts {
            secrets: folder.to_owned(),
            config_maps: folder.to_owned(),
            iam_socket: self.iam_socket.clone(),
        }
    }

    fn setup(self, folder: &TempDir) -> Setup {
        let (reconnect_after, mounts) = (self.delays.clone(), self.mounts(folder.path()));
        Setup {
            settings: Ok(self.write(folder.path())),
            order: Order::Parallel,
            output: Output::Lines,
            mounts,
            index: Some(0),
            termination_log: Some(folder.path().join("message")),
            listen: None,
            wait: Duration::ZERO,
            answer_timeout: Duration::from_secs(2),
            reconnect_after,
        }
    }
}

impl Held {
    /// Tells it to stop, as SIGTERM does.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Waits for its report, which must be complete.
    ///
    /// # Panics
    /// It is not.
    pub async fn report(self) -> Report {
        let (exit, report) = self.end().await;
        assert_eq!(exit, Exit::Complete, "{report:?}");
        report
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// The probe panicked.
    pub async fn end(mut self) -> (Exit, Report) {
        // Kept until here: dropped, it would stop the probe.
        let _stop = self.stop.take();
        let (exit, report, _) = self.ended.await.expect("the probe's end");
        (exit, report)
    }

    /// Waits for its end, and returns all that it would tell by hand, where there is no limit.
    ///
    /// # Panics
    /// The probe panicked.
    pub async fn whole(mut self) -> (Exit, Report) {
        let _stop = self.stop.take();
        let (exit, _, whole) = self.ended.await.expect("the probe's end");
        (exit, whole)
    }
}

/// The one way in which all connections of a report ended.
///
/// # Panics
/// There are several.
#[must_use]
pub fn only_ending(report: &Report) -> &Ending {
    let endings = &report.arms.first().unwrap_or_else(|| panic!("{report:?}")).endings;
    assert_eq!(endings.len(), 1, "{endings:#?}");
    &endings[0]
}

/// The one connection that ended.
///
/// # Panics
/// There are several.
#[must_use]
pub fn only_lane(ending: &Ending) -> &LaneEnd {
    assert_eq!(ending.lanes.len(), 1, "{ending:#?}");
    &ending.lanes[0]
}

/// The first and the last moment, by the wall clock, at which this connection may have ended
/// according to the report.
///
/// # Panics
/// It did not end.
#[must_use]
pub fn span(lane: &LaneEnd) -> (Timestamp, Timestamp) {
    let lifetime = lane.lifetime.expect("a lifetime");
    let width = lifetime.max_ms.expect("an end") - lifetime.min_ms;
    (lane.at - Duration::from_millis(width.try_into().expect("a width")), lane.at)
}

/// The wall clock, for the truth that a report is compared with.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "a test knows when it did something")]
    Timestamp::now()
}
