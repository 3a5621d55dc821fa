//! `serve` with fewer descriptors than it has clients.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::serving::{Serving, filled};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    clients_that_hold_all_descriptors_keep_nobody_out,
    a_database_that_cannot_be_opened_for_now_is_told_of_and_found_again,
}

/// Less than the places that it has for clients.
const DESCRIPTORS: usize = 64;
const CLIENTS: usize = 100;

fn start(database: &Database, descriptors: usize) -> Serving {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
    command.arg(env!("CARGO_BIN_EXE_kalshi-ingest"));
    Serving::start_by(command, &database.url, &[])
}

/// Clients that say nothing.
fn silent_clients(serving: &Serving, count: usize) -> Vec<TcpStream> {
    (0..count).map(|_| TcpStream::connect(&serving.base).unwrap()).collect()
}

/// How many sockets the process has open.
fn open_sockets(serving: &Serving) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", serving.process.id())).unwrap();
    let targets = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// How many descriptors it may have from now on.
fn allow(serving: &Serving, descriptors: usize) {
    let (pid, soft) = (serving.process.id().to_string(), format!("--nofile={descriptors}:"));
    assert!(Command::new("prlimit").args(["--pid", &pid, &soft]).status().unwrap().success());
}

/// What is answered to somebody who is connected.
fn answer(mut client: &TcpStream, path: &str) -> String {
    client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

/// The processor's time that the process has had.
fn processor_time(serving: &Serving) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{}/stat", serving.process.id())).unwrap();
    // Behind the name, which may hold anything, utime and stime are the twelfth and thirteenth.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// What a process does from here on.
struct Work {
    begun: Instant,
    used_before: Duration,
}

impl Work {
    fn begin(serving: &Serving) -> Work {
        Work { begun: Instant::now(), used_before: processor_time(serving) }
    }

    /// It waited for something else than the processor: it does not try again and again.
    fn was_little(&self, serving: &Serving) {
        let used = processor_time(serving).saturating_sub(self.used_before);
        let took = self.begun.elapsed();
        assert!(used < took / 5, "{used:?} of the processor's time in {took:?}");
    }
}

/// Asks until the answer has this status.
fn wait_for(serving: &Serving, path: &str, status: u16) {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let heard = serving.ask_once("GET", path);
        if heard.status == status {
            return;
        }
        assert!(Instant::now() < until, "{path}: {} {}", heard.status, heard.body);
        thread::sleep(Duration::from_millis(100));
    }
}

/// Ends it as a service is ended; what it said meanwhile, in so many lines at most.
fn said_by(mut serving: Serving, lines: usize) -> String {
    let mut stderr = serving.process.stderr.take().unwrap();
    assert_eq!(serving.process.try_wait().unwrap(), None, "it is still there");
    assert_eq!(serving.end("-TERM"), Some(0));
    let mut said = String::new();
    stderr.read_to_string(&mut said).unwrap();
    assert!(!said.contains("panicked"), "{said}");
    assert!(said.lines().count() <= lines, "{said}");
    said
}

fn clients_that_hold_all_descriptors_keep_nobody_out(database: &Database) {
    let _bench = filled(database);
    let serving = start(database, DESCRIPTORS);
    wait_for(&serving, "/health", 200);
    let work = Work::begin(&serving);
    let begun = Instant::now();
    let mut clients = silent_clients(&serving, CLIENTS);
    let mut slowest = Duration::ZERO;
    // Longer than a silent client is waited for; those that are sent away come again.
    while begun.elapsed() < Duration::from_secs(8) {
        let asked = Instant::now();
        assert_eq!(serving.ask_once("GET", "/livez").status, 200);
        slowest = slowest.max(asked.elapsed());
        let health = serving.get("/health");
        assert_eq!(health.status, 200, "{}", health.body);
        clients.drain(..CLIENTS / 10);
        clients.extend(silent_clients(&serving, CLIENTS / 10));
        thread::sleep(Duration::from_millis(500));
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?} beside {CLIENTS} silent clients");
    work.was_little(&serving);
    drop(clients);
    wait_for(&serving, "/health", 200);
    let said = said_by(serving, 1);
    assert!(!said.contains("ERROR"), "{said}");
}

fn a_database_that_cannot_be_opened_for_now_is_told_of_and_found_again(database: &Database) {
    database.clear();
    let serving = start(database, DESCRIPTORS);
    wait_for(&serving, "/readyz", 503);
    let _bench = filled(database);
    // An answer is given again for a second.
    thread::sleep(Duration::from_millis(1_200));
    // One has its place already when the descriptors are used up; the other comes then, and waits.
    let before = open_sockets(&serving);
    let accepted = TcpStream::connect(&serving.base).unwrap();
    let until = Instant::now() + Duration::from_secs(4);
    while open_sockets(&serving) == before {
        assert!(Instant::now() < until, "it was not accepted");
        thread::sleep(Duration::from_millis(10));
    }
    allow(&serving, 3);
    let waiting = TcpStream::connect(&serving.base).unwrap();
    let heard = answer(&accepted, "/health");
    assert!(heard.starts_with("HTTP/1.1 503 "), "{heard}");
    assert!(heard.contains("the database cannot be read"), "{heard}");
    let work = Work::begin(&serving);
    thread::sleep(Duration::from_secs(2));
    work.was_little(&serving);
    allow(&serving, DESCRIPTORS);
    let heard = answer(&waiting, "/livez");
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    wait_for(&serving, "/health", 200);
    let said = said_by(serving, 4);
    assert!(said.contains("the database can be read again"), "{said}");
    assert!(said.contains("Too many open files"), "{said}");
    assert!(!said.contains("permission"), "{said}");
}
