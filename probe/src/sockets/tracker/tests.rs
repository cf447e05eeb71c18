use super::*;
use crate::sockets::seen::Info;
use api::{
    beats::Rhythm,
    sockets::{ClosedBy, Form, SocketEnd},
};
use proptest::prelude::*;

/// What a connection looks like after a login: 100 bytes there and 50 back, at this age.
fn seen(cookie: u64, ago_ms: i64) -> Seen {
    let info = Info {
        sent: 100,
        acked: 101,
        received: 50,
        bare_in: 2,
        bare_out: 3,
        segments_in: 3,
        segments_out: 4,
        sent_ago_ms: ago_ms,
        received_ago_ms: ago_ms,
        acked_ago_ms: ago_ms,
        ..Info::default()
    };
    Seen {
        cookie,
        local: format!("10.1.0.9:{}", 40_000 + cookie).parse().unwrap(),
        peer: "10.0.0.7:5432".parse().unwrap(),
        state: State::Open,
        unread: 0,
        info: Some(info),
    }
}

fn with(mut seen: Seen, state: State, change: impl FnOnce(&mut Info)) -> Seen {
    seen.state = state;
    if let Some(info) = &mut seen.info {
        change(info);
    }
    seen
}

/// The last figures after a FIN with 120 bytes of words, and our own FIN.
fn cut(seen: Seen) -> Seen {
    with(seen, State::Gone, |info| {
        (info.received, info.acked, info.received_ago_ms, info.acked_ago_ms) = (171, 102, 4, 0);
        (info.bare_in, info.segments_in) = (info.bare_in + 2, info.segments_in + 3);
    })
}

fn remembered(mut seen: Seen) -> Seen {
    (seen.cookie, seen.info, seen.state) = (999, None, State::OwnClosed);
    seen
}

struct Story {
    tracker: Tracker,
    told: Vec<String>,
}

impl Story {
    fn new(noticed: Noticed) -> Self {
        let watched = Watched { ports: vec![5432], to: None };
        Self { tracker: Tracker::new(watched, 250, noticed), told: Vec::new() }
    }

    fn look(&mut self, at_ms: i64, all: &[Seen]) -> &mut Self {
        let look = Look { asked_ms: at_ms, answered_ms: at_ms + 1 };
        for (_, event) in self.tracker.look(look, all) {
            let (word, life) = match event {
                Event::Born(life) => ("born", life),
                Event::Closed(life) => ("closed", life),
                Event::Ended(life) => ("ended", life),
                other => unreachable!("{other:?}"),
            };
            self.told.push(format!("{word} {}", life.local_port));
        }
        self
    }

    fn destroyed(&mut self, at_ms: i64, seen: Seen) -> &mut Self {
        self.tracker.destroyed(at_ms, &seen);
        self
    }

    /// The only life.
    fn end(self) -> SocketLife {
        let (mut lives, ..) = self.tracker.end();
        assert_eq!(lives.len(), 1, "{lives:?}");
        lives.remove(0)
    }

    fn its_end(self) -> SocketEnd {
        self.end().end.unwrap()
    }
}

fn span(end: &SocketEnd) -> (i64, i64) {
    (end.at.after.as_millisecond(), end.at.before.as_millisecond())
}

#[test]
fn a_silent_connection_that_is_cut_between_two_looks() {
    let mut story = Story::new(Noticed::Events);
    story.look(1_000, &[]).look(1_250, &[seen(1, 50)]);
    for at_ms in (1_500..61_000).step_by(250) {
        story.look(at_ms, &[seen(1, at_ms - 1_200)]);
    }
    story.destroyed(60_990, cut(seen(1, 59_790))).look(61_015, &[]);
    assert_eq!(story.told, ["born 40001", "ended 40001"]);
    let life = story.end();
    let end = life.end.unwrap();
    assert_eq!(
        (end.closed_by, end.form, end.last_words_bytes),
        (ClosedBy::Peer, Form::Fin, Some(120))
    );
    // The words came 4 ms before the end, give or take a jiffy.
    assert_eq!(span(&end), (60_976, 60_990));
    assert_eq!((end.silence_ms, end.let_go_ms, life.rhythm), (59_789, Some(0), Rhythm::Silent));
    assert_eq!(life.born.unwrap().before.as_millisecond(), 1_251);
}

