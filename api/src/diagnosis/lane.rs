//! One connection as the rules see it: how it ended, what its clocks showed then, and what they had shown
//! before without harm.

use super::{Clock, rhythm::Rhythm, span::Span};
use crate::{
    close_form::{CloseForm, CloseWord},
    lifetime::ms,
    report::{ArmReport, Clocks, Ending, LaneEnd, Outcome, Report},
    settings::WorkloadSettings,
    survival::STALL_MS,
};
use std::collections::BTreeMap;

/// One connection, or several for which the report had no room.
#[derive(Clone, Debug)]
pub(super) struct Lane<'a> {
    pub(super) workload: &'a str,
    /// How many.
    pub(super) n: i32,
    pub(super) end: End<'a>,
    listed: bool,
    /// When it was established and when it ended, in milliseconds of the pod's wall clock.
    pub(super) born: i64,
    pub(super) ended: Span,
    /// What the clocks showed when it was cut.
    at_end: BTreeMap<Clock, Span>,
    /// What they had shown at most while it lived.
    harmless: BTreeMap<Clock, i64>,
    pub(super) in_transaction: bool,
    pub(super) pinned: bool,
    /// Address of the peer, without the port.
    pub(super) host: Option<&'a str>,
}

/// How a lane ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// Cut, and this was seen of it.
    Cut(&'a CloseForm),
    /// Cut, and the report had no room for what was seen of it.
    CutUnseen,
    /// It lived until then, if only until it was let go.
    Lived,
}

/// Starts and lead-ins are over by this share of the duration.
pub(super) const STARTED: f64 = 456.0 / 3000.0;

impl<'a> Lane<'a> {
    /// All connections of an arm that were established.
    pub(super) fn of_arm(
        report: &'a Report,
        arm: &'a ArmReport,
        settings: &WorkloadSettings,
    ) -> Vec<Self> {
        let established = |ending: &&Ending| ending.outcome != Outcome::ConnectFailed;
        let endings = arm.endings.iter().filter(established);
        let mut lanes = Vec::new();
        for ending in endings {
            let listed = ending
                .lanes
                .iter()
                .filter_map(|end| Self::listed(report, arm, settings, ending, end));
            let before = lanes.len();
            lanes.extend(listed);
            let unlisted = ending.n - i32::try_from(lanes.len() - before).unwrap_or(i32::MAX);
            lanes.extend(
                (unlisted > 0)
                    .then(|| Self::unlisted(report, arm, settings, ending, unlisted))
                    .flatten(),
            );
        }
        lanes
    }

    fn listed(
        report: &'a Report,
        arm: &ArmReport,
        settings: &WorkloadSettings,
        ending: &'a Ending,
        told: &'a LaneEnd,
    ) -> Option<Self> {
        let (clocks, lifetime) = (sane_clocks(told.clocks?), told.lifetime?);
        let lived = sane(lifetime.min_ms);
        let lane = usize::try_from(told.lane).ok();
        let rhythm = Rhythm::new(settings, arm, lane);
        let width = lifetime.max_ms.map_or(0, |max| (sane(max) - lived).max(0));
        let ended = told.at.as_millisecond();
        let end = end(ending);
        let unanswered = unanswered(&clocks, ending, &rhythm);
        let cut = end != End::Lived;
        Some(Self {
            workload: &report.workload,
            n: 1,
            end,
            listed: true,
            born: ended - clocks.connect_ms,
            ended: Span::before(ended, width).earlier(unanswered),
            at_end: if cut {
                at_end(&clocks, ending, &rhythm, (width, unanswered))
            } else {
                BTreeMap::new()
            },
            harmless: rhythm.harmless(lived, !cut),
            in_transaction: if cut { clocks.begin_ms.is_some() } else { rhythm.in_transaction },
            pinned: clocks.set_ms.is_some() || clocks.listen_ms.is_some() || rhythm.pins,
            host: told.peer.as_deref().and_then(|peer| Some(peer.rsplit_once(':')?.0)),
        })
    }

    fn unlisted(
        report: &'a Report,
        arm: &ArmReport,
        settings: &WorkloadSettings,
        ending: &'a Ending,
        n: i32,
    ) -> Option<Self> {
        let ages = ending.lifetime?;
        let (youngest, oldest) = (sane(ages.min_ms), sane(ages.max_ms));
        let rhythm = Rhythm::new(settings, arm, None);
        let started = report.started_at.as_millisecond();
        let born = started + ms(settings.duration().mul_f64(STARTED));
        let end = end(ending);
        let cut = end != End::Lived;
        // Of an interval the spread has the upper end only.
        let lived = |ms: i64| if cut && !ending.is_known_within(STALL_MS) { 0 } else { ms };
        // One of them lived that long, and another was cut that early: what explains all must allow both.
        let age = Span { low: lived(oldest), high: youngest };
        Some(Self {
            workload: &report.workload,
            n,
            end,
            listed: false,
            born,
            ended: match end {
                End::Lived => Span { low: started + youngest, high: started + youngest },
                _ => Span { low: started + lived(youngest), high: born + oldest },
            },
            at_end: if cut { BTreeMap::from([(Clock::Age, age)]) } else { BTreeMap::new() },
            harmless: rhythm.harmless(lived(youngest), !cut),
            in_transaction: rhythm.in_transaction,
            pinned: rhythm.pins,
            host: None,
        })
    }

