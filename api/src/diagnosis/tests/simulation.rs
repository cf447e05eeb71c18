//! Runs that never were: connections follow their patterns on paper, and killers end them. It knows nothing of the
//! rules: what it writes are reports, as a probe would have written them.

use crate::{
    ConnectionProbe, ConnectionProbeRun, Inventory, by_hand,
    close_form::{CloseForm, MessageKind, ServerMessage, TcpEnd},
    lifetime::{Lifetime, Spread},
    manifest,
    measurement::Client,
    pattern::{LANES_PER_RUNG, Pattern},
    report::{
        Arm, ArmReport, Clocks, Ending, LaneEnd, Notifications, Outcome, Phase, Report, TcpTimers,
    },
    settings::{Settings, WorkloadSettings},
};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Something that ends connections.
#[derive(Clone, Debug)]
pub(super) struct Killer {
    pub(super) when: When,
    pub(super) how: How,
}

/// When it strikes; times in milliseconds.
#[derive(Clone, Debug)]
pub(super) enum When {
    /// After so long without a request, where it runs on such sessions.
    NoRequest(i64, Sessions),
    /// After so long without a byte.
    NoByte(i64),
    /// After so long without a packet.
    NoPacket(i64),
    /// At this age, give or take a share of it.
    Age(i64, f64),
    /// So long after BEGIN.
    Begin(i64),
    /// A statement takes longer.
    Statement(i64),
    /// At this moment, on this host of two or on all.
    Moment(i64, Option<u8>),
    /// At random, with this mean.
    Random(i64),
    /// Comes by every so often and ends who is older than so long.
    Every(i64, i64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Sessions {
    All,
    OutsideTransaction,
    InTransaction,
    Pinned,
}

/// What the client sees of it.
#[derive(Clone, Debug)]
pub(super) enum How {
    Says(&'static str, &'static str),
    Notices(&'static str, &'static str),
    Fin,
    Reset,
    /// Nothing, and a reset at the next packet.
    Forgets,
    /// Nothing, ever.
    Drops,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Ask,
    Hear,
    Begin,
    Set,
    Listen,
    /// One statement until the end.
    Sleep,
    Commit,
}

/// Numbers that look random (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// From 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "so many digits are enough")]
    pub(super) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small")]
    fn up_to(&mut self, ms: i64) -> i64 {
        (self.roll() * ms as f64) as i64
    }
}

pub(super) fn probe(spec: &str) -> ConnectionProbe {
    manifest::parse(&format!(
        "{{ apiVersion: probes.pulpproject.org/v1alpha1, kind: ConnectionProbe, metadata: {{ name: p }}, \
         spec: {{ target: {{ secretName: s }}, {spec} }} }}"
    ))
    .unwrap()
}

/// A run of this probe in which these killers are at work on the target's path, and these on the control's.
pub(super) fn run(
    probe: &ConnectionProbe,
    [target, control]: [&[Killer]; 2],
    inventory: Option<Inventory>,
    seed: u64,
) -> ConnectionProbeRun {
    let settings = Settings::new("r", &probe.spec.measurement, Vec::new()).unwrap();
    let mut dice = Dice(seed);
    let reports = settings.workloads.iter().map(|workload| {
        let start = START + dice.up_to(500);
        let arms = settings.arms().map(|(arm, _)| {
            let killers = if arm == Arm::Target { target } else { control };
            let ends = (0..workload.connections)
                .map(|lane| live(workload, lane, killers, start, &mut dice));
            arm_report(arm, workload, ends.collect())
        });
        let arms: Vec<_> = arms.collect();
        let report = Report {
            workload: workload.name.clone(),
            started_at: time(start),
            ended_at: Some(time(start + 10_000_000)),
            arms,
            ..Report::default()
        };
        // To make it fit takes long.
        if seed == 0 { Report::parse(&report.to_message()).unwrap() } else { report }
    });
    let reports: Vec<_> = reports.collect();
    by_hand::run("p-1", probe, reports, inventory, (time(START), time(START)), false)
}

/// The runs' begin, by the wall clock.
pub(super) const START: i64 = 1_800_000_000_000;
const ANSWER_TIMEOUT: i64 = 150_000;

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap()
}

