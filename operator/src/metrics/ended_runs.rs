//! What became of the connections of ended runs, added up while the process lives, and which runs never
//! began. Each is observed once: by whoever writes it down.

use super::{counter, owner, sheet::seconds};
use crate::observe;
use api::{
    ConnectionProbe, ConnectionProbeRun,
    conditions::Verdict,
    metrics::{CONNECTION_LIFETIME, CONNECTIONS_ENDED, LIFETIME_BUCKETS, RUNS, SCHEDULE_MISSED},
    report::{Arm, ArmReport, Counts, Outcome},
};
use kube::ResourceExt;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, Registry, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

/// Counters and the histogram, and whose series they have.
pub(super) struct EndedRuns {
    lifetimes: HistogramVec,
    connections: IntCounterVec,
    runs: IntCounterVec,
    missed: IntCounterVec,
    series: Mutex<BTreeMap<Probe, BTreeSet<Lanes>>>,
}

/// Namespace and name.
type Probe = (String, String);
/// Workload and path.
type Lanes = (String, Arm);

impl EndedRuns {
    pub(super) fn new(registry: &Registry) -> Result<Self> {
        let lifetimes = HistogramVec::new(
            HistogramOpts::new(CONNECTION_LIFETIME.name, CONNECTION_LIFETIME.help)
                .buckets(LIFETIME_BUCKETS.to_vec()),
            CONNECTION_LIFETIME.labels,
        )?;
        registry.register(Box::new(lifetimes.clone()))?;
        Ok(Self {
            lifetimes,
            connections: counter(&CONNECTIONS_ENDED, registry)?,
            runs: counter(&RUNS, registry)?,
            missed: counter(&SCHEDULE_MISSED, registry)?,
            series: Mutex::default(),
        })
    }

    /// Drops the series of probes that are gone, and begins those of runs that go on: a counter that
    /// appears with its first value shows no increase. A run that was left behind by a deleted probe is
    /// none of a new probe of that name.
    pub(super) fn keep(&self, probes: &[Arc<ConnectionProbe>], runs: &[Arc<ConnectionProbeRun>]) {
        let known: BTreeMap<String, Probe> = probes
            .iter()
            .map(|probe| {
                let id = (probe.namespace().unwrap_or_default(), probe.name_any());
                (probe.uid().unwrap_or_default(), id)
            })
            .collect();
        let ids: BTreeSet<&Probe> = known.values().collect();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<Probe> = series.keys().filter(|id| !ids.contains(id)).cloned().collect();
        for probe in gone {
            let lanes = series.remove(&probe).unwrap_or_default();
            lanes.iter().for_each(|lanes| self.drop_lanes(&probe, lanes));
            for verdict in Verdict::ALL {
                let labels = [&probe.0, &probe.1, verdict.as_str()];
                let _ = self.runs.remove_label_values(&labels);
            }
            let _ = self.missed.remove_label_values(&[&probe.0, &probe.1]);
        }
        drop(series);
        let goes_on = |run: &&Arc<ConnectionProbeRun>| {
            run.status.as_ref().is_none_or(|status| !status.has_ended())
        };
        for run in runs.iter().filter(goes_on) {
            if let Some(probe) = owner(run).and_then(|uid| known.get(uid)) {
                self.begin(probe, run);
            }
        }
    }

    /// Adds scheduled runs that were not started.
    pub(super) fn miss(&self, probe: &ConnectionProbe, times: usize) {
        let probe = (probe.namespace().unwrap_or_default(), probe.name_any());
        let missed = self.missed.with_label_values(&[&probe.0, &probe.1]);
        missed.inc_by(u64::try_from(times).unwrap_or_default());
        self.series.lock().unwrap_or_else(PoisonError::into_inner).entry(probe).or_default();
    }

