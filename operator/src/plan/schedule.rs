//! When a scheduled run is due: with CronJob's meanings, but for the two nights in which clocks change
//! (a run in the gap comes at its end, and one in the repeated hour comes once).

use api::{scheduling::Scheduling, text};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

/// The times at which runs are due.
pub(super) struct Schedule {
    cron: Cron,
    zone: TimeZone,
    deadline: Option<SignedDuration>,
}

/// What the schedule says at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Slots {
    /// The time of the run that is due and may still start.
    pub(super) due: Option<Timestamp>,
    /// The first time that was not answered yet: in the past if one is due.
    pub(super) next: Option<Timestamp>,
    /// Times that have passed without a run.
    pub(super) missed: usize,
    /// The latest of them.
    pub(super) latest_missed: Option<Timestamp>,
}

/// Times are counted up to so many: a probe that was suspended for a year is not worth more.
const COUNTED: usize = 1000;

impl Schedule {
    /// Reads the schedule, if there is one.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub(super) fn new(scheduling: &Scheduling) -> Result<Option<Self>, String> {
        let Some(pattern) = &scheduling.schedule else { return Ok(None) };
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|why| text::bad_schedule(&why.to_string()))?;
        let zone = scheduling.time_zone.as_deref().unwrap_or("Etc/UTC");
        let zone = TimeZone::get(zone).map_err(|_| text::bad_time_zone(zone))?;
        let deadline = scheduling.starting_deadline_seconds.map(SignedDuration::from_secs);
        Ok(Some(Self { cron, zone, deadline }))
    }

    /// What is due. `next` is the time that was awaited, as it was written down; `ran` the time of the
    /// newest scheduled run. A schedule that is new, or that no longer has the time that was awaited,
    /// begins with the next time to come: an edit starts nothing.
    pub(super) fn slots(
        &self,
        next: Option<Timestamp>,
        ran: Option<Timestamp>,
        now: Timestamp,
    ) -> Slots {
        let upcoming = self.after(now);
        let Some(awaited) = next.filter(|at| self.has(*at)) else {
            return Slots { next: upcoming, ..Slots::default() };
        };
        // A clock that was set back must not stop the schedule until it has caught up.
        let mut slots = Slots {
            next: Some(upcoming.map_or(awaited, |upcoming| awaited.min(upcoming))),
            ..Slots::default()
        };
        if let Some(ran) = ran.filter(|ran| (awaited..=now).contains(ran)) {
            slots.miss(self.times(awaited).take_while(|at| *at < ran));
            slots.next = self.after(ran);
        }
        let Some(from) = slots.next else { return slots };
        let Some(latest) = self.latest(now).filter(|latest| *latest >= from) else { return slots };
        if self.deadline.is_some_and(|deadline| now.duration_since(latest) > deadline) {
            slots.miss(self.times(from).take_while(|at| *at <= latest));
            slots.next = upcoming;
        } else {
            slots.due = Some(latest);
        }
        slots
    }

    fn zoned(&self, at: Timestamp) -> Zoned {
        at.to_zoned(self.zone.clone())
    }

    fn has(&self, at: Timestamp) -> bool {
        self.latest(at) == Some(at)
    }

    /// The first time after a moment, if there is one within the years that the library looks at.
    fn after(&self, at: Timestamp) -> Option<Timestamp> {
        self.cron.find_next_occurrence(&self.zoned(at), false).ok().map(|at| at.timestamp())
    }

    /// The last time until a moment, itself included.
    fn latest(&self, at: Timestamp) -> Option<Timestamp> {
        self.cron.find_previous_occurrence(&self.zoned(at), true).ok().map(|at| at.timestamp())
    }

    /// The times from one of them on.
    fn times(&self, from: Timestamp) -> impl Iterator<Item = Timestamp> {
        std::iter::successors(Some(from), |at| self.after(*at))
    }
}

