//! What is said of a pod's connections to its database.

use super::{mmss, precisely};
use crate::{
    beats::Rhythm,
    sockets::{
        ClosedBy, Event, Fate, Form, Noticed, Role, SocketEnd, SocketLife,
        judge::{Leavers, SilentTasks, Spread, Verdict},
    },
};

/// Whose connection it is, and why that is believed: `Main, beats every 10.0 s`.
#[must_use]
pub fn whose(life: &SocketLife) -> String {
    let rhythm = match (life.rhythm, life.beat_ms) {
        (Rhythm::Beating, Some(ms)) => format!("beats every {}", seconds(ms)),
        (Rhythm::Beating, None) => "beats".to_owned(),
        (Rhythm::Working, _) => "works without a beat".to_owned(),
        (Rhythm::Silent, _) if life.lived_ms.max(life.longest_silence_ms) < 5_000 => {
            "less than 5 s old".to_owned()
        }
        (Rhythm::Silent, _) => "silent after its first 5 s".to_owned(),
    };
    match life.role {
        Role::Unknown => rhythm,
        role => format!("{}, {rhythm}", role.as_str()),
    }
}

/// Which one: `40001 to 10.0.0.7:5432`.
#[must_use]
pub fn connection(life: &SocketLife) -> String {
    format!("{} to {}", life.local_port, life.peer)
}

/// What became of it.
#[must_use]
pub fn fate(life: &SocketLife) -> String {
    let Some(end) = &life.end else { return "still there".to_owned() };
    let seen = how(end);
    match Fate::of(life) {
        Fate::There => "still there".to_owned(),
        Fate::CutIdle => format!("closed by the peer after {} of silence{seen}", silence(end)),
        Fate::CutActive => format!("closed by the peer while it was used{seen}"),
        Fate::Left => format!("left by the pod itself{seen}"),
        Fate::GaveUp => format!(
            "given up by the pod's kernel: nothing was acknowledged, {} after it last sent something",
            precisely(end.silence_ms)
        ),
        Fate::Unknown => format!("gone, and nobody can tell who closed it{seen}"),
    }
}

/// What happened, on one line, without the time; nothing where a person need not know.
#[must_use]
pub fn socket_event(event: &Event) -> Option<String> {
    let who = |life: &SocketLife| format!("port {}", connection(life));
    Some(match event {
        Event::Started { ports, interval_ms, noticed, why } => {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            format!(
                "watching connections to port {} every {interval_ms} ms; {}{why}",
                ports.join(", "),
                self::noticed(*noticed)
            )
        }
        Event::Born(life) => match life.born {
            Some(_) => format!("{}: opened", who(life)),
            None => format!(
                "{}: was there already, last used {} ago",
                who(life),
                precisely(life.longest_silence_ms)
            ),
        },
        Event::Closed(life) => {
            format!("{}: {}; the process has not let go yet", who(life), fate(life))
        }
        Event::Ended(life) => {
            format!("{}: {} after {}", who(life), fate(life), precisely(life.lived_ms))
        }
        Event::Report { .. } | Event::Other => return None,
    })
}

/// How ends were noticed.
#[must_use]
pub fn noticed(noticed: Noticed) -> &'static str {
    match noticed {
        Noticed::Events => "the kernel tells when one ends",
        Noticed::Looks => "the kernel does not tell when one ends, so often nobody can tell how",
    }
}

/// What was seen of "a task's silent connection is cut, the heartbeating one is not".
#[must_use]
pub fn silent_tasks(seen: &SilentTasks) -> String {
    let SilentTasks { cut, of, main, main_cut, survived_ms, .. } = *seen;
    let claim = "A task's silent connection is cut, the heartbeating one is not";
    let mains = match (main_cut, main) {
        (_, 0) => "of none that beat it is known what became".to_owned(),
        (0, 1) => "the one that beats was not".to_owned(),
        (0, n) => format!("{n} of {n} that beat were not"),
        (cut, n) => format!("{cut} of {n} that beat were cut, too"),
    };
    let tasks = match (seen.silence_ms, of) {
        (Some(span), _) => format!(
            "{cut} of {of} connections of tasks that were silent so long were closed by the peer after {} of silence",
            range(span)
        ),
        (None, 0) => "no connection of a task was seen".to_owned(),
        (None, _) => {
            let outlived = survived_ms
                .map(|ms| format!("; the longest silence that one outlived was {}", precisely(ms)));
            format!(
                "none of {of} connections of tasks is known to have been closed by the peer while idle{}",
                outlived.unwrap_or_default()
            )
        }
    };
    let rest = match seen.spread {
        Some(spread) => apart(&spread),
        None if seen.silence_ms.is_some() => {
            "One alone does not tell a timer on silence from one on age, or from an event."
                .to_owned()
        }
        None => String::new(),
    };
    format!("{claim}: {}. Seen: {tasks}; {mains}. {rest}", verdict(seen.verdict))
        .trim_end()
        .to_owned()
}