    /// Adds a run that has just ended.
    pub(super) fn observe(&self, run: &ConnectionProbeRun) {
        let (Some(probe), Some(status)) = (probe_of(run), &run.status) else { return };
        self.begin(&probe, run);
        self.runs(&probe, status.verdict()).inc();
        for arm in [Arm::Target, Arm::Control] {
            for (workload, report) in status.arms(arm) {
                let lanes = (workload.to_owned(), arm);
                for (outcome, n) in report.counts.by_outcome() {
                    let n = u64::try_from(n).unwrap_or_default();
                    self.connections(&probe, &lanes, outcome).inc_by(n);
                }
                let lifetimes = self.lifetimes(&probe, &lanes);
                cut_lifetimes(report).for_each(|ms| lifetimes.observe(seconds(ms)));
            }
        }
    }

    /// Makes the series of a run's workloads, and drops those of workloads that its probe has no more.
    fn begin(&self, probe: &Probe, run: &ConnectionProbeRun) {
        let measurement = &run.spec.measurement.settled;
        let control = measurement.control.as_ref().map(|_| Arm::Control);
        let arms = || [Some(Arm::Target), control].into_iter().flatten();
        let lanes: BTreeSet<Lanes> = measurement
            .workloads
            .iter()
            .flat_map(|workload| arms().map(|arm| (workload.name.clone(), arm)))
            .collect();
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if series.get(probe) == Some(&lanes) {
            return;
        }
        let before = series.insert(probe.clone(), lanes.clone()).unwrap_or_default();
        before.difference(&lanes).for_each(|gone| self.drop_lanes(probe, gone));
        for verdict in Verdict::ALL {
            self.runs(probe, verdict);
        }
        for lanes in &lanes {
            self.lifetimes(probe, lanes);
            for (outcome, _) in Counts::default().by_outcome() {
                self.connections(probe, lanes, outcome);
            }
        }
    }

    fn drop_lanes(&self, (namespace, name): &Probe, (workload, arm): &Lanes) {
        let labels = [namespace, name, workload, arm.as_str()];
        // What never was there need not go.
        let _ = self.lifetimes.remove_label_values(&labels);
        for (outcome, _) in Counts::default().by_outcome() {
            let labels = [namespace, name, workload, arm.as_str(), outcome.as_str()];
            let _ = self.connections.remove_label_values(&labels);
        }
    }

    fn runs(&self, (namespace, name): &Probe, verdict: Verdict) -> prometheus::IntCounter {
        self.runs.with_label_values(&[namespace, name, verdict.as_str()])
    }

    fn lifetimes(&self, (namespace, name): &Probe, (workload, arm): &Lanes) -> Histogram {
        self.lifetimes.with_label_values(&[namespace, name, workload, arm.as_str()])
    }

    fn connections(
        &self,
        (namespace, name): &Probe,
        (workload, arm): &Lanes,
        outcome: Outcome,
    ) -> prometheus::IntCounter {
        let labels = [namespace, name, workload, arm.as_str(), outcome.as_str()];
        self.connections.with_label_values(&labels)
    }
}

fn probe_of(run: &ConnectionProbeRun) -> Option<Probe> {
    let probe = observe::probe_of(run)?;
    Some((probe.namespace?, probe.name))
}

/// The lifetimes of connections that were cut, in milliseconds: of those that are told one by one, and
/// of the others the median of their likes.
fn cut_lifetimes(report: &ArmReport) -> impl Iterator<Item = i64> {
    let cut = report.endings.iter().filter(|ending| ending.outcome == Outcome::Disconnected);
    cut.flat_map(|ending| {
        let told = ending.lanes.iter().filter_map(|lane| lane.lifetime);
        let told = told.map(|lifetime| lifetime.max_ms.unwrap_or(lifetime.min_ms));
        let others =
            usize::try_from(ending.n).unwrap_or_default().saturating_sub(told.clone().count());
        let median = ending.lifetime.map(|lifetime| lifetime.median_ms);
        told.chain(median.into_iter().flat_map(move |ms| std::iter::repeat_n(ms, others)))
    })
}
