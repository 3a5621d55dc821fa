//! The real binary: exit statuses, what it prints where, and how it ends when told to.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use kalshi_ingest::clock::TURNED_BY;
use kalshi_simulator::{Fault, Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_pass_prints_one_closing_line_and_a_quiet_one_nothing,
    a_refused_event_is_one_line_also_when_quiet,
    a_breach_is_one_line_that_names_the_market,
    a_signal_ends_a_pass_with_progress_kept,
    two_passes_at_once_share_nothing,
    first_passes_at_once_agree_on_the_schema,
    status_answers_in_three_forms,
}

const SECOND_US: i64 = 1_000_000;

fn kalshi(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

/// The program, without what this process was told.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KALSHI_")) {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG").env_remove("DATABASE_URL").env_remove("DATABASE_URL_FILE");
    command.args(args);
    command
}

/// Looks again and again, for half a minute at most.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn bench_with(database: &Database, trades: usize) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    let until = NOON_US - 10 * SECOND_US;
    bench.exchange.add_all(seeded_trades(1, "KXA", trades, until - 3_600 * SECOND_US, until));
    bench
}

#[test]
fn mistakes_are_status_two_and_one_sentence() {
    for (args, part) in [
        (&["run", "--no-such-flag"][..], "unexpected argument '--no-such-flag'"),
        (&["rum"], "unrecognized subcommand 'rum'"),
        (&["run", "--sla", "soon"], "write it like 90s, 5m, 2h or 1d"),
        (&["run"], "nothing is selected; name markets with --market"),
        (&["run", "--all", "--shard", "2/2"], "--shard"),
        (&["run", "--market", "A", "--database-url", "mysql://me:hunter2@h/d"], "sqlite:"),
        (&["run", "--market", "A", "--base-url", "https://me:hunter2@h/"], "base URL"),
        (
            &["run", "--market", "A", "--api-key-id", "x", "--private-key-file", "/no/key"],
            "/no/key",
        ),
        (&["-q", "-v", "migrate"], "cannot be used with"),
    ] {
        let output = kalshi(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(part), "{args:?}: {}", stderr(&output));
        assert!(!stderr(&output).contains("hunter2"), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn help_names_every_exit_status_and_hides_secrets() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.env("DATABASE_URL", "postgres://me:hunter2@h/d").env("KALSHI_API_KEY_ID", "hunter3");
    let output = command.args(["run", "--help"]).output().unwrap();
    assert!(output.status.success());
    let help = stdout(&output);
    assert!(help.contains("--deadline <SPAN>") && help.contains("KALSHI_DEADLINE"), "{help}");
    assert!(!help.contains("hunter"), "{help}");
    let help = stdout(&kalshi(&["--help"]));
    for exit in kalshi_ingest::exit::Exit::ALL {
        assert!(help.contains(&format!("\n  {:<3}  ", exit.code())), "{exit:?}: {help}");
    }
}

#[test]
fn an_unreachable_database_is_status_five_without_its_password() {
    for flags in [&[][..], &["-v", "-v"], &["--log-format", "json"]] {
        let url = "postgres://me:hunter2@127.0.0.1:1/kalshi";
        let args = [&["run", "--market", "A", "--database-url", url], flags].concat();
        let output = kalshi(&args);
        assert_eq!(output.status.code(), Some(5));
        let error = stderr(&output);
        assert!(error.contains("127.0.0.1:1/kalshi failed"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        if flags.is_empty() {
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}

#[test]
fn a_database_that_says_nothing_does_not_hold_a_pass_for_ever() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    // Whoever waits for ever is ended by the watchdog.
    for (timeout, words) in [(2, "no answer in time"), (0, "the database does not answer")] {
        let url = format!(
            "postgres://me:hunter2@127.0.0.1:{port}/kalshi?sslmode=disable&connect_timeout={timeout}"
        );
        let started = Instant::now();
        let flags = ["run", "-q", "--market", "A", "--deadline", "1s", "--database-url", &url];
        // Twenty times as fast: the watchdog waits for three quarters of a minute.
        let output = command(&flags).env(TURNED_BY, "0x20").output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
        assert!(started.elapsed() < Duration::from_secs(60));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
        assert_eq!(stderr(&output).lines().count(), 1);
    }
}

#[test]
fn a_missing_or_unwritable_file_is_status_five() {
    let directory = tempfile::TempDir::new().unwrap();
    let url = format!("sqlite:{}/none.db", directory.path().display());
    let output = kalshi(&["status", "--database-url", &url]);
    assert_eq!(output.status.code(), Some(5));
    assert!(stderr(&output).contains("does not exist"), "{}", stderr(&output));
    assert!(!directory.path().join("none.db").exists(), "a question makes no file");
    let url = "sqlite:/no/such/directory/kalshi.db";
    assert_eq!(kalshi(&["run", "--market", "A", "--database-url", url]).status.code(), Some(5));
    let garbage = directory.path().join("garbage.db");
    std::fs::write(&garbage, "this is no database, whatever its name says".repeat(100)).unwrap();
    let url = format!("sqlite:{}", garbage.display());
    assert_eq!(kalshi(&["run", "--market", "A", "--database-url", &url]).status.code(), Some(5));
}

#[test]
fn the_database_url_can_come_from_a_file() {
    let directory = tempfile::TempDir::new().unwrap();
    let secret = directory.path().join("url");
    std::fs::write(&secret, format!("sqlite:{}/a.db\n", directory.path().display())).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.env_remove("DATABASE_URL").env("DATABASE_URL_FILE", &secret).arg("migrate");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(directory.path().join("a.db").exists());
}

fn a_pass_prints_one_closing_line_and_a_quiet_one_nothing(database: &Database) {
    let bench = bench_with(database, 30);
    let output = bench.process("KXA", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(output.stdout.is_empty(), "stdout is for answers");
    let line = stderr(&output);
    assert_eq!(line.lines().count(), 1, "{line}");
    for part in
        ["requests=4 ", "retries=0 ", "events_ingested=30 ", "ingestion_lag_seconds=", "exit=0"]
    {
        assert!(line.contains(part), "{line}");
    }
    let output = bench.process("KXA", &["-q"]);
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
    let output = bench.process("KXA", &["--log-format", "json"]);
    for line in stderr(&output).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["level"], "info", "{line}");
        assert_eq!(line["run_id"], 3, "{line}");
    }
}

fn a_refused_event_is_one_line_also_when_quiet(database: &Database) {
    let bench = bench_with(database, 30);
    for id in ["r1", "r2"] {
        let json = format!("{{\"trade_id\":\"{id}\",\"ticker\":\"KXA\"}}");
        bench.exchange.add_event("KXA", NOON_US - 60 * SECOND_US, id, json);
    }
    let output = bench.process("KXA", &["-q"]);
    assert_eq!(output.status.code(), Some(0), "nothing is lost, nothing is stale");
    let line = stderr(&output);
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(line.contains("2 events could not be read as trades"), "{line}");
    assert!(line.contains("the first: KXA: created_time is missing"), "{line}");
    assert_eq!(stderr(&bench.process("KXA", &["-q"])), "", "said once");
}

fn a_breach_is_one_line_that_names_the_market(database: &Database) {
    let bench = bench_with(database, 30);
    assert_eq!(bench.process("KXA,KXB", &["-q", "--settle", "0s"]).status.code(), Some(0));
    bench.exchange.random_faults(1, 1_000, &[Fault::Reset]);
    bench.advance(60_000_000);
    let flags = ["-q", "--settle", "0s", "--sla", "1s", "--deadline", "1s"];
    let output = bench.process("KXA,KXB", &flags);
    assert_eq!(output.status.code(), Some(3));
    let lines = stderr(&output);
    assert_eq!(lines.lines().count(), 2, "one line for each market, nothing else: {lines}");
    for market in ["KXA", "KXB"] {
        let line = lines.lines().find(|line| line.contains(market)).unwrap();
        assert!(line.contains(" is stale: ") && line.contains("(SLA 1s)"), "{line}");
        assert!(line.contains("; last error: GET /markets/trades"), "{line}");
    }
    let recorded = database.number("select exit_code as x from ingestion_runs where run_id = 2");
    assert_eq!(recorded, 3);
}

fn a_signal_ends_a_pass_with_progress_kept(database: &Database) {
    let bench = bench_with(database, 25_000);
    // A batch is committed when it is old enough.
    bench.in_real_time();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let slow = Fault::SlowBody { bytes_per_step: 20_000, pause_ms: 5 };
        bench.exchange.random_faults(1, 1_000, &[slow]);
        let before = database.trades().len();
        let mut child =
            bench.command("KXA", &[]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        wait_until("the first commit", || database.trades().len() > before);
        let asked = Instant::now();
        let kill =
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let status = child.wait().unwrap();
        assert!(asked.elapsed() < Duration::from_secs(5), "{signal}: {:?}", asked.elapsed());
        let mut lines = String::new();
        child.stderr.take().unwrap().read_to_string(&mut lines).unwrap();
        assert_eq!(status.code(), Some(code), "{signal}: {lines}");
        assert!(lines.contains("progress is kept"), "{lines}");
        let open = "select count(*) as x from ingestion_runs where finished_at is null";
        assert_eq!(database.number(open), 0, "{signal}: and so is the run's end");
    }
    bench.exchange.clear_faults();
    assert_eq!(bench.run("KXA", &[]), 0);
    bench.assert_complete(&["KXA"], "after both signals");
}

fn two_passes_at_once_share_nothing(database: &Database) {
    let bench = bench_with(database, 8_000);
    bench.exchange.random_faults(
        1,
        1_000,
        &[Fault::SlowBody { bytes_per_step: 40_000, pause_ms: 20 }],
    );
    let first = bench.command("KXA", &[]).stderr(Stdio::piped()).spawn().unwrap();
    // It is noted once it holds the lock.
    let runs = "select count(*) as x from ingestion_runs";
    wait_until("the first pass at work", || database.number(runs) > 0);
    let second = bench.process("KXA", &[]);
    assert_eq!(second.status.code(), Some(0), "{}", stderr(&second));
    assert!(stderr(&second).contains("another pass is at work"), "{}", stderr(&second));
    let first = first.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    bench.assert_complete(&["KXA"], "by one of the two");
}

fn status_answers_in_three_forms(database: &Database) {
    let bench = bench_with(database, 30);
    assert_eq!(bench.run("KXA,KXB", &[]), 0);
    let url = &database.url;
    let status = |flags: &[&str]| kalshi(&[&["status", "--database-url", url], flags].concat());
    let table = stdout(&status(&[]));
    assert!(table.starts_with("MARKET  STATE "), "{table}");
    assert!(table.contains("\nKXA ") && table.contains("\nKXB "), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour into a pipe: {table}");
    // The bench's exchange lives months ago: by the local clock every market is stale.
    assert_eq!(status(&[]).status.code(), Some(0), "a question alone is no verdict");
    assert_eq!(status(&["--check"]).status.code(), Some(3));
    assert_eq!(status(&["--check", "--sla", "3650d"]).status.code(), Some(0));
    let json: serde_json::Value =
        serde_json::from_str(&stdout(&status(&["--output", "json"]))).unwrap();
    assert_eq!(json["markets"][0]["market"], "KXA");
    assert_eq!(json["markets"][0]["trades_total"], 30);
    let csv = stdout(&status(&["--output", "csv", "--market", "KXB"]));
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.lines().nth(1).unwrap().starts_with("KXB,stale,"), "{csv}");
    let unknown = status(&["--market", "KXNONE"]);
    assert!(stderr(&unknown).contains("KXNONE was never selected"), "{}", stderr(&unknown));
    let unknown = status(&["--market", "KXNONE", "--check"]);
    assert_eq!(unknown.status.code(), Some(2), "a check of nothing is no good check");
}

fn first_passes_at_once_agree_on_the_schema(database: &Database) {
    database.clear();
    let bench = Bench::served(database, Rules::default());
    bench.exchange.set_offset_us(0);
    let spawn = |_| bench.command("KXA", &["-q"]).stderr(Stdio::piped()).spawn().unwrap();
    let passes: Vec<_> = (0..6).map(spawn).collect();
    for pass in passes {
        let output = pass.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    }
    let steps = i64::try_from(crate::upgrades::steps().len()).unwrap();
    assert_eq!(database.number("select count(*) as x from kalshi_ingest_migrations"), steps);
    assert_eq!(database.number("select count(*) as x from ingestion_checkpoints"), 1);
}
