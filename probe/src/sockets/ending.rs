//! Who closed a connection, and how, from what the kernel counted until the end.
//!
//! A process lets go within milliseconds of an end, and so most ends lie between two looks. What is left is how the
//! last figures differ from those of the last look. Each rule is one that was measured (Linux 6.18): `lab/tests/sockets/main.rs`
//! does it again, and what no rule covers is `Unknown`.

use super::seen::Info;
use api::sockets::{ClosedBy, Form};

/// Bare segments tell something only over so short a time, in milliseconds: a keepalive is one, too.
const COUNTED_MS: i64 = 2_000;
/// Up to so many bytes that are sent after the peer's last words are an answer to them, and no use of the connection.
const ANSWER_BYTES: i64 = 64;
/// How long libpq's goodbye is: a Terminate, and under TLS a close_notify. It says none on a connection that it knows to
/// be lost. The shortest query, of `SELECT 1`, is 14 bytes long and under TLS 35 to 43.
const GOODBYES: [i64; 4] = [5, 49, 51, 65];
/// How long a Terminate alone is, by cipher and version of TLS.
const TERMINATES: [i64; 4] = [5, 26, 27, 34];
/// How long it is what libpq says on a connection that it knows to be lost, a close_notify; or Pulp, which asks `SELECT 1`
/// first, with or without that.
const REACTIONS: [i64; 7] = [23, 24, 31, 14, 58, 60, 74];
/// What a server may say to a goodbye, and nobody reads: a close_notify, and its FIN. An ErrorResponse is longer:
/// `database removed` is one of 38 bytes.
const FAREWELL_BYTES: i64 = 32;
/// The kernel counts in jiffies, of 10 ms at most.
pub(super) const JIFFY_MS: i64 = 10;

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
        // The server's last words may come before its FIN, and the process close in between.
        match (self.is_remembered, self.is_reaction()) {
            (true, true) => return (ClosedBy::Peer, Form::Unknown),
            (true, false) => return (ClosedBy::Own, Form::Fin),
            (false, _) => {}
        }
        match self.open {
            Some(_) if self.own_fin_was_acknowledged() => self.after_both(),
            Some((at_ms, open)) if self.end.0 - at_ms <= COUNTED_MS => self.abrupt(&open),
            _ => (ClosedBy::Unknown, Form::Unknown),
        }
    }

    /// Bytes that came since the last look; the peer's FIN counts as one.
    #[must_use]
    pub fn received(&self) -> i64 {
        self.open.map_or(0, |(_, open)| self.end.1.received - open.received)
    }

    /// Bytes that were sent since the last look.
    fn sent(&self) -> i64 {
        self.end.1.sent - self.open.map_or(0, |(_, open)| open.sent)
    }

    /// Whether the process used it since the last look: it sent something, and not just an answer to the end.
    #[must_use]
    pub fn was_used(&self) -> bool {
        let (_, end) = self.end;
        let is_answer = self.sent() <= ANSWER_BYTES
            && self.received() > 0
            && end.sent_ago_ms <= end.received_ago_ms + JIFFY_MS;
        self.sent() > 0 && !is_answer
    }

    /// Our FIN was acknowledged, and that counts as one byte more than was sent.
    fn own_fin_was_acknowledged(&self) -> bool {
        let (_, end) = self.end;
        end.acked > end.sent + 1
    }

    /// Our side has said goodbye, and has read all but the server's.
    #[must_use]
    pub fn is_goodbye(&self) -> bool {
        let has_begun = TERMINATES.contains(&self.sent()) && self.received() <= FAREWELL_BYTES;
        (has_begun || GOODBYES.contains(&self.sent())) && self.unread <= FAREWELL_BYTES
    }

    /// The server had its last words, and our side said what it says to them.
    fn is_reaction(&self) -> bool {
        REACTIONS.contains(&self.sent()) && self.received() > FAREWELL_BYTES
    }

    /// Our side has said that it knows of the end.
    fn is_answered(&self) -> bool {
        REACTIONS.contains(&self.sent()) && self.received() > 0
    }

    /// Both sides have closed, and nothing is remembered.
    fn after_both(&self) -> (ClosedBy, Form) {
        match (self.received(), self.unread) {
            // Our FIN was answered by a reset.
            (0, _) => (ClosedBy::Own, Form::Fin),
            // The server was quicker to close than the process.
            _ if self.is_goodbye() => (ClosedBy::Own, Form::Fin),
            // The process has read to the end before it closed.
            (_, 0) => (ClosedBy::Peer, Form::Fin),
            _ if self.is_answered() => (ClosedBy::Peer, Form::Fin),
            _ => (ClosedBy::Unknown, Form::Unknown),
        }
    }

    /// No FIN of ours arrived: there was a reset, or nobody answered.
    fn abrupt(&self, open: &Info) -> (ClosedBy, Form) {
        let (_, end) = self.end;
        let has_sent = self.sent() > 0;
        let (bare_in, bare_out) = (end.bare_in - open.bare_in, end.bare_out - open.bare_out);
        if end.segments_in == open.segments_in && end.tries > 0 {
            return (ClosedBy::Unknown, Form::TimedOut);
        }
        match (self.received(), bare_in, bare_out) {
            // The last segment that came without data was a reset …
            (0, 1.., 0) => (ClosedBy::Peer, Form::Rst),
            // … or it was one, in answer to our FIN.
            (0, 1.., 1) if has_sent => (ClosedBy::Own, Form::Fin),
            // The server's goodbye was answered by a reset, since nobody was there to read it.
            (1.., _, _) if self.is_goodbye() => (ClosedBy::Own, Form::Unknown),
            // Closed with something unread, which is answered by a reset of ours.
            (_, 0, _) if self.unread > 0 && !has_sent => (ClosedBy::Own, Form::Rst),
            // No words, but the FIN itself.
            (1, 1.., _) if self.unread <= 1 => (ClosedBy::Peer, Form::Fin),
            // Words came, and after them a FIN or a reset.
            (1.., 1.., _) if self.unread == 0 || !has_sent => (ClosedBy::Peer, Form::Unknown),
            (1.., _, _) if self.is_answered() => (ClosedBy::Peer, Form::Unknown),
            _ => (ClosedBy::Unknown, Form::Unknown),
        }
    }
}