/// What a lane does, in milliseconds from the workload's start; the last is its proof.
fn acts(workload: &WorkloadSettings, lane: usize, dice: &mut Dice) -> (i64, Vec<(i64, Act)>) {
    let schedule = workload.schedule(lane);
    let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap();
    let connect = ms(schedule.connect) + dice.up_to(10);
    let ready = connect + 5 + dice.up_to(20);
    let mut acts = vec![(ready, Act::Ask)];
    let (lead_in, interval) = (ms(schedule.lead_in), ms(schedule.lead_in_interval()).max(1));
    acts.extend(
        (1..).map(|n| n * interval).take_while(|t| *t < lead_in).map(|t| (ready + t, Act::Ask)),
    );
    let begin = ready + lead_in;
    if lead_in > 0 {
        acts.push((begin, Act::Ask));
    }
    let hold = i64::try_from(workload.duration_ms).unwrap();
    let end = begin + hold;
    let every = |interval: u64, act: Act, until: i64| {
        let interval = i64::try_from(interval).unwrap();
        (1..)
            .map(move |n| begin + n * interval)
            .take_while(move |t| *t < until)
            .map(move |t| (t, act))
    };
    let transaction = workload.client == Client::Psycopg && !workload.pattern.is_autocommit();
    if transaction && workload.pattern != Pattern::Idle {
        acts.push((begin, Act::Begin));
    }
    match &workload.pattern {
        Pattern::Idle => {}
        Pattern::Heartbeat { interval_ms, .. } => acts.extend(every(*interval_ms, Act::Ask, end)),
        Pattern::IdleInTransaction { .. } => acts.push((begin, Act::Begin)),
        Pattern::ActiveTransaction { interval_ms, .. } => {
            acts.push((begin, Act::Begin));
            acts.extend(every(*interval_ms, Act::Ask, end));
        }
        Pattern::SessionVariable => acts.push((begin, Act::Set)),
        Pattern::Listen => acts.push((begin, Act::Listen)),
        Pattern::ListenNotify { interval_ms } => {
            acts.push((begin, Act::Listen));
            acts.extend(every(*interval_ms, Act::Hear, end));
        }
        Pattern::PulpWorker { interval_ms, listen, .. } => {
            acts.extend(listen.then_some((begin, Act::Listen)));
            acts.extend(every(*interval_ms, Act::Ask, end));
        }
        Pattern::PulpTask { work_ms, in_transaction } => {
            acts.extend(in_transaction.then_some((begin, Act::Begin)));
            let worked = begin + i64::try_from(*work_ms).unwrap();
            acts.extend(every(1000, Act::Ask, worked));
            acts.push((worked, Act::Ask));
        }
        Pattern::SlowStatement => acts.push((begin, Act::Sleep)),
        Pattern::Observe(_) => {}
        Pattern::IdleLadder { rungs_ms, .. } => {
            let silent = end - i64::try_from(rungs_ms[lane / LANES_PER_RUNG]).unwrap();
            let beat = rungs_ms.iter().min().unwrap() / 2;
            acts.extend(every(beat.min(60_000), Act::Ask, silent));
            acts.push((silent, Act::Ask));
        }
    }
    if !transaction {
        // The proof ends the transaction, if there is one.
        acts.push((end, Act::Commit));
    } else {
        acts.push((end, Act::Ask));
    }
    (connect, acts)
}

/// What is recorded of a lane.
struct Lived {
    lane: LaneEnd,
    outcome: Outcome,
    form: Option<CloseForm>,
    heard: i32,
}

