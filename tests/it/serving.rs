//! `serve`: what it answers, from a real process over real HTTP.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kalshi_simulator::{Rules, seeded_trades};
use serde_json::Value;

use crate::support::bench::{Bench, stderr};
use crate::support::database::{Database, on_both_stores};
use crate::support::recorder::free_address;

on_both_stores! {
    a_fresh_market_passes,
    a_stale_market_fails_and_is_named,
    nothing_ever_selected_is_no_health,
    the_metrics_are_those_of_status,
    the_page_shows_what_the_json_says,
    a_selection_of_its_own_narrows_it_down,
    nothing_is_written,
}

const MARKET: &str = "KXA-1-B";

/// A server, ended with the value.
pub(crate) struct Serving {
    pub(crate) base: String,
    pub(crate) process: Child,
}

pub(crate) struct Heard {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl Serving {
    pub(crate) fn start(database_url: &str, flags: &[&str]) -> Serving {
        let program = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
        Serving::start_by(program, database_url, flags)
    }

    /// The same by a command that starts the program with what follows.
    pub(crate) fn start_by(mut command: Command, database_url: &str, flags: &[&str]) -> Serving {
        let base = free_address().to_string();
        command.args(["serve", "--listen", &base, "--database-url", database_url]);
        let process = command.args(flags).stderr(Stdio::piped()).spawn().unwrap();
        let serving = Serving { base, process };
        let until = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&serving.base).is_err() {
            assert!(Instant::now() < until, "nobody listens on {}", serving.base);
            thread::sleep(Duration::from_millis(20));
        }
        serving
    }

    /// What is answered to these bytes, to the end of the connection.
    fn raw(&self, request: &[u8]) -> Heard {
        let mut stream = TcpStream::connect(&self.base).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(request).unwrap();
        let mut bytes = Vec::new();
        // A server that has refused may hang up with our bytes unread.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Heard { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    pub(crate) fn ask_once(&self, method: &str, path: &str) -> Heard {
        let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        self.raw(request.as_bytes())
    }

    /// What is answered once the database answers: on a busy machine that may take longer than a reader is kept
    /// waiting, and then says nothing of what is tried here.
    fn ask(&self, method: &str, path: &str) -> Heard {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let heard = self.ask_once(method, path);
            let is_headless = method == "HEAD" && heard.status == 503;
            let is_silent = is_headless || heard.body.contains("the database does not answer");
            if !is_silent || Instant::now() > until {
                return heard;
            }
        }
    }

    pub(crate) fn get(&self, path: &str) -> Heard {
        self.ask("GET", path)
    }

    fn overview(&self) -> Value {
        let heard = self.get("/overview.json");
        assert_eq!(heard.status, 200, "{}", heard.body);
        heard.json()
    }

    /// Its exit status after this signal.
    pub(crate) fn end(mut self, signal: &str) -> Option<i32> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        self.process.wait().unwrap().code()
    }
}

