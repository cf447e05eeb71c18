//! CloudWatch's values by the time that they are of.

use super::metrics::{Metric, Metrics};
use jiff::Timestamp;

/// The largest value that is believed.
const MAX_VALUE: i64 = 1_000_000_000_000;

/// A value, and from when to when it is of: milliseconds of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    /// Its beginning.
    pub from: i64,
    /// Its end, which belongs to the next one.
    pub to: i64,
    /// Absent where CloudWatch had none, which is not zero.
    pub value: Option<i64>,
}

impl Point {
    /// Whether anything between these two moments lies in it.
    #[must_use]
    pub fn meets(&self, first: i64, last: i64) -> bool {
        self.from <= last && first < self.to
    }
}

impl Metrics {
    /// Minutes to a point: from 1 on, whatever was told.
    #[must_use]
    pub fn minutes(&self) -> i64 {
        (self.period_seconds / 60).clamp(1, 1440)
    }

    /// The points of a metric, those without a value among them; none where CloudWatch had nothing of it.
    /// None is negative, or larger than any count or microseconds of a day.
    #[must_use]
    pub fn points(&self, metric: Metric) -> Vec<Point> {
        let (start, length) = (self.start.as_millisecond(), self.minutes() * 60_000);
        let values = self.values(metric).unwrap_or_default();
        let sane = |value: &i64| (0..=MAX_VALUE).contains(value);
        let point = |(from, value): (i64, Option<i64>)| Point {
            from,
            to: from + length,
            value: value.filter(sane),
        };
        (0..).map(|i: i64| start + i * length).zip(values).map(point).collect()
    }

    /// The value of the point that holds a moment.
    #[must_use]
    pub fn at(&self, metric: Metric, moment: Timestamp) -> Option<i64> {
        let ms = moment.as_millisecond();
        self.points(metric).into_iter().find(|point| point.meets(ms, ms))?.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_the_value_of_its_minute_and_none_where_there_is_none() {
        let minutes = [(Metric::ClientConnections, vec![Some(5), None, Some(7)])];
        let metrics = Metrics::of_minutes(Timestamp::UNIX_EPOCH, None, &minutes, 60);
        let at =
            |second| metrics.at(Metric::ClientConnections, Timestamp::from_second(second).unwrap());
        let moments = [-1, 0, 59, 60, 120, 179, 180];
        assert_eq!(moments.map(at), [None, Some(5), Some(5), None, Some(7), Some(7), None]);
        assert_eq!(metrics.at(Metric::QueryRequests, Timestamp::UNIX_EPOCH), None);
    }
}
