use super::*;

/// A connection of which everything is known, and which nothing has happened to yet.
struct Given {
    start: Instant,
    symptoms: Symptoms,
}

fn given() -> Given {
    let start = Instant::now();
    let mut life = Life::new(start);
    life.proof = start + s(10);
    life.server_byte = Some(start + s(10));
    Given {
        start,
        symptoms: Symptoms {
            said: Vec::new(),
            sign: Moment::exact(start + s(100)),
            tls: None,
            tcp: TcpEnd::Fin,
            on_write: false,
            life,
            sample: None,
        },
    }
}

impl Given {
    fn tcp(mut self, tcp: TcpEnd) -> Self {
        self.symptoms.tcp = tcp;
        self
    }

    fn tls(mut self, tls: TlsEnd) -> Self {
        self.symptoms.tls = Some(tls);
        self
    }

    /// A request was sent at 90 s, and the last acknowledgement came at `at`.
    fn acknowledged(mut self, at: u64) -> Self {
        self.symptoms.life.client_byte = Some(self.start + s(90));
        let now = self.symptoms.sign.at;
        let last_ack_recv_ms = api::lifetime::ms(now - (self.start + s(at)));
        let info = TcpInfo { last_ack_recv_ms, ..TcpInfo::default() };
        self.symptoms.sample = Some(Sample { at: now, info });
        self
    }

    /// A keepalive packet of ours had no answer.
    fn probed(mut self) -> Self {
        let sample = self.symptoms.sample.as_mut();
        sample.expect("the kernel was asked").info.probes = 1;
        self
    }

    fn while_asking(mut self) -> Self {
        self.symptoms.on_write = true;
        self
    }

    /// The process looked away for so many seconds before the sign.
    fn after_a_stall_of(mut self, seconds: u64) -> Self {
        self.symptoms.sign.earliest = self.symptoms.sign.at - s(seconds);
        self
    }

    fn said(
        mut self,
        at: Duration,
        kind: MessageKind,
        severity: &str,
        code: &str,
        text: &str,
    ) -> Self {
        self.symptoms.said.push(Said {
            moment: Moment::exact(self.start + at),
            message: ServerMessage {
                kind,
                severity: severity.into(),
                code: code.into(),
                text: text.into(),
                routine: None,
            },
        });
        self
    }

    fn fatal(self, at: Duration, code: &str, text: &str) -> Self {
        self.said(at, MessageKind::Error, "FATAL", code, text)
    }

    fn warning(self, at: Duration, code: &str) -> Self {
        self.said(at, MessageKind::Notice, "WARNING", code, "terminating connection")
    }

