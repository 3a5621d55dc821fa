//! An exchange that means harm: bodies without an end, small ones that become big, and redirects to
//! somebody who would like the key.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use kalshi_ingest::clock::TURNED_BY;

use crate::support::database::Database;

const KEY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/throwaway-keys/ed25519.pem");
const MEBIBYTE: u64 = 1 << 20;
/// More than any answer may have, with what two sockets hold besides.
const SENT_MAX: u64 = 96 * MEBIBYTE;
/// What a pass may have in memory at its worst: the biggest answer, and as much again while it grows.
const MEMORY_MAX: u64 = 256 * MEBIBYTE;

/// When every answer says it was given.
const ANSWERED_US: i64 = 1_784_980_800_000_000;
const ANSWERED: &str = "Sat, 25 Jul 2026 12:00:00 GMT";

/// Writes some bytes; whether they were taken.
type Put<'a> = &'a mut dyn FnMut(&[u8]) -> bool;

/// Somebody who listens, writes down the heads of all requests, and answers each alike.
struct Listener {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
    /// The most that one answer could be sent of.
    sent: Arc<AtomicU64>,
}

impl Listener {
    fn start(answer: impl Fn(Put<'_>) + Send + Sync + 'static) -> Listener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (heads, sent) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let (written, most, answer) = (Arc::clone(&heads), Arc::clone(&sent), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (written, most, answer) =
                    (Arc::clone(&written), Arc::clone(&most), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &written, &most, &*answer));
            }
        });
        Listener { address, heads, sent }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// Answers one request and hangs up.
fn serve(
    mut stream: TcpStream,
    heads: &Mutex<Vec<String>>,
    most: &AtomicU64,
    answer: &dyn Fn(Put<'_>),
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut head = String::new();
    while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    heads.lock().unwrap().push(head);
    let mut sent = 0;
    answer(&mut |bytes| {
        let is_sent = stream.write_all(bytes).is_ok();
        sent += u64::try_from(bytes.len()).unwrap();
        is_sent
    });
    most.fetch_max(sent, Ordering::Relaxed);
}

fn head(status: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ndate: {ANSWERED}\r\nconnection: close\r\n{headers}\r\n")
        .into_bytes()
}

/// A pass with a key; its exit status, what it said, and the most memory that it was seen with.
fn pass(database: &Database, exchange: &Listener) -> (Option<i32>, String, u64) {
    let base_url = format!("http://{}", exchange.address);
    let mut child = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"))
        .env_clear()
        // The attempts are not to depend on how long a busy machine takes for one.
        .env(TURNED_BY, format!("@{ANSWERED_US}"))
        .args(["run", "--market", "KXA", "--deadline", "60s", "--requests-per-second", "1000"])
        .args(["--base-url", &base_url, "--database-url", &database.url])
        .args(["--api-key-id", "the-key-id", "--private-key-file", KEY])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
        memory = kibibytes.map_or(memory, |kibibytes: u64| kibibytes << 10);
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, memory)
}

#[track_caller]
fn assert_cut(exchange: &Listener, headers: &str) {
    let database = Database::sqlite();
    let (code, said, memory) = pass(&database, exchange);
    assert_eq!(code, Some(4), "{headers}: {said}");
    assert!(!exchange.heads().is_empty(), "{headers}: nobody was asked");
    assert!(memory > 0 && memory < MEMORY_MAX, "{headers}: {} MiB", memory / MEBIBYTE);
    let sent = exchange.sent.load(Ordering::Relaxed);
    assert!(sent < SENT_MAX, "{headers}: {} MiB were taken", sent / MEBIBYTE);
}

#[test]
fn a_body_without_an_end_is_cut() {
    for headers in ["", "content-length: 1099511627776\r\n", "transfer-encoding: chunked\r\n"] {
        let is_chunked = headers.contains("chunked");
        let exchange = Listener::start(move |send| {
            let begin = b"{\"trades\":[{\"trade_id\":\"t1\"},";
            let mut is_taken = send(&head("200 OK", headers));
            let piece = [&begin[..], &[b' '; 8 * 1024][..]].concat();
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
            let piece = if is_chunked { chunk } else { piece };
            let mut left = 2 * 1024 * MEBIBYTE;
            while is_taken && left > 0 {
                is_taken = send(&piece);
                left = left.saturating_sub(u64::try_from(piece.len()).unwrap());
            }
        });
        assert_cut(&exchange, headers);
    }
}

/// Blanks behind the beginning of a list, 258 of them in 13 bits: a gzip stream by hand.
fn bomb(length: usize) -> Vec<u8> {
    let mut bits: Vec<bool> = vec![true, true, false];
    // Codes come with their highest bit first.
    let mut push = |code: u32, width: u32| {
        bits.extend((0..width).rev().map(|at| code >> at & 1 == 1));
    };
    for letter in b"{\"trades\":[ " {
        push(0x30 + u32::from(*letter), 8);
    }
    for _ in 0..length / 258 {
        push(0xc5, 8);
        push(0, 5);
    }
    push(0, 7);
    let packed = bits.chunks(8).map(|byte| {
        byte.iter().enumerate().fold(0, |packed, (at, bit)| packed | u8::from(*bit) << at)
    });
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    header.into_iter().chain(packed).chain([0; 8]).collect()
}

#[test]
fn a_small_body_that_becomes_a_big_one_is_cut() {
    let body = bomb(512 << 20);
    assert!(body.len() < 4 << 20, "{} bytes become half a gibibyte", body.len());
    let exchange = Listener::start(move |send| {
        let length = body.len();
        let headers = format!("content-encoding: gzip\r\ncontent-length: {length}\r\n");
        let _ = send(&head("200 OK", &headers)) && send(&body);
    });
    assert_cut(&exchange, "gzip");
}

#[test]
fn a_refusal_without_an_end_is_cut() {
    let exchange = Listener::start(|send| {
        let mut is_taken = send(&head("404 Not Found", ""));
        let mut left = 2 * 1024;
        while is_taken && left > 0 {
            is_taken = send(&vec![b'x'; 1 << 20]);
            left -= 1;
        }
    });
    let database = Database::sqlite();
    let (code, said, memory) = pass(&database, &exchange);
    assert!(matches!(code, Some(2 | 4)), "{code:?}: {said}");
    assert!(memory < MEMORY_MAX, "{} MiB", memory / MEBIBYTE);
    assert!(exchange.sent.load(Ordering::Relaxed) < SENT_MAX);
}

/// Neither the request nor the key and the signature go where an answer points.
#[test]
fn a_redirect_takes_the_key_nowhere() {
    let thief = Listener::start(|send| {
        send(&head("200 OK", "content-length: 25\r\n"));
        send(b"{\"trades\":[],\"cursor\":\"\"}");
    });
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let location = format!("location: http://{}/trade-api\r\n", thief.address);
        let exchange = Listener::start(move |send| {
            send(&head(status, &format!("{location}content-length: 0\r\n")));
        });
        let database = Database::sqlite();
        let (code, said, _) = pass(&database, &exchange);
        assert_eq!(code, Some(4), "{status}: {said}");
        assert!(said.contains("a redirect to http://127.0.0.1:"), "{status}: {said}");
        let heads = exchange.heads();
        let is_signed = |head: &String| {
            let head = head.to_lowercase();
            head.contains("kalshi-access-key: the-key-id")
                && head.contains("kalshi-access-signature: ")
        };
        assert!(!heads.is_empty() && heads.iter().all(is_signed), "{status}: {heads:?}");
        assert!(thief.heads().is_empty(), "{status}: {:?}", thief.heads());
    }
}
