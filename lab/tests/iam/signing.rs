//! Who signs tokens: our sidecar, and botocore, which must come to the same.

use api::iam::TokenRequest;
use jiff::{civil::DateTime, tz::TimeZone};
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
};
use tempfile::TempDir;

pub(crate) const REGION: &str = "us-east-1";
/// An account's key, and a session of it as IRSA has one.
pub(crate) const KEY: Credentials = Credentials {
    id: "AKIDEXAMPLE",
    secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
    session: None,
};
pub(crate) const SESSION: Credentials =
    Credentials { session: Some("IQoJb3JpZ2luX2VjE+//w=="), ..KEY };

#[derive(Clone, Copy)]
pub(crate) struct Credentials {
    pub(crate) id: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) session: Option<&'static str>,
}

impl Credentials {
    fn pairs(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        [("aws_access_key_id", self.id), ("aws_secret_access_key", self.secret)]
            .into_iter()
            .chain(self.session.map(|session| ("aws_session_token", session)))
    }

    fn environment(self) -> impl Iterator<Item = (String, &'static str)> {
        self.pairs().map(|(key, value)| (key.to_uppercase(), value))
    }

    /// What botocore signs with them at that moment, in the notation of X-Amz-Date.
    pub(crate) fn botocore(self, request: &TokenRequest, date: &str) -> String {
        let TokenRequest { host, port, user } = request;
        let output = Command::new(&*PYTHON)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/iam/botocore_token.py"))
            .args([host, &port.to_string(), user, REGION, date])
            .env_clear()
            .envs(self.environment())
            .output()
            .expect("python");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a token").trim().to_owned()
    }
}

/// With botocore.
pub(crate) static PYTHON: LazyLock<PathBuf> = LazyLock::new(lab::aws::python);

/// A running `connection-probe-rds token`, as beside a probe.
pub(crate) struct Sidecar {
    child: Child,
    folder: TempDir,
}

impl Sidecar {
    /// Signs by these credentials, from its environment.
    pub(crate) fn start(credentials: Credentials) -> Self {
        Self::starting(|command, _| {
            command.envs(credentials.environment());
        })
    }

    /// Signs by those in a Secret.
    pub(crate) fn of_secret(credentials: Credentials) -> Self {
        Self::starting(|command, folder| {
            for (key, value) in credentials.pairs() {
                std::fs::write(folder.join(key), format!("{value}\n")).expect("a file");
            }
            command.arg("--credentials").arg(folder);
        })
    }

    pub(crate) fn without_credentials() -> Self {
        Self::starting(|_, _| {})
    }

    fn starting(set: impl FnOnce(&mut Command, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = lab::aws::program();
        command.args(["token", "--region", REGION, "--socket"]).arg(folder.path().join("iam.sock"));
        command
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        set(&mut command, folder.path());
        let child = command.spawn().expect("it can be started");
        let sidecar = Self { child, folder };
        for _ in 0..500 {
            if sidecar.socket().exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        sidecar
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("iam.sock")
    }

    /// The answer to one request, as it comes.
    pub(crate) fn ask(&self, line: &str) -> String {
        ask(&self.socket(), line)
    }

    /// Tells it to stop, and waits for its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        lab::server::send_signal(self.child.id(), "TERM");
        self.child.wait().expect("its end").code()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer of whoever listens there, as it comes.
pub(crate) fn ask(socket: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).expect("a sidecar");
    writeln!(stream, "{line}").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// A parameter of a token, as it stands there.
pub(crate) fn parameter<'a>(token: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = token.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|it| it.1)
}

/// When a token was signed, in seconds since the epoch.
pub(crate) fn signed_at(token: &str) -> Option<i64> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", parameter(token, "X-Amz-Date")?).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}
