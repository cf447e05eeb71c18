//! All moments at which a guard can be interrupted: each of its calls, before it is carried out and before its answer
//! arrives, by SIGKILL and by SIGTERM. After each of them the proxy has to be as it was.

use super::{Proxy, wait_until};
use crate::aws::Region;
use api::rds_proxy::overriding::Outcome;
use serde_json::json;
use std::{thread, time::Duration};

/// A moment, and what came of it.
#[derive(Clone, Debug)]
pub struct Moment {
    /// Which of the guard's calls, from 0.
    pub n: usize,
    /// Its name.
    pub call: String,
    /// Whether it was carried out already.
    pub is_carried_out: bool,
    /// Whether it was killed, and its change restored; or told to stop.
    pub is_killed: bool,
    /// What became of the change.
    pub outcome: Outcome,
    /// Whether the proxy was as it was then.
    pub is_as_it_was: bool,
}

impl Moment {
    /// Whether the proxy was as it was, and that was known.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.is_as_it_was && matches!(self.outcome, Outcome::Restored | Outcome::NotChanged)
    }
}

/// The calls of a whole life, in order.
#[must_use]
pub fn calls(region: Region) -> Vec<String> {
    let proxy = Proxy::new(region, "whole");
    let mut guard = proxy.guard(&proxy.order("whole", 600));
    guard.wait_until_in_force();
    guard.signal("TERM");
    assert_eq!(guard.end().outcome(), Outcome::Restored);
    region.calls()
}

/// All of them: as many side by side as there are regions, of which nobody else makes use.
#[must_use]
pub fn all(regions: &[Region]) -> Vec<Moment> {
    let calls = calls(regions[0]);
    let mut moments = Vec::new();
    for n in 0..calls.len() {
        for is_carried_out in [false, true] {
            moments.extend([(n, is_carried_out, false), (n, is_carried_out, true)]);
        }
    }
    let of_region = |first: usize| {
        let (region, moments, calls) = (regions[first], &moments, &calls);
        move || -> Vec<Moment> {
            let own = moments.iter().enumerate().skip(first).step_by(regions.len());
            own.map(|(i, moment)| interrupt(region, &format!("p{i}"), calls, *moment)).collect()
        }
    };
    let mut all: Vec<Moment> = thread::scope(|scope| {
        let threads: Vec<_> = (0..regions.len()).map(|it| scope.spawn(of_region(it))).collect();
        threads.into_iter().flat_map(|it| it.join().expect("its moments")).collect()
    });
    all.sort_by_key(|it| (it.n, it.is_carried_out, it.is_killed));
    all
}

fn interrupt(
    region: Region,
    name: &str,
    calls: &[String],
    (n, is_carried_out, is_killed): (usize, bool, bool),
) -> Moment {
    let (proxy, known) = (Proxy::new(region, name), region.calls().len());
    let kind = if is_carried_out { "holdAfter" } else { "holdBefore" };
    region.fault(&json!({"kind": kind, "operation": "*", "skip": n, "times": 1}));
    let order = proxy.order(name, 600);
    let mut guard = proxy.guard(&order);
    let mut is_told = false;
    wait_until(|| {
        // Its life goes on to the end: nobody waits for the run's.
        if !is_told && guard.is_in_force() {
            guard.signal("TERM");
            is_told = true;
        }
        assert!(!guard.has_ended(), "it ended before call {n}");
        region.held() == 1
    });
    assert_eq!(region.calls()[known + n], calls[n], "call {n}");
    let ended = if is_killed {
        guard.signal("KILL");
        drop(guard);
        region.release(false);
        region.calm();
        proxy.restore(&order)
    } else {
        guard.signal("TERM");
        // It has noticed before the answer arrives.
        thread::sleep(Duration::from_millis(50));
        region.release(true);
        guard.end()
    };
    let (outcome, is_as_it_was) = (ended.outcome(), proxy.is_as_it_was());
    Moment { n, call: calls[n].clone(), is_carried_out, is_killed, outcome, is_as_it_was }
}

/// A line for each.
#[must_use]
pub fn table(moments: &[Moment]) -> String {
    let lines = moments.iter().map(|it| {
        let when = if it.is_carried_out { "after" } else { "before" };
        let how = if it.is_killed { "SIGKILL, restore" } else { "SIGTERM" };
        let (n, call, outcome) = (it.n + 1, &it.call, format!("{:?}", it.outcome));
        let proxy = if it.is_as_it_was { "as it was" } else { "CHANGED" };
        format!("{n:>3} {call:<24} {when:<7} {how:<17} {outcome:<14} {proxy}\n")
    });
    lines.collect()
}