#[test]
fn one_that_the_process_leaves() {
    let mut story = Story::new(Noticed::Events);
    let left = with(seen(1, 500), State::Gone, |info| (info.sent, info.acked) = (105, 107));
    story.look(0, &[seen(1, 50)]).destroyed(450, left).look(475, &[remembered(seen(1, 0))]);
    assert_eq!(story.told, ["born 40001", "ended 40001"]);
    let end = story.its_end();
    assert_eq!((end.closed_by, end.form, span(&end)), (ClosedBy::Own, Form::Fin, (0, 450)));
}

#[test]
fn one_that_the_peer_closes_and_the_process_does_not_let_go() {
    let half = |ago_ms| {
        with(seen(1, ago_ms), State::PeerClosed, |info| {
            (info.received, info.acked_ago_ms) = (51, ago_ms - 1_000);
        })
    };
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[seen(1, 650)]).look(250, &[seen(1, 900)]).look(500, &[half(1_150)]);
    story.look(750, &[half(1_400)]).destroyed(900, half(1_550)).look(925, &[]);
    assert_eq!(story.told, ["born 40001", "closed 40001", "ended 40001"]);
    let end = story.its_end();
    assert_eq!(
        (end.closed_by, end.form, end.last_words_bytes),
        (ClosedBy::Peer, Form::Fin, Some(0))
    );
    assert_eq!(span(&end), (250, 361), "acknowledged 150 ms before the look");
    assert_eq!(end.let_go_ms, Some(539));
}

#[test]
fn a_reset_that_the_process_has_not_noticed_is_told_and_known_better_when_it_lets_go() {
    let mut story = Story::new(Noticed::Events);
    let all = [seen(1, 900)];
    story.look(0, &all).look(250, &all).look(500, &[]);
    assert_eq!(story.told, ["born 40001"], "the kernel's word may be on its way");
    story.look(750, &[]).look(1_000, &[]);
    assert_eq!(story.told, ["born 40001", "ended 40001"]);
    let (lives, ..) = std::mem::replace(&mut story, Story::new(Noticed::Events)).tracker.end();
    let end = lives[0].end.unwrap();
    assert_eq!((end.closed_by, end.form, end.let_go_ms), (ClosedBy::Peer, Form::Rst, None));
    assert_eq!(span(&end), (250, 501));

    // It was no reset: the kernel had given up, and says so when the process lets go.
    let gave_up = with(seen(1, 9_000), State::Gone, |info| info.tries = 2);
    story.look(0, &all).look(250, &all).look(500, &[]).look(750, &[]);
    story.destroyed(9_000, gave_up).look(9_250, &[]);
    assert_eq!(story.told, ["born 40001", "ended 40001"]);
    let end = story.its_end();
    assert_eq!(
        (end.closed_by, end.form, end.let_go_ms),
        (ClosedBy::Unknown, Form::TimedOut, Some(8_499))
    );
}

#[test]
fn without_events_only_what_is_remembered_or_seen_half_closed_is_known() {
    let mut story = Story::new(Noticed::Looks);
    story.look(0, &[seen(1, 50)]).look(250, &[]);
    assert_eq!(story.told, ["born 40001", "ended 40001"]);
    let end = story.its_end();
    assert_eq!((end.closed_by, end.form), (ClosedBy::Unknown, Form::Unknown));
    let mut story = Story::new(Noticed::Looks);
    story.look(0, &[seen(1, 50)]).look(250, &[remembered(seen(1, 0))]).look(500, &[]);
    assert_eq!(story.its_end().closed_by, ClosedBy::Own);
}

#[test]
fn what_the_kernel_could_not_tell_is_not_taken_for_a_reset() {
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[seen(1, 50)]);
    story.tracker.lost_ends();
    story.look(250, &[]).look(500, &[]);
    assert_eq!(story.its_end().closed_by, ClosedBy::Unknown);
}

