//! HTTP itself: connections, framing, headers, limits, stopping.

use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use kalshi_simulator::{Exchange, Fault, Framing, RateClock, RateLimit, Rules};

use crate::client::Client;
use crate::{SECOND_US, START_US, TICKER, exchange, ids, trade, until};

#[test]
fn a_connection_serves_many_requests() {
    let (exchange, server) = exchange(Rules::default(), 5);
    let mut client = Client::new(&server);
    for number in 0..300 {
        assert_eq!(client.trades(&format!("limit=1&n={number}")).status, 200);
    }
    assert_eq!(exchange.requests().len(), 300);
    exchange.forget_requests();
    assert!(exchange.requests().is_empty());
}

#[test]
fn many_connections_are_served_at_once() {
    let (exchange, server) = exchange(Rules::default(), 1_000);
    let truth = ids(&exchange);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut client = Client::new(&server);
                for _ in 0..10 {
                    assert_eq!(client.trades("limit=1000").ids(), truth);
                }
            });
        }
    });
    assert_eq!(exchange.requests().len(), 160);
}

#[test]
fn requests_come_in_any_cut() {
    let (_exchange, server) = exchange(Rules::default(), 5);
    let mut client = Client::new(&server);
    let request = "GET /trade-api/v2/markets/trades?limit=2 HTTP/1.1\r\nHost: a\r\n\r\n";
    for cut in [1, 5, request.len() - 3, request.len() - 2, request.len() - 1] {
        client.send(&request[..cut]);
        client.send(&request[cut..]);
        assert_eq!(client.answer().unwrap().ids().len(), 2, "cut at {cut}");
    }
    client.send(&request.repeat(3));
    for _ in 0..3 {
        assert_eq!(client.answer().unwrap().ids().len(), 2, "pipelined");
    }
    client.send("POST /trade-api/v2/markets/trades HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345");
    assert_eq!(client.answer().unwrap().status, 405);
    assert_eq!(client.trades("").status, 200, "the body was read past");
}

#[test]
fn a_client_may_ask_to_close() {
    let (_exchange, server) = exchange(Rules::default(), 5);
    for head in ["HTTP/1.1\r\nConnection: close", "HTTP/1.0"] {
        let mut client = Client::new(&server);
        client.send(&format!("GET /trade-api/v2/exchange/status {head}\r\n\r\n"));
        assert_eq!(client.answer().unwrap().header("connection"), Some("close"));
        assert_eq!(client.rest().unwrap(), b"");
    }
}

#[test]
fn nonsense_is_answered_and_the_connection_closed() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(9_000));
    for (request, status) in [("nonsense\r\n\r\n", 400), (long.as_str(), 414)] {
        let mut client = Client::new(&server);
        client.send(request);
        assert_eq!(client.answer().unwrap().status, status);
        assert_eq!(client.rest().unwrap(), b"");
    }
    assert!(exchange.requests().is_empty(), "it never reached the exchange");
}

#[test]
fn bodies_are_framed_and_compressed_as_the_rules_say() {
    let (exchange, server) = exchange(Rules::default(), 1_000);
    let mut client = Client::new(&server);
    let plain = client.trades("limit=1000").body;
    for framing in [Framing::ContentLength, Framing::Chunked] {
        exchange.change(|world| {
            world.rules.framing = framing;
            world.rules.gzip = true;
        });
        let answer = client.trades("limit=1000");
        assert_eq!(answer.body, plain, "not asked for compression");
        let is_chunked = answer.header("transfer-encoding") == Some("chunked");
        assert_eq!(is_chunked, framing == Framing::Chunked);
        let accept = "Accept-Encoding: gzip, br\r\n";
        let answer = client.try_get("/markets/trades?limit=1000", accept).unwrap();
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        assert!(answer.body.len() < plain.len() / 2);
        let mut decoded = Vec::new();
        GzDecoder::new(answer.body.as_slice()).read_to_end(&mut decoded).unwrap();
        assert_eq!(decoded, plain);
    }
}

#[test]
fn the_date_is_the_exchange_s() {
    let (exchange, server) = exchange(Rules::default(), 0);
    let mut client = Client::new(&server);
    exchange.set_now(START_US);
    exchange.advance(20 * SECOND_US);
    let date = "Mon, 21 Sep 2026 14:27:00 GMT";
    for path in ["/markets/trades", "/exchange/status", "/nothing", "/slash/"] {
        assert_eq!(client.get(path).header("date"), Some(date), "{path}");
    }
    assert_eq!(exchange.requests()[0].asked_us, START_US + 20 * SECOND_US);
    exchange.change(|world| world.rules.date_header = false);
    assert_eq!(client.trades("").header("date"), None);
}

