//! The life of one connection, as it is told look by look.

use super::{
    ending::{JIFFY_MS, Last},
    loose::Loose,
    seen::{Info, Seen, State},
    tracker::Look,
};
use api::{
    beats::Beats,
    sockets::{ClosedBy, Form, Role, SocketEnd, SocketLife, Window},
};
use jiff::Timestamp;
use std::net::SocketAddr;

/// The kernel's word that a socket was destroyed may come so much later than a look that misses it, in milliseconds.
const WORD_MS: i64 = 100;

/// What a look tells that is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phased {
    /// The peer has closed it, and the process holds it.
    Closed,
    /// It has ended.
    Ended,
}

/// The life of one connection.
pub(super) struct Life {
    /// The how-manieth it is that was met.
    pub(super) number: usize,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    phase: Phase,
    born: Option<(i64, i64)>,
    met_ms: i64,
    beats: Beats,
    /// Data last came.
    received_ms: i64,
    /// The newest figures.
    info: Info,
    /// When it was last seen open, and what was known then.
    open: Option<(i64, Info)>,
    loose: Option<Loose>,
    /// What the kernel told when it destroyed the socket, and when.
    destroyed: Option<(i64, Seen)>,
    /// The first look that missed it.
    missed_ms: Option<i64>,
    end: Option<SocketEnd>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// The peer has closed it, and the process holds it.
    HalfClosed,
    /// It has ended, and the process holds what is left: how long may still be told.
    Held,
    /// Nothing more comes.
    Over,
}

impl Life {
    pub(super) fn new(number: usize, seen: &Seen, born: Option<(i64, i64)>, now_ms: i64) -> Self {
        let info = seen.info.unwrap_or_default();
        // One that was there already has been silent since it last sent something.
        let first_ms = born.map_or(now_ms - info.sent_ago_ms, |(after, _)| after);
        Self {
            number,
            local: seen.local,
            peer: seen.peer,
            phase: Phase::Open,
            born,
            met_ms: now_ms,
            beats: Beats::new(first_ms),
            received_ms: now_ms - info.received_ago_ms,
            info: Info::default(),
            open: None,
            loose: None,
            destroyed: None,
            missed_ms: None,
            end: None,
        }
    }

    /// Nothing more comes of it.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// It is there. What that tells, if it is something new.
    pub(super) fn see(&mut self, look: Look, seen: &Seen) -> Option<Phased> {
        self.missed_ms = None;
        let info = seen.info.filter(|_| self.phase == Phase::Open)?;
        match seen.state {
            State::Open => {
                self.note(look.answered_ms, &info);
                self.open = Some((look.asked_ms, info));
                None
            }
            State::PeerClosed => {
                self.end = Some(self.closed_by_peer(look, seen, &info));
                (self.info, self.phase) = (info, Phase::HalfClosed);
                Some(Phased::Closed)
            }
            State::OwnClosed => {
                self.end = Some(self.closed_here(look.answered_ms, seen, &info));
                (self.info, self.phase) = (info, Phase::Over);
                Some(Phased::Ended)
            }
            State::Opening | State::Gone => None,
        }
    }

    /// The kernel has destroyed it.
    pub(super) fn destroyed(&mut self, at_ms: i64, seen: &Seen) {
        self.destroyed = Some((at_ms, *seen));
    }

    /// A look missed it; `hears`: whether the kernel would have told that it was destroyed. What that tells, if it is
    /// something new.
    pub(super) fn miss(&mut self, look: Look, is_remembered: bool, hears: bool) -> Option<Phased> {
        let missed_ms = *self.missed_ms.get_or_insert(look.answered_ms);
        let was_held = self.phase == Phase::Held;
        let (end, phase) = match self.destroyed {
            Some((at_ms, seen)) => {
                (self.buried(missed_ms, at_ms, &seen, is_remembered), Phase::Over)
            }
            None if was_held && hears => return None,
            None if hears && look.answered_ms - missed_ms < WORD_MS => return None,
            None if is_remembered => {
                (self.end.unwrap_or_else(|| self.left(missed_ms)), Phase::Held)
            }
            None => (self.end.unwrap_or_else(|| self.vanished(missed_ms, hears)), Phase::Held),
        };
        self.end = Some(end);
        self.phase = if hears { phase } else { Phase::Over };
        (!was_held).then_some(Phased::Ended)
    }

