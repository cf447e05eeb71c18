//! Who closed a connection, and how, from what the kernel counted until the end.
//!
//! A process lets go within milliseconds of an end, and so most ends lie between two looks. What is left is how the
//! last figures differ from those of the last look. Each rule is one that was measured (Linux 6.18): `lab/tests/sockets.rs`
//! does it again, and what no rule covers is `Unknown`.

use super::seen::Info;
use api::sockets::{ClosedBy, Form};

/// Bare segments tell something only over so short a time, in milliseconds: a keepalive is one, too.
const COUNTED_MS: i64 = 2_000;
/// Up to so many bytes that are sent after the peer's last words are an answer to them: TLS's close_notify (24 to 31
/// bytes), a Terminate (5 bytes, 27 under TLS), or both.
const ANSWER_BYTES: i64 = 64;
/// What a server may say to a Terminate before it closes: TLS's close_notify, and its FIN. An ErrorResponse is longer.
const FAREWELL_BYTES: i64 = 32;
/// A Terminate without TLS.
const TERMINATE_BYTES: i64 = 5;
/// The kernel counts in jiffies, of 10 ms at most.
pub const JIFFY_MS: i64 = 10;

/// The last figures of a connection that is gone, beside those of a look before.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// When it was last seen open, and what was known then. Absent: it came and went between two looks.
    pub open: Option<(i64, Info)>,
    /// When the kernel told of its end, and the last figures.
    pub end: (i64, Info),
    /// Bytes that the process had not read; a FIN counts as one.
    pub unread: i64,
    /// Whether the kernel remembers the addresses (TIME_WAIT): only on the side that closed first.
    pub is_remembered: bool,
}

impl Last {
    /// Who closed it, and how.
    #[must_use]
    pub fn closed(&self) -> (ClosedBy, Form) {
        let (_, end) = self.end;
        // close(2) without linger takes the connection apart before the kernel tells.
        if end.segments_out == 0 {
            return (ClosedBy::Own, Form::Rst);
        }
        if self.is_remembered {
            return (ClosedBy::Own, Form::Fin);
        }
        match self.open {
            Some((_, open)) if self.own_fin_was_acknowledged() => self.after_both(&open),
            Some((at_ms, open)) if self.end.0 - at_ms <= COUNTED_MS => self.abrupt(&open),
            _ => (ClosedBy::Unknown, Form::Unknown),
        }
    }

    /// Bytes that came since the last look; the peer's FIN counts as one.
    #[must_use]
    pub fn received(&self) -> i64 {
        self.open.map_or(0, |(_, open)| self.end.1.received - open.received)
    }

    /// Whether the process used it since the last look: it sent something, and not just an answer to the end.
    #[must_use]
    pub fn was_used(&self) -> bool {
        let (_, end) = self.end;
        let sent = self.open.map_or(end.sent, |(_, open)| end.sent - open.sent);
        let is_answer = sent <= ANSWER_BYTES
            && self.received() > 0
            && end.sent_ago_ms <= end.received_ago_ms + JIFFY_MS;
        sent > 0 && !is_answer
    }

    /// Our FIN was acknowledged, and that counts as one byte more than was sent.
    fn own_fin_was_acknowledged(&self) -> bool {
        let (_, end) = self.end;
        end.acked > end.sent + 1
    }

    /// Both sides have closed, and nothing is remembered.
    fn after_both(&self, open: &Info) -> (ClosedBy, Form) {
        let sent = self.end.1.sent - open.sent;
        match (self.end.1.received - open.received, self.unread) {
            // Our FIN was answered by a reset.
            (0, _) => (ClosedBy::Own, Form::Fin),
            // We had said goodbye, and the server was quicker to close than the process, which did not wait for that …
            (1..=FAREWELL_BYTES, 1..) if (1..=ANSWER_BYTES).contains(&sent) => {
                (ClosedBy::Own, Form::Fin)
            }
            // … or did.
            (1, 0) if sent == TERMINATE_BYTES => (ClosedBy::Own, Form::Fin),
            // The process has read to the end before it closed.
            (_, 0) => (ClosedBy::Peer, Form::Fin),
            _ => (ClosedBy::Unknown, Form::Unknown),
        }
    }

