//! Each fault as it looks on the wire.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use kalshi_simulator::{Exchange, Fault, Framing, RetryAfter, Rules, Server};

use crate::client::{Client, walk};
use crate::{START_US, exchange, ids};

/// Thirty trades and a client, the faults to come.
fn bench(faults: impl IntoIterator<Item = Fault>) -> (Exchange, Server, Client) {
    let (exchange, server) = exchange(Rules::default(), 30);
    exchange.script(faults);
    let client = Client::new(&server);
    (exchange, server, client)
}

#[test]
fn the_script_is_followed_and_then_all_is_well() {
    let (exchange, _server, mut client) = bench([Fault::None, Fault::Status(503), Fault::None]);
    let statuses: Vec<u16> = (0..4).map(|_| client.trades("").status).collect();
    assert_eq!(statuses, [200, 503, 200, 200]);
    assert_eq!(client.get("/exchange/status").status, 200);
    let faults: Vec<_> = exchange.requests().iter().map(|a| (a.trades_request, a.fault)).collect();
    let none = Fault::None;
    assert_eq!(
        faults,
        [
            (Some(1), none),
            (Some(2), Fault::Status(503)),
            (Some(3), none),
            (Some(4), none),
            (None, none)
        ]
    );
}

#[test]
fn faults_concern_trades_only() {
    let (_exchange, _server, mut client) = bench([Fault::Status(500)]);
    assert_eq!(client.get("/historical/cutoff").status, 200);
    assert_eq!(client.get("/nothing").status, 404);
    assert_eq!(client.get("/historical/trades").status, 500);
}

