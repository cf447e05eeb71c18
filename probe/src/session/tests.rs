use super::*;
use crate::close::{Verdict, classify};
use api::{
    close_form::{CloseWord, TcpEnd},
    report::Outcome,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::sleep,
};

const DONE: &[u8] = b"C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
const TIMEOUT: Duration = Duration::from_millis(300);

/// A session and the server's end of it.
async fn session() -> (Session, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    let observer = Observer {
        attention: Arc::new(Attention::new(Instant::now())),
        scrubber: Scrubber::default(),
        answer_timeout: TIMEOUT,
        meter: Arc::default(),
    };
    // A tick that never comes late: these tests are not about stalls.
    let session = Session::new(Link::new(tcp), Instant::now(), Manner::Raw, Arc::new(observer));
    (session, server)
}

fn message(kind: u8, severity: &str, code: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0Mtext\0\0");
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], body.as_bytes()].concat()
}

async fn verdict(session: &mut Session, sign: Sign) -> Verdict {
    classify(session.drain(sign).await)
}

fn codes(verdict: &Verdict) -> Vec<&str> {
    verdict.form.messages.iter().map(|message| message.code.as_str()).collect()
}

#[tokio::test]
async fn a_fatal_is_still_read_after_a_write_that_failed() {
    let (mut session, mut server) = session().await;
    server.write_all(&message(b'E', "FATAL", "57P01")).await.unwrap();
    drop(server);
    sleep(Duration::from_millis(20)).await;
    // The first write is answered by a reset, the second one fails.
    session.send(b"Q\0\0\0\x05\0").await.unwrap();
    sleep(Duration::from_millis(20)).await;
    let sign = session.send(b"Q\0\0\0\x05\0").await.unwrap_err();
    let verdict = verdict(&mut session, sign).await;
    assert_eq!(codes(&verdict), ["57P01"]);
    assert_eq!(verdict.form.word, CloseWord::Message);
    assert!(verdict.form.on_write);
}

#[tokio::test]
async fn a_write_that_fails_without_a_word_is_an_interval() {
    let (mut session, server) = session().await;
    server.set_zero_linger().unwrap();
    drop(server);
    sleep(Duration::from_millis(20)).await;
    let sign = session.send(b"Q\0\0\0\x05\0").await.unwrap_err();
    let verdict = verdict(&mut session, sign).await;
    assert_eq!((verdict.form.word, verdict.form.tcp), (CloseWord::RstOnWrite, TcpEnd::Rst));
    assert_eq!(verdict.lifetime.min_ms, 0);
    assert!(verdict.lifetime.max_ms.unwrap() >= 20);
}

#[tokio::test]
async fn two_messages_and_the_fin_are_seen_however_late_they_come() {
    let (mut session, mut server) = session().await;
    tokio::spawn(async move {
        server.write_all(&message(b'E', "FATAL", "57P01")).await.unwrap();
        sleep(Duration::from_millis(100)).await;
        server.write_all(&message(b'E', "FATAL", "08P01")).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    });
    let sign = session.watch().await;
    let verdict = verdict(&mut session, sign).await;
    assert_eq!((codes(&verdict), verdict.form.tcp), (vec!["57P01", "08P01"], TcpEnd::Fin));
}

#[tokio::test]
async fn a_fatal_without_a_fin_is_the_end_all_the_same() {
    let (mut session, mut server) = session().await;
    server.write_all(&message(b'E', "FATAL", "57P01")).await.unwrap();
    let sign = session.watch().await;
    let verdict = verdict(&mut session, sign).await;
    assert_eq!((verdict.form.word, verdict.form.tcp), (CloseWord::Message, TcpEnd::Open));
    assert!(verdict.lifetime.is_exact());
}

#[tokio::test]
async fn silence_is_waited_out_and_then_an_interval() {
    let (mut session, _server) = session().await;
    sleep(Duration::from_millis(50)).await;
    let begin = Instant::now();
    let sign = session.ask("SELECT 1", Duration::ZERO).await.unwrap_err();
    assert!(begin.elapsed() >= TIMEOUT);
    let verdict = verdict(&mut session, sign).await;
    assert_eq!((verdict.form.word, verdict.form.tcp), (CloseWord::TimedOut, TcpEnd::Open));
    assert_eq!(verdict.lifetime.min_ms, 0);
    assert!(verdict.lifetime.max_ms.unwrap() >= 350);
}

#[tokio::test]
async fn notices_and_notifications_are_no_end_and_prove_no_answer() {
    let (mut session, mut server) = session().await;
    let established = session.life().proof;
    let aside = [
        message(b'N', "NOTICE", "00000"),
        b"A\0\0\0\x0c\0\0\0\x01c\0p\0".to_vec(),
        b"S\0\0\0\x11TimeZone\0UTC\0".to_vec(),
    ];
    server.write_all(&aside.concat()).await.unwrap();
    tokio::select! {
        sign = session.watch() => panic!("{sign:?}"),
        () = sleep(Duration::from_millis(100)) => {}
    }
    assert_eq!(session.life().proof, established);
    assert!(session.life().server_byte.is_some());
}

#[tokio::test]
async fn an_error_in_an_answer_is_returned_and_the_next_answer_has_none() {
    let (mut session, mut server) = session().await;
    tokio::spawn(async move {
        let mut bytes = [0; 64];
        let _ = server.read(&mut bytes).await;
        let refusal = [message(b'E', "ERROR", "25006"), b"Z\0\0\0\x05I".to_vec()];
        server.write_all(&refusal.concat()).await.unwrap();
        let _ = server.read(&mut bytes).await;
        server.write_all(DONE).await.unwrap();
        let _ = server.read(&mut bytes).await;
    });
    let refusal = session.ask("UPDATE t SET a = 1", Duration::ZERO).await.unwrap();
    assert_eq!(refusal.unwrap().code, "25006");
    assert_eq!(session.ask("SELECT 1", Duration::ZERO).await.unwrap(), None);
    assert_eq!(session.life().proof, session.life().request.unwrap());
}

#[tokio::test]
async fn a_fin_that_meets_a_request_is_an_interval_from_the_last_answer() {
    let (mut session, mut server) = session().await;
    tokio::spawn(async move {
        let mut bytes = [0; 64];
        let _ = server.read(&mut bytes).await;
        server.write_all(DONE).await.unwrap();
        let _ = server.read(&mut bytes).await;
    });
    session.ask("SELECT 1", Duration::ZERO).await.unwrap();
    let answered = session.life().proof;
    sleep(Duration::from_millis(50)).await;
    let sign = session.ask("SELECT 1", Duration::ZERO).await.unwrap_err();
    let verdict = verdict(&mut session, sign).await;
    assert_eq!((verdict.outcome, verdict.form.word), (Outcome::Disconnected, CloseWord::Fin));
    let established = session.life().established;
    let lower = api::lifetime::ms(answered - established);
    assert_eq!(verdict.lifetime.min_ms, lower);
    assert!(verdict.lifetime.max_ms.unwrap() >= lower + 50);
}
