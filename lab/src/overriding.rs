//! A proxy that is changed for a run and put back, at AWS's stand-in; and all moments at which that can be interrupted.

use crate::{
    aws::{Region, program},
    holding::now,
    server::{free_port, send_signal},
};
use api::rds_proxy::overriding::{Outcome, OverrideStatus};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::Duration,
};
use tempfile::TempDir;

pub mod moments;

/// IdleClientTimeout as it is, in seconds, before anybody changes it.
pub const ORIGINAL: i64 = 1800;
/// As it is for a run.
pub const CHANGED: i64 = 60;

/// A proxy of a test, and the account that changes it.
pub struct Proxy {
    /// Where it is.
    pub region: Region,
    /// Its name.
    pub name: String,
    folder: TempDir,
}

/// A guard at work. It is killed when this is dropped.
pub struct Guard {
    child: Option<Child>,
    port: u16,
    message: PathBuf,
    /// What it prints.
    out: PathBuf,
}

/// What became of a program.
pub struct Ended {
    /// Its exit code.
    pub code: Option<i32>,
    /// All that it printed.
    pub out: String,
    /// Its termination message.
    pub status: Option<OverrideStatus>,
}

impl Proxy {
    /// One that is `modifying` for two looks whenever it is changed.
    #[must_use]
    pub fn new(region: Region, name: &str) -> Self {
        Self::planted(region, &json!({"name": name, "looks": 2}))
    }

    /// One as `lab/aws/seed.py` describes it.
    #[must_use]
    pub fn planted(region: Region, proxy: &Value) -> Self {
        region.seed(&json!({ "proxy": proxy }));
        let name = proxy["name"].as_str().expect("its name").to_owned();
        let proxy = Self { region, name, folder: tempfile::tempdir().expect("a folder") };
        proxy.set_key("AKIAIOSFODNN7EXAMPLE");
        proxy
    }

    /// Writes another key into the folder of credentials.
    pub fn set_key(&self, id: &str) {
        fs::write(self.folder.path().join("aws_access_key_id"), id).expect("a file");
        fs::write(self.folder.path().join("aws_secret_access_key"), "s3cret").expect("a file");
    }

    /// The order of a run that lasts for some seconds.
    #[must_use]
    pub fn order(&self, id: &str, seconds: i64) -> Value {
        json!({
            "run": format!("perf/{id}"),
            "id": id,
            "until": now() + SignedDuration::from_secs(seconds),
            "proxy": {
                "name": self.name,
                "region": self.region.name,
                "endpointURL": self.region.url(),
                "serviceAccountName": "changer",
                "override": {"idleClientTimeout": format!("{CHANGED}s"), "allowModify": true},
            },
        })
    }

    /// A command of the program, in a hurry.
    #[must_use]
    pub fn command(&self, name: &str) -> Command {
        let mut command = program();
        command.args([name, "--pace", "50ms"]);
        command
    }

    /// Starts a guard, with the keys of a Secret.
    #[must_use]
    pub fn guard(&self, order: &Value) -> Guard {
        self.guard_with(order, &[])
    }

    /// The same, with more on its command line.
    #[must_use]
    pub fn guard_with(&self, order: &Value, args: &[&str]) -> Guard {
        let mut command = self.command("override");
        command.args(args).arg("--credentials").arg(self.folder.path());
        self.start(command, order)
    }

    /// Starts a guard that is complete but for its order.
    #[must_use]
    pub fn start(&self, mut command: Command, order: &Value) -> Guard {
        let port = free_port();
        let file = |name: &str| self.folder.path().join(format!("{name}-{port}"));
        let (message, out) = (file("message"), file("out"));
        command.stdout(File::create(&out).expect("a file"));
        command.env("ORDER", order.to_string()).args(["--listen", &format!("127.0.0.1:{port}")]);
        command.arg("--termination-log").arg(&message);
        Guard { child: Some(command.spawn().expect("the program")), port, message, out }
    }