impl Slots {
    fn miss(&mut self, times: impl Iterator<Item = Timestamp>) {
        for at in times.take(COUNTED) {
            self.missed += 1;
            self.latest_missed = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(pattern: &str, zone: &str, deadline: Option<i64>) -> Schedule {
        let scheduling = Scheduling {
            schedule: Some(pattern.to_owned()),
            time_zone: Some(zone.to_owned()),
            starting_deadline_seconds: deadline,
            concurrency_policy: None,
        };
        Schedule::new(&scheduling).unwrap().unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The next times after a moment, in UTC.
    fn times(schedule: &Schedule, after: &str, n: usize) -> Vec<String> {
        let first = schedule.after(at(after)).unwrap();
        schedule.times(first).take(n).map(|at| at.to_string()).collect()
    }

    #[test]
    fn a_daily_run_follows_the_clocks_of_its_zone() {
        let daily = schedule("0 3 * * *", "Europe/Prague", None);
        assert_eq!(
            times(&daily, "2026-03-28T00:00:00Z", 2),
            ["2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z"]
        );
    }

    #[test]
    fn a_run_in_the_gap_of_spring_comes_at_its_end_and_only_once() {
        // Prague, 2026-03-29: 02:00 CET is 03:00 CEST.
        let daily = schedule("30 2 * * *", "Europe/Prague", None);
        assert_eq!(
            times(&daily, "2026-03-28T12:00:00Z", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
        );
        assert!(daily.has(at("2026-03-29T01:00:00Z")), "what was awaited is recognised");
        let often = schedule("*/30 * * * *", "Europe/Prague", None);
        assert_eq!(
            times(&often, "2026-03-29T00:15:00Z", 3),
            ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"]
        );
    }

    #[test]
    fn a_run_in_the_repeated_hour_of_autumn_comes_once_and_an_interval_goes_on() {
        // Prague, 2026-10-25: 03:00 CEST is 02:00 CET.
        let daily = schedule("30 2 * * *", "Europe/Prague", None);
        assert_eq!(
            times(&daily, "2026-10-24T12:00:00Z", 2),
            ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
        );
        let often = schedule("*/30 * * * *", "Europe/Prague", None);
        assert_eq!(
            times(&often, "2026-10-25T00:15:00Z", 4),
            [
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:00:00Z"
            ]
        );
    }

    #[test]
    fn of_several_missed_runs_the_latest_is_due() {
        let hourly = schedule("0 * * * *", "Etc/UTC", None);
        let slots =
            hourly.slots(Some(at("2026-11-25T01:00:00Z")), None, at("2026-11-25T04:20:00Z"));
        assert_eq!(slots.due, Some(at("2026-11-25T04:00:00Z")));
        assert_eq!((slots.missed, slots.next), (0, Some(at("2026-11-25T01:00:00Z"))));
        // Once it has been started, those before it are missed.
        let slots = hourly.slots(slots.next, slots.due, at("2026-11-25T04:20:01Z"));
        assert_eq!((slots.due, slots.next), (None, Some(at("2026-11-25T05:00:00Z"))));
        assert_eq!((slots.missed, slots.latest_missed), (3, Some(at("2026-11-25T03:00:00Z"))));
    }

    #[test]
    fn what_is_later_than_the_deadline_is_missed() {
        let hourly = schedule("0 * * * *", "Etc/UTC", Some(600));
        let awaited = Some(at("2026-11-25T03:00:00Z"));
        let in_time = hourly.slots(awaited, None, at("2026-11-25T03:10:00Z"));
        assert_eq!(in_time.due, awaited);
        let late = hourly.slots(awaited, None, at("2026-11-25T03:10:01Z"));
        assert_eq!((late.due, late.missed), (None, 1));
        assert_eq!(late.next, Some(at("2026-11-25T04:00:00Z")));
    }

    #[test]
    fn an_edited_schedule_starts_nothing_and_an_unrelated_edit_loses_nothing() {
        let daily = schedule("0 3 * * *", "Etc/UTC", None);
        let now = at("2026-11-25T03:30:00Z");
        assert_eq!(daily.slots(None, None, now).due, None, "it is new");
        let other = Some(at("2026-11-25T02:00:00Z"));
        let slots = daily.slots(other, None, now);
        assert_eq!((slots.due, slots.next), (None, Some(at("2026-11-26T03:00:00Z"))));
        let awaited = Some(at("2026-11-25T03:00:00Z"));
        assert_eq!(daily.slots(awaited, None, now).due, awaited);
    }

    #[test]
    fn a_clock_that_was_wrong_stops_nothing() {
        let hourly = schedule("0 * * * *", "Etc/UTC", None);
        // It was in 2036 for a while, and a run was started then.
        let (awaited, ran) = (at("2036-01-01T05:00:00Z"), at("2036-01-01T04:00:00Z"));
        let slots = hourly.slots(Some(awaited), Some(ran), at("2026-11-25T03:30:00Z"));
        assert_eq!((slots.due, slots.next), (None, Some(at("2026-11-25T04:00:00Z"))));
    }

    #[test]
    fn what_can_not_be_read_says_what_to_write() {
        let refused = |schedule: &str, zone: &str| {
            let scheduling = Scheduling {
                schedule: Some(schedule.to_owned()),
                time_zone: Some(zone.to_owned()),
                ..Scheduling::default()
            };
            Schedule::new(&scheduling).err().unwrap()
        };
        let cases = [
            ("61 3 * * *", "Etc/UTC"),
            ("0 0 3 * * *", "Etc/UTC"),
            ("@every 1h", "Etc/UTC"),
            ("soon", "Etc/UTC"),
            ("0 3 * * *", "Europe/Atlantis"),
        ];
        let refusals = cases.map(|(schedule, zone)| refused(schedule, zone));
        insta::assert_snapshot!(refusals.join("\n"));
        for word in ["@daily", "@hourly", "@weekly", "0 3 * * MON-FRI", "*/15 1,13 1-7 JAN ?"] {
            let _ = schedule(word, "Etc/UTC", None);
        }
    }
}
