//! What is printed and never read keeps no pass, and no lock, for longer than its time.

use std::net::TcpListener;
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kalshi_ingest::clock::TURNED_BY;
use kalshi_simulator::{Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};
use crate::support::full_pipe::FullPipe;

on_both_stores! { a_pass_that_cannot_log_gives_its_lock_free }

/// So many times as fast: what takes a pass and its watchdog 95 seconds takes some five.
const SCALE: u32 = 20;
/// Far more than that.
const LIMIT: Duration = Duration::from_secs(25);

fn ended_in_time(mut command: Command, what: &str) -> ExitStatus {
    let started = Instant::now();
    let mut child = command.spawn().unwrap();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{what}: still there after {LIMIT:?}");
        }
        sleep(Duration::from_millis(50));
    }
}

/// The exchange's time, fast.
fn hurried(bench: &Bench<'_>, name: &str, flags: &[&str]) -> Command {
    let mut command = bench.command_of(name, flags);
    let turned_by: i64 = (NOON_US - chrono::Utc::now().timestamp_micros()) / 1_000_000;
    command.env(TURNED_BY, format!("{turned_by}x{SCALE}"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// A server that accepts and says nothing.
fn mute() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("postgres://me@{address}/kalshi?sslmode=disable&connect_timeout=0");
    (listener, url)
}

#[test]
fn the_watchdog_ends_a_pass_whatever_cannot_be_written() {
    let database = Database::sqlite();
    let bench = Bench::new(&database, Rules::default());
    let (_listener, url) = mute();
    let pipe = FullPipe::new();
    // -v -v: another thread is in the middle of a line when the watchdog has something to say.
    for flags in [&["-q"][..], &["-v", "-v"], &["--log-format", "json"], &["-v", "-v", "-v"]] {
        let flags = [flags, &["--market", "KXA", "--database-url", &url]].concat();
        let mut command = hurried(&bench, "run", &flags);
        command.stderr(pipe.end());
        let status = ended_in_time(command, "both are full");
        assert_eq!(status.code(), Some(5), "{flags:?}");
    }
    let mut command = hurried(&bench, "run", &["-q", "--market", "KXA", "--database-url", &url]);
    command.stdout(pipe.end()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    assert_eq!(stderr(&output).lines().count(), 1, "who reads is told: {}", stderr(&output));
}

fn a_pass_that_cannot_log_gives_its_lock_free(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.list_markets("KXA");
    bench.exchange.add_all(seeded_trades(
        1,
        "KXA",
        30,
        NOON_US - 3_600_000_000,
        NOON_US - 60_000_000,
    ));
    let pipe = FullPipe::new();
    let mut command = hurried(&bench, "run", &["--market", "KXA", "-v", "-v"]);
    command.stderr(pipe.end());
    let status = ended_in_time(command, "a pass that logs");
    assert_eq!(status.code(), Some(5));
    let output = bench.process("KXA", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(!stderr(&output).contains("another pass"), "{}", stderr(&output));
    bench.assert_complete(&["KXA"], "by the pass that is read");
}

#[test]
fn a_signal_ends_what_hangs_in_a_line() {
    let database = Database::sqlite();
    let bench = Bench::new(&database, Rules::default());
    bench.list_markets("KXA");
    let pipe = FullPipe::new();
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let mut command = hurried(&bench, "markets", &["--market", "KXA", "-v", "-v"]);
        command.stderr(pipe.end());
        let mut child = command.spawn().unwrap();
        sleep(Duration::from_secs(1));
        assert!(child.try_wait().unwrap().is_none(), "it hangs");
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < LIMIT, "{signal}");
            sleep(Duration::from_millis(50));
        };
        assert_eq!(status.code(), Some(code), "{signal}");
    }
}

#[test]
fn an_answer_that_nobody_reads_ends_as_well() {
    let database = Database::sqlite();
    let bench = Bench::new(&database, Rules::default());
    bench.list_markets("KXA");
    assert_eq!(bench.run("KXA", &[]), 0);
    let (out, err) = (FullPipe::new(), FullPipe::new());
    let mut command = hurried(&bench, "status", &["--output", "json"]);
    command.stdout(out.end()).stderr(err.end());
    assert_eq!(ended_in_time(command, "status").code(), Some(5));
}

#[test]
fn neither_a_full_disk_nor_a_mute_switch_holds_a_pass() {
    let database = Database::sqlite();
    let bench = Bench::new(&database, Rules::default());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ping", silent.local_addr().unwrap());
    bench.list_markets("KXA");
    // Nothing can be made there, as on a full disk.
    let flags =
        ["--metrics-file", "/dev/full/kalshi.prom", "--ping-url", &url, "--push-gateway", &url];
    let started = Instant::now();
    let output = bench.process("KXA", &flags);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(started.elapsed() < Duration::from_secs(40), "{:?}", started.elapsed());
    assert!(stderr(&output).contains("--metrics-file"), "{}", stderr(&output));
}