    /// Word, lower and upper end of the lifetime in milliseconds.
    fn seen(self) -> (CloseWord, i64, Option<i64>) {
        let verdict = classify(self.symptoms);
        (verdict.form.word, verdict.lifetime.min_ms, verdict.lifetime.max_ms)
    }
}

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_announces_the_end_is_exact_and_the_rest_an_interval() {
    use CloseWord as W;
    let exact = (100_000, Some(100_000));
    let interval = (10_000, Some(100_000));
    let table = [
        (given(), W::Fin, exact),
        (given().tcp(TcpEnd::Rst), W::Rst, exact),
        (given().tls(TlsEnd::CloseNotify), W::Fin, exact),
        (given().tls(TlsEnd::Truncated), W::Truncated, exact),
        (given().tls(TlsEnd::Alert("x".into())).tcp(TcpEnd::Open), W::TlsAlert, exact),
        (given().while_asking(), W::Fin, interval),
        (given().while_asking().tcp(TcpEnd::Rst), W::RstOnWrite, interval),
        (given().while_asking().tcp(TcpEnd::Open), W::TimedOut, interval),
        (given().tcp(TcpEnd::TimedOut), W::TimedOut, interval),
        (given().tcp(TcpEnd::Errno(113)), W::TimedOut, interval),
    ];
    for (row, (given, word, (min, max))) in table.into_iter().enumerate() {
        assert_eq!(given.seen(), (word, min, max), "row {row}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_is_a_sign_of_life_unless_it_may_be_the_requests_own() {
    let rst = || given().while_asking().tcp(TcpEnd::Rst);
    let silent = || given().while_asking().tcp(TcpEnd::Open);
    let timed_out = || given().tcp(TcpEnd::TimedOut);
    let idle_rst = || given().tcp(TcpEnd::Rst);
    // Each with the begin of its interval; the kernel's clock is good for 10 ms.
    let table = [
        (rst().acknowledged(80), 79_990),
        (rst().acknowledged(90), 10_000),
        (silent().acknowledged(80), 79_990),
        (silent().acknowledged(95), 10_000),
        (given().while_asking().acknowledged(100), 10_000),
        (timed_out().while_asking().acknowledged(80), 79_990),
        (timed_out().while_asking().acknowledged(95), 94_990),
        (timed_out().acknowledged(5), 10_000),
        // A reset is exact, unless a keepalive packet met it.
        (idle_rst().acknowledged(95), 100_000),
        (idle_rst().acknowledged(95).probed(), 94_990),
    ];
    for (row, (given, begin)) in table.into_iter().enumerate() {
        let (_, min, max) = given.seen();
        assert_eq!((min, max), (begin, Some(100_000)), "row {row}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fin_during_a_long_statement_is_exact() {
    // Asked at 10 s. Up to 150 s later the FIN may be the answer of whoever could not serve the request.
    for (noticed, begin) in [(160, 10_000), (161, 161_000)] {
        let mut given = given().while_asking();
        given.symptoms.life.client_byte = Some(given.start + s(10));
        given.symptoms.sign = Moment::exact(given.start + s(noticed));
        let end = api::lifetime::ms(s(noticed));
        assert_eq!(given.seen(), (CloseWord::Fin, begin, Some(end)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fatal_is_the_end_though_tcp_ends_later() {
    let seen = given().fatal(s(99), "57P01", "t").seen();
    assert_eq!(seen, (CloseWord::Message, 99_000, Some(99_000)));
    let refused = given().while_asking().fatal(s(99), "57P01", "t").tcp(TcpEnd::Rst);
    assert_eq!(refused.seen(), (CloseWord::Message, 99_000, Some(99_000)));
}

#[tokio::test(start_paused = true)]
async fn both_messages_of_pgbouncer_are_kept_in_order() {
    let given = given()
        .fatal(s(99), "57P01", "terminating connection due to administrator command")
        .fatal(s(99) + Duration::from_millis(3), "08P01", "server conn crashed?");
    let codes: Vec<_> =
        classify(given.symptoms).form.messages.into_iter().map(|message| message.code).collect();
    assert_eq!(codes, ["57P01", "08P01"]);
}

#[tokio::test(start_paused = true)]
async fn a_notice_announces_an_end_that_follows_at_once_and_no_other() {
    let at_once = given().warning(s(99), "57P01").seen();
    assert_eq!(at_once, (CloseWord::Message, 99_000, Some(99_000)));

    let long_before = classify(given().warning(s(50), "01000").symptoms);
    assert_eq!(long_before.form.word, CloseWord::Fin);
    assert_eq!(long_before.lifetime.min_ms, 100_000);
    assert_eq!(long_before.clocks.server_byte_ms, Some(50_000));
}

#[tokio::test(start_paused = true)]
async fn the_clocks_stand_still_at_the_announcement() {
    let verdict = classify(given().fatal(s(99), "57P01", "t").symptoms);
    assert_eq!(verdict.clocks.connect_ms, 99_000);
    assert_eq!(verdict.clocks.server_byte_ms, Some(89_000));
}

#[tokio::test(start_paused = true)]
async fn a_stall_of_ours_widens_the_time_and_a_long_one_makes_it_worthless() {
    let verdict = classify(given().after_a_stall_of(3).symptoms);
    assert_eq!(verdict.outcome, Outcome::Disconnected);
    assert_eq!(verdict.lifetime, Lifetime { min_ms: 97_000, max_ms: Some(100_000) });

    let verdict = classify(given().after_a_stall_of(11).symptoms);
    assert_eq!(verdict.reason, Some(Inconclusive::ProbeStalled));
    // Never before the last proof of life.
    let verdict = classify(given().after_a_stall_of(95).symptoms);
    assert_eq!(verdict.lifetime.min_ms, 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_ran_dry_is_not_a_finding() {
    for (code, text) in [
        ("53300", "sorry, too many clients already"),
        ("08P01", "query_wait_timeout"),
        ("08000", "Timed-out waiting to acquire database connection"),
    ] {
        let verdict = classify(given().fatal(s(100), code, text).symptoms);
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert_eq!(verdict.reason, Some(Inconclusive::PoolExhausted), "{text}");
    }
}

#[test]
fn errnos_are_told_apart() {
    let end = |errno| tcp_end(&io::Error::from_raw_os_error(errno));
    assert_eq!(end(104), TcpEnd::Rst);
    assert_eq!(end(32), TcpEnd::Rst);
    assert_eq!(end(110), TcpEnd::TimedOut);
    assert_eq!(end(113), TcpEnd::Errno(113));
}