/// What is answered at this address, if anything is, by a client that asks at once.
pub(crate) fn body_of(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A database after one pass, with a market that is complete until now.
pub(crate) fn filled(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let now = chrono::Utc::now().timestamp_micros();
    bench.set_now(now);
    let market = kalshi_simulator::Market::new(MARKET, MARKET, now - 9_000_000_000, now * 2);
    bench.exchange.add_market(market);
    bench.exchange.add_all(seeded_trades(1, MARKET, 30, now - 60_000_000, now - 10_000_000));
    assert_eq!(bench.pass(&["--market", MARKET]), 0);
    bench
}

const LONG_AGO: &str = "update ingestion_checkpoints set complete_from = null, \
     complete_until = '2026-01-01T00:00:00.000000Z', checked_until = null, anchor_at = null";

fn a_fresh_market_passes(database: &Database) {
    let _bench = filled(database);
    let serving = Serving::start(&database.url, &[]);
    let health = serving.get("/health");
    assert_eq!(health.status, 200, "{}", health.body);
    assert!(health.head.contains("content-type: application/health+json"), "{}", health.head);
    let health = health.json();
    assert_eq!((&health["status"], &health["version"]), (&"pass".into(), &"0.1.0".into()));
    let check = &health["checks"]["kalshi:freshness"][0];
    assert_eq!((&check["componentId"], &check["observedUnit"]), (&MARKET.into(), &"s".into()));
    assert_eq!(check["sla_seconds"].as_f64(), Some(300.0));
    assert!(check["observedValue"].as_f64().unwrap() < 300.0, "{check}");
    for path in ["/livez", "/readyz"] {
        assert_eq!((serving.get(path).status, serving.get(path).body.as_str()), (200, "ok\n"));
    }
    assert_eq!(serving.end("-TERM"), Some(0), "to be ended is no failure");
}

fn a_stale_market_fails_and_is_named(database: &Database) {
    let _bench = filled(database);
    database.execute(LONG_AGO);
    let serving = Serving::start(&database.url, &[]);
    let health = serving.get("/health");
    assert_eq!(health.status, 503);
    let health = health.json();
    assert_eq!(health["status"], "fail");
    let words = health["checks"]["kalshi:freshness"][0]["output"].as_str().unwrap().to_owned();
    assert!(words.starts_with("KXA-1-B is stale: complete until 2026-01-01T00:00:00Z"), "{words}");
    assert_eq!(serving.get("/readyz").status, 200, "it can answer");
}

fn nothing_ever_selected_is_no_health(database: &Database) {
    drop(database.open());
    let serving = Serving::start(&database.url, &[]);
    let health = serving.get("/health");
    assert_eq!(health.status, 503);
    assert!(health.body.contains("no pass ever selected anything"), "{}", health.body);
    assert_eq!(serving.get("/").status, 200, "the page says what to do");
}

fn the_metrics_are_those_of_status(database: &Database) {
    let bench = filled(database);
    let serving = Serving::start(&database.url, &[]);
    let metrics = serving.get("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    let output = bench.process_of("status", &["--output", "prometheus"]);
    let without_lag = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("lag_seconds{")).map(str::to_owned).collect()
    };
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(without_lag(&metrics.body), without_lag(&printed));
}

fn the_page_shows_what_the_json_says(database: &Database) {
    let _bench = filled(database);
    database.execute("update ingestion_checkpoints set last_error = '</script><b>', failures = 2");
    let serving = Serving::start(&database.url, &[]);
    let json = serving.overview();
    assert_eq!(json["watches"][0]["watch"], MARKET);
    assert_eq!(json["watches"][0]["status"], "warn");
    assert_eq!(json["markets"][0]["state"], "failing");
    assert_eq!(json["markets"][0]["last_error"], "</script><b>");
    assert_eq!(json["runs"][0]["exit_code"], 0);
    assert_eq!(json["totals"]["events_ingested"], 30);
    let day = json["day"]["events_ingested"].as_array().unwrap();
    assert_eq!((day.len(), day.iter().filter_map(Value::as_i64).sum::<i64>()), (96, 30));
    let page = serving.get("/");
    assert!(page.body.contains(r"\u003c/script>\u003cb>"), "what the exchange says stays text");
    for header in ["content-security-policy: default-src 'none'; style-src 'sha256-", "nosniff"] {
        assert!(page.head.contains(header), "{}", page.head);
    }
}

fn a_selection_of_its_own_narrows_it_down(database: &Database) {
    let bench = filled(database);
    bench.list_markets("KXB-1-B");
    assert_eq!(bench.pass(&["--market", "KXA-1-B,KXB-1-B"]), 0);
    let serving = Serving::start(&database.url, &["--market", "KXB-1-B", "--sla", "1h"]);
    let watches = serving.overview()["watches"].clone();
    assert_eq!(watches.as_array().unwrap().len(), 1);
    assert_eq!(
        (&watches[0]["watch"], watches[0]["sla_seconds"].as_f64()),
        (&"KXB-1-B".into(), Some(3_600.0))
    );
}

fn nothing_is_written(database: &Database) {
    let _bench = filled(database);
    let serving = Serving::start(&database.url, &[]);
    for (method, status) in [("POST", 405), ("PUT", 405), ("DELETE", 405), ("HEAD", 200)] {
        let heard = serving.ask(method, "/health");
        assert_eq!((heard.status, heard.body.is_empty()), (status, method == "HEAD"), "{method}");
    }
    let runs = database.number("select count(*) as x from ingestion_runs");
    for path in ["/", "/metrics", "/overview.json", "/health"] {
        assert_eq!(serving.get(path).status, 200);
    }
    assert_eq!(serving.get("/etc/passwd").status, 404);
    assert_eq!(database.number("select count(*) as x from ingestion_runs"), runs);
}

