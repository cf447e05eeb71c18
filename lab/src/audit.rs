//! The API server's audit log: who called what, when.

use jiff::Timestamp;
use serde_json::Value;
use std::fs;

/// The operator's user.
pub const OPERATOR: &str = "system:serviceaccount:connection-probe:connection-probe-operator";

/// One finished call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who.
    pub user: String,
    /// Such as `create`.
    pub verb: String,
    /// Such as `batch/jobs` or `/pods/status`.
    pub resource: String,
    /// Where; empty for cluster-wide calls.
    pub namespace: String,
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
    let path = std::env::var("LAB_AUDIT_LOG").expect("run this by lab/run");
    let log = fs::read_to_string(path).expect("the audit log can be read");
    log.lines().filter_map(call).collect()
}

fn call(line: &str) -> Option<Call> {
    // The last line may be half written.
    let event: Value = serde_json::from_str(line).ok()?;
    // A watch is logged when it begins, too.
    if event["stage"] != "ResponseComplete" && event["verb"] != "watch" {
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
        user: text(&event["user"]["username"]),
        verb: text(&event["verb"]),
        resource: format!("{}/{}{sub}", text(&object["apiGroup"]), text(&object["resource"])),
        namespace: text(&object["namespace"]),
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
