//! `/ready` (the live signal), `/metrics` (Prometheus), `/healthz`.

use crate::reporter::Reporter;
use api::metrics::{CUTS, LANES, LANES_ENDED, Metric, UPTIME};
use axum::{Router, extract::State, http::StatusCode, routing::get};
use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use std::{
    future::Future,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::{net::TcpListener, time::Instant};

/// What is served.
#[derive(Clone)]
pub struct Board {
    /// The reporters of all workloads that this process holds.
    pub reporters: Vec<Arc<Reporter>>,
    /// When the process started.
    pub start: Instant,
}

/// Listens. Where the kernel has no IPv6, `[::]` means every IPv4 address.
///
/// # Errors
/// The address can't be listened on.
pub async fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// Serves until `until`.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    board: Board,
    until: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(board);
    axum::serve(listener, routes).with_graceful_shutdown(until).await
}

/// Unready means only this: a connection ended otherwise than `Survived`.
async fn ready(State(board): State<Board>) -> (StatusCode, String) {
    let harmed = board.reporters.iter().find_map(|reporter| {
        reporter.look(|recorder| {
            let counts = recorder.counts();
            (!recorder.is_unharmed()).then(|| {
                format!(
                    "{}: {} of {} ended connections did not survive.\n",
                    recorder.workload(),
                    counts.ended() - counts.survived,
                    counts.ended(),
                )
            })
        })
    });
    match harmed {
        Some(harmed) => (StatusCode::SERVICE_UNAVAILABLE, harmed),
        None => (StatusCode::OK, "No connection was cut.\n".to_owned()),
    }
}

async fn metrics(State(board): State<Board>) -> (StatusCode, String) {
    match render(&board, Instant::now()) {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// Made anew for each scrape: the recorder is the only place where anything is counted.
fn render(board: &Board, now: Instant) -> prometheus::Result<String> {
    let registry = Registry::new();
    let lanes = IntGaugeVec::new(opts(&LANES), LANES.labels)?;
    let ended = IntCounterVec::new(opts(&LANES_ENDED), LANES_ENDED.labels)?;
    let cuts = IntCounterVec::new(opts(&CUTS), CUTS.labels)?;
    let uptime = IntGauge::with_opts(opts(&UPTIME))?;
    for reporter in &board.reporters {
        reporter.look(|recorder| {
            let workload = recorder.workload();
            for record in recorder.arms() {
                let arm = record.arm().as_str();
                for (state, n) in [("alive", record.alive()), ("waiting", record.waiting())] {
                    let n = i64::try_from(n).unwrap_or(i64::MAX);
                    lanes.with_label_values(&[workload, arm, state]).set(n);
                }
                for (outcome, n) in record.counts().by_outcome() {
                    let n = u64::try_from(n).unwrap_or_default();
                    ended.with_label_values(&[workload, arm, outcome.as_str()]).inc_by(n);
                }
                for (word, n) in record.cut_words() {
                    let n = u64::try_from(*n).unwrap_or_default();
                    cuts.with_label_values(&[workload, arm, word.as_str()]).inc_by(n);
                }
            }
        });
    }
    uptime.set(i64::try_from((now - board.start).as_secs()).unwrap_or(i64::MAX));
    registry.register(Box::new(lanes))?;
    registry.register(Box::new(ended))?;
    registry.register(Box::new(cuts))?;
    registry.register(Box::new(uptime))?;
    TextEncoder::new().encode_to_string(&registry.gather())
}

fn opts(metric: &Metric) -> Opts {
    Opts::new(metric.name, metric.help)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Clock, connect::Refusal, end::End, recorder::Recorder, voice::Voice};
    use api::report::Arm;

    fn board() -> Board {
        let start = Instant::now();
        let clock = Clock::new(jiff::Timestamp::UNIX_EPOCH, start);
        let recorder = Recorder::new("idle", &[Arm::Target], 3, clock, start);
        Board {
            reporters: vec![Arc::new(Reporter::new(clock, recorder, Arc::new(Voice::Lines), None))],
            start,
        }
    }

    fn refusal() -> Refusal {
        Refusal { reason: None, form: None, detail: "login: refused".into(), peer: None }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_ready_until_a_connection_ends_otherwise_than_survived() {
        let board = board();
        assert_eq!(ready(State(board.clone())).await.0, StatusCode::OK);
        board.reporters[0].ended(Arm::Target, 0, End::refused(refusal(), board.start));
        let (status, sentence) = ready(State(board)).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(sentence, "idle: 1 of 1 ended connections did not survive.\n");
    }

    #[tokio::test(start_paused = true)]
    async fn the_metrics_say_what_the_record_says() {
        let board = board();
        board.reporters[0].ended(Arm::Target, 0, End::refused(refusal(), board.start));
        let text = render(&board, board.start + std::time::Duration::from_secs(7)).unwrap();
        for line in [
            "connectionprobe_probe_lanes_ended_total{arm=\"Target\",outcome=\"ConnectFailed\",workload=\"idle\"} 1",
            "connectionprobe_probe_lanes_ended_total{arm=\"Target\",outcome=\"Survived\",workload=\"idle\"} 0",
            "connectionprobe_probe_lanes{arm=\"Target\",state=\"waiting\",workload=\"idle\"} 2",
            "connectionprobe_probe_uptime_seconds 7",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