/// What was seen of "the worker leaves by itself, nothing cuts it".
#[must_use]
pub fn leavers(seen: &Leavers) -> String {
    let Leavers { left, cut, unknown, there, .. } = *seen;
    let parts = [
        (left, "closed by the worker's own side"),
        (cut, "cut"),
        (unknown, "gone without a trace of who closed"),
        (there, "still there"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let parts = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
    let rest = match left {
        0 => "",
        _ => {
            " A process that is killed or crashes closes its connections just so, and a worker may leave because \
              something else of it was cut: its log and exit code say why."
        }
    };
    format!(
        "The worker leaves by itself, nothing cuts it: {}. Main connections: {parts}.{rest}",
        verdict(seen.verdict)
    )
}

/// What no judgement over sockets excludes.
pub const SOCKETS_DO_NOT_TELL: &str = "The socket ends at the next hop: \"the peer\" is whatever the pod is \
    connected to, a pooler, a proxy, a load balancer or the database. Why it closed is not seen here; what it said \
    last is counted, not read.";

/// Whose a connection is.
pub const HOW_ROLES_ARE_TOLD: &str = "Main: sent something at a steady interval of 1 to 120 s, as a worker's \
    heartbeat does. Task: did not, beside one that did. Silence is counted from the last byte that the pod sent.";

/// In which clock ends agree.
fn apart(spread: &Spread) -> String {
    let age = match spread.age_ms {
        Some(ms) => format!("in age within {}", precisely(ms)),
        None => "their age is not known".to_owned(),
    };
    format!(
        "They agree in silence within {}, {age}, by the wall clock within {}: a timer on silence is told from others \
         only where the last two are much wider.",
        precisely(spread.silence_ms),
        precisely(spread.moment_ms)
    )
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Supported => "what was seen agrees",
        Verdict::Against => "what was seen speaks against it",
        Verdict::Mixed => "what was seen is mixed",
        Verdict::Open => "nothing was seen that tells",
    }
}

/// How long it was silent.
fn silence(end: &SocketEnd) -> String {
    range(end.silence())
}

/// `30:00.100–30:00.300`, or one of them where nobody would care.
fn range((least, most): (i64, i64)) -> String {
    match most - least {
        ..=1 => precisely(most),
        _ => format!("{}–{}", precisely(least), precisely(most)),
    }
}

/// ` (FIN, 121 bytes of last words)`, as far as it is known.
fn how(end: &SocketEnd) -> String {
    let form = (end.form != Form::Unknown).then(|| end.form.as_str().to_owned());
    let words = match (end.closed_by, end.last_words_bytes) {
        (ClosedBy::Peer, Some(0)) if end.form == Form::Fin => Some("no last words".to_owned()),
        (ClosedBy::Peer, Some(n)) if n > 0 => Some(format!("{n} bytes of last words")),
        _ => None,
    };
    let waiting = end.unacked > 0 && end.closed_by == ClosedBy::Peer;
    let waiting = waiting.then(|| "something was not acknowledged".to_owned());
    let parts: Vec<String> = [form, words, waiting].into_iter().flatten().collect();
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// `10.0 s`.
fn seconds(ms: i64) -> String {
    let tenths = (ms + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// What watching took.
#[must_use]
pub fn watching_took(cpu_ms: i64) -> String {
    format!("that took {cpu_ms} ms of processor time")
}

/// That the watcher itself was starved.
#[must_use]
pub fn late_looks(looks: i64, longest_ms: i64) -> String {
    format!(
        "{looks} looks came late, the latest by {}: ends are known less exactly",
        mmss(longest_ms)
    )
}

/// Whose connections they are.
#[must_use]
pub fn of_pods(n: usize) -> String {
    match n {
        1 => "Connections of a pod to its database".to_owned(),
        n => format!("Connections of {n} pods to their database"),
    }
}

/// A fate, counted.
#[must_use]
pub fn fate_in_a_word(fate: Fate) -> &'static str {
    match fate {
        Fate::There => "still there",
        Fate::CutIdle => "closed by the peer while idle",
        Fate::CutActive => "closed by the peer while in use",
        Fate::Left => "left by the pod",
        Fate::GaveUp => "given up by the pod's kernel",
        Fate::Unknown => "gone without a trace of who closed",
    }
}

/// Of so many, which came to what end.
#[must_use]
pub fn of_fates(all: usize, parts: &[(usize, &str)]) -> String {
    let parts: Vec<_> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    match all {
        0 => "There was none.".to_owned(),
        n => format!("Of {n}: {}.", parts.join(", ")),
    }
}

/// That not all are told.
#[must_use]
pub fn untold(n: i64) -> String {
    format!("{n} more that ended are not told")
}

/// That the kernel does not tell of sockets; `seen`: what it said.
#[must_use]
pub fn sockets_refused(seen: &str) -> String {
    format!(
        "The kernel does not tell of this network namespace's sockets (NETLINK_SOCK_DIAG): {seen}. It asks no \
         capability, but a seccomp profile, a sandbox such as gVisor or a kernel without tcp_diag may refuse it. Use \
         the container runtime's own seccomp profile (RuntimeDefault), which allows it."
    )
}
