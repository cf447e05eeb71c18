//! Time from left to right.

use crate::text;
use jiff::Timestamp;
use maud::{Markup, html};

/// Width of every figure: what a phone shows without shrinking it.
pub(super) const WIDTH: f64 = 360.0;
/// Room for the number of a connection: of a process, up to seven digits.
const LEFT: f64 = 42.0;
/// Room for what became of it.
const RIGHT: f64 = 112.0;
/// Seconds between two marks.
const STEPS: [i64; 18] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];
/// Marks that have room for their times.
const MARKS: i64 = 4;

/// Time from left to right, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    from: i64,
    to: i64,
    /// Whether it says the time of day, not an age.
    of_day: bool,
}

impl Axis {
    /// The time of day.
    pub(super) fn of_day(from: i64, to: i64) -> Self {
        Self { from, to: to.max(from + 1000), of_day: true }
    }

    /// Ages.
    pub(super) fn of_age(to: i64) -> Self {
        Self { from: 0, to: to.max(1000), of_day: false }
    }

    /// Where a moment is.
    #[expect(clippy::cast_precision_loss, reason = "tenths of a pixel")]
    pub(super) fn x(&self, ms: i64) -> f64 {
        let share = (ms - self.from) as f64 / (self.to - self.from) as f64;
        let x = LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT);
        (x * 10.0).round() / 10.0
    }

    /// Where the number of a connection ends.
    pub(super) fn label() -> f64 {
        LEFT - 6.0
    }

    /// Whether a moment is beyond its end.
    pub(super) fn is_beyond(&self, ms: i64) -> bool {
        ms > self.to
    }

    /// Where the room begins for what became of a connection.
    pub(super) fn end() -> f64 {
        WIDTH - RIGHT + 10.0
    }

    /// The line below a figure of this height, with its times.
    pub(super) fn draw(&self, height: f64) -> Markup {
        let times = self.marks();
        html! {
            @for ms in &times {
                line.grid x1=(self.x(*ms)) x2=(self.x(*ms)) y1="4" y2=(height) {}
                text.time x=(self.x(*ms)) y=(height + 14.0) { (self.time(*ms)) }
            }
            line.axis x1=(self.x(self.from)) x2=(self.x(self.to)) y1=(height) y2=(height) {}
        }
    }

    fn step(&self) -> i64 {
        let seconds = (self.to - self.from) / 1000;
        STEPS.into_iter().find(|step| seconds / step <= MARKS).unwrap_or(86_400) * 1000
    }

    fn marks(&self) -> Vec<i64> {
        let step = self.step();
        let first = self.from.div_euclid(step) * step;
        let marks = (0..).map(|i| first + i * step).skip_while(|ms| *ms < self.from);
        marks.take_while(|ms| *ms <= self.to).collect()
    }

    fn time(&self, ms: i64) -> String {
        match self.of_day {
            false => text::mmss(ms),
            true if self.step() < 60_000 => time_of_day(ms),
            true => time_of_day(ms)[..5].to_owned(),
        }
    }
}

/// A moment of the day in UTC.
pub(super) fn time_of_day(ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or_default();
    at.strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        let times =
            |axis: Axis| axis.marks().into_iter().map(|ms| axis.time(ms)).collect::<Vec<_>>();
        assert_eq!(times(Axis::of_age(50_000)), ["0:00", "0:15", "0:30", "0:45"]);
        assert_eq!(times(Axis::of_age(3_456_000)), ["0:00", "15:00", "30:00", "45:00"]);
        let eleven = 11 * 3_600_000 + 7 * 60_000;
        assert_eq!(
            times(Axis::of_day(eleven, eleven + 3_456_000)),
            ["11:15", "11:30", "11:45", "12:00"]
        );
        assert_eq!(Axis::of_age(1000).x(0), LEFT);
        assert_eq!(Axis::of_age(1000).x(5000), WIDTH - RIGHT);
    }
}