#[test]
fn one_that_the_last_look_missed_is_not_told_as_there() {
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[]).look(250, &[seen(1, 100)]).look(500, &[]);
    let end = story.its_end();
    assert_eq!((end.closed_by, end.form), (ClosedBy::Unknown, Form::Unknown));
}

#[test]
fn one_that_comes_and_goes_between_two_looks() {
    let mut story = Story::new(Noticed::Events);
    let gone = with(seen(1, 20), State::Gone, |info| info.acked = 102);
    story.look(0, &[]).destroyed(100, gone).look(125, &[remembered(seen(1, 0))]);
    assert_eq!(story.told, ["ended 40001"]);
    let life = story.end();
    assert_eq!(life.born.map(|born| born.before.as_millisecond()), Some(100));
    assert_eq!(life.end.unwrap().closed_by, ClosedBy::Own);
}

#[test]
fn one_that_our_side_has_closed_is_told_once() {
    let closing = with(seen(1, 300), State::OwnClosed, |info| info.unacked = 1);
    let gone = with(seen(1, 600), State::Gone, |info| info.acked = 102);
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[seen(1, 50)]).look(250, &[closing]).look(500, &[closing]);
    story.destroyed(600, gone).look(625, &[remembered(seen(1, 0))]).look(875, &[]);
    assert_eq!(story.told, ["born 40001", "ended 40001"]);
    let end = story.its_end();
    assert_eq!((end.closed_by, span(&end)), (ClosedBy::Own, (0, 251)));
}

#[test]
fn others_and_those_that_are_being_opened_are_none_of_ours() {
    let mut other = seen(1, 50);
    other.peer = "10.0.0.7:6432".parse().unwrap();
    let opening = with(seen(2, 50), State::Opening, |_| {});
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[other, opening]).destroyed(100, other).look(250, &[]);
    let never = with(seen(3, 0), State::Gone, |info| info.acked = 0);
    story.destroyed(300, never).look(500, &[]);
    assert_eq!((story.told.len(), story.tracker.end().0.len()), (0, 0));
}

#[test]
fn a_worker_beats_and_late_looks_are_counted() {
    let mut story = Story::new(Noticed::Events);
    let beat = |at_ms: i64| {
        let beats = at_ms / 10_000;
        with(seen(1, at_ms % 10_000), State::Open, |info| info.sent += beats * 200)
    };
    for at_ms in (0..60_000).step_by(250) {
        story.look(at_ms, &[beat(at_ms)]);
    }
    story.look(61_000, &[beat(61_000)]);
    let late = story.tracker.late.unwrap();
    assert_eq!((late.looks, late.longest_ms), (1, 1_250));
    let life = story.end();
    assert_eq!((life.rhythm, life.born), (Rhythm::Beating, None));
    assert!((life.beat_ms.unwrap() - 10_000).abs() <= 1, "{life:?}");
    assert!(life.longest_silence_ms < 10_010, "{life:?}");
}

