//! When each connection of a workload starts, so that the clocks can be told apart.
//!
//! Were all connections opened at the same moment, age, silence and wall clock would be the same
//! figure and no cause could be told from another. With five lanes spread over 421 s, a lifetime
//! that really varies from 40:49 to 46:41 looks like one wall-clock event in 4 % of simulated runs;
//! with three lanes over 211 s in 25 %.

use std::time::Duration;

/// The moments of one lane, counted from the start of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// When it connects.
    pub connect: Duration,
    /// How long it sends harmless requests before it follows the workload's pattern.
    pub lead_in: Duration,
    /// How long it follows the pattern.
    pub hold: Duration,
}

/// The longest time between two requests of a lead-in.
const LEAD_IN_INTERVAL: Duration = Duration::from_secs(60);
/// Starts of the first five lanes, in three-thousandths of the duration.
const CONNECT: [f64; 5] = [0.0, 61.0, 149.0, 307.0, 421.0];
/// Lead-ins of the first five lanes, likewise.
const LEAD_IN: [f64; 5] = [0.0, 307.0, 61.0, 149.0, 0.0];
/// The last start, and the end of the longest lead-in.
const LAST_CONNECT: f64 = 421.0;
const LAST_LEAD_IN_END: f64 = 456.0;

impl Schedule {
    /// The schedule of lane `lane` of a workload that holds each connection for `hold`.
    #[must_use]
    pub fn new(lane: usize, hold: Duration) -> Self {
        let (connect, lead_in) = match (CONNECT.get(lane), LEAD_IN.get(lane)) {
            (Some(connect), Some(lead_in)) => (*connect, *lead_in),
            _ => later(lane),
        };
        let scale = hold.as_secs_f64() / 3000.0;
        Self {
            connect: Duration::from_secs_f64(connect * scale),
            lead_in: Duration::from_secs_f64(lead_in * scale),
            hold,
        }
    }

    /// A lane that follows its pattern from the start.
    #[must_use]
    pub fn at_once(hold: Duration) -> Self {
        Self { connect: Duration::ZERO, lead_in: Duration::ZERO, hold }
    }

    /// When the lane's last proof is due.
    #[must_use]
    pub fn end(&self) -> Duration {
        self.connect + self.lead_in + self.hold
    }

    /// The longest time between two requests of the lead-in.
    #[must_use]
    pub fn lead_in_interval(&self) -> Duration {
        LEAD_IN_INTERVAL.min(self.hold / 50)
    }
}

/// When the last of many lanes that are held for `hold` each is due to end.
#[must_use]
pub(crate) fn longest(hold: Duration) -> Duration {
    hold + Duration::from_secs_f64(LAST_LEAD_IN_END * hold.as_secs_f64() / 3000.0)
}

/// Lanes from the sixth on: low-discrepancy sequences that fill the same span.
fn later(lane: usize) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "lanes are at most 10,000")]
    let k = lane as f64;
    let connect = LAST_CONNECT * (0.618 * k).fract();
    let lead_in = (307.0 * (0.414 * k).fract()).min(LAST_LEAD_IN_END - connect);
    (connect, lead_in)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_plan_of_50_minutes_has_five_lanes_that_end_by_57_36() {
        let hold = Duration::from_secs(3000);
        let lanes: Vec<_> = (0..5)
            .map(|k| Schedule::new(k, hold))
            .map(|s| (s.connect.as_secs(), s.lead_in.as_secs()))
            .collect();
        assert_eq!(lanes, [(0, 0), (61, 307), (149, 61), (307, 149), (421, 0)]);
        let last = (0..10_000).map(|lane| Schedule::new(lane, hold).end()).max();
        assert_eq!(last.map(|end| end.as_secs()), Some(57 * 60 + 36));
    }

    #[test]
    fn a_run_of_a_minute_is_the_same_scaled() {
        let lane = Schedule::new(1, Duration::from_secs(60));
        assert_eq!(lane.connect, Duration::from_millis(1220));
        assert_eq!(lane.lead_in, Duration::from_millis(6140));
        assert_eq!(lane.lead_in_interval(), Duration::from_millis(1200));
    }

    proptest! {
        #[test]
        fn no_lane_starts_its_pattern_later_than_the_span(lane in 0_usize..10_000, secs in 1_u64..86_400) {
            let hold = Duration::from_secs(secs);
            let lane = Schedule::new(lane, hold);
            let span = hold.mul_f64(LAST_LEAD_IN_END / 3000.0) + Duration::from_micros(1);
            prop_assert!(lane.connect + lane.lead_in <= span);
        }
    }
}
