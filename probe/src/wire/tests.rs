//! Frames captured from PostgreSQL 15.18 and PgBouncer 1.18.

use super::*;
use proptest::prelude::*;

/// pg_terminate_backend on an idle session of PostgreSQL, German messages.
const TERMINATED: &[u8] = b"E\0\0\0\x73SFATAL\0VFATAL\0C57P01\0Mterminating connection due to \
administrator command\0Fpostgres.c\0L3223\0RProcessInterrupts\0\0";
/// client_idle_timeout of PgBouncer.
const CLIENT_IDLE: &[u8] = b"E\0\0\0\x31SFATAL\0VFATAL\0C08P01\0Mclient_idle_timeout\0\0";
/// An immediate shutdown of PostgreSQL.
const SHUTDOWN: &[u8] = b"N\0\0\0\x85SWARNUNG\0VWARNING\0C57P01\0Mterminating connection due to \
immediate shutdown command\0Fpostgres.c\0L2940\0Rquickdie\0\0";
/// The answer to `SELECT 1`.
const ANSWER: &[u8] =
    b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0\
D\0\0\0\x0b\0\x01\0\0\0\x011C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";

fn with_length(captured: &[u8]) -> Vec<u8> {
    let mut frame = captured.to_vec();
    let length = u32::try_from(frame.len() - 1).unwrap();
    frame[1..5].copy_from_slice(&length.to_be_bytes());
    frame
}

fn frames(bytes: &[u8], chunk: usize) -> Result<Vec<Frame>, Garbage> {
    let mut frames = Frames::default();
    let mut all = Vec::new();
    for chunk in bytes.chunks(chunk) {
        frames.push(chunk);
        while let Some(frame) = frames.next_frame()? {
            all.push(frame);
        }
    }
    assert_eq!(frames.buffer.len(), 0, "bytes were left");
    assert_eq!(frames.buffer.capacity(), 0, "the buffer was kept");
    Ok(all)
}

fn said(bytes: &[u8]) -> RawMessage {
    match frames(&with_length(bytes), 4096).unwrap().remove(0) {
        Frame::Said(message) => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fatal_of_postgresql_names_its_routine() {
    let message = said(TERMINATED);
    assert!(message.is_fatal());
    let shown = message.scrubbed(&Scrubber::default());
    assert_eq!(shown.code, "57P01");
    assert_eq!(shown.text, "terminating connection due to administrator command");
    assert_eq!(shown.routine.as_deref(), Some("ProcessInterrupts"));
}

#[test]
fn pgbouncer_names_no_routine() {
    let message = said(CLIENT_IDLE);
    assert!(message.is_fatal());
    let shown = message.scrubbed(&Scrubber::default());
    assert_eq!((shown.code.as_str(), shown.routine), ("08P01", None));
}

#[test]
fn an_immediate_shutdown_is_a_notice_with_an_untranslated_severity() {
    let message = said(SHUTDOWN);
    assert!(!message.is_fatal() && !message.is_error());
    let shown = message.scrubbed(&Scrubber::default());
    assert_eq!((shown.kind, shown.severity.as_str()), (MessageKind::Notice, "WARNING"));
}

#[test]
fn texts_of_the_server_are_scrubbed() {
    let message = said(
        b"E....SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"svc_955\"\0\0",
    );
    let shown = message.scrubbed(&Scrubber::new(&[("svc_955", "<user>")]));
    assert!(shown.text.ends_with("for user \"<user>\""), "{}", shown.text);
}

#[test]
fn an_answer_ends_in_ready_however_it_is_cut() {
    for chunk in 1..ANSWER.len() {
        let all = frames(ANSWER, chunk).unwrap();
        assert_eq!(all.len(), 4, "in pieces of {chunk}");
        assert!(matches!(&all[2], Frame::Complete(tag) if tag == "SELECT 1"));
        assert!(matches!(all[3], Frame::Ready(b'I')));
    }
}

#[test]
fn a_row_of_a_gigabyte_is_not_kept() {
    let mut frames = Frames::default();
    frames.push(b"D\x40\0\0\0");
    assert!(matches!(frames.next_frame(), Ok(Some(Frame::Answer))));
    for _ in 0..100 {
        frames.push(&[b'x'; 4096]);
        assert!(matches!(frames.next_frame(), Ok(None)));
        assert_eq!(frames.buffer.capacity(), 0);
    }
}

#[test]
fn rows_are_decoded_where_they_are_asked_for() {
    let mut frames = Frames { keeps_rows: true, ..Frames::default() };
    frames.push(b"D\0\0\0\x0f\0\x02\0\0\0\x011\xff\xff\xff\xff");
    let Ok(Some(Frame::Row(row))) = frames.next_frame() else { panic!() };
    assert_eq!(row, [Some("1".to_owned()), None]);
}

#[test]
fn other_protocols_are_recognised() {
    assert!(matches!(frames(b"HTTP/1.1 400 Bad Request\r\n\r\n", 9), Err(Garbage)));
    assert!(matches!(frames(b"-ERR unknown command\r\n", 9), Err(Garbage)));
    // A plausible tag with an impossible length.
    assert!(matches!(frames(b"E\0\0\0\0", 9), Err(Garbage)));
    assert!(matches!(frames(b"E\x7f\0\0\0", 9), Err(Garbage)));
}

/// Bytes that are a frame by their head: its tag is known, and its length right or nearly so.
fn framed() -> impl Strategy<Value = Vec<u8>> {
    let tag = proptest::sample::select(b"RSKZTDCENAIdctns123HGWv".as_slice());
    let body = proptest::collection::vec(prop_oneof![any::<u8>(), Just(0), b'A'..=b'Z'], 0..60);
    (tag, body, prop_oneof![8 => Just(4), 1 => 0..9_u32]).prop_map(|(tag, body, more)| {
        let length = u32::try_from(body.len()).unwrap() + more;
        [[tag].as_slice(), &length.to_be_bytes(), &body].concat()
    })
}

proptest! {
    #[test]
    fn nothing_that_a_peer_sends_makes_it_panic(
        pieces in proptest::collection::vec(
            prop_oneof![4 => framed(), 1 => proptest::collection::vec(any::<u8>(), 0..60)],
            0..8,
        ),
        keeps_rows in any::<bool>(),
    ) {
        let mut frames = Frames { keeps_rows, ..Frames::default() };
        for piece in pieces {
            frames.push(&piece);
            while let Ok(Some(frame)) = frames.next_frame() {
                if let Frame::Said(message) = frame {
                    prop_assert!(message.scrubbed(&Scrubber::default()).text.chars().count() <= 200);
                }
            }
        }
    }
}
