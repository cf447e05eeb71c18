//! What happens to a probe and its pods, at random.

use super::{
    api_server::State,
    guards::{ORIGINAL, proxy},
    *,
};
use crate::reports::{no_login, report, survivors};
use api::{
    Report,
    names::{ATTEMPT_LABEL, CANCEL_ANNOTATION, REQUESTED_AT_ANNOTATION},
    report::{Problem, ProblemReason},
};
use jiff::SignedDuration;

/// Something that a person, a node or a database does. Pods are those that hold connections, in order.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Edit(&'static str, Value),
    Annotate(&'static str, String),
    Wait(i64),
    Cut(usize),
    Ends(usize, Words),
    EndsAll,
    Evicted(usize),
    NodeLost(usize),
    JobDeleted,
    GuardKilled,
    ProbeDeleted,
}

/// What a pod says at its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Words {
    Survived,
    Cut,
    NoLogin,
    NoSecret,
}

impl Words {
    fn report(self, now: Timestamp) -> (i32, Report) {
        let message = "The Secret s is not there.".to_owned();
        let problem = Problem { reason: ProblemReason::SecretNotFound, message };
        match self {
            Self::Survived => (0, survivors("w", 5, 60_000)),
            Self::Cut => (0, report("w", 2, 10_000)),
            Self::NoLogin => (0, no_login("w", 5)),
            Self::NoSecret => (2, Report::of_problem("w", now, problem)),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) order: &'static str,
    /// Whether runs change a proxy.
    pub(super) overrides: bool,
    /// Whether pods vanish before anybody can look.
    pub(super) abrupt: bool,
    pub(super) events: Vec<Event>,
}

/// How many events a history ends in that let everything come to an end.
pub(super) const END: usize = 8;

prop_compose! {
    pub(super) fn history()(
        order in prop_oneof![Just("Parallel"), Just("Sequential")],
        overrides in prop::bool::weighted(0.4),
        abrupt in prop::bool::weighted(0.2),
        events in proptest::collection::vec(event(), 1..12),
    ) -> History {
        let vanishes = |event: &Event| matches!(event, Event::JobDeleted | Event::GuardKilled);
        let abrupt = abrupt || events.iter().any(vanishes);
        let mut events = events;
        // A probe is made; in the end every connection survives, and everybody has waited long enough.
        events.insert(0, Event::Wait(0));
        let end = [Event::EndsAll, Event::Wait(700)];
        events.extend(end.into_iter().cycle().take(END));
        History { order, overrides, abrupt, events }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let words = prop_oneof![
        3 => Just(Words::Survived),
        3 => Just(Words::Cut),
        1 => Just(Words::NoLogin),
        1 => Just(Words::NoSecret),
    ];
    prop_oneof![
        2 => (0..3_u8).prop_map(|id| Event::Edit("runID", json!(id.to_string()))),
        1 => (1..4).prop_map(|n| Event::Edit("connections", json!(n))),
        1 => any::<bool>().prop_map(|suspend| Event::Edit("suspend", json!(suspend))),
        1 => (1..3).prop_map(|limit| Event::Edit("historyLimit", json!(limit))),
        3 => (1_i64..700).prop_map(Event::Wait),
        2 => (0_usize..2).prop_map(Event::Cut),
        6 => (0_usize..2, words).prop_map(|(pod, words)| Event::Ends(pod, words)),
        1 => Just(Event::Edit("schedule", json!("*/5 * * * *"))),
        1 => (1_u8..4).prop_map(|token| Event::Annotate(REQUESTED_AT_ANNOTATION, token.to_string())),
        1 => (1_u8..4).prop_map(|run| Event::Annotate(CANCEL_ANNOTATION, run.to_string())),
        1 => (0_usize..2).prop_map(Event::Evicted),
        1 => (0_usize..2).prop_map(Event::NodeLost),
        1 => Just(Event::JobDeleted),
        1 => Just(Event::GuardKilled),
        1 => prop::bool::weighted(0.3).prop_map(|it| if it { Event::ProbeDeleted } else { Event::GuardKilled }),
    ]
}

impl State {
    /// A cluster with a probe of two workloads.
    pub(super) fn new(order: &str, overrides: bool) -> Self {
        let mut state = Self { now: START, idle_client_timeout: ORIGINAL, ..Self::default() };
        let mut probe = json!({
            "apiVersion": "probes.pulpproject.org/v1alpha1", "kind": "ConnectionProbe",
            "metadata": { "name": "t" },
            "spec": {
                // Lanes that end between two seconds: times are stored in whole ones.
                "target": { "secretName": "s" }, "order": order, "duration": "61s",
                "workloads": [{ "name": "a", "idle": {} }, { "name": "b", "idle": {} }],
            },
        });
        if overrides {
            probe["spec"]["rdsProxy"] = proxy();
        }
        state.create(&probe_key(), &probe);
        state
    }

    pub(super) fn happen(&mut self, event: &Event, abrupt: bool) {
        let holding = self.holding();
        let pod = |n: usize| holding.get(n % holding.len().max(1));
        match event {
            Event::Edit(field, value) => self.change(&probe_key(), |probe| {
                let generation = probe["metadata"]["generation"].as_i64().unwrap();
                let edited = probe["spec"][*field] != *value;
                probe["metadata"]["generation"] = json!(generation + i64::from(edited));
                probe["spec"][*field] = value.clone();
            }),
            Event::Annotate(name, value) => self.change(&probe_key(), |probe| {
                probe["metadata"]["annotations"][*name] = json!(value);
            }),
            Event::Wait(seconds) => {
                self.now = self.now.checked_add(SignedDuration::from_secs(*seconds)).unwrap();
            }
            Event::Cut(n) => pod(*n).into_iter().for_each(|pod| self.cut(pod)),
            Event::Ends(n, words) => {
                let (exit_code, report) = words.report(self.now);
                pod(*n).into_iter().for_each(|pod| self.end(pod, exit_code, &report));
            }
            Event::EndsAll => {
                let (exit_code, report) = Words::Survived.report(self.now);
                holding.iter().for_each(|pod| self.end(pod, exit_code, &report));
            }
            Event::Evicted(n) => {
                let reason = Some("EvictionByEvictionAPI");
                pod(*n).into_iter().for_each(|pod| self.interrupt(pod, reason, abrupt));
            }
            Event::NodeLost(n) => pod(*n).into_iter().for_each(|pod| self.lose(pod)),
            Event::JobDeleted => {
                let measures = |job: &Value| job["metadata"]["labels"][ATTEMPT_LABEL].is_string();
                let job = self.of("jobs").filter(|(_, job)| measures(job)).last();
                let job = job.map(|(key, _)| key.clone());
                job.iter().for_each(|job| self.remove(job));
            }
            Event::GuardKilled => self.kill_guard(),
            Event::ProbeDeleted => self.remove(&probe_key()),
        }
    }
}
