//! Faults at every write of whole histories, and two operators at once.

use super::{history::Event, *};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// What can be seen of a cluster at rest.
#[derive(Debug, PartialEq)]
struct Seen {
    /// All runs that there ever were.
    runs: BTreeSet<String>,
    /// What there is of runs, Jobs and pods, with the statuses that the operator wrote.
    objects: BTreeMap<Key, Value>,
}

impl State {
    fn seen(&self) -> Seen {
        let status = |object: &Value| object["status"].clone();
        let objects = self.objects.iter().filter(|((kind, _), _)| kind != "events");
        Seen {
            runs: self.made.get("connectionproberuns").cloned().unwrap_or_default(),
            objects: objects.map(|(key, object)| (key.clone(), status(object))).collect(),
        }
    }

    /// How often events of each reason were told.
    fn told(&self) -> BTreeMap<String, i64> {
        let mut told = BTreeMap::new();
        for (_, event) in self.of("events") {
            let times = event["series"]["count"].as_i64().unwrap_or(1);
            *told.entry(event["reason"].to_string()).or_default() += times;
        }
        told
    }

    /// What must never be: cuts that a status tells and no pod of that run and workload has reported, and all
    /// that was noticed on the way.
    fn all_offences(&self) -> Vec<String> {
        let mut offences = self.offences.clone();
        offences.extend(self.offences_of_proxy());
        for ((_, run), object) in self.of("connectionproberuns") {
            let workloads = object["status"]["workloads"].as_array().into_iter().flatten();
            for (position, workload) in workloads.enumerate() {
                let key = (run.clone(), position.to_string());
                let reported = self.cuts.get(&key).copied().unwrap_or(0);
                for told in [&workload["report"], &workload["interrupted"]] {
                    let cut = told["arms"][0]["counts"]["disconnected"].as_i64().unwrap_or(0);
                    if cut > reported {
                        offences.push(format!("{run} {position}: {cut} cut, {reported} reported"));
                    }
                }
            }
        }
        offences
    }
}

/// The cluster before each event of a history, and at its end.
fn play(history: &History) -> Vec<State> {
    block_on(async {
        let server = ApiServer::default();
        *server.state() = State::new(history.order, history.overrides);
        let mut operator = Operator::start(&server).await;
        let mut states = vec![server.state().clone()];
        for event in &history.events {
            server.state().happen(event, history.abrupt);
            operator.rest(&server, history.abrupt).await;
            states.push(State { changes: Vec::new(), ..server.state().clone() });
        }
        states
    })
}

/// Plays these events with a fault at one of the operator's writes.
fn hurt(before: &State, events: &[Event], abrupt: bool, fault: (usize, Fault)) -> State {
    block_on(async {
        let server = ApiServer::default();
        *server.state() = State { fault: Some(fault), ..before.clone() };
        let mut operator = Operator::start(&server).await;
        for event in events {
            server.state().happen(event, abrupt);
            operator.rest(&server, abrupt).await;
        }
        std::mem::take(&mut *server.state())
    })
}

/// Every write of a history fails in every way; how often, by write. If the cluster is then, after the event, as
/// it would have been, so is the rest of the history. Where pods vanish before anybody can look, last words that
/// only the killed operator had heard are lost with it, and what follows differs: nothing must be repeated or made
/// up by the next events.
fn hurt_everywhere(history: &History) -> Result<BTreeMap<String, usize>, TestCaseError> {
    let states = play(history);
    let last = states.last().unwrap();
    prop_assert_eq!(last.all_offences(), Vec::<String>::new());
    let mut faults = BTreeMap::new();
    for (i, two) in states.windows(2).enumerate() {
        let (before, after) = (&two[0], &two[1]);
        let (seen, told) = (after.seen(), after.told());
        for (write, fault) in
            (before.writes..after.writes).flat_map(|write| Fault::ALL.map(|fault| (write, fault)))
        {
            let place = format!("{fault:?} at write {write}, of {:?}", history.events[i]);
            let until = if history.abrupt { history.events.len().min(i + 4) } else { i + 1 };
            let hurt = hurt(before, &history.events[i..until], history.abrupt, (write, fault));
            prop_assert_eq!(hurt.all_offences(), Vec::<String>::new(), "{}", place);
            if !history.abrupt {
                prop_assert_eq!(&hurt.seen(), &seen, "{}", place);
                let times = |reason: &String| told.get(reason).copied().unwrap_or(0);
                let more = hurt.told().into_iter().find(|(reason, n)| *n > times(reason));
                prop_assert_eq!(more, None, "{}", place);
            }
            // An operator that has just been started may have less to write.
            hurt.failed.into_iter().for_each(|write| *faults.entry(write).or_default() += 1);
        }
    }
    Ok(faults)
}

#[test]
fn no_fault_at_any_write_loses_a_run_repeats_a_job_or_makes_up_a_drop() {
    let faults = RefCell::new(BTreeMap::<String, usize>::new());
    let histories = try_random(history(), 64, |history| {
        for (write, n) in hurt_everywhere(&history)? {
            *faults.borrow_mut().entry(write).or_default() += n;
        }
        Ok(())
    });
    let faults = faults.take();
    let all: usize = faults.values().sum();
    println!("{all} faults in {histories} histories, as many of each of {:?}:", Fault::ALL);
    faults.iter().for_each(|(write, n)| println!("{n:7}  {write}"));
}

#[test]
fn two_operators_at_once_do_what_one_does() {
    let histories = try_random(history(), 32, |history| {
        let alone = play(&history);
        let (doubled, alone) = (play_doubled(&history), alone.last().unwrap());
        prop_assert_eq!(doubled.all_offences(), Vec::<String>::new());
        if !history.abrupt {
            prop_assert_eq!(doubled.seen(), alone.seen());
        }
        Ok(())
    });
    println!("{histories} histories with two operators");
}

/// The cluster at the end of a history in which two operators work at the same time: each request of one is
/// followed by one of the other.
fn play_doubled(history: &History) -> State {
    block_on(async {
        let server = ApiServer::default();
        *server.state() = State::new(history.order, history.overrides);
        let (one, other) = (Operator::start(&server).await, Operator::start(&server).await);
        for event in &history.events {
            server.state().happen(event, history.abrupt);
            let mut rounds = 0..100;
            loop {
                let before = server.state().version;
                let results = futures::join!(one.reconcile(&server), other.reconcile(&server));
                let mut state = server.state();
                if !state.tick(history.abrupt)
                    && matches!(results, (Ok(_), Ok(_)))
                    && state.version == before
                {
                    break;
                }
                assert!(rounds.next().is_some(), "no rest: {results:?}");
            }
        }
        std::mem::take(&mut *server.state())
    })
}
