use super::*;
use api::{
    beats::Rhythm,
    sockets::{Event, Noticed, Role, SocketLife, SocketsReport},
};
use http::{Request, Response};
use jiff::Timestamp;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};
use tower::service_fn;

const POD: &str = "worker-0";
const CONTAINER: &str = "watch-sockets-1";

fn pod(state: &Value) -> Value {
    let status = json!({ "name": CONTAINER, "state": state, "image": "i", "imageID": "", "ready": false,
        "restartCount": 0 });
    let other = json!({ "name": "debugger", "state": { "running": {} }, "image": "i", "imageID": "", "ready": true,
        "restartCount": 0 });
    json!({ "metadata": { "name": POD }, "status": { "ephemeralContainerStatuses": [other, status] } })
}

/// A cluster that answers each question about the pod by the next state, and each for its log by the next text; the
/// last ones stay.
fn cluster(states: Vec<Value>, logs: Vec<Result<String, u16>>) -> Api<Pod> {
    let left = Arc::new(Mutex::new((states, logs)));
    let service = service_fn(move |request: Request<Body>| {
        let mut left = left.lock().unwrap();
        let (code, text) = match request.uri().path().ends_with("/log") {
            true => match next(&mut left.1) {
                Ok(text) => (200, text),
                Err(code) => (code, refused(code)),
            },
            false => (200, pod(&next(&mut left.0)).to_string()),
        };
        let answer = Response::builder().status(code).body(Body::from(text.into_bytes()));
        async { Ok::<_, Infallible>(answer.unwrap()) }
    });
    Api::namespaced(Client::new(service, "pulp"), "pulp")
}

fn next<T: Clone>(all: &mut Vec<T>) -> T {
    if all.len() > 1 { all.remove(0) } else { all[0].clone() }
}

fn refused(code: u16) -> String {
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": code,
        "message": "pods \"worker-0\" is forbidden" })
    .to_string()
}

fn life(port: u16) -> SocketLife {
    SocketLife {
        local_port: port,
        peer: "10.0.0.7:5432".parse().unwrap(),
        role: Role::Unknown,
        rhythm: Rhythm::Silent,
        beat_ms: None,
        born: None,
        lived_ms: 0,
        longest_silence_ms: 0,
        sent_bytes: 0,
        received_bytes: 0,
        retransmits: 0,
        end: None,
    }
}

/// The log of a container that watched, line by line.
fn log() -> Vec<String> {
    let (time, ports) = (Timestamp::UNIX_EPOCH, vec![5432]);
    let report = SocketsReport {
        pod: None,
        started_at: time,
        ended_at: time,
        interval_ms: 250,
        noticed: Noticed::Events,
        ports: ports.clone(),
        sockets: vec![life(1), life(2)],
        untold: 0,
        late: None,
        cpu_ms: None,
    };
    [
        Event::Started { ports, interval_ms: 250, noticed: Noticed::Events, why: None },
        Event::Born(life(1)),
        Event::Born(life(2)),
        Event::Report { report },
    ]
    .map(|event| serde_json::to_string(&Line { time, event }).unwrap() + "\n")
    .to_vec()
}

async fn followed(states: &[Value], logs: Vec<Result<String, u16>>) -> (Result<(), String>, Heard) {
    let all = All::default();
    lock(&all).insert(POD.to_owned(), Heard::default());
    let api = cluster(states.to_vec(), logs);
    let done = follow(&api, POD, CONTAINER, &all).await;
    let heard = lock(&all)[POD].clone();
    (done, heard)
}

fn running() -> Value {
    json!({ "running": {} })
}

fn waiting(reason: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": "no such image" } })
}

#[tokio::test(start_paused = true)]
async fn a_container_is_waited_for_and_heard_until_its_report_has_come() {
    let states = [waiting("ContainerCreating"), running()];
    let (done, heard) = followed(&states, vec![Ok(log().concat())]).await;
    assert_eq!(done, Ok(()));
    assert!(heard.is_whole() && heard.report(POD).unwrap().sockets.len() == 2, "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_breaks_off_is_read_on() {
    let log = log();
    let logs = vec![Ok(log[..2].concat()), Err(500), Ok(log[..3].concat())];
    let ended = json!({ "terminated": { "exitCode": 137 } });
    let states = [running(), running(), running(), ended.clone()];
    let (done, heard) = followed(&states, logs).await;
    assert!(done.unwrap_err().contains("the container ended by 137"));
    // Without its report it is known by its lines, each of which was heard once.
    let sockets = heard.report(POD).unwrap().sockets;
    assert_eq!(sockets.iter().map(|life| life.local_port).collect::<Vec<_>>(), [1, 2]);
    assert!(!heard.is_whole());
}

#[tokio::test(start_paused = true)]
async fn what_will_never_come_is_said() {
    let (done, _) = followed(&[waiting("ErrImagePull")], vec![Err(500)]).await;
    let refused = "the container does not start: ErrImagePull: no such image";
    assert_eq!(done.unwrap_err(), refused);

    let (done, _) = followed(&[waiting("ContainerCreating")], vec![Err(500)]).await;
    assert_eq!(done.unwrap_err(), text::NOTHING_CAME);

    let (done, _) = followed(&[running()], vec![Err(403)]).await;
    let right = done.unwrap_err();
    assert!(right.starts_with("It takes the right to get pods/log in namespace pulp: "), "{right}");

    let ended = json!({ "terminated": { "exitCode": 2 } });
    let why = "The kernel does not tell".to_owned();
    let (done, _) = followed(&[ended], vec![Ok(why)]).await;
    assert_eq!(done.unwrap_err(), "the container ended by 2: The kernel does not tell");
}