    /// No FIN of ours arrived: there was a reset, or nobody answered.
    fn abrupt(&self, open: &Info) -> (ClosedBy, Form) {
        let (_, end) = self.end;
        let has_sent = end.sent > open.sent;
        let (bare_in, bare_out) = (end.bare_in - open.bare_in, end.bare_out - open.bare_out);
        if end.segments_in == open.segments_in && end.tries > 0 {
            return (ClosedBy::Unknown, Form::TimedOut);
        }
        match (end.received - open.received, bare_in, bare_out) {
            // The last segment that came without data was a reset …
            (0, 1.., 0) => (ClosedBy::Peer, Form::Rst),
            // … or it was one, in answer to our FIN.
            (0, 1.., 1) if has_sent => (ClosedBy::Own, Form::Fin),
            // Closed with something unread, which is answered by a reset of ours.
            (_, 0, _) if self.unread > 0 && !has_sent => (ClosedBy::Own, Form::Rst),
            // No words, but the FIN itself.
            (1, 1.., _) if self.unread <= 1 => (ClosedBy::Peer, Form::Fin),
            // Words came, and after them a FIN or a reset.
            (1.., 1.., _) if self.unread == 0 || !has_sent => (ClosedBy::Peer, Form::Unknown),
            _ => (ClosedBy::Unknown, Form::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After 100 bytes there and 50 back: what the experiments of this table began with.
    const OPEN: Info = Info {
        sent: 100,
        acked: 101,
        received: 50,
        retransmits: 0,
        tries: 0,
        unacked: 0,
        bare_in: 2,
        bare_out: 3,
        segments_in: 3,
        segments_out: 4,
        sent_ago_ms: 100,
        received_ago_ms: 100,
        acked_ago_ms: 100,
    };

    fn last(change: fn(&mut Info), unread: i64, is_remembered: bool) -> Last {
        let mut end = Info { sent_ago_ms: 200, received_ago_ms: 200, ..OPEN };
        change(&mut end);
        Last { open: Some((1_000, OPEN)), end: (1_100, end), unread, is_remembered }
    }

    /// Segments without data, one of which was the last.
    fn bare(info: &mut Info, came: i64, sent: i64) {
        (info.bare_in, info.segments_in) = (info.bare_in + came, info.segments_in + came);
        (info.bare_out, info.segments_out) = (info.bare_out + sent, info.segments_out + sent);
    }

    #[test]
    fn ends_are_told_as_they_were_measured() {
        use ClosedBy::{Own, Peer, Unknown};
        type Case = (&'static str, Last, ClosedBy, Form);
        let cases: [Case; 17] = [
            (
                "FIN, read at once",
                last(
                    |i| {
                        (i.acked, i.received) = (102, 51);
                        bare(i, 2, 2);
                    },
                    0,
                    false,
                ),
                Peer,
                Form::Fin,
            ),
            (
                "120 bytes and FIN",
                last(
                    |i| {
                        (i.acked, i.received) = (102, 171);
                        bare(i, 2, 2);
                    },
                    0,
                    false,
                ),
                Peer,
                Form::Fin,
            ),
            ("RST while idle", last(|i| bare(i, 1, 0), 0, false), Peer, Form::Rst),
            (
                "120 bytes and RST",
                last(
                    |i| {
                        i.received = 170;
                        bare(i, 1, 1);
                    },
                    0,
                    false,
                ),
                Peer,
                Form::Unknown,
            ),
            (
                "RST on a write",
                last(
                    |i| {
                        i.sent = 130;
                        bare(i, 1, 0);
                    },
                    0,
                    false,
                ),
                Peer,
                Form::Rst,
            ),
            (
                "Terminate and FIN",
                last(
                    |i| {
                        (i.sent, i.acked, i.received) = (105, 107, 51);
                        bare(i, 1, 2);
                    },
                    1,
                    true,
                ),
                Own,
                Form::Fin,
            ),
            (
                "the same, answered by RST",
                last(
                    |i| {
                        i.acked = 102;
                        bare(i, 1, 1);
                    },
                    0,
                    false,
                ),
                Own,
                Form::Fin,
            ),
            (
                "Terminate unread by the peer",
                last(
                    |i| {
                        i.sent = 105;
                        bare(i, 1, 1);
                    },
                    0,
                    false,
                ),
                Own,
                Form::Fin,
            ),
            (
                "closed with 30 bytes unread",
                last(
                    |i| {
                        i.received = 80;
                        i.segments_in += 1;
                        bare(i, 0, 2);
                    },
                    30,
                    false,
                ),
                Own,
                Form::Rst,
            ),
            ("linger 0", last(|i| *i = Info::default(), 0, false), Own, Form::Rst),
            (
                "keepalives unanswered",
                last(
                    |i| {
                        i.tries = 2;
                        bare(i, 0, 2);
                    },
                    0,
                    false,
                ),
                Unknown,
                Form::TimedOut,
            ),
            (
                "TCP_USER_TIMEOUT",
                last(
                    |i| {
                        (i.sent, i.tries) = (130, 3);
                        i.segments_out += 4;
                    },
                    0,
                    false,
                ),
                Unknown,
                Form::TimedOut,
            ),
            (
                "words, FIN, close_notify refused",
                last(
                    |i| {
                        (i.sent, i.received) = (124, 171);
                        bare(i, 2, 1);
                    },
                    0,
                    false,
                ),
                Peer,
                Form::Unknown,
            ),
            (
                "killed after both",
                last(
                    |i| {
                        (i.acked, i.received) = (102, 51);
                        bare(i, 2, 2);
                    },
                    1,
                    false,
                ),
                Unknown,
                Form::Unknown,
            ),
            (
                "Terminate, and the server was quicker",
                last(
                    |i| {
                        (i.sent, i.acked, i.received) = (105, 107, 51);
                        bare(i, 2, 2);
                    },
                    1,
                    false,
                ),
                Own,
                Form::Fin,
            ),
            (
                "Terminate, and waited for the server",
                last(
                    |i| {
                        (i.sent, i.acked, i.received) = (105, 107, 51);
                        bare(i, 2, 2);
                    },
                    0,
                    false,
                ),
                Own,
                Form::Fin,
            ),
            ("nothing to go by", last(|_| {}, 0, false), Unknown, Form::Unknown),
        ];
        for (name, last, by, form) in cases {
            assert_eq!(last.closed(), (by, form), "{name}: {last:?}");
        }
    }

    #[test]
    fn without_a_look_shortly_before_bare_segments_tell_nothing() {
        let mut reset = last(|i| bare(i, 1, 0), 0, false);
        reset.end.0 += COUNTED_MS;
        assert_eq!(reset.closed(), (ClosedBy::Unknown, Form::Unknown));
        reset.open = None;
        assert_eq!(reset.closed(), (ClosedBy::Unknown, Form::Unknown));
        reset.is_remembered = true;
        assert_eq!(reset.closed(), (ClosedBy::Own, Form::Fin));
    }

    #[test]
    fn an_answer_to_the_end_is_no_use_of_the_connection() {
        let answered = last(
            |i| {
                (i.sent, i.received) = (124, 171);
                (i.sent_ago_ms, i.received_ago_ms) = (4, 4);
            },
            0,
            false,
        );
        assert!(!answered.was_used() && answered.received() == 121);
        let asked = last(
            |i| {
                (i.sent, i.received) = (300, 171);
                (i.sent_ago_ms, i.received_ago_ms) = (4, 4);
            },
            0,
            false,
        );
        assert!(asked.was_used());
        let silent = last(|i| i.sent = 124, 0, false);
        assert!(silent.was_used(), "nothing came that it could answer");
        assert!(!last(|_| {}, 0, false).was_used());
    }
}