#[test]
fn a_status_has_the_body_of_its_class() {
    let (_exchange, _server, mut client) = bench([500, 502, 504, 401, 403, 429].map(Fault::Status));
    for _ in 0..3 {
        let answer = client.trades("");
        assert_eq!(answer.header("content-type"), Some("text/html"));
        assert!(answer.text().starts_with("<html>"));
    }
    assert_eq!(client.trades("").json()["error"]["code"], "token_authentication_failure");
    assert_eq!(client.trades("").json()["error"]["code"], "forbidden");
    assert_eq!(client.trades("").text(), r#"{"error":"too many requests"}"#);
}

#[test]
fn too_many_requests_may_say_when_to_come_back() {
    let (exchange, _server, mut client) = bench([
        Fault::TooMany { retry_after: None },
        Fault::TooMany { retry_after: Some(RetryAfter::Seconds(7)) },
        Fault::TooMany { retry_after: Some(RetryAfter::HttpDate(20)) },
    ]);
    exchange.set_now(START_US);
    for retry_after in [None, Some("7"), Some("Mon, 21 Sep 2026 14:27:00 GMT")] {
        let answer = client.trades("");
        assert_eq!(answer.status, 429);
        assert_eq!(answer.text(), r#"{"error":"too many requests"}"#);
        assert_eq!(answer.header("retry-after"), retry_after);
    }
}

#[test]
fn resets_are_resets() {
    let (exchange, server, mut client) = bench([Fault::Reset, Fault::ResetMidHeaders]);
    let reset = client.try_get("/markets/trades", "").unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);

    let mut client = Client::new(&server);
    let reset = client.try_get("/markets/trades", "").unwrap_err();
    assert_eq!(reset.kind(), ErrorKind::ConnectionReset);
    assert!(exchange.requests().iter().all(|asked| asked.status.is_none()));
    assert_eq!(Client::new(&server).trades("").status, 200);
}

#[test]
fn a_closed_connection_ends_without_a_byte() {
    let (_exchange, _server, mut client) = bench([Fault::Closed]);
    client.send("GET /trade-api/v2/markets/trades HTTP/1.1\r\n\r\n");
    assert_eq!(client.rest().unwrap(), b"");
}

#[test]
fn a_truncated_body_is_shorter_than_declared() {
    for framing in [Framing::ContentLength, Framing::Chunked] {
        let (exchange, _server, mut client) = bench([Fault::Truncated]);
        exchange.change(|world| world.rules.framing = framing);
        let cut = client.try_get("/markets/trades", "").unwrap_err();
        assert_eq!(cut.kind(), ErrorKind::UnexpectedEof, "{framing:?}");
        assert_eq!(exchange.requests()[0].row_count, 30);
    }
    let (_exchange, _server, mut client) = bench([Fault::None, Fault::Truncated]);
    let whole = client.trades("").body;
    client.send("GET /trade-api/v2/markets/trades HTTP/1.1\r\n\r\n");
    let (status, headers) = client.head().unwrap();
    assert_eq!(status, 200);
    assert!(headers.contains(&("content-length".to_owned(), whole.len().to_string())));
    assert_eq!(client.rest().unwrap(), whole[..whole.len() / 2]);
}

#[test]
fn garbage_and_strange_json_come_with_status_200() {
    let (_exchange, _server, mut client) = bench([Fault::Garbage, Fault::NotTrades]);
    let garbage = client.trades("");
    assert_eq!(garbage.status, 200);
    assert_eq!(garbage.header("content-type"), Some("application/json"));
    assert!(serde_json::from_slice::<serde_json::Value>(&garbage.body).is_err());
    assert_eq!(client.trades("").text(), r#"{"ok":true}"#);
}

#[test]
fn a_slow_body_takes_its_time_and_is_whole() {
    for framing in [Framing::ContentLength, Framing::Chunked] {
        let slow = Fault::SlowBody { bytes_per_step: 2_000, pause_ms: 5 };
        let (exchange, _server, mut client) = bench([Fault::None, slow]);
        exchange.change(|world| world.rules.framing = framing);
        let whole = client.trades("").body;
        let started = Instant::now();
        assert_eq!(client.trades("").body, whole);
        let steps = u32::try_from(whole.len().div_ceil(2_000)).unwrap();
        assert!(1 < steps && Duration::from_millis(5) * steps <= started.elapsed());
    }
}

#[test]
fn a_hang_says_nothing_and_closes() {
    let (_exchange, _server, mut client) = bench([Fault::Hang { ms: 30 }]);
    let started = Instant::now();
    client.send("GET /trade-api/v2/markets/trades HTTP/1.1\r\n\r\n");
    assert_eq!(client.rest().unwrap(), b"");
    assert!(Duration::from_millis(30) <= started.elapsed());
}

#[test]
fn a_huge_body_is_as_long_as_told() {
    for framing in [Framing::ContentLength, Framing::Chunked] {
        let sizes = [0, 1, 37, 38, 39, 3_000_000];
        let (exchange, _server, mut client) = bench(sizes.map(|bytes| Fault::Huge { bytes }));
        exchange.change(|world| world.rules.framing = framing);
        for bytes in sizes {
            let answer = client.trades("");
            assert_eq!(u64::try_from(answer.body.len()).unwrap(), bytes);
            assert!(bytes < 38 || answer.json()["trades"].as_array().unwrap().is_empty());
        }
    }
}

#[test]
fn a_repeated_cursor_goes_in_a_circle() {
    let (_exchange, _server, mut client) = bench([Fault::RepeatCursor; 3]);
    let first = client.trades("limit=10").cursor().unwrap();
    for _ in 0..2 {
        let next = client.trades(&format!("limit=10&cursor={first}"));
        assert_eq!(next.cursor(), Some(first.clone()));
        assert_eq!(next.ids().len(), 10);
    }
}

#[test]
fn cursors_are_refused_or_ignored() {
    let (exchange, _server, mut client) = bench([Fault::RefusedCursor, Fault::RefusedCursor]);
    let first = client.trades("limit=10");
    let cursor = first.cursor().unwrap();
    let second = format!("limit=10&cursor={cursor}");
    assert_eq!(client.trades(&second).status, 400);

    exchange.script([Fault::IgnoredCursor, Fault::IgnoredCursor]);
    assert_eq!(client.trades("limit=10").ids(), first.ids());
    assert_eq!(client.trades(&second).ids(), first.ids());
    assert_eq!(client.trades(&second).ids(), ids(&exchange)[10..20]);
}

#[test]
fn rows_are_doubled_or_shuffled() {
    let (exchange, _server, mut client) = bench([Fault::DuplicatedRows, Fault::Unordered]);
    let truth = ids(&exchange);
    let doubled = client.trades("limit=10");
    let expected: Vec<_> = truth[..10].iter().flat_map(|id| [id.clone(), id.clone()]).collect();
    assert_eq!(doubled.ids(), expected);
    assert_eq!(exchange.requests()[0].row_count, 20);
    let next = doubled.cursor().unwrap();
    let shuffled = client.trades(&format!("limit=10&cursor={next}"));
    let mut seen = shuffled.ids();
    assert_ne!(seen, truth[10..20]);
    seen.sort_unstable();
    let mut expected = truth[10..20].to_vec();
    expected.sort_unstable();
    assert_eq!(seen, expected);
    let next = shuffled.cursor().unwrap();
    assert_eq!(client.trades(&format!("cursor={next}")).ids(), truth[20..], "the walk goes on");
}

#[test]
fn two_rows_are_out_of_order_too() {
    let (exchange, _server, mut client) = bench([Fault::Unordered; 8]);
    let mut swapped = ids(&exchange)[..2].to_vec();
    swapped.reverse();
    for _ in 0..8 {
        assert_eq!(client.trades("limit=2").ids(), swapped);
    }
}

#[test]
fn an_empty_page_withholds_nothing() {
    let empty = Fault::EmptyPageWithCursor;
    let (exchange, _server, mut client) = bench([Fault::None, empty, empty, Fault::None, empty]);
    let pages = walk(&mut client, "/markets/trades", "limit=10");
    let row_counts: Vec<usize> = pages.iter().map(Vec::len).collect();
    assert_eq!(row_counts, [10, 0, 0, 10, 0, 10]);
    assert_eq!(pages.concat(), ids(&exchange));
    let asked: Vec<_> =
        exchange.requests().iter().filter_map(|a| a.param("cursor").map(str::to_owned)).collect();
    let mut distinct = asked.clone();
    distinct.dedup();
    assert_eq!(distinct, asked, "no cursor twice");

    exchange.script([empty]);
    let end = walk(&mut client, "/markets/trades", "ticker=KXNOBODY");
    assert_eq!(end.len(), 2, "at the end of a list as well");
}

#[test]
fn a_redirect_leads_to_the_same_page() {
    let (exchange, _server, mut client) = bench([Fault::Redirect]);
    let answer = client.trades("limit=3");
    assert_eq!(answer.status, 302);
    let location = answer.header("location").unwrap().strip_prefix("/trade-api/v2").unwrap();
    assert_eq!(client.get(location).ids(), ids(&exchange)[..3]);
}

#[test]
fn a_connection_may_close_without_a_word() {
    let (_exchange, _server, mut client) = bench([Fault::CloseAfter]);
    let answer = client.trades("");
    assert_eq!((answer.status, answer.header("connection")), (200, None));
    assert_eq!(client.rest().unwrap(), b"");
}

#[test]
fn random_faults_can_be_always_and_end() {
    let (exchange, _server, mut client) = bench([]);
    exchange.random_faults(1, 1_000, &[Fault::Status(503)]);
    assert_eq!(client.trades("").status, 503);
    assert_eq!(client.trades("").status, 503);
    exchange.random_faults(1, 0, &[Fault::Status(503)]);
    assert_eq!(client.trades("").status, 200);
}
