//! What a ladder of silences shows of an idle timer.

use super::mmss;
use crate::report::Rung;

/// Between which silences the timer lies, on one line. Nothing if no rung has an end.
#[must_use]
pub fn ladder(rungs: &[Rung]) -> Option<String> {
    let cut = rungs.iter().position(|rung| rung.cut > 0);
    let survived = rungs.iter().rposition(|rung| rung.survived > 0);
    Some(match (survived, cut) {
        (None, None) => return None,
        (Some(s), None) => {
            let longest = &rungs[s];
            format!("no silence up to {} was cut ({})", time(longest), of(longest))
        }
        (None, Some(c)) => {
            let shortest = &rungs[c];
            format!("cut after a silence of {} at most ({})", time(shortest), of(shortest))
        }
        (Some(s), Some(c)) if s < c => {
            let (longest, shortest) = (&rungs[s], &rungs[c]);
            format!(
                "cut after a silence of {} to {} ({}; {})",
                time(longest),
                time(shortest),
                of(shortest),
                of(longest)
            )
        }
        (Some(s), Some(c)) if s == c => {
            let disputed = &rungs[c];
            format!(
                "cut after a silence of about {}, where its connections disagree ({})",
                time(disputed),
                of(disputed)
            )
        }
        (Some(s), Some(c)) => {
            let disputed: Vec<String> = rungs[c..=s].iter().map(of).collect();
            format!("silence alone does not explain what was cut ({})", disputed.join("; "))
        }
    })
}

/// Rungs that were as long as the duration, or longer.
#[must_use]
pub fn left_out(rungs_ms: &[u64]) -> Option<String> {
    let times: Vec<String> =
        rungs_ms.iter().map(|ms| mmss(i64::try_from(*ms).unwrap_or(i64::MAX))).collect();
    (!times.is_empty())
        .then(|| format!("the duration is too short for a silence of {}", times.join(", ")))
}

fn time(rung: &Rung) -> String {
    mmss(rung.silence_ms)
}

/// `1 of 2 at 14:00`.
fn of(rung: &Rung) -> String {
    format!("{} of {} at {}", rung.cut, rung.cut + rung.survived, time(rung))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes of silence, cut, survived.
    type Seen = (i64, i32, i32);

    #[test]
    fn the_threshold_lies_between_two_rungs_or_is_disputed() {
        let table: [(&[Seen], Option<&str>); 9] = [
            (&[], None),
            (&[(9, 0, 0), (11, 0, 0)], None),
            (&[(9, 0, 2), (11, 0, 2)], Some("no silence up to 11:00 was cut (0 of 2 at 11:00)")),
            (
                &[(9, 2, 0), (11, 2, 0)],
                Some("cut after a silence of 9:00 at most (2 of 2 at 9:00)"),
            ),
            (
                &[(11, 0, 2), (14, 0, 2), (16, 2, 0), (29, 2, 0)],
                Some("cut after a silence of 14:00 to 16:00 (2 of 2 at 16:00; 0 of 2 at 14:00)"),
            ),
            // Of one in between nothing is known.
            (
                &[(11, 0, 2), (14, 0, 0), (16, 1, 0)],
                Some("cut after a silence of 11:00 to 16:00 (1 of 1 at 16:00; 0 of 2 at 11:00)"),
            ),
            (
                &[(11, 0, 2), (14, 1, 1), (16, 2, 0)],
                Some(
                    "cut after a silence of about 14:00, where its connections disagree (1 of 2 at \
                     14:00)",
                ),
            ),
            (
                &[(9, 0, 2), (11, 2, 0), (14, 0, 2), (16, 2, 0)],
                Some(
                    "silence alone does not explain what was cut (2 of 2 at 11:00; 0 of 2 at 14:00)",
                ),
            ),
            (
                &[(9, 1, 1), (11, 1, 1), (14, 2, 0)],
                Some(
                    "silence alone does not explain what was cut (1 of 2 at 9:00; 1 of 2 at 11:00)",
                ),
            ),
        ];
        for (rungs, sentence) in table {
            let rung = |&(minutes, cut, survived): &Seen| Rung {
                silence_ms: minutes * 60_000,
                cut,
                survived,
            };
            let rungs: Vec<Rung> = rungs.iter().map(rung).collect();
            assert_eq!(ladder(&rungs).as_deref(), sentence);
        }
        assert_eq!(left_out(&[]), None);
        assert_eq!(
            left_out(&[2_520_000, 2_760_000]).unwrap(),
            "the duration is too short for a silence of 42:00, 46:00"
        );
    }
}