fn live(
    workload: &WorkloadSettings,
    lane: usize,
    killers: &[Killer],
    start: i64,
    dice: &mut Dice,
) -> Lived {
    let (connect, acts) = acts(workload, lane, dice);
    let host = u8::from(lane % 2 == 1);
    let keepalive = workload.tcp.keepalive_idle_s.map_or(7_200_000, |s| i64::from(s) * 1000);
    let strikes = killers.iter().filter_map(|killer| {
        let at = killer.when.strikes(connect, &acts, keepalive, host, start, dice)?;
        Some((at, &killer.how))
    });
    let strikes: Vec<_> = strikes.collect();
    let struck = strikes.into_iter().min_by_key(|(at, _)| *at);
    let proof = acts.last().unwrap().0;
    let struck = struck.filter(|(at, _)| *at < proof);
    let (dead, how) = struck.map_or((proof + 1, None), |(at, how)| (at, Some(how)));
    let done: Vec<_> = acts.iter().copied().filter(|(t, _)| *t < dead).collect();
    let next =
        acts.iter().find(|(t, act)| *t >= dead && *act != Act::Hear).map_or(proof, |(t, _)| *t);
    let sleeping = done.last().is_some_and(|(_, act)| *act == Act::Sleep);
    let (noticed, exact, form, writing) = match how {
        None => (proof, true, None, false),
        Some(How::Forgets) => {
            (next + 1, false, Some(CloseForm::new(Vec::new(), None, TcpEnd::Rst, true)), true)
        }
        Some(How::Drops) => {
            let form = CloseForm::new(Vec::new(), None, TcpEnd::Open, true);
            (next + ANSWER_TIMEOUT, false, Some(form), true)
        }
        Some(How::Fin) => {
            (dead, true, Some(CloseForm::new(Vec::new(), None, TcpEnd::Fin, sleeping)), sleeping)
        }
        Some(How::Reset) => {
            (dead, true, Some(CloseForm::new(Vec::new(), None, TcpEnd::Rst, sleeping)), sleeping)
        }
        Some(How::Says(code, text)) => {
            (dead, true, Some(said(MessageKind::Error, "FATAL", code, text, sleeping)), sleeping)
        }
        Some(How::Notices(code, text)) => {
            (dead, true, Some(said(MessageKind::Notice, "WARNING", code, text, sleeping)), sleeping)
        }
    };
    let since = |of: &dyn Fn(Act) -> bool| {
        done.iter().rev().find(|(_, act)| of(*act)).map(|(t, _)| noticed - t)
    };
    let client = since(&|act| act != Act::Hear).unwrap_or(0);
    let client = if writing && !sleeping { noticed - next.min(noticed) } else { client };
    let in_transaction = done.iter().rev().find(|(_, act)| matches!(act, Act::Begin | Act::Commit));
    let clocks = Clocks {
        connect_ms: noticed - connect,
        client_byte_ms: Some(client),
        server_byte_ms: since(&|act| act != Act::Sleep),
        request_ms: since(&|act| !matches!(act, Act::Hear | Act::Sleep)),
        begin_ms: in_transaction.filter(|(_, act)| *act == Act::Begin).map(|(t, _)| noticed - t),
        set_ms: since(&|act| act == Act::Set),
        listen_ms: since(&|act| act == Act::Listen),
    };
    let alive = done.iter().rev().find(|(_, act)| *act != Act::Sleep).map_or(connect, |(t, _)| *t);
    let lifetime = match how {
        None => Lifetime { min_ms: proof - connect, max_ms: None },
        Some(_) if exact => Lifetime { min_ms: noticed - connect, max_ms: Some(noticed - connect) },
        Some(_) => Lifetime { min_ms: alive - connect, max_ms: Some(noticed - connect) },
    };
    let lane = LaneEnd {
        lane: i32::try_from(lane).unwrap(),
        phase: Phase::Hold,
        at: time(start + noticed),
        lifetime: Some(lifetime),
        clocks: Some(clocks),
        requests: Some(1),
        tcp_info: None,
        local_port: Some(40_000),
        peer: Some(format!("10.0.0.{host}:5432")),
    };
    let outcome = if how.is_some() { Outcome::Disconnected } else { Outcome::Survived };
    let heard = i32::try_from(done.iter().filter(|(_, act)| *act == Act::Hear).count()).unwrap();
    Lived { lane, outcome, form, heard }
}

fn said(kind: MessageKind, severity: &str, code: &str, text: &str, on_write: bool) -> CloseForm {
    let message = ServerMessage {
        kind,
        severity: severity.into(),
        code: code.into(),
        text: text.into(),
        routine: None,
    };
    CloseForm::new(vec![message], None, TcpEnd::Fin, on_write)
}

