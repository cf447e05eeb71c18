//! What a run recorded on one path: never mixed with the other.

use super::lane::{End, Lane};
use crate::{
    inventory::{ArmInventory, DatabaseServer},
    report::{Arm, ArmReport, Ending, Outcome, Report},
    run::ConnectionProbeRunStatus,
    settings::Settings,
};
use std::collections::BTreeSet;

/// One path.
pub(super) struct Path<'a> {
    pub(super) arm: Arm,
    pub(super) reports: Vec<(&'a Report, &'a ArmReport)>,
    pub(super) lanes: Vec<Lane<'a>>,
    pub(super) inventory: Option<&'a ArmInventory>,
    /// When the inventory was taken, in milliseconds of the pod's wall clock.
    asked: Option<i64>,
    /// How long connections were to be held at most, in milliseconds.
    pub(super) duration_ms: i64,
}

/// Who answered after cuts, compared with who had answered before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Successor {
    /// The same server, which had not been restarted.
    Same,
    /// One that was started at this moment of the pod's wall clock.
    Restarted(i64),
    /// One with another address.
    Another,
}

/// By so much the start of the same server may seem to differ.
const SAME_START_MS: i64 = 2000;

/// Reports are not believed to be small.
pub(super) fn total(counts: impl Iterator<Item = i32>) -> i32 {
    counts.fold(0, i32::saturating_add)
}

impl<'a> Path<'a> {
    pub(super) fn new(arm: Arm, settings: &Settings, status: &'a ConnectionProbeRunStatus) -> Self {
        let mut path = Self {
            arm,
            reports: Vec::new(),
            lanes: Vec::new(),
            inventory: status.inventory.iter().flat_map(|it| &it.arms).find(|it| it.arm == arm),
            asked: status.inventory.as_ref().map(|it| it.taken_at.as_millisecond()),
            duration_ms: 0,
        };
        for report in status.reports() {
            let named =
                |settings: &&crate::settings::WorkloadSettings| settings.name == report.workload;
            let settings = settings.workloads.iter().find(named);
            if let (Some(settings), Some(told)) = (settings, report.arm(arm)) {
                path.lanes.extend(Lane::of_arm(report, told, settings));
                path.reports.push((report, told));
                let held = i64::try_from(settings.duration_ms).unwrap_or(i64::MAX);
                path.duration_ms = path.duration_ms.max(held);
            }
        }
        path
    }

    /// All that ended in one way.
    pub(super) fn endings(&self, outcome: Outcome) -> impl Iterator<Item = (&'a str, &'a Ending)> {
        self.reports.iter().flat_map(move |(report, arm)| {
            let endings = arm.endings.iter().filter(move |ending| ending.outcome == outcome);
            endings.map(|ending| (report.workload.as_str(), ending))
        })
    }

    /// Positions of lanes that were cut and of which it is known how.
    pub(super) fn cut(&self) -> Vec<usize> {
        let cut = |i: &usize| matches!(self.lanes[*i].end, End::Cut(_));
        (0..self.lanes.len()).filter(cut).collect()
    }

    /// How many connections these are.
    pub(super) fn n(&self, lanes: &[usize]) -> i32 {
        total(lanes.iter().map(|i| self.lanes[*i].n))
    }

    /// Names of their workloads.
    pub(super) fn workloads(&self, lanes: &[usize]) -> BTreeSet<&'a str> {
        lanes.iter().map(|i| self.lanes[*i].workload).collect()
    }

    pub(super) fn server(&self) -> Option<&'a DatabaseServer> {
        self.inventory?.server.as_ref()
    }

    /// Who answered after the last cut. Nothing if nobody did, or if there is nothing to compare with.
    pub(super) fn successor(&self) -> Option<Successor> {
        let before = self.server()?;
        let offset = before.clock_offset_ms.unwrap_or(0);
        let cut = self.lanes.iter().filter(|lane| lane.is_cut());
        let first_cut = cut.map(|lane| lane.ended.low).min()?;
        let before_then = first_cut.max(self.asked.unwrap_or(i64::MIN));
        let all = self.reports.iter().filter_map(|(_, arm)| {
            let after = arm.reconnect.as_ref()?;
            let (was, is) = (before.started_at?, after.server_started_at?);
            let address = before.address.as_deref().and_then(|address| address.rsplit_once(':'));
            let same_address = match (address, &after.server_address) {
                (Some((was, _)), Some(is)) => was.trim_matches(['[', ']']) == is,
                _ => true,
            };
            let later = is.as_millisecond() - was.as_millisecond();
            Some(if !same_address || after.in_recovery.is_some_and(|is| is != before.in_recovery) {
                Successor::Another
            } else if later.abs() <= SAME_START_MS {
                Successor::Same
            } else if is.as_millisecond() - offset < before_then - SAME_START_MS {
                // It had been there all the time, or already when the other one was asked.
                Successor::Another
            } else {
                Successor::Restarted(is.as_millisecond() - offset)
            })
        });
        all.max_by_key(|successor| match successor {
            Successor::Same => (0, 0),
            Successor::Restarted(at) => (1, *at),
            Successor::Another => (2, 0),
        })
    }
}