#[test]
fn a_database_that_goes_and_comes_back_is_told_of_and_found_again() {
    let database = Database::sqlite();
    let path_of = database.url.strip_prefix("sqlite:").unwrap().to_owned();
    let serving = Serving::start(&database.url, &[]);
    for path in ["/readyz", "/health", "/metrics"] {
        let heard = serving.get(path);
        assert_eq!(heard.status, 503, "{path}");
        assert!(heard.body.contains("the database cannot be read"), "{path}: {}", heard.body);
        assert!(!heard.body.contains(&path_of), "{path}: where it is is for the log");
    }
    assert_eq!((serving.get("/livez").status, serving.get("/").status), (200, 200));
    let words = serving.get("/overview.json").json()["error"].as_str().unwrap().to_owned();
    assert!(words.contains("the log of kalshi-ingest serve says why"), "{words}");
    let _bench = filled(&database);
    let until = Instant::now() + Duration::from_secs(30);
    while serving.get("/health").status != 200 {
        assert!(Instant::now() < until, "{}", serving.get("/health").body);
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_client_that_says_nothing_or_too_much_is_let_go() {
    let database = Database::sqlite();
    let _bench = filled(&database);
    let serving = Serving::start(&database.url, &[]);
    let begun = Instant::now();
    let heard = serving.raw(b"GET / HTTP/1.1\r\nhost: x\r\n");
    assert_ne!(heard.status, 200, "the request never ended");
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    assert_ne!(serving.raw(long.as_bytes()).status, 200);
    assert_ne!(serving.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").status, 200);
    assert_eq!(serving.get("/livez").status, 200, "the others are served");
}

#[test]
fn many_at_once_are_all_answered() {
    let database = Database::sqlite();
    let _bench = filled(&database);
    let serving = Serving::start(&database.url, &[]);
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..100).map(|_| scope.spawn(|| serving.get("/metrics").status)).collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), 200);
        }
    });
}