#[test]
fn a_look_between_the_last_words_and_the_end_hides_neither() {
    // 120 bytes have come, the FIN has not.
    let words = with(seen(1, 800), State::Open, |info| {
        (info.received, info.received_ago_ms) = (170, 3);
        info.segments_in += 1;
    });
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[seen(1, 300)]).look(250, &[seen(1, 550)]).look(500, &[words]);
    story.destroyed(510, cut(seen(1, 810))).look(535, &[]);
    let end = story.its_end();
    assert_eq!((end.closed_by, end.last_words_bytes), (ClosedBy::Peer, Some(120)));
    assert_eq!((span(&end), end.silence_ms, end.quiet_ms), ((500, 510), 809, 809));

    // The process has answered them, and is reset.
    let answered = with(words, State::Open, |info| (info.sent, info.sent_ago_ms) = (124, 1));
    let reset = with(answered, State::Gone, |info| (info.bare_in, info.segments_in) = (3, 5));
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[seen(1, 300)]).look(250, &[seen(1, 550)]).look(500, &[answered]);
    story.destroyed(510, reset).look(535, &[]);
    let end = story.its_end();
    assert_eq!((end.closed_by, end.last_words_bytes), (ClosedBy::Peer, Some(120)));
    assert_eq!(end.silence_ms, 809);

    // They have come, and the process has closed before the server's FIN.
    let closed = with(seen(1, 3), State::OwnClosed, |info| {
        (info.sent, info.received, info.received_ago_ms) = (124, 170, 4);
    });
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[seen(1, 300)]).look(250, &[seen(1, 550)]).look(500, &[closed]);
    let end = story.its_end();
    assert_eq!((end.closed_by, end.form), (ClosedBy::Peer, Form::Unknown));
    assert_eq!((end.last_words_bytes, end.let_go_ms), (Some(120), Some(0)));

    // A Terminate has gone, and the server is quicker to close than the process.
    let goodbye = with(seen(1, 0), State::Open, |info| (info.sent, info.acked) = (105, 106));
    let mut half = with(seen(1, 250), State::PeerClosed, |info| {
        (info.sent, info.acked, info.received) = (105, 106, 51);
    });
    half.unread = 1;
    let mut story = Story::new(Noticed::Events);
    story.look(0, &[seen(1, 300)]).look(250, &[goodbye]).look(500, &[half]);
    assert_eq!(story.its_end().closed_by, ClosedBy::Own);
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let state = prop::sample::select(vec![
        State::Opening,
        State::Open,
        State::Open,
        State::PeerClosed,
        State::OwnClosed,
        State::Gone,
    ]);
    let counts = prop::collection::vec(0..300_i64, 13);
    (0..6_u64, state, counts, 0..3_i64, any::<bool>()).prop_map(
        |(cookie, state, n, unread, has)| {
            let info = Info {
                sent: n[0],
                acked: n[1],
                received: n[2],
                retransmits: n[3],
                tries: n[4] % 3,
                unacked: n[5] % 3,
                bare_in: n[6],
                bare_out: n[7],
                segments_in: n[8],
                segments_out: n[9],
                sent_ago_ms: n[10],
                received_ago_ms: n[11],
                acked_ago_ms: n[12],
            };
            Seen { state, unread, info: has.then_some(info), ..seen(cookie, 0) }
        },
    )
}

proptest! {
    #[test]
    fn whatever_the_kernel_tells_each_life_is_told_once_and_its_end_lies_in_it(
        looks in prop::collection::vec(
            (1..400_i64, prop::collection::vec(any_seen(), 0..5), prop::collection::vec(any_seen(), 0..3), any::<bool>()),
            1..40,
        ),
        hears in any::<bool>(),
    ) {
        let mut story = Story::new(if hears { Noticed::Events } else { Noticed::Looks });
        let mut now = 1_000_000;
        for (ms, mut all, gone, lost) in looks {
            all.sort_by_key(|seen| seen.cookie);
            all.dedup_by_key(|seen| seen.cookie);
            for seen in gone {
                story.destroyed(now + ms / 2, seen);
            }
            if lost && ms % 7 == 0 {
                story.tracker.lost_ends();
            }
            now += ms;
            story.look(now, &all);
        }
        let told = |word: &str| story.told.iter().filter(|line| line.starts_with(word)).count();
        let (ended, born) = (told("ended"), told("born"));
        let (lives, untold, _) = story.tracker.end();
        prop_assert!(lives.len() >= born && untold == 0);
        prop_assert!(lives.iter().filter(|life| life.end.is_some()).count() >= ended);
        for life in &lives {
            prop_assert!(life.lived_ms >= 0 && life.longest_silence_ms >= 0);
            if let Some(end) = life.end {
                let (after, before) = span(&end);
                prop_assert!(after <= before && before <= now + 1, "{:?}", life);
                prop_assert!(end.silence_ms >= 0 && end.quiet_ms >= 0 && end.quiet_ms <= end.silence_ms);
                prop_assert!(end.last_words_bytes.is_none_or(|bytes| bytes >= 0));
            }
        }
    }
}