/// Whether so many bytes that went and came may be the beginning of an end: a few without an answer, an answer to nothing,
/// or what is known to be said at an end.
pub(super) fn is_loose(sent: i64, received: i64) -> bool {
    let is_half = sent == 0 || received == 0;
    let is_known = [&GOODBYES[..], &TERMINATES, &REACTIONS].concat().contains(&sent);
    is_known || (is_half && sent <= ANSWER_BYTES)
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

    /// 100 ms later: bytes that were sent, acknowledged and came meanwhile, segments without data that came and were
    /// sent, and bytes that are unread.
    fn last([sent, acked, received, bare_in, bare_out, unread]: [i64; 6]) -> Last {
        let end = Info {
            sent: OPEN.sent + sent,
            acked: OPEN.acked + acked,
            received: OPEN.received + received,
            bare_in: OPEN.bare_in + bare_in,
            bare_out: OPEN.bare_out + bare_out,
            segments_in: OPEN.segments_in + bare_in + received.signum(),
            segments_out: OPEN.segments_out + bare_out + sent.signum(),
            sent_ago_ms: if sent > 0 { 4 } else { 200 },
            received_ago_ms: if received > 1 { 4 } else { 200 },
            ..OPEN
        };
        Last { open: Some((1_000, OPEN)), end: (1_100, end), unread, is_remembered: false }
    }

    #[test]
    fn ends_are_told_as_they_were_measured() {
        use ClosedBy::{Own, Peer, Unknown};
        let cases = [
            ("FIN, read at once", [0, 1, 1, 2, 2, 0], Peer, Form::Fin),
            ("120 bytes and FIN", [0, 1, 121, 2, 2, 0], Peer, Form::Fin),
            ("RST while idle", [0, 0, 0, 1, 0, 0], Peer, Form::Rst),
            ("120 bytes and RST", [0, 0, 120, 1, 1, 0], Peer, Form::Unknown),
            ("RST on a write", [30, 0, 0, 1, 0, 0], Peer, Form::Rst),
            ("FIN, and our answer to it refused", [24, 0, 1, 2, 1, 0], Peer, Form::Fin),
            ("TLS: words, FIN, close_notify refused", [60, 0, 163, 1, 3, 0], Peer, Form::Unknown),
            ("TLS: words, FIN, close_notify accepted", [60, 61, 163, 1, 4, 0], Peer, Form::Fin),
            ("TLS: words to a query, then FIN", [24, 24, 197, 2, 2, 0], Peer, Form::Unknown),
            ("Terminate, FIN answered by RST", [0, 1, 0, 1, 1, 0], Own, Form::Fin),
            ("Terminate unread by the peer", [5, 0, 0, 1, 1, 0], Own, Form::Fin),
            ("Terminate, and the server was quicker", [5, 6, 1, 2, 2, 1], Own, Form::Fin),
            ("Terminate, and waited for the server", [5, 6, 1, 2, 2, 0], Own, Form::Fin),
            (
                "TLS: Terminate, and the server was quicker",
                [51, 27, 25, 2, 1, 25],
                Own,
                Form::Unknown,
            ),
            ("TLS: the same, without its FIN", [51, 27, 24, 0, 2, 24], Own, Form::Unknown),
            ("TLS: words, and close_notify unread", [24, 24, 197, 1, 2, 25], Peer, Form::Unknown),
            ("TLS: a small query, and FIN", [36, 0, 1, 1, 1, 1], Peer, Form::Fin),
            (
                "TLS: an answer, Terminate, close_notify unread",
                [51, 27, 87, 1, 2, 24],
                Own,
                Form::Unknown,
            ),
            ("TLS: Terminate, and words unread", [51, 27, 188, 1, 2, 188], Unknown, Form::Unknown),
            ("closed with 30 bytes unread", [0, 0, 30, 0, 2, 30], Own, Form::Rst),
            ("killed after both", [0, 1, 1, 2, 2, 1], Unknown, Form::Unknown),
            ("nothing to go by", [0; 6], Unknown, Form::Unknown),
        ];
        for (name, counts, by, form) in cases {
            assert_eq!(last(counts).closed(), (by, form), "{name}");
        }
    }

    #[test]
    fn what_is_remembered_was_closed_here_and_what_has_no_figures_was_taken_apart() {
        let mut terminated = last([5, 6, 1, 1, 2, 1]);
        terminated.is_remembered = true;
        let mut quick = last([60, 61, 163, 1, 4, 0]);
        quick.is_remembered = true;
        assert_eq!(quick.closed(), (ClosedBy::Peer, Form::Unknown), "between words and FIN");
        assert_eq!(terminated.closed(), (ClosedBy::Own, Form::Fin));
        let mut linger = last([0; 6]);
        linger.end.1 = Info::default();
        assert_eq!(linger.closed(), (ClosedBy::Own, Form::Rst));
    }

    #[test]
    fn who_waits_in_vain_gives_up() {
        let (mut keepalive, mut request) = (last([0, 0, 0, 0, 2, 0]), last([30, 0, 0, 0, 0, 0]));
        (keepalive.end.1.tries, request.end.1.tries) = (2, 3);
        for waiting in [keepalive, request] {
            assert_eq!(waiting.closed(), (ClosedBy::Unknown, Form::TimedOut), "{waiting:?}");
        }
    }

    #[test]
    fn without_a_look_shortly_before_bare_segments_tell_nothing() {
        let mut reset = last([0, 0, 0, 1, 0, 0]);
        reset.end.0 += COUNTED_MS;
        assert_eq!(reset.closed(), (ClosedBy::Unknown, Form::Unknown));
        reset.open = None;
        assert_eq!(reset.closed(), (ClosedBy::Unknown, Form::Unknown));
    }

    #[test]
    fn an_answer_to_the_end_is_no_use_of_the_connection() {
        assert!(!last([24, 0, 121, 2, 1, 0]).was_used());
        assert!(last([200, 0, 121, 2, 1, 0]).was_used());
        assert!(last([24, 0, 0, 1, 0, 0]).was_used(), "nothing came that it could answer");
        assert!(!last([0; 6]).was_used());
        assert_eq!(last([24, 0, 121, 2, 1, 0]).received(), 121);
    }
}
