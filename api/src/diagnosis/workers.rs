//! What became of real workers (they leave by themselves; a silent task's connection is cut, and a worker's
//! own is not). A server's view is not enough to be sure of a cut: a process that was killed looks the same.

use super::{Cause, Clock, Confidence, Finding, Timer, experiment, span::Span, words};
use crate::{
    lifetime::Spread,
    observed::{Fate, Observed, Role},
    report::Arm,
    run::{ConnectionProbeRunStatus, MeasurementRecord},
    text,
};

/// So many that agree are no chance.
const ENOUGH: i32 = 3;
/// Silences of one timer differ by a pooler's or proxy's sweep, and by two looks: in milliseconds, and as a share.
const SPREAD_MS: i64 = 5_000;

/// What is found of sessions that were watched.
pub(super) fn findings(
    probe: &str,
    record: &MeasurementRecord,
    status: &ConnectionProbeRunStatus,
) -> Vec<Finding> {
    let reports = status.reports();
    let watched = reports.filter_map(|it| Some((it.workload.as_str(), it.observed.as_deref()?)));
    watched
        .flat_map(|(workload, observed)| {
            let of = Watched { workload, observed, status };
            let found = [of.task_cut(), of.worker_left(), of.worker_cut()];
            found.into_iter().flatten().map(|mut finding| {
                let timer = finding.timer.as_ref();
                let value = timer.map(|it| Span { low: it.at_least_ms, high: it.at_most_ms });
                finding.experiment = Some(experiment::next(probe, record, finding.cause, value));
                finding
            })
        })
        .collect()
}

struct Watched<'a> {
    workload: &'a str,
    observed: &'a Observed,
    status: &'a ConnectionProbeRunStatus,
}

impl Watched<'_> {
    /// Sessions of tasks went while they were silent.
    fn task_cut(&self) -> Option<Finding> {
        let cut = self.observed.fates(Role::Task, Fate::CutIdle)?;
        let alike =
            cut.silence.max_ms - cut.silence.min_ms <= SPREAD_MS.max(cut.silence.min_ms / 10);
        let workers = self.workers();
        let spared = workers > 0 && self.observed.fates(Role::Main, Fate::CutIdle).is_none();
        let confidence = match alike {
            true if cut.lived.n >= ENOUGH && spared => Confidence::Strong,
            true if cut.lived.n > 1 => Confidence::Likely,
            _ => Confidence::Open,
        };
        let timer = (alike && cut.lived.n > 1).then(|| Timer {
            clock: Clock::Request,
            // It was silent for no longer than this when it was missed, and one look less when it was last seen.
            at_least_ms: (cut.silence.min_ms - self.observed.cost.longest_gap_ms).max(0),
            at_most_ms: cut.silence.max_ms,
            near: Vec::new(),
        });
        let (n, of) = (cut.lived.n, self.ended(Role::Task));
        let observed = words::task_cut(n, of, &cut.silence);
        let mut finding = self.finding(Cause::IdleTaskCut, confidence, (n, of), observed);
        finding.timer = timer;
        finding.evidence.extend(match self.observed.fates(Role::Main, Fate::CutIdle) {
            None => (workers > 0).then(|| words::workers_spared(workers)),
            Some(count) => Some(words::workers_too(count.lived.n)),
        });
        finding.not_excluded.extend([words::killed(), words::of_the_api()].map(str::to_owned));
        Some(finding)
    }

    /// Workers went in order, or because their row had gone.
    fn worker_left(&self) -> Option<Finding> {
        let left = self.observed.count(Role::Main, Fate::Left);
        let deleted = self.observed.count(Role::Main, Fate::RowDeleted);
        let n = left + deleted;
        let is_clear = n >= ENOUGH && deleted == 0;
        let confidence = if is_clear { Confidence::Strong } else { Confidence::Likely };
        let observed = words::workers_left(left, deleted);
        let of = self.ended(Role::Main);
        let mut finding = self.finding(Cause::WorkerLeft, confidence, (n, of), observed);
        let held = self.status.arms(Arm::Target);
        let (cut, all) = held.fold((0, 0), |(cut, all), (_, arm)| {
            (cut + arm.counts.disconnected, all + arm.connections)
        });
        finding.evidence.extend((all > 0).then(|| words::held_beside(cut, all)));
        finding.not_excluded.extend((deleted > 0).then(|| words::heartbeats_lost().to_owned()));
        (n > 0).then_some(finding)
    }

    /// Workers' own sessions went and their rows stayed.
    fn worker_cut(&self) -> Option<Finding> {
        let counts = [Fate::CutIdle, Fate::CutActive];
        let counts: Vec<_> =
            counts.into_iter().filter_map(|fate| self.observed.fates(Role::Main, fate)).collect();
        let n = counts.iter().map(|count| count.lived.n).sum();
        let lived = counts.iter().map(|count| count.lived.min_ms).min()?;
        let observed = words::workers_cut(n, self.ended(Role::Main), lived);
        let of = self.ended(Role::Main);
        let mut finding = self.finding(Cause::WorkerCut, Confidence::Open, (n, of), observed);
        finding.not_excluded.push(words::killed().to_owned());
        Some(finding)
    }

    fn ended(&self, role: Role) -> i32 {
        let of_role = self.observed.fates.iter().filter(|count| count.role == role);
        of_role.map(|count| count.lived.n).sum()
    }

    /// Workers' own sessions of which it is known whether they were cut.
    fn workers(&self) -> i32 {
        let parts = self.observed.parts();
        parts.iter().find(|part| part.role == Role::Main).map_or(0, |part| part.conclusive)
    }

    fn finding(
        &self,
        cause: Cause,
        confidence: Confidence,
        (n, of): (i32, i32),
        observed: String,
    ) -> Finding {
        Finding {
            cause,
            confidence,
            arm: self.observed.arm,
            workloads: vec![self.workload.to_owned()],
            n,
            of,
            timer: None,
            observed,
            meaning: words::meaning(cause).to_owned(),
            next_step: words::next_step(cause).to_owned(),
            evidence: Vec::new(),
            not_excluded: Vec::new(),
            experiment: None,
            page: cause.page(),
        }
    }
}