    /// Between what and what a clock showed when it was cut; `high` is endless for one that lived. Absent
    /// where the clock did not run.
    pub(super) fn reach(&self, clock: Clock) -> Option<Span> {
        let harmless = self.harmless.get(&clock).copied();
        match (self.end, self.at_end.get(&clock)) {
            (End::Lived, _) => Some(Span { low: harmless?, high: i64::MAX }),
            (_, Some(shown)) => {
                Some(Span { low: shown.low.max(harmless.unwrap_or(0)), high: shown.high })
            }
            // The clock did not run at the end, or nobody knows: it is the harmless past that counts.
            (_, None) => Some(Span { low: harmless?, high: -1 }),
        }
    }

    /// Whether it sent requests more often than that when it was cut.
    pub(super) fn is_busier_than(&self, ms: i64) -> bool {
        self.is_cut()
            && self.reach(Clock::Request).is_some_and(|span| span.high >= 0 && span.high < ms)
    }

    /// Whether it is told by itself.
    pub(super) fn is_listed(&self) -> bool {
        self.listed
    }

    /// What was seen of the cut.
    pub(super) fn form(&self) -> Option<&'a CloseForm> {
        match self.end {
            End::Cut(form) => Some(form),
            End::CutUnseen | End::Lived => None,
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        self.end != End::Lived
    }

    /// Whether it was there at a moment, and is known to have been.
    pub(super) fn lived_at(&self, moment: i64) -> bool {
        self.born <= moment && moment <= self.ended.low
    }
}

/// Reports are not believed to be sane: no connection lives for more than a year.
fn sane(ms: i64) -> i64 {
    const YEAR_MS: i64 = 366 * 86_400_000;
    ms.clamp(0, YEAR_MS)
}

fn sane_clocks(clocks: Clocks) -> Clocks {
    let Clocks {
        connect_ms,
        client_byte_ms,
        server_byte_ms,
        request_ms,
        begin_ms,
        set_ms,
        listen_ms,
    } = clocks;
    Clocks {
        connect_ms: sane(connect_ms),
        client_byte_ms: client_byte_ms.map(sane),
        server_byte_ms: server_byte_ms.map(sane),
        request_ms: request_ms.map(sane),
        begin_ms: begin_ms.map(sane),
        set_ms: set_ms.map(sane),
        listen_ms: listen_ms.map(sane),
    }
}

fn end(ending: &Ending) -> End<'_> {
    match (ending.outcome, &ending.form) {
        (Outcome::Disconnected, Some(form)) => End::Cut(form),
        (Outcome::Disconnected, None) => End::CutUnseen,
        _ => End::Lived,
    }
}

/// How long before it was noticed the request was sent that was never answered.
fn unanswered(clocks: &Clocks, ending: &Ending, rhythm: &Rhythm) -> i64 {
    let in_vain = ending.form.as_ref().is_some_and(|form| {
        form.on_write && matches!(form.word, CloseWord::RstOnWrite | CloseWord::TimedOut)
    });
    clocks.client_byte_ms.filter(|_| in_vain && !rhythm.is_busy).unwrap_or(0)
}

/// What the clocks showed at the end, which lies in the last `width` before it was noticed. Where a request was never
/// answered, it was over when that was sent.
fn at_end(
    clocks: &Clocks,
    ending: &Ending,
    rhythm: &Rhythm,
    (width, unanswered): (i64, i64),
) -> BTreeMap<Clock, Span> {
    let asking = ending.form.as_ref().is_some_and(|form| form.on_write);
    let statement = clocks.client_byte_ms.filter(|_| asking && rhythm.is_busy);
    // A request that met the end was sent after it: what counts is what came before.
    let byte = match (asking, statement) {
        (_, Some(statement)) => Some(statement),
        (true, None) => clocks.server_byte_ms,
        (false, None) => clocks.client_byte_ms.into_iter().chain(clocks.server_byte_ms).min(),
    };
    let before = |ms: i64| Span::before(ms, width).earlier(unanswered);
    let packet = byte.map(|byte| byte.min(rhythm.keepalive_ms + unanswered));
    let shown = [
        (Clock::Age, Some(clocks.connect_ms)),
        (Clock::Request, clocks.request_ms.filter(|_| statement.is_none())),
        (Clock::Byte, byte),
        (Clock::Packet, packet),
        (Clock::Begin, clocks.begin_ms),
        (Clock::Statement, statement),
        (Clock::Set, clocks.set_ms),
        (Clock::Listen, clocks.listen_ms),
    ];
    shown.into_iter().filter_map(|(clock, ms)| Some((clock, before(ms?)))).collect()
}
