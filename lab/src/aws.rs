//! AWS's answers without AWS (`lab/aws`), on loopback, and the program that asks for them.

use crate::tools::{self, lab};
use api::rds_proxy::Evidence;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

/// Address of the lab's node, where pods reach what tests start.
pub const NODE: &str = "10.90.0.1";

/// A server that answers as AWS does. It ends when this is dropped, and with this process in any case.
pub struct Aws {
    child: Child,
    /// Its host and port.
    address: String,
}

/// A region of it, with proxies, faults and calls of its own.
#[derive(Clone, Copy)]
pub struct Region {
    aws: &'static Aws,
    /// Its name.
    pub name: &'static str,
}

/// What became of a program that asked.
pub struct Asked {
    /// Its exit code.
    pub code: Option<i32>,
    /// All that it printed.
    pub out: String,
    /// Its termination message.
    pub evidence: Option<Evidence>,
}

impl Aws {
    /// Starts one at an address.
    ///
    /// # Panics
    /// It can't be started: then Python or its packages are missing.
    #[must_use]
    pub fn start(address: &str) -> Self {
        let mut child = Command::new(python())
            .arg(lab("aws/server.py"))
            .args(["--with-parent", &format!("{address}:0")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python can be started");
        let mut line = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let ready: Value = serde_json::from_str(&line).expect("that it is ready");
        let address = ready["ready"].as_str().and_then(|url| url.strip_prefix("http://"));
        Self { child, address: address.expect("its address").to_owned() }
    }

    /// A region of the one that all tests of this process share.
    #[must_use]
    pub fn region(name: &'static str) -> Region {
        static SHARED: OnceLock<Aws> = OnceLock::new();
        Region { aws: SHARED.get_or_init(|| Self::start("127.0.0.1")), name }
    }

    /// The same where the lab's pods reach it: at their node's address.
    #[must_use]
    pub fn region_for_pods(name: &'static str) -> Region {
        static SHARED: OnceLock<Aws> = OnceLock::new();
        crate::cluster::require_lab();
        Region { aws: SHARED.get_or_init(|| Self::start(NODE)), name }
    }

    fn http(&self, method: &str, path: &str, body: &str) -> Value {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all((head + body).as_bytes()).expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(" 200 "), "{path}: {answer}");
        serde_json::from_str(body).expect("JSON")
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Region {
    /// Where it is asked.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.aws.address)
    }

    /// Plants what `lab/aws/seed.py` describes; the proxy's host name.
    pub fn seed(&self, seed: &Value) -> String {
        let planted = self.post("seed", seed);
        planted["endpoint"].as_str().expect("an endpoint").to_owned()
    }

    /// From now on this goes wrong: see `lab/aws/faults.py`.
    pub fn fault(&self, fault: &Value) {
        self.post("fault", fault);
    }

    /// The operations that were called, in order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let calls = self.aws.http("GET", &format!("/lab/calls/{}", self.name), "");
        serde_json::from_value(calls).expect("names")
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        self.post("calm", &Value::Null);
    }

    /// How many calls are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        let held = self.aws.http("GET", &format!("/lab/held/{}", self.name), "");
        held.as_u64().expect("a number")
    }

    /// Lets held calls go on; or those that were not carried out yet never be.
    pub fn release(&self, carry_out: bool) {
        self.post("release", &json!({ "carryOut": carry_out }));
    }

    /// How a proxy is, past all calls.
    #[must_use]
    pub fn proxy(&self, name: &str) -> Value {
        self.aws.http("GET", &format!("/lab/proxy/{}/{name}", self.name), "")
    }

    /// Sets a proxy's value or tags as somebody else does.
    pub fn set_by_others(&self, name: &str, change: &Value) {
        let path = format!("/lab/proxy/{}/{name}", self.name);
        self.aws.http("POST", &path, &change.to_string());
    }

    /// Lets the call that was held first go on.
    pub fn release_first(&self) {
        self.post("release", &json!({ "carryOut": true, "only": 1 }));
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.aws.http("POST", &format!("/lab/{what}/{}", self.name), &body.to_string())
    }
}

/// Python with moto and botocore.
///
/// # Panics
/// It can't be made.
#[must_use]
pub fn python() -> PathBuf {
    tools::python("aws/requirements.txt")
}

/// The program, with nothing of our environment.
///
/// # Panics
/// It can't be built.
#[must_use]
pub fn program() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let build = Command::new(env!("CARGO")).args(["build", "--locked", "-p", "rds"]).output();
        let build = build.expect("cargo can be run");
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        let us = std::env::current_exe().expect("our own path");
        let beside = us.ancestors().map(|folder| folder.join("connection-probe-rds"));
        { beside }.find(|path| path.is_file()).expect("the program beside us")
    });
    let mut command = Command::new(program);
    command.env_clear();
    command
}

impl Asked {
    /// What a program left that wrote its message here.
    #[must_use]
    pub fn of(output: &Output, message: &Path) -> Self {
        let message = std::fs::read_to_string(message).unwrap_or_default();
        assert!(message.len() <= api::report::LIMIT, "{} bytes", message.len());
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            evidence: Evidence::parse(&message).ok(),
        }
    }

    /// What it printed of this kind.
    #[must_use]
    pub fn lines(&self, event: &str) -> Vec<Value> {
        let lines = self.out.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Value| line["event"] == event).collect()
    }
}