/// Sessions of tasks that went while they were silent.
pub(super) fn silences(silence: &Spread) -> String {
    let [least, most] = [silence.min_ms, silence.max_ms].map(text::precisely);
    if least == most { least } else { format!("{least} to {most}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observed::FateCount,
        report::{ArmReport, Counts, Report},
        run::WorkloadResult,
    };

    fn count(role: Role, fate: Fate, silences: &[i64]) -> FateCount {
        let lived = silences.iter().map(|ms| ms + 1000).collect();
        let spread = |values| Spread::of(values).unwrap();
        FateCount { role, fate, lived: spread(lived), silence: spread(silences.to_vec()) }
    }

    fn found(fates: Vec<FateCount>, held: Option<Counts>) -> Vec<Finding> {
        let observed = Observed { fates, ..Observed::default() };
        let arms = held.map(|counts| ArmReport { connections: 5, counts, ..ArmReport::default() });
        let reports = [
            Report { observed: Some(Box::new(observed)), ..Report::default() },
            Report { arms: arms.into_iter().collect(), ..Report::default() },
        ];
        let workload = |report| WorkloadResult {
            report: Some(report),
            ..WorkloadResult::new("workers".to_owned())
        };
        let status = ConnectionProbeRunStatus {
            workloads: reports.into_iter().map(workload).collect(),
            ..ConnectionProbeRunStatus::default()
        };
        findings("pulp", &MeasurementRecord::default(), &status)
    }

    #[test]
    fn silent_tasks_that_go_at_the_same_silence_while_workers_live_are_a_timers() {
        let silences = [1_800_200, 1_800_900, 1_801_100];
        let cut = count(Role::Task, Fate::CutIdle, &silences);
        let alone = found(vec![cut], None).remove(0);
        assert_eq!(alone.confidence, Confidence::Likely, "no worker was seen to live on");
        assert!(alone.evidence.is_empty(), "{:?}", alone.evidence);
        let all = found(vec![cut, count(Role::Main, Fate::ServerRestarted, &[2_000])], None);
        let [finding] = &all[..] else { panic!("{all:?}") };
        assert_eq!((finding.cause, finding.confidence), (Cause::IdleTaskCut, Confidence::Strong));
        assert!(finding.observed.contains("30:00.200 to 30:01.100"), "{}", finding.observed);
        assert!(
            finding.not_excluded[0].contains("watch-workers"),
            "a killed process looks the same"
        );
    }

    #[test]
    fn few_or_differing_silences_are_no_timer() {
        let one = found(vec![count(Role::Task, Fate::CutIdle, &[9_000])], None).remove(0);
        assert_eq!((one.confidence, one.timer), (Confidence::Open, None));
        let apart = count(Role::Task, Fate::CutIdle, &[9_000, 90_000, 300_000]);
        let apart = found(vec![apart], None).remove(0);
        assert_eq!((apart.confidence, apart.timer), (Confidence::Open, None));
        let workers_too = vec![
            count(Role::Task, Fate::CutIdle, &[9_000, 9_100, 9_200]),
            count(Role::Main, Fate::CutIdle, &[2_000]),
        ];
        let all = found(workers_too, None);
        assert_eq!(all[0].confidence, Confidence::Likely, "then it is not their silence alone");
        assert_eq!(all[1].cause, Cause::WorkerCut);
    }

    #[test]
    fn workers_that_leave_in_order_clear_the_path_and_a_deleted_row_does_not() {
        let survived = Counts { survived: 5, ..Counts::default() };
        let left = count(Role::Main, Fate::Left, &[1_000, 2_000, 3_000]);
        let all = found(vec![left], Some(survived));
        let [finding] = &all[..] else { panic!("{all:?}") };
        assert_eq!((finding.cause, finding.n), (Cause::WorkerLeft, 3));
        assert_eq!(finding.confidence, Confidence::Strong);
        assert_eq!(finding.observed, "3 workers left in order.");
        assert!(finding.evidence[0].contains("0 of 5"), "{:?}", finding.evidence);
        assert!(finding.not_excluded.is_empty(), "{:?}", finding.not_excluded);

        let deleted = count(Role::Main, Fate::RowDeleted, &[3_000, 9_000]);
        let finding = found(vec![left, deleted], Some(survived)).remove(0);
        assert_eq!((finding.n, finding.confidence), (5, Confidence::Likely));
        assert!(finding.observed.contains("2 workers went whose"), "{}", finding.observed);
        let not_excluded = &finding.not_excluded[0];
        assert!(not_excluded.contains("heartbeats no longer came"), "{not_excluded}");
        assert!(found(Vec::new(), None).is_empty());
    }
}
