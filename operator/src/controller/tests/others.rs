//! Names that others have taken.

use super::{history::Event, *};
use api::names::{job_name, run_name};

/// What the probe's condition Ready says, and how often that was an event.
fn told(state: &State) -> (String, usize) {
    let ready = &state.objects[&probe_key()]["status"]["conditions"][0];
    let reason = ready["reason"].as_str().unwrap().to_owned();
    let events = state.of("events").filter(|(_, event)| event["reason"] == ready["reason"]);
    (format!("{} {reason}", ready["status"].as_str().unwrap()), events.count())
}

#[test]
fn a_run_or_job_that_is_not_ours_is_left_alone_and_told_until_its_name_is_free() {
    let uid = State::new("Parallel", false).objects[&probe_key()]["metadata"]["uid"].clone();
    let run = run_name("t", uid.as_str().unwrap(), 1);
    let foreign_run =
        serde_json::to_value(ConnectionProbeRun::new(&run, Default::default())).unwrap();
    let foreign_job = json!({ "metadata": { "name": job_name(&run, 1) } });
    for (plural, foreign) in [("connectionproberuns", foreign_run), ("jobs", foreign_job)] {
        block_on(async {
            let server = ApiServer::default();
            *server.state() = State::new("Parallel", false);
            let operator = Operator::start(&server).await;
            let key = (plural.to_owned(), foreign["metadata"]["name"].as_str().unwrap().to_owned());
            server.state().create(&key, &foreign);
            let foreign = server.state().objects[&key].clone();
            // Its watch is for our label only.
            operator.1.set(server.state().changes.len());
            for _ in 0..3 {
                let _ = operator.reconcile(&server).await;
            }
            {
                let mut state = server.state();
                assert_eq!(state.objects[&key], foreign);
                assert_eq!(told(&state), ("False NameConflict".to_owned(), 1));
                state.objects.remove(&key);
                state.made.remove(plural);
                state.offences.clear();
            }
            let mut operator = Operator::start(&server).await;
            server.state().happen(&Event::Wait(60), false);
            operator.rest(&server, false).await;
            let state = server.state();
            assert_eq!(state.of("pods").count(), 2);
            assert_eq!(told(&state).0, "False Progressing");
        });
    }
}
