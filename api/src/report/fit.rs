//! Makes a report fit a termination message, whatever happened.
//!
//! Counts and spreads are exact for any number of connections. What gives way, in this order:
//! rungs of a ladder that say what their neighbours say, what the kernel knew (of all but the first of
//! each ending), errors of connecting anew, single connections (survivors first; the earliest of
//! each ending stay longest), texts, rare endings, which are merged into one that keeps their count, the ladder, and
//! what else is told beside the ends.

use super::{ArmReport, Ending, Outcome, Report, Rung};
use crate::lifetime::Spread;

/// The kubelet keeps so many bytes of a termination message.
pub const LIMIT: usize = 4096;
/// Different endings that an arm keeps apart.
pub const MAX_ENDINGS: usize = 12;
/// Single connections that an ending lists at most.
const MAX_LANES: usize = 32;

impl Report {
    /// The report as JSON, in at most [`LIMIT`] bytes.
    #[must_use]
    pub fn to_message(&self) -> String {
        let mut report = self.clone();
        report.fit();
        report.json()
    }

    /// Keeps within the bounds of the schema, however large.
    pub fn bound(&mut self) {
        self.arms.iter_mut().for_each(|arm| arm.merge_rare_endings(MAX_ENDINGS));
        self.list_lanes(MAX_LANES, |_| true);
    }

    /// Leaves out what does not fit.
    pub fn fit(&mut self) {
        self.bound();
        if self.too_large() {
            self.arms.iter_mut().for_each(ArmReport::thin_ladder);
        }
        if self.too_large() {
            let endings = self.arms.iter_mut().flat_map(|arm| &mut arm.endings);
            let others = endings.flat_map(|ending| ending.lanes.iter_mut().skip(1));
            others.for_each(|lane| lane.tcp_info = None);
        }
        if self.too_large() {
            self.shorten_errors(40);
        }
        let endings = self.arms.iter().flat_map(|arm| &arm.endings);
        let longest = endings.map(|ending| ending.lanes.len()).max();
        let longest = longest.unwrap_or_default();
        for lanes in (0..longest).rev() {
            if self.too_large() {
                self.list_lanes(lanes, |ending| ending.outcome == Outcome::Survived);
            }
        }
        for lanes in (0..longest).rev() {
            if self.too_large() {
                self.list_lanes(lanes, |_| true);
            }
        }
        for length in [120, 60, 20, 0] {
            if self.too_large() {
                self.shorten_texts(length);
            }
        }
        for endings in (1..MAX_ENDINGS).rev() {
            if self.too_large() {
                self.arms.iter_mut().for_each(|arm| arm.merge_rare_endings(endings));
            }
        }
        if self.too_large() {
            self.arms.iter_mut().for_each(|arm| arm.ladder.clear());
        }
        if self.too_large() {
            self.arms.iter_mut().for_each(ArmReport::forget_what_is_beside);
        }
    }

    fn too_large(&self) -> bool {
        self.json().len() > LIMIT
    }

    fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Lists at most so many single connections of each such ending.
    fn list_lanes(&mut self, most: usize, of: impl Fn(&Ending) -> bool) {
        let endings = self.arms.iter_mut().flat_map(|arm| &mut arm.endings);
        endings.filter(|ending| of(ending)).for_each(|ending| ending.lanes.truncate(most));
    }

    fn shorten_errors(&mut self, length: usize) {
        let reconnects = self.arms.iter_mut().filter_map(|arm| arm.reconnect.as_mut());
        let errors = reconnects.filter_map(|reconnect| reconnect.last_error.as_mut());
        errors.for_each(|error| shorten(error, length));
    }

    fn shorten_texts(&mut self, length: usize) {
        self.shorten_errors(length);
        for ending in self.arms.iter_mut().flat_map(|arm| &mut arm.endings) {
            if let Some(detail) = &mut ending.detail {
                shorten(detail, length);
            }
            for message in ending.form.iter_mut().flat_map(|form| &mut form.messages) {
                shorten(&mut message.text, length);
                if let Some(routine) = &mut message.routine {
                    shorten(routine, length);
                }
            }
        }
    }
}

impl ArmReport {
    /// Leaves out rungs that ended as both of their neighbours did.
    fn thin_ladder(&mut self) {
        let ladder = std::mem::take(&mut self.ladder);
        let ended = |rung: &Rung| (rung.cut > 0, rung.survived > 0);
        let alike = |i: usize| {
            i > 0
                && i + 1 < ladder.len()
                && ladder[i - 1..=i + 1].windows(2).all(|two| ended(&two[0]) == ended(&two[1]))
        };
        self.ladder = (0..ladder.len()).filter(|i| !alike(*i)).map(|i| ladder[i]).collect();
    }