impl When {
    /// When it strikes this connection first, if ever.
    fn strikes(
        &self,
        connect: i64,
        acts: &[(i64, Act)],
        keepalive: i64,
        host: u8,
        start: i64,
        dice: &mut Dice,
    ) -> Option<i64> {
        // Whoever closes looks at his timers only so often.
        let late = dice.up_to(300);
        let gap = |after: i64, counts: &dyn Fn(Act) -> bool, runs: &dyn Fn(i64) -> bool| {
            let mut last = connect;
            for (t, act) in acts {
                if *t > last + after && runs(last + after) {
                    return Some(last + after + late);
                }
                if counts(*act) {
                    last = *t;
                }
            }
            None
        };
        let state = |t: i64| {
            let begun = acts
                .iter()
                .rev()
                .find(|(at, act)| *at <= t && matches!(act, Act::Begin | Act::Commit));
            begun.is_some_and(|(_, act)| *act == Act::Begin)
        };
        let is_pinned =
            |t: i64| acts.iter().any(|(at, act)| *at <= t && matches!(act, Act::Set | Act::Listen));
        let sleeps = |t: i64| acts.iter().any(|(at, act)| *at <= t && *act == Act::Sleep);
        match *self {
            Self::NoRequest(after, sessions) => gap(after, &|act| act != Act::Hear, &|t| {
                !sleeps(t)
                    && match sessions {
                        Sessions::All => true,
                        Sessions::OutsideTransaction => !state(t),
                        Sessions::InTransaction => state(t),
                        Sessions::Pinned => is_pinned(t) && !state(t),
                    }
            }),
            Self::NoByte(after) => gap(after, &|_| true, &|_| true),
            Self::NoPacket(after) if keepalive < after => None,
            Self::NoPacket(after) => gap(after, &|_| true, &|_| true),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "small"
            )]
            Self::Age(age, share) => {
                let varied = age as f64 * (1.0 + share * (2.0 * dice.roll() - 1.0));
                Some(connect + varied as i64 + late)
            }
            Self::Begin(after) => {
                let begun = acts.iter().find(|(_, act)| *act == Act::Begin)?.0;
                Some(begun + after + late)
            }
            Self::Statement(after) => {
                let sent = acts.iter().find(|(_, act)| *act == Act::Sleep)?.0;
                Some(sent + after + late)
            }
            Self::Moment(at, of) => {
                let at = START + at + late - start;
                (of.is_none_or(|of| of == host) && at > connect).then_some(at)
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_precision_loss,
                reason = "small"
            )]
            Self::Random(mean) => Some(connect + (-(1.0 - dice.roll()).ln() * mean as f64) as i64),
            Self::Every(period, older) => {
                let moments = (1..10_000).map(|n| START + n * period - start);
                moments.into_iter().find(|t| *t > connect + older).map(|t| t + late)
            }
        }
    }
}

fn arm_report(arm: Arm, workload: &WorkloadSettings, lived: Vec<Lived>) -> ArmReport {
    let mut report = ArmReport {
        arm,
        connections: i32::try_from(workload.connections).unwrap(),
        tcp: Some(TcpTimers {
            keepalive_idle_seconds: workload
                .tcp
                .keepalive_idle_s
                .map_or(7200, |s| i32::try_from(s).unwrap()),
            keepalive_interval_seconds: 75,
            keepalive_count: 9,
            user_timeout_ms: None,
        }),
        ..ArmReport::default()
    };
    let received = lived.iter().map(|lived| lived.heard).sum();
    if received > 0 {
        let told = Notifications {
            sent: 9,
            heard_by_sender: 9,
            expected: received,
            received,
            ..Default::default()
        };
        report.notifications = Some(told);
    }
    let mut groups: BTreeMap<_, Vec<LaneEnd>> = BTreeMap::new();
    for Lived { lane, outcome, form, .. } in lived {
        report.counts.count(outcome, 1);
        groups.entry((outcome, form)).or_default().push(lane);
    }
    for ((outcome, form), mut lanes) in groups {
        lanes.sort_by_key(|lane| lane.at);
        let ages =
            lanes.iter().filter_map(|lane| lane.lifetime).map(|l| l.max_ms.unwrap_or(l.min_ms));
        let n = i32::try_from(lanes.len()).unwrap();
        let lifetime = Spread::of(ages.collect());
        report.endings.push(Ending {
            outcome,
            reason: None,
            form,
            detail: None,
            n,
            lifetime,
            lanes,
        });
    }
    report.endings.sort_by_key(|ending| ending.lanes.first().map(|lane| lane.at));
    let cut = report.endings.iter().filter(|ending| ending.outcome == Outcome::Disconnected);
    let ages = cut.flat_map(|ending| &ending.lanes).filter_map(|lane| lane.lifetime?.max_ms);
    report.cut_lifetime = Spread::of(ages.collect());
    report
}