#[test]
fn requests_are_on_record() {
    let (exchange, server) = exchange(Rules::default(), 5);
    let (sender, observed) = mpsc::channel();
    exchange.on_request(move |asked| sender.send(asked.clone()).unwrap());
    let mut client = Client::new(&server);
    client.try_get("/markets/trades?ticker=A%26B&limit=3&x", "User-Agent: me/1\r\n").unwrap();
    let requests = exchange.requests();
    assert_eq!(requests, observed.try_iter().collect::<Vec<_>>());
    let asked = &requests[0];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("GET", "/trade-api/v2/markets/trades")
    );
    let pairs: Vec<_> = asked.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(pairs, ["ticker=A&B", "limit=3", "x="]);
    assert_eq!(asked.header("user-agent"), Some("me/1"));
    assert_eq!((asked.status, asked.row_count), (Some(200), 0));
    client.trades(&format!("ticker={TICKER}"));
    assert_eq!(exchange.requests()[1].row_count, 5);
}

#[test]
fn rates_are_limited_by_bucket() {
    let rules = Rules {
        keyless_limit: Some(RateLimit { per_second: 5, burst: 3 }),
        keyed_limit: Some(RateLimit { per_second: 5, burst: 1 }),
        rate_clock: RateClock::Exchange,
        ..Rules::default()
    };
    let (exchange, server) = exchange(rules, 5);
    exchange.set_now(START_US);
    exchange.script([Fault::None, Fault::None, Fault::None, Fault::Status(503)]);
    let mut client = Client::new(&server);
    let keyless: Vec<u16> = (0..5).map(|_| client.trades("").status).collect();
    assert_eq!(keyless, [200, 200, 200, 429, 429]);
    let refused = client.get("/exchange/status");
    assert_eq!((refused.status, refused.header("retry-after")), (429, None));
    assert_eq!(refused.text(), r#"{"error":"too many requests"}"#);
    let mut keyed =
        || client.try_get("/exchange/status", "KALSHI-ACCESS-KEY: k\r\n").unwrap().status;
    assert_eq!([keyed(), keyed()], [200, 429]);
    exchange.advance(SECOND_US / 5);
    assert_eq!(client.trades("").status, 503, "a refused request took no fault");
    assert_eq!(client.trades("").status, 429);
}

#[test]
fn stopping_ends_what_waits_and_closes_what_is_open() {
    let (exchange, server) = exchange(Rules::default(), 100);
    let url = server.base_url();
    exchange.script([
        Fault::Hang { ms: 60_000 },
        Fault::SlowBody { bytes_per_step: 1, pause_ms: 60_000 },
        Fault::Huge { bytes: 1 << 40 },
    ]);
    let mut clients: Vec<Client> = (0..5).map(|_| Client::new(&server)).collect();
    for (number, client) in clients.iter_mut().take(3).enumerate() {
        client.send("GET /trade-api/v2/markets/trades HTTP/1.1\r\n\r\n");
        until("the request is on record", || number < exchange.requests().len());
    }
    assert_eq!(clients[4].trades("").status, 200, "idle from now on; the fourth never asked");
    let started = Instant::now();
    server.stop();
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
    // Served again, the world is as it was.
    let server = exchange.serve().unwrap();
    assert_eq!(Client::new(&server).trades("limit=1000").ids(), ids(&exchange));
}

#[test]
fn servers_share_one_world() {
    let exchange = Exchange::new(Rules::default());
    let servers = [exchange.serve().unwrap(), exchange.serve().unwrap()];
    exchange.clone().add(trade(START_US, "shared"));
    for server in &servers {
        assert_eq!(Client::new(server).trades("").ids(), ["shared"]);
    }
}

#[test]
#[should_panic(expected = "the exchange panicked: page 2 is one too many")]
fn a_panic_in_a_test_s_function_fails_the_test() {
    let (exchange, server) = exchange(Rules::default(), 5);
    exchange.before_each_page(|_, number| assert!(number < 2, "page {number} is one too many"));
    let mut client = Client::new(&server);
    assert_eq!(client.trades("").status, 200);
    assert!(client.try_get("/markets/trades", "").is_err(), "the connection ends");
    assert_eq!(exchange.requests().len(), 1);
    drop(server);
}

#[test]
#[should_panic(expected = "use the world instead")]
fn calling_the_exchange_from_inside_panics_and_does_not_hang() {
    let (exchange, server) = exchange(Rules::default(), 5);
    let inside = exchange.clone();
    exchange.before_each_page(move |_, _| inside.advance(1));
    assert!(Client::new(&server).try_get("/markets/trades", "").is_err());
    drop(server);
}

#[test]
fn answers_tell_their_age_if_they_are_to() {
    let (exchange, server) = exchange(Rules::default(), 5);
    let mut client = Client::new(&server);
    assert_eq!(client.trades("").header("age"), None);
    exchange.change(|world| world.rules.age_s = Some(660));
    assert_eq!(client.trades("").header("age"), Some("660"));
    assert_eq!(client.get("/markets/NONE").header("age"), Some("660"), "refusals, too");
}
