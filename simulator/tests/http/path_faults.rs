//! Faults of requests by their path.

use std::io::ErrorKind;

use kalshi_simulator::{Exchange, Fault, RetryAfter, Rules, Server};

use crate::client::Client;
use crate::{TICKER, exchange};

fn bench() -> (Exchange, Server, Client) {
    let (exchange, server) = exchange(Rules::default(), 30);
    let client = Client::new(&server);
    (exchange, server, client)
}

#[test]
fn a_script_hits_the_path_it_is_for() {
    let (exchange, _server, mut client) = bench();
    exchange.script_for("/markets", [Fault::Status(503), Fault::None, Fault::NotTrades]);
    assert_eq!(client.trades("").status, 200, "another path");
    assert_eq!(client.get(&format!("/markets/{TICKER}")).status, 200);
    assert_eq!(client.get("/markets?limit=1").status, 503, "whatever the query");
    assert_eq!(client.get("/markets").tickers(), [TICKER]);
    assert_eq!(client.get("/markets").text(), r#"{"ok":true}"#);
    assert_eq!(client.get("/markets").status, 200);
    let faults: Vec<Fault> = exchange.requests().iter().map(|asked| asked.fault).collect();
    let none = Fault::None;
    assert_eq!(faults, [none, none, Fault::Status(503), none, Fault::NotTrades, none]);
}

#[test]
fn a_star_stands_for_any_end() {
    let (exchange, _server, mut client) = bench();
    exchange.fail_always("/events*", Some(Fault::TooMany { retry_after: None }));
    for path in ["/events", "/events/multivariate", "/events/KXTEST-26NOV22"] {
        assert_eq!(client.get(path).text(), r#"{"error":"too many requests"}"#, "{path}");
    }
    assert_eq!(client.get("/markets").status, 200);
    exchange.fail_always("/events*", None);
    assert_eq!(client.get("/events").status, 200);
    exchange.fail_always("*", Some(Fault::Status(500)));
    for path in ["/exchange/status", "/historical/cutoff", "/series", "/markets/trades"] {
        assert_eq!(client.get(path).status, 500, "{path}");
    }
    exchange.clear_faults();
    assert_eq!(client.get("/exchange/status").status, 200);
}

#[test]
fn trades_have_their_own_script_first() {
    let (exchange, _server, mut client) = bench();
    exchange.script([Fault::Status(500)]);
    exchange.script_for("/markets/trades", [Fault::Status(502)]);
    assert_eq!(client.get("/markets").status, 200, "a script is for trades");
    let statuses = [(); 3].map(|()| client.trades("").status);
    assert_eq!(statuses, [500, 502, 200]);
}

#[test]
fn every_kind_looks_as_it_does_for_trades() {
    let (exchange, server, _) = bench();
    let answer = |fault: Fault| {
        exchange.script_for("/markets", [fault]);
        Client::new(&server).try_get("/markets", "")
    };
    assert_eq!(answer(Fault::Reset).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(answer(Fault::ResetMidHeaders).unwrap_err().kind(), ErrorKind::ConnectionReset);
    for fault in [Fault::Closed, Fault::Hang { ms: 1 }, Fault::Truncated] {
        assert_eq!(answer(fault).unwrap_err().kind(), ErrorKind::UnexpectedEof, "{fault:?}");
    }
    let seconds = answer(Fault::TooMany { retry_after: Some(RetryAfter::Seconds(3)) }).unwrap();
    assert_eq!((seconds.status, seconds.header("retry-after")), (429, Some("3")));
    let (status, words) = (503, RetryAfter::Words("a while"));
    let alone = answer(Fault::LeaveAlone { status, retry_after: words }).unwrap();
    assert_eq!((alone.status, alone.header("retry-after")), (503, Some("a while")));
    assert!(str::from_utf8(&answer(Fault::Garbage).unwrap().body).is_err());
    assert_eq!(answer(Fault::Huge { bytes: 100_000 }).unwrap().body.len(), 100_000);
    let slow = answer(Fault::SlowBody { bytes_per_step: 500, pause_ms: 1 }).unwrap();
    assert_eq!(slow.tickers(), [TICKER]);
    let truncated = exchange.requests().into_iter().find(|asked| asked.fault == Fault::Truncated);
    assert_eq!(truncated.map(|asked| (asked.status, asked.row_count)), Some((Some(200), 1)));
}

#[test]
fn what_is_about_trades_does_nothing_elsewhere() {
    let (exchange, _server, mut client) = bench();
    exchange.script_for("/markets", [Fault::Unordered, Fault::RepeatCursor, Fault::CloseAfter]);
    for _ in 0..3 {
        assert_eq!(client.get("/markets").tickers(), [TICKER]);
    }
    assert!(exchange.requests().iter().all(|asked| asked.fault == Fault::None));
}
