//! A server process of a test: it runs without privileges, in a folder that goes with it.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// `nobody` and `nogroup` on Debian: PostgreSQL and PgBouncer refuse to run as root.
const NOBODY: u32 = 65534;

/// A folder that belongs to `nobody`.
pub struct Folder(TempDir);

/// A running process. It is ended when this is dropped.
pub struct Server {
    child: Child,
    /// The signal that ends it at once.
    signal: &'static str,
}

impl Default for Folder {
    fn default() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        own(folder.path());
        Self(folder)
    }
}

impl Folder {
    /// The path of a file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file that only its owner can read, as PostgreSQL wants of keys.
    #[must_use]
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path(name);
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        own(&path);
        path
    }
}

impl Server {
    /// Starts `program` as nobody; what it prints goes into `log`.
    ///
    /// # Panics
    /// It can't be started: then the packages are missing.
    #[must_use]
    pub fn start(program: &str, args: &[&str], log: &Path, signal: &'static str) -> Self {
        let output = fs::File::create(log).expect("a log");
        let child = command(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a log"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{program}: {error}; install postgresql-15, pgbouncer, haproxy")
            });
        Self { child, signal }
    }

    /// Sends it a signal, such as `QUIT`.
    pub fn signal(&self, signal: &str) {
        send_signal(self.child.id(), signal);
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) {
        self.child.wait().expect("its end");
    }

    /// Waits until `ready` holds.
    ///
    /// # Panics
    /// It ended, or it took 30 s.
    pub fn wait_until(&mut self, log: &Path, ready: impl Fn() -> bool) {
        for _ in 0..3000 {
            let ended = self.child.try_wait().expect("a state");
            let said = || fs::read_to_string(log).unwrap_or_default();
            assert!(ended.is_none(), "the server ended: {}", said());
            if ready() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server is not ready after 30 s");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(self.signal);
        }
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
pub fn send_signal(pid: u32, signal: &str) {
    let args = [format!("-{signal}"), pid.to_string()];
    let sent = Command::new("kill").args(args).status().expect("kill");
    assert!(sent.success(), "kill -{signal} {pid}");
}

/// A program that will run as nobody, if we may choose.
#[must_use]
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir("/tmp");
    command
}

/// A port on loopback that was free a moment ago.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its number").port()
}

fn own(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("its owner");
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|proc| proc.uid() == 0)
}