    /// What the figures of a moment say of its activity.
    fn note(&mut self, at_ms: i64, info: &Info) {
        self.note_exchange(at_ms, info);
        if info.sent != self.info.sent {
            self.beats.active(at_ms - info.sent_ago_ms);
        }
        if info.received != self.info.received {
            self.received_ms = at_ms - info.received_ago_ms;
        }
        self.info = *info;
    }

    /// Keeps what may be the beginning of an end.
    fn note_exchange(&mut self, at_ms: i64, info: &Info) {
        let (sent, received) = (info.sent - self.info.sent, info.received - self.info.received);
        if sent == 0 && received == 0 {
            return;
        }
        let (sent_ms, received_ms) = (self.beats.last_ms(), self.received_ms);
        let at_ms = at_ms - info.sent_ago_ms.min(info.received_ago_ms);
        let this = self.open.map(|before| Loose { at_ms, before, sent_ms, received_ms });
        self.loose = this.and_then(|this| this.after(self.loose, sent, received));
    }

    /// The last figures, beside those of the last look before the last exchange. `before`: it was over then.
    fn last(&self, before: i64, end: (i64, Info), unread: i64, is_remembered: bool) -> Last {
        let loose = self.loose.filter(|loose| loose.belongs_to(before));
        Last { open: loose.map(|loose| loose.before).or(self.open), end, unread, is_remembered }
    }

    /// It was seen after the peer's FIN: that came after the last data and not after the last acknowledgement, which
    /// it bears itself.
    fn closed_by_peer(&mut self, look: Look, seen: &Seen, info: &Info) -> SocketEnd {
        let before = (look.answered_ms - info.acked_ago_ms + JIFFY_MS).min(look.answered_ms);
        let after = (look.asked_ms - info.received_ago_ms - JIFFY_MS).max(self.opened_ms(before));
        let last = self.last(before, (look.answered_ms, *info), seen.unread, false);
        if last.is_goodbye() {
            return self.ended((after.min(before), before), ClosedBy::Own, Form::Fin, None);
        }
        let words = self.last_words(&last, look.answered_ms, Form::Fin);
        self.ended((after.min(before), before), ClosedBy::Peer, Form::Fin, words)
    }

    /// It was seen after our own FIN, which the server's last words may have brought about.
    fn closed_here(&mut self, before: i64, seen: &Seen, info: &Info) -> SocketEnd {
        let last = self.last(before, (before, *info), seen.unread, true);
        let end = match last.closed() {
            (ClosedBy::Peer, form) => self.closed(&last, (ClosedBy::Peer, form), before),
            _ => self.left(before),
        };
        SocketEnd { let_go_ms: Some(0), ..end }
    }

    /// Our side has closed it by now.
    fn left(&self, before: i64) -> SocketEnd {
        let end = self.ended((self.opened_ms(before), before), ClosedBy::Own, Form::Fin, None);
        SocketEnd { let_go_ms: Some(0), ..end }
    }

    /// It is not there, and the process has not let go of it, or the kernel would have said so: there was a reset, or
    /// the kernel gave up.
    fn vanished(&self, before: i64, hears: bool) -> SocketEnd {
        let is_waiting = self.open.is_some_and(|(_, info)| info.tries > 0);
        let (by, form) = match (hears, is_waiting) {
            (false, _) => (ClosedBy::Unknown, Form::Unknown),
            (true, true) => (ClosedBy::Unknown, Form::TimedOut),
            (true, false) => (ClosedBy::Peer, Form::Rst),
        };
        self.ended((self.opened_ms(before), before), by, form, None)
    }

