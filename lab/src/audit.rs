//! The API server's audit log: who called what, when.

use jiff::Timestamp;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
};

/// The operator's user.
pub const OPERATOR: &str = "system:serviceaccount:connection-probe:connection-probe-operator";

/// One finished call, or a watch that began.
#[derive(Clone, Debug)]
pub struct Call {
    /// The call's own: the beginning and the end of a watch share it.
    pub id: String,
    /// Whether it was answered to the end: a watch that goes on was not.
    pub finished: bool,
    /// Who.
    pub user: String,
    /// Such as `create`.
    pub verb: String,
    /// Such as `batch/jobs` or `/pods/status`.
    pub resource: String,
    /// Where; empty for cluster-wide calls.
    pub namespace: String,
    /// What it was about; empty for collections.
    pub name: String,
    /// HTTP status.
    pub code: i64,
    /// Whether no role allowed it. Other refusals (a terminating namespace, a policy) are 403s, too.
    pub forbidden: bool,
    /// When it came in, in milliseconds of the epoch.
    pub began_ms: f64,
    /// When it was answered, likewise.
    pub done_ms: f64,
}

/// Every finished call since the lab was started.
///
/// # Panics
/// Not in the lab.
pub fn calls() -> Vec<Call> {
    since(Mark(0))
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// The end of the log as it is now.
///
/// # Panics
/// Not in the lab.
pub fn mark() -> Mark {
    Mark(fs::metadata(path()).expect("the audit log is there").len())
}

/// Every call that finished after a mark.
///
/// # Panics
/// Not in the lab.
pub fn since(mark: Mark) -> Vec<Call> {
    let mut log = File::open(path()).expect("the audit log can be opened");
    log.seek(SeekFrom::Start(mark.0)).expect("a place in it");
    let mut text = String::new();
    log.read_to_string(&mut text).expect("the audit log can be read");
    text.lines().filter_map(call).collect()
}

/// How many watches among these calls still go on.
pub fn watches<'a>(calls: impl Iterator<Item = &'a Call>) -> usize {
    let watches = calls.filter(|call| call.verb == "watch");
    let (ended, begun): (Vec<_>, Vec<_>) = watches.partition(|call| call.finished);
    let ids = |calls: Vec<&'a Call>| calls.into_iter().map(|c| &c.id).collect::<BTreeSet<_>>();
    ids(begun).difference(&ids(ended)).count()
}

fn path() -> String {
    std::env::var("LAB_AUDIT_LOG").expect("run this by lab/run")
}

fn call(line: &str) -> Option<Call> {
    // The last line may be half written.
    let event: Value = serde_json::from_str(line).ok()?;
    // A watch is logged when it begins, too.
    let finished = event["stage"] == "ResponseComplete";
    if !finished && event["verb"] != "watch" {
        return None;
    }
    let object = &event["objectRef"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sub = object["subresource"].as_str().map(|sub| format!("/{sub}")).unwrap_or_default();
    let ms = |name: &str| {
        let at: Timestamp = event[name].as_str()?.parse().ok()?;
        #[expect(clippy::cast_precision_loss, reason = "microseconds of an epoch fit")]
        Some(at.as_microsecond() as f64 / 1000.0)
    };
    Some(Call {
        id: text(&event["auditID"]),
        finished,
        user: text(&event["user"]["username"]),
        verb: text(&event["verb"]),
        resource: format!("{}/{}{sub}", text(&object["apiGroup"]), text(&object["resource"])),
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        code: event["responseStatus"]["code"].as_i64().unwrap_or_default(),
        forbidden: event["annotations"]["authorization.k8s.io/decision"] == "forbid",
        began_ms: ms("requestReceivedTimestamp")?,
        done_ms: ms("stageTimestamp")?,
    })
}

impl Call {
    /// Whether it succeeded.
    pub fn ok(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether the operator made it.
    pub fn by_operator(&self) -> bool {
        self.user == OPERATOR
    }

    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}
