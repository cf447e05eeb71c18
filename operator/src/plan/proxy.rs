//! Asks AWS about a run's RDS Proxy, before and after it. What does not come holds nothing up for long.

use super::Action;
use crate::facts::{Answer, AskFacts, RunFacts};
use api::{
    ConnectionProbeRunStatus,
    rds_proxy::{
        RdsProxy,
        request::{LaneKey, Moment, Request},
    },
    report::{Arm, Outcome},
    text,
};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

/// Metrics are wanted from so long before the first connection: what was there without the run.
const BASELINE: SignedDuration = SignedDuration::from_mins(10);
/// And until so long after the last one's end: pinned connections that go down again show whose they were, and that
/// takes a whole minute without ours.
const AFTERMATH: SignedDuration = SignedDuration::from_mins(3);
/// A pod that asks is waited for so long until it is made, until it runs, and until it has ended.
const MADE: SignedDuration = SignedDuration::from_secs(30);
const STARTS: SignedDuration = SignedDuration::from_mins(3);
const ENDS: SignedDuration = SignedDuration::from_mins(12);

/// What comes of asking AWS.
pub(super) enum Asking {
    /// It has told, or will not any more, or nobody asks it.
    Over,
    /// It is to be asked.
    Ask(Action),
    /// It is waited for until then.
    Wait(Timestamp),
}

/// Takes in what AWS told, and asks what is to be asked now: `measured` says whether all connections have ended.
pub(super) fn ask(
    facts: &RunFacts,
    status: &mut ConnectionProbeRunStatus,
    measured: bool,
    now: Timestamp,
) -> Asking {
    let Some(proxy) = &facts.run.spec.measurement.settled.rds_proxy else {
        return Asking::Over;
    };
    let told = status.rds_proxy.get_or_insert_default();
    for asked in &facts.asked {
        if let Some(Answer::Told(evidence)) = &asked.answer {
            *told.at(asked.moment) = Some((**evidence).clone());
        }
    }
    let moment = if measured { Moment::After } else { Moment::Before };
    let has_told = told.at(moment).is_some();
    if has_told || status.ended_early.is_some() || status.attempt == 0 {
        return Asking::Over;
    }
    let Some(asked) = facts.asked.iter().find(|asked| asked.moment == moment) else {
        let request = Box::new(request(facts, proxy, status, moment, now));
        return Asking::Ask(Action::AskAws { run: facts.run.clone(), request });
    };
    match in_vain(asked, now) {
        Some(problem) => {
            let told = status.rds_proxy.get_or_insert_default();
            told.problem = Some(text::aws_not_asked(moment, &problem));
            Asking::Over
        }
        None => Asking::Wait(until(asked)),
    }
}

/// Why nothing will come any more.
fn in_vain(asked: &AskFacts, now: Timestamp) -> Option<String> {
    let late = now >= until(asked);
    match &asked.answer {
        Some(Answer::Silent(seen)) => Some(seen.clone()),
        Some(Answer::Starting(Some(seen))) if late => Some(seen.clone()),
        Some(Answer::Starting(None)) if late => Some(text::without_answer(Some(false)).to_owned()),
        Some(Answer::Working { .. }) if late => Some(text::without_answer(Some(true)).to_owned()),
        None if late || asked.finished_at.is_some() => Some(text::without_answer(None).to_owned()),
        _ => None,
    }
}

fn until(asked: &AskFacts) -> Timestamp {
    let wait = match asked.answer {
        None => MADE,
        Some(Answer::Starting(_)) => STARTS,
        Some(_) => ENDS,
    };
    asked.created_at.checked_add(wait).unwrap_or(asked.created_at)
}

fn request(
    facts: &RunFacts,
    proxy: &RdsProxy,
    status: &ConnectionProbeRunStatus,
    moment: Moment,
    now: Timestamp,
) -> Request {
    let start = status.start_time.as_ref().map_or(now, |start| start.0);
    let (from, until) = (start.checked_sub(BASELINE), now.checked_add(AFTERMATH));
    Request {
        run: facts.run.name_any(),
        proxy: proxy.clone(),
        host: facts.run.spec.measurement.settled.target.host.clone(),
        moment,
        from: from.unwrap_or(start),
        until: match moment {
            Moment::Before => now,
            Moment::After => until.unwrap_or(now),
        },
        lanes: cut(status).take(Request::MAX_LANES).collect(),
    }
}

/// Connections that were cut, and of which the report has the port.
fn cut(status: &ConnectionProbeRunStatus) -> impl Iterator<Item = LaneKey> {
    status.arms(Arm::Target).flat_map(|(workload, arm)| {
        let cut = arm.endings.iter().filter(|ending| ending.outcome == Outcome::Disconnected);
        cut.flat_map(|ending| &ending.lanes).filter_map(move |lane| {
            let lived = SignedDuration::from_millis(lane.clocks?.connect_ms);
            Some(LaneKey {
                workload: workload.to_owned(),
                lane: lane.lane,
                port: lane.local_port?,
                opened: lane.at.checked_sub(lived).ok()?,
                ended: lane.at,
            })
        })
    })
}