    /// Keeps what ended, how often and when.
    fn forget_what_is_beside(&mut self) {
        (self.server, self.tcp, self.cost) = (None, None, None);
        (self.reconnect, self.notifications) = (None, None);
        let forms = self.endings.iter_mut().filter_map(|ending| ending.form.as_mut());
        forms.for_each(|form| form.messages.truncate(1));
    }

    /// Keeps the `most` endings with the largest counts and merges the others into one of the
    /// same outcome. The last ending of an outcome always stays.
    fn merge_rare_endings(&mut self, most: usize) {
        while self.endings.len() > most {
            let shares = |i: &usize| {
                let outcome = self.endings[*i].outcome;
                self.endings.iter().filter(|ending| ending.outcome == outcome).count() > 1
            };
            let rarest = (0..self.endings.len())
                .filter(shares)
                .min_by_key(|i| (self.endings[*i].n, usize::MAX - i));
            let Some(rarest) = rarest else { return };
            let rare = self.endings.remove(rarest);
            let alike = self.endings.iter_mut().filter(|ending| ending.outcome == rare.outcome);
            if let Some(ending) = alike.min_by_key(|ending| (ending.form.is_some(), ending.n)) {
                ending.absorb(&rare);
            }
        }
    }
}

impl Ending {
    /// Takes over the count of another ending; what they do not share is forgotten.
    fn absorb(&mut self, other: &Self) {
        self.n += other.n;
        if self.form != other.form {
            self.form = None;
        }
        if self.detail != other.detail {
            self.detail = Some("various".to_owned());
        }
        self.reason = self.reason.filter(|reason| Some(*reason) == other.reason);
        self.lifetime = match (self.lifetime, other.lifetime) {
            (Some(a), Some(b)) => Some(Spread {
                n: a.n + b.n,
                min_ms: a.min_ms.min(b.min_ms),
                // Of the larger group: the exact median went with the values.
                median_ms: if a.n >= b.n { a.median_ms } else { b.median_ms },
                max_ms: a.max_ms.max(b.max_ms),
            }),
            (a, b) => a.or(b),
        };
        self.lanes.clear();
    }
}