    /// The kernel destroyed the socket `at_ms`; a look missed it `missed_ms`.
    fn buried(
        &mut self,
        missed_ms: i64,
        at_ms: i64,
        seen: &Seen,
        is_remembered: bool,
    ) -> SocketEnd {
        let (info, before) = (seen.info.unwrap_or_default(), missed_ms.min(at_ms));
        let last = self.last(before, (before, info), seen.unread, is_remembered);
        let (by, form) = last.closed();
        let end = match self.end {
            // What was seen stands; what was only missed is known better now.
            Some(end) if self.phase == Phase::HalfClosed => end,
            Some(end) if (by, form) == (ClosedBy::Unknown, Form::Unknown) => end,
            _ => self.closed(&last, (by, form), at_ms),
        };
        // A socket that was taken apart has no figures any more.
        if info.segments_out > 0 {
            self.info = info;
        }
        let let_go_ms = Some((at_ms - end.at.before.as_millisecond()).max(0));
        SocketEnd { let_go_ms: end.let_go_ms.or(let_go_ms), ..end }
    }

    /// An end between two looks, as the last figures tell of it.
    fn closed(&mut self, last: &Last, (by, form): (ClosedBy, Form), at_ms: i64) -> SocketEnd {
        let (mut before, info) = last.end;
        let mut after = self.opened_ms(before);
        let mut words = None;
        if by == ClosedBy::Peer {
            words = self.last_words(last, at_ms, form);
            if last.received() > 1 {
                after = after.max(at_ms - info.received_ago_ms - JIFFY_MS);
            }
            if form == Form::Fin {
                before = before.min(at_ms - info.acked_ago_ms + JIFFY_MS);
            }
        }
        self.ended((after.min(before), before), by, form, words)
    }

    /// Bytes that came with the end, unless the connection was used just then: that is noted. If it was not, what was
    /// said at the end is forgotten.
    fn last_words(&mut self, last: &Last, at_ms: i64, form: Form) -> Option<i64> {
        if last.was_used() {
            self.beats.active(at_ms - last.end.1.sent_ago_ms);
            self.loose = None;
            return None;
        }
        let fin = i64::from(form == Form::Fin);
        last.open.map(|_| (last.received() - fin).max(0))
    }

    /// When it was last known to be open; else since when it may have been closed.
    fn opened_ms(&self, before: i64) -> i64 {
        let born = self.born.map_or(self.met_ms, |(after, _)| after);
        self.open.map_or(born, |(at_ms, _)| at_ms).min(before)
    }

    fn ended(
        &self,
        (after, before): (i64, i64),
        closed_by: ClosedBy,
        form: Form,
        last_words_bytes: Option<i64>,
    ) -> SocketEnd {
        let loose = self.loose.filter(|loose| loose.belongs_to(before));
        let (sent, received) = loose.map_or_else(
            || (self.beats.last_ms(), self.received_ms),
            |loose| (loose.sent_ms, loose.received_ms),
        );
        SocketEnd {
            at: Window { after: moment(after), before: moment(before) },
            closed_by,
            form,
            last_words_bytes,
            silence_ms: (before - sent).max(0),
            quiet_ms: (before - sent.max(received)).max(0),
            unacked: self.open.map_or(0, |(_, info)| info.unacked),
            let_go_ms: None,
        }
    }

    /// Nobody looks any more: what became of one that was missed just now, the kernel has not told yet.
    pub(super) fn unwatched(mut self) -> Self {
        if let (Some(missed_ms), None) = (self.missed_ms, self.end) {
            self.end = Some(self.vanished(missed_ms, false));
        }
        self
    }

    /// What is to be told of it at a moment.
    pub(super) fn told(&self, now_ms: i64) -> SocketLife {
        let until = self.end.map_or(now_ms, |end| end.at.before.as_millisecond());
        let since = self.born.map_or(self.met_ms, |(_, before)| before);
        SocketLife {
            local_port: self.local.port(),
            peer: self.peer,
            role: Role::Unknown,
            rhythm: self.beats.rhythm(),
            beat_ms: self.beats.beat_ms(),
            born: self
                .born
                .map(|(after, before)| Window { after: moment(after), before: moment(before) }),
            lived_ms: (until - since).max(0),
            longest_silence_ms: self.beats.longest_silence_ms(until),
            sent_bytes: self.info.sent,
            received_bytes: self.info.received,
            retransmits: self.info.retransmits,
            end: self.end,
        }
    }
}

fn moment(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}