#[test]
fn a_place_that_is_taken_or_none_is_a_mistake() {
    let database = Database::sqlite();
    drop(database.open());
    let serving = Serving::start(&database.url, &[]);
    for (listen, part) in
        [(serving.base.as_str(), "choose another --listen"), ("nowhere", "--listen")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
        command.args(["serve", "-q", "--listen", listen, "--database-url", &database.url]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = stderr(&output);
        assert!(said.lines().count() == 1 && said.contains(part), "{said}");
    }
    assert_eq!(serving.end("-INT"), Some(0));
}

#[test]
fn a_database_that_says_nothing_keeps_nobody_waiting() {
    // It accepts, as a server does that was stopped, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://me@{}/kalshi?sslmode=disable", silent.local_addr().unwrap());
    let serving = Serving::start(&url, &[]);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let heard = serving.ask_once("GET", "/readyz");
                assert_eq!(
                    (heard.status, heard.body.as_str()),
                    (503, "the database does not answer\n")
                );
            });
        }
        let begun = Instant::now();
        assert_eq!(serving.get("/livez").status, 200);
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    });
    let begun = Instant::now();
    assert_eq!(serving.end("-TERM"), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[test]
fn a_target_that_is_no_path_is_nobodys_trouble() {
    let database = Database::sqlite();
    let _bench = filled(&database);
    let mut serving = Serving::start(&database.url, &["-q"]);
    for request in
        ["CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", "GET a:80 HTTP/1.1\r\nhost: a\r\n\r\n"]
    {
        assert_ne!(serving.raw(request.as_bytes()).status, 200);
    }
    assert_eq!(serving.get("/livez").status, 200);
    let mut said = serving.process.stderr.take().unwrap();
    assert_eq!(serving.end("-TERM"), Some(0));
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn what_nobody_ever_asked_for_is_no_health() {
    let database = Database::sqlite();
    let bench = filled(&database);
    for flags in [["--market", "NEVER"], ["--series", "KXNEVER"]] {
        let serving = Serving::start(&database.url, &flags);
        let health = serving.get("/health");
        assert_eq!(health.status, 503, "{}", health.body);
        assert!(health.body.contains("no pass was ever asked for"), "{}", health.body);
        let checked = [&flags[..], &["--output", "prometheus", "--check"]].concat();
        assert_eq!(bench.process_of("status", &checked).status.code(), Some(2));
    }
}

/// So many clients that send a byte a second each; they come again when they are sent away.
fn while_they_drip(serving: &Serving, clients: usize, work: impl FnOnce()) {
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let all_are_here = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            let connect = || TcpStream::connect(&serving.base).unwrap();
            let mut dripping: Vec<TcpStream> = (0..clients).map(|_| connect()).collect();
            all_are_here.wait();
            for byte in
                b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-long: ".iter().chain([b'x'; 600].iter())
            {
                for stream in &mut dripping {
                    if stream.write_all(&[*byte]).is_err() {
                        *stream = connect();
                    }
                }
                for _ in 0..10 {
                    if is_over.load(std::sync::atomic::Ordering::SeqCst) {
                        return;
                    }
                    thread::sleep(Duration::from_millis(100));
                }
            }
        });
        all_are_here.wait();
        work();
        is_over.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn who_asks_at_once_is_answered_at_once_while_others_drip() {
    let database = Database::sqlite();
    let _bench = filled(&database);
    let serving = Serving::start(&database.url, &[]);
    for clients in [64, 200, 400] {
        while_they_drip(&serving, clients, || {
            for _ in 0..8 {
                for path in ["/livez", "/metrics", "/health"] {
                    let begun = Instant::now();
                    assert_ne!(serving.get(path).status, 0, "{path} beside {clients}");
                    let took = begun.elapsed();
                    assert!(took < Duration::from_secs(2), "{path} beside {clients}: {took:?}");
                }
                thread::sleep(Duration::from_millis(300));
            }
        });
    }
}

#[test]
fn a_request_has_so_long_as_a_whole() {
    let database = Database::sqlite();
    let _bench = filled(&database);
    let serving = Serving::start(&database.url, &[]);
    let begun = Instant::now();
    let mut stream = TcpStream::connect(&serving.base).unwrap();
    let mut listening = stream.try_clone().unwrap();
    let heard = thread::spawn(move || {
        let mut text = String::new();
        let _ = listening.read_to_string(&mut text);
        text
    });
    // A byte in good time each, and never an end.
    while stream.write_all(b"x").is_ok() && begun.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(200));
    }
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let heard = heard.join().unwrap();
    assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 408 "), "{heard}");
    // One that does not take its answer is let go as well, and holds up nobody.
    let mut greedy: Vec<TcpStream> =
        (0..150).map(|_| TcpStream::connect(&serving.base).unwrap()).collect();
    for stream in &mut greedy {
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    }
    let begun = Instant::now();
    assert_eq!(serving.get("/livez").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn requests_are_read_as_http_has_them() {
    let database = Database::sqlite();
    let _bench = filled(&database);
    let serving = Serving::start(&database.url, &[]);
    for (request, status) in [
        ("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", 200),
        ("GET /livez?verbose=1 HTTP/1.1\r\nhost: x\r\n\r\n", 200),
        ("GET /livez HTTP/1.0\r\n\r\n", 200),
        ("GET http://x/livez HTTP/1.1\r\nhost: x\r\n\r\n", 200),
        ("HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n", 200),
        ("GET /favicon.ico HTTP/1.1\r\nhost: x\r\n\r\n", 204),
        ("GET /livez/ HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        ("GET //livez HTTP/1.1\r\nhost: x\r\n\r\n", 404),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        ("POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc", 405),
        ("GET livez HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        ("GET /livez\r\n\r\n", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        ("\0\0\0\0\r\n\r\n", 400),
    ] {
        let heard = serving.raw(request.as_bytes());
        assert_eq!(heard.status, status, "{request:?}: {}", heard.head);
        if status == 405 {
            assert!(heard.head.contains("allow: get, head"), "{}", heard.head);
        }
        assert!(heard.head.contains("connection: close"), "{request:?}: {}", heard.head);
        assert!(heard.head.contains("x-content-type-options: nosniff"), "{}", heard.head);
    }
}