    /// Has the change of an order put back.
    #[must_use]
    pub fn restore(&self, order: &Value) -> Ended {
        let message = self.folder.path().join("message");
        let mut command = self.command("restore");
        command.env("ORDER", order.to_string()).arg("--credentials").arg(self.folder.path());
        Ended::of(command, &message)
    }

    /// Has the changes of all runs put back, by hand.
    #[must_use]
    pub fn restore_by_hand(&self) -> Ended {
        let message = self.folder.path().join("message");
        let mut command = self.command("restore");
        command.args(["--proxy", &self.name, "--region", self.region.name]);
        command.args(["--endpoint-url", &self.region.url()]);
        command.arg("--credentials").arg(self.folder.path());
        Ended::of(command, &message)
    }

    /// Its IdleClientTimeout, and its tags.
    #[must_use]
    pub fn told(&self) -> (i64, Vec<(String, String)>) {
        let told = self.region.proxy(&self.name);
        let tags = told["tags"].as_object().expect("tags").iter();
        let tags = tags.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
        (told["idleClientTimeout"].as_i64().expect("a number"), tags.collect())
    }

    /// Whether it is as it was.
    #[must_use]
    pub fn is_as_it_was(&self) -> bool {
        self.told() == (ORIGINAL, Vec::new())
    }
}

impl Guard {
    /// Whether the new value is in force, as the kubelet gets to know.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("the program");
        child.try_wait().expect("a state").is_some()
    }

    /// Waits until the new value is in force.
    ///
    /// # Panics
    /// It ends before, or takes too long.
    pub fn wait_until_in_force(&mut self) {
        wait_until(|| {
            assert!(!self.has_ended(), "it ended: {:?}", fs::read_to_string(&self.message));
            self.is_in_force()
        });
    }

    /// Waits until it has told a step.
    ///
    /// # Panics
    /// It takes too long.
    pub fn wait_until_told(&self, step: &str) {
        let is_told = |out: &str| steps(out).iter().any(|it| it == step);
        wait_until(|| is_told(&fs::read_to_string(&self.out).unwrap_or_default()));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        send_signal(self.child.as_ref().expect("the program").id(), signal);
    }

    /// What becomes of it.
    #[must_use]
    pub fn end(mut self) -> Ended {
        let code = self.child.take().expect("the program").wait().expect("its end").code();
        Ended::new(code, fs::read_to_string(&self.out).unwrap_or_default(), &self.message)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Ended {
    fn of(mut command: Command, message: &Path) -> Self {
        let output = command.arg("--termination-log").arg(message).output().expect("the program");
        Self::new(output.status.code(), String::from_utf8_lossy(&output.stdout).into(), message)
    }

    fn new(code: Option<i32>, out: String, message: &Path) -> Self {
        let never = ["AKIA", "s3cret", ".rds.amazonaws.com", "127.0.0.1", "123456789012"];
        for never in never {
            assert!(!out.contains(never), "{never} in {out}");
        }
        let message = fs::read_to_string(message).unwrap_or_default();
        Self { code, out, status: OverrideStatus::parse(&message).ok() }
    }

    /// The names of its steps, in order.
    #[must_use]
    pub fn steps(&self) -> Vec<String> {
        steps(&self.out)
    }

    /// How it ended.
    ///
    /// # Panics
    /// It left no message.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let status = self.status.as_ref().unwrap_or_else(|| panic!("no message: {}", self.out));
        status.outcome.expect("an outcome")
    }

    /// What was wrong.
    #[must_use]
    pub fn problem(&self) -> &str {
        self.status.as_ref().and_then(|it| it.problem.as_deref()).unwrap_or_default()
    }
}

fn steps(out: &str) -> Vec<String> {
    let lines = out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter_map(|line| Some(line["event"].as_str()?.to_owned())).collect()
}

/// Waits until something holds.
///
/// # Panics
/// It took 60 s.
pub fn wait_until(mut holds: impl FnMut() -> bool) {
    let limit: Timestamp = now() + SignedDuration::from_secs(60);
    while !holds() {
        assert!(now() < limit, "nothing after 60 s");
        thread::sleep(Duration::from_millis(10));
    }
}
