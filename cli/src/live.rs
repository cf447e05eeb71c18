//! What goes on in a run, for a person: what its status says, and what its pods say line by line, where
//! their logs may be read.

use crate::{clock::Clock, cluster::Cluster};
use api::{
    ConnectionProbeRun, Settings,
    close_form::CloseForm,
    lifetime::{Lifetime, ms},
    names::RUN_LABEL,
    report::{Arm, Inconclusive, Outcome},
    text,
};
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    io::{IsTerminal, Write, stderr},
    sync::{Arc as Shared, Mutex, PoisonError},
};
use tokio::task::JoinSet;

/// The container of a pod that holds connections.
const CONTAINER: &str = "probe";

/// What goes on in a run.
pub(crate) struct Live {
    clock: Clock,
    screen: Shared<Mutex<Screen>>,
    /// Pods whose logs are followed.
    pods: BTreeSet<String>,
    logs: JoinSet<()>,
    /// Whether the logs may not be read.
    is_refused: bool,
    summary: String,
}

/// Standard error: lines that stay, and on a terminal one below them that does not.
#[derive(Default)]
struct Screen {
    is_terminal: bool,
    alive: i64,
    cut: i64,
    ended: i64,
}

/// A line of a pod's log, as far as a person cares.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
enum Event {
    Connected {},
    Cut(End),
    Ended(End),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Line {
    workload: String,
    #[serde(flatten)]
    event: Event,
}

#[derive(Deserialize)]
struct End {
    arm: Arm,
    lane: i32,
    outcome: Outcome,
    reason: Option<Inconclusive>,
    form: Option<CloseForm>,
    detail: Option<String>,
    lifetime: Option<Lifetime>,
}

impl Live {
    pub(crate) fn new(clock: Clock) -> Self {
        let is_terminal = stderr().is_terminal();
        Self {
            clock,
            screen: Shared::new(Mutex::new(Screen { is_terminal, ..Screen::default() })),
            pods: BTreeSet::new(),
            logs: JoinSet::new(),
            is_refused: false,
            summary: String::new(),
        }
    }

    /// Shows how far a run is.
    pub(crate) async fn look(&mut self, cluster: &Cluster, run: &ConnectionProbeRun) {
        let status = run.status.clone().unwrap_or_default();
        let summary = status.summary.clone().unwrap_or_default();
        if summary != self.summary && !status.has_ended() {
            self.screen().say(&summary);
            self.summary = summary;
        }
        if !self.is_refused {
            self.is_refused = self.follow_logs(cluster, &run.name_any()).await.is_err();
        }
        if let Some(start) = status.start_time.filter(|_| status.end_time.is_none()) {
            let elapsed = self.clock.now().as_millisecond() - start.0.as_millisecond();
            self.screen().show(elapsed, length(run));
        }
    }

    /// Follows the logs of pods that have come since.
    async fn follow_logs(&mut self, cluster: &Cluster, run: &str) -> kube::Result<()> {
        let all: Api<Pod> = cluster.all();
        let of_run = ListParams::default().labels(&format!("{RUN_LABEL}={run}"));
        for pod in all.list(&of_run).await? {
            let name = pod.name_any();
            let phase = pod.status.and_then(|status| status.phase).unwrap_or_default();
            if phase == "Pending" || !self.pods.insert(name.clone()) {
                continue;
            }
            let (all, screen) = (all.clone(), Shared::clone(&self.screen));
            self.logs.spawn(async move {
                let container = Some(CONTAINER.to_owned());
                let params = LogParams { follow: true, container, ..LogParams::default() };
                let Ok(log) = all.log_stream(&name, &params).await else { return };
                let mut lines = log.lines();
                while let Ok(Some(line)) = lines.try_next().await {
                    if let Ok(line) = serde_json::from_str(&line) {
                        lock(&screen).heard(&line);
                    }
                }
            });
        }
        Ok(())
    }

    fn screen(&self) -> std::sync::MutexGuard<'_, Screen> {
        lock(&self.screen)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.screen().clear();
    }
}

impl Screen {
    fn heard(&mut self, line: &Line) {
        match &line.event {
            Event::Connected {} => self.alive += 1,
            Event::Cut(end) => {
                (self.alive, self.cut) = (self.alive - 1, self.cut + 1);
                self.say(&format!("{}: {}", line.workload, words(end)));
            }
            Event::Ended(end) => {
                self.ended += 1;
                self.alive -= i64::from(end.lifetime.is_some());
                if end.outcome != Outcome::Survived {
                    self.say(&format!("{}: {}", line.workload, words(end)));
                }
            }
            Event::Other => {}
        }
    }

    /// A line that stays.
    fn say(&self, line: &str) {
        self.clear();
        eprintln!("{line}");
    }

    /// How far it is; only where somebody looks.
    fn show(&self, elapsed_ms: i64, length_ms: Option<i64>) {
        if self.is_terminal {
            let of = length_ms.map(|ms| format!(" of {}", text::mmss(ms))).unwrap_or_default();
            let Self { alive, cut, ended, .. } = self;
            let counts = match alive + cut + ended {
                0 => String::new(),
                _ => format!(": {alive} alive, {cut} cut, {ended} ended"),
            };
            eprint!("\r\x1b[K{}{of}{counts}", text::mmss(elapsed_ms));
            let _ = stderr().flush();
        }
    }

    /// Takes the line away that does not stay (ECMA-48, EL).
    fn clear(&self) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}

fn lock(screen: &Mutex<Screen>) -> std::sync::MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn words(end: &End) -> String {
    let seen = text::seen(end.form.as_ref(), end.detail.as_deref(), end.reason);
    text::lane_ended(end.lane, end.arm, end.outcome, end.lifetime.as_ref(), &seen)
}

/// How long the run takes, in milliseconds.
fn length(run: &ConnectionProbeRun) -> Option<i64> {
    let measurement = &run.spec.measurement.settled;
    let settings = Settings::new("", measurement, Vec::new()).ok()?;
    Some(ms(settings.last_end(measurement.order.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_pod_are_counted_and_cuts_are_told() {
        let mut screen = Screen::default();
        for line in [
            r#"{"time":"2026-11-25T13:30:39Z","workload":"idle","event":"started","run":"r","connections":2,"durationMs":1}"#,
            r#"{"time":"2026-11-25T13:30:39Z","workload":"idle","event":"connected","arm":"Target","lane":0,"server":{}}"#,
            r#"{"time":"2026-11-25T13:30:39Z","workload":"idle","event":"connected","arm":"Control","lane":0,"server":{}}"#,
            r#"{"time":"2026-11-25T13:31:00Z","workload":"idle","event":"ended","arm":"Control","outcome":"Survived","lane":0,"phase":"Proof","at":"2026-11-25T13:31:00Z","lifetime":{"minMs":45000}}"#,
        ] {
            screen.heard(&serde_json::from_str(line).unwrap());
        }
        assert_eq!((screen.alive, screen.cut, screen.ended), (1, 0, 1));
        let cut: Line = serde_json::from_str(
            r#"{"time":"2026-11-25T13:31:00Z","workload":"idle","event":"cut","arm":"Control","outcome":"Disconnected","form":{"word":"Fin","tcp":"Fin"},"lane":3,"phase":"Hold","at":"2026-11-25T13:31:00Z","lifetime":{"minMs":20137,"maxMs":20137}}"#,
        ).unwrap();
        let Event::Cut(end) = &cut.event else { panic!("a cut") };
        assert_eq!(
            words(end),
            "connection 3 (control) was cut after 0:20: closed without a message (FIN)"
        );
    }
}