/// Cuts a text to at most `length` characters, at a character boundary.
pub fn shorten(text: &mut String, length: usize) {
    if let Some((at, _)) = text.char_indices().nth(length) {
        text.truncate(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        close_form::{CloseForm, MessageKind, ServerMessage, TcpEnd, TlsEnd},
        lifetime::Lifetime,
        report::{
            Arm, Clocks, Cost, Counts, LaneEnd, Lapses, Notifications, Phase, Problem,
            ProblemReason, Reconnect, Server, TcpInfo, TcpTimers,
        },
    };
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn lane(lane: i32) -> LaneEnd {
        let big = i64::from(i32::MAX);
        LaneEnd {
            lane,
            phase: Phase::LeadIn,
            at: Timestamp::constant(1_800_000_000, 123_000_000),
            lifetime: Some(Lifetime { min_ms: big, max_ms: Some(big) }),
            clocks: Some(Clocks {
                connect_ms: big,
                client_byte_ms: Some(big),
                server_byte_ms: Some(big),
                request_ms: Some(big),
                begin_ms: Some(big),
                set_ms: Some(big),
                listen_ms: Some(big),
            }),
            requests: Some(i32::MAX),
            tcp_info: Some(TcpInfo {
                retransmits: 255,
                probes: 255,
                backoff: 255,
                unacked: i32::MAX,
                last_ack_recv_ms: big,
                last_data_recv_ms: big,
                rtt_us: big,
            }),
            local_port: Some(65535),
            peer: Some("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".into()),
        }
    }

    prop_compose! {
        fn ending()(
            text in "\\PC{0,200}",
            routine in proptest::option::of("\\PC{0,64}"),
            messages in 0_usize..=4,
            lanes in 0_i32..40,
            failed in any::<bool>(),
            detail in proptest::option::of("\\PC{0,200}"),
        ) -> Ending {
            let message = ServerMessage {
                kind: MessageKind::Error,
                severity: "FATAL".into(),
                code: "57P01".into(),
                text,
                routine,
            };
            let form = CloseForm::new(
                vec![message; messages],
                Some(TlsEnd::Alert("certificate_unknown".into())),
                TcpEnd::Errno(-999),
                true,
            );
            Ending {
                outcome: if failed { Outcome::ConnectFailed } else { Outcome::Disconnected },
                reason: None,
                form: Some(form),
                detail,
                n: lanes.max(1),
                lifetime: Spread::of(vec![i64::from(lanes); 3]),
                lanes: (0..lanes).map(lane).collect(),
            }
        }
    }

    fn report(endings: &[Ending]) -> Report {
        let mut counts = Counts::default();
        endings.iter().for_each(|e| counts.count(e.outcome, e.n));
        Report {
            workload: "w".repeat(40),
            started_at: Timestamp::constant(1_800_000_000, 123_000_000),
            ended_at: Some(Timestamp::constant(1_800_000_000, 123_000_000)),
            arms: [Arm::Target, Arm::Control]
                .map(|arm| ArmReport {
                    arm,
                    connections: counts.ended(),
                    counts,
                    cut_lifetime: Spread::of(vec![i64::MAX; 2]),
                    endings: endings.to_vec(),
                    server: Some(Server {
                        version: Some("\u{1}".repeat(64)),
                        tls: Some("TLSv1.3, VerifyFull".into()),
                        auth: Some("ScramSha256Plus".into()),
                    }),
                    tcp: Some(TcpTimers {
                        keepalive_idle_seconds: i32::MAX,
                        keepalive_interval_seconds: i32::MAX,
                        keepalive_count: 127,
                        user_timeout_ms: Some(i64::from(u32::MAX)),
                    }),
                    cost: Some(Cost {
                        requests: i64::MAX,
                        bytes_sent: i64::MAX,
                        bytes_received: i64::MAX,
                    }),
                    reconnect: Some(Reconnect {
                        outages: i32::MAX,
                        attempts: i32::MAX,
                        longest_outage_ms: Some(i64::MAX),
                        unended_after_ms: Some(i64::MAX),
                        last_error: Some("\u{1}".repeat(200)),
                        server_started_at: Some(Timestamp::constant(1_800_000_000, 123_000_000)),
                        in_recovery: Some(false),
                        server_address: Some("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".into()),
                    }),
                    notifications: Some(Notifications {
                        sent: i32::MAX,
                        send_failed: i32::MAX,
                        heard_by_sender: i32::MAX,
                        expected: i32::MAX,
                        received: i32::MAX,
                    }),
                    ladder: (0..32)
                        .map(|n: i32| Rung {
                            silence_ms: 86_000_000 + i64::from(n),
                            cut: n / 16 * 2,
                            survived: 2,
                        })
                        .collect(),
                })
                .to_vec(),
            stalls: Some(Lapses { n: i32::MAX, longest_ms: i64::MAX }),
            clock_steps: Some(Lapses { n: i32::MAX, longest_ms: i64::MAX }),
            ..Report::default()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_report_fits_and_keeps_its_counts(
            endings in proptest::collection::vec(ending(), 0..40),
            disputed in any::<bool>(),
        ) {
            let mut whole = report(&endings);
            // Rungs that contradict each other all say something.
            let ladder = whole.arms[0].ladder.iter_mut().step_by(2);
            ladder.filter(|_| disputed).for_each(|rung| rung.cut = 1);
            let message = whole.to_message();
            prop_assert!(message.len() <= LIMIT, "{} bytes", message.len());
            let read = Report::parse(&message).unwrap();
            prop_assert_eq!(read.arms[0].counts, whole.arms[0].counts);
            for arm in &read.arms {
                let kept: i32 = arm.endings.iter().map(|e| e.n).sum();
                prop_assert_eq!(kept, whole.arms[0].counts.ended());
            }
        }
    }

    #[test]
    fn five_cut_connections_are_told_one_by_one_and_survivors_make_room_for_them() {
        let mut ending = Ending {
            outcome: Outcome::Disconnected,
            reason: None,
            form: Some(CloseForm::new(Vec::new(), None, TcpEnd::Fin, false)),
            detail: None,
            n: 5,
            lifetime: None,
            lanes: (0..5).map(lane).collect(),
        };
        ending.lifetime = Spread::of(vec![1, 2, 3, 4, 5]);
        let survivors = Ending { outcome: Outcome::Survived, form: None, ..ending.clone() };
        let listed = |endings: &[Ending]| -> Vec<usize> {
            let mut report = report(endings);
            report.arms.truncate(1);
            report.arms[0].ladder.clear();
            let read = Report::parse(&report.to_message()).unwrap();
            read.arms[0].endings.iter().map(|ending| ending.lanes.len()).collect()
        };
        assert_eq!(listed(&[ending.clone()]), [5]);
        // The longest values that there are: the head of the survivors takes the room of one.
        assert_eq!(listed(&[ending, survivors]), [4, 0]);
    }

    #[test]
    fn rungs_that_decide_nothing_go_before_those_that_do() {
        let rung = |silence_ms: i64, cut| Rung { silence_ms, cut, survived: 2 - cut };
        let mut arm = ArmReport {
            ladder: (0..32).map(|n| rung(n, if n < 20 { 0 } else { 2 })).collect(),
            ..ArmReport::default()
        };
        arm.thin_ladder();
        assert_eq!(arm.ladder, [rung(0, 0), rung(19, 0), rung(20, 2), rung(31, 2)]);
    }

    #[test]
    fn a_problem_of_hostile_length_still_fits() {
        let problem =
            Problem { reason: ProblemReason::SecretKeyMissing, message: "\u{1}".repeat(600) };
        let report = Report::of_problem("w", Timestamp::UNIX_EPOCH, problem);
        assert!(report.to_message().len() <= LIMIT);
    }
}
