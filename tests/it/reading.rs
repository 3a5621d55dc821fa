//! Who may only read a database is answered, and leaves nothing behind; who has to migrate is named.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::failure::Kind;
use kalshi_ingest::kalshi::VENUE;
use kalshi_ingest::store::DatabaseUrl;
use kalshi_simulator::{Rules, seeded_trades};

use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};
use crate::support::reader::{Reader, allow};

on_both_stores! {
    an_older_schema_is_left_alone_and_its_owner_named,
    a_newer_schema_is_left_alone,
    nothing_is_made_where_there_is_nothing,
}

const QUESTIONS: [&[&str]; 4] = [
    &["status"],
    &["status", "--check", "--sla", "3650d"],
    &["status", "--output", "json"],
    &["status", "--output", "prometheus"],
];
const SECOND_US: i64 = 1_000_000;
const OLDER: &str = "delete from kalshi_ingest_migrations where name =
    (select max(name) from kalshi_ingest_migrations)";
const STEPS: &str = "select count(*) as x from kalshi_ingest_migrations";

/// A database after a pass, in a folder of its own, as others may see it.
fn filled(database: &Database) -> (Bench<'_>, PathBuf) {
    let bench = Bench::new(database, Rules::default());
    bench.exchange.add_all(seeded_trades(
        1,
        "KXA",
        30,
        NOON_US - 3_600 * SECOND_US,
        NOON_US - 60 * SECOND_US,
    ));
    assert_eq!(bench.run("KXA", &[]), 0);
    let path = PathBuf::from(database.url.strip_prefix("sqlite:").unwrap());
    for lock in files(path.parent().unwrap()).into_keys().filter(|file| file.contains(".lock")) {
        fs::remove_file(path.with_file_name(lock)).unwrap();
    }
    allow(&path, 0o644);
    allow(path.parent().unwrap(), 0o755);
    (bench, path)
}

/// What is in the folder: size, time and owner of each file.
fn files(directory: &Path) -> BTreeMap<String, (u64, SystemTime, u32)> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let found = entry.metadata().unwrap();
            let facts = (found.len(), found.modified().unwrap(), found.uid());
            (entry.file_name().into_string().unwrap(), facts)
        })
        .collect()
}

#[track_caller]
fn assert_exit(output: &Output, code: i32, parts: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for part in parts {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

/// All who only ask are answered, with what is stored, and the folder stays as it is.
#[track_caller]
fn assert_answered(reader: &Reader, url: &str, trades: &str) {
    let folder = Path::new(url.strip_prefix("sqlite:").unwrap()).parent().unwrap();
    let before = files(folder);
    for question in QUESTIONS {
        let output = reader.run(&[question, &["--database-url", url]].concat());
        assert_exit(&output, 0, &[]);
        if question == ["status"] {
            let table = String::from_utf8(output.stdout).unwrap();
            assert!(table.contains("KXA ") && table.contains(trades), "{table}");
        }
    }
    assert_eq!(files(folder), before, "a question leaves nothing behind");
}

#[test]
fn who_may_only_read_the_file_is_answered_also_in_a_folder_of_others() {
    let database = Database::sqlite();
    let (bench, path) = filled(&database);
    let reader = Reader::find(path.parent().unwrap());
    assert!(!path.with_extension("db-wal").exists(), "closed in good order");
    assert_answered(&reader, &database.url, "30");
    // The folder is everybody's, the file is not.
    allow(path.parent().unwrap(), 0o777);
    assert_answered(&reader, &database.url, "30");
    allow(path.parent().unwrap(), 0o555);
    assert_answered(&reader, &database.url, "30");
    let base_url = bench.server.base_url();
    let window = ["--from", "2026-07-01", "--to", "2026-07-02"];
    let dry = ["backfill", "--dry-run", "--market", "KXA", "--base-url", &base_url];
    let output = reader.run(&[&dry[..], &window, &["--database-url", &database.url]].concat());
    assert_exit(&output, 0, &[]);
    allow(path.parent().unwrap(), 0o755);
}

#[test]
fn who_may_only_read_is_answered_beside_a_pass_at_work() {
    let database = Database::sqlite();
    let (_bench, path) = filled(&database);
    let reader = Reader::find(path.parent().unwrap());
    let writer = rusqlite::Connection::open(&path).unwrap();
    // What is in the log alone is seen as well.
    let pending = "insert into prediction_market_trades select source, 'another', market_ticker,
        side, price_e4, quantity_e2, traded_at, is_block_trade, run_id, ingested_at
        from prediction_market_trades limit 1";
    let columns = "(source, trade_id, market_ticker, side, price_e4, quantity_e2, traded_at,
        is_block_trade, run_id, ingested_at)";
    writer.execute_batch(&pending.replacen(" select", &format!(" {columns} select"), 1)).unwrap();
    writer.execute_batch("update trade_counts set trades = trades + 1").unwrap();
    assert!(path.with_extension("db-wal").metadata().unwrap().len() > 0);
    assert_answered(&reader, &database.url, "31");
    // Killed in the middle: the log stays.
    let copy = tempfile::TempDir::new().unwrap();
    allow(copy.path(), 0o755);
    for suffix in ["db", "db-wal", "db-shm"] {
        let target = copy.path().join(format!("kalshi.{suffix}"));
        fs::copy(path.with_extension(suffix), &target).unwrap();
        allow(&target, 0o644);
    }
    let url = format!("sqlite:{}", copy.path().join("kalshi.db").display());
    assert_answered(&reader, &url, "31");
    fs::remove_file(copy.path().join("kalshi.db-shm")).unwrap();
    let output = reader.run(&["status", "--database-url", &url]);
    assert_exit(&output, 5, &["has a log of what is not in it yet", "`kalshi-ingest status` as "]);
    // Its owner has it again.
    let own = std::process::Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"))
        .args(["status", "--database-url", &url])
        .output()
        .unwrap();
    assert_exit(&own, 0, &[]);
}

#[test]
fn serve_needs_no_more_than_to_read() {
    let database = Database::sqlite();
    let (bench, path) = filled(&database);
    let reader = Reader::find(path.parent().unwrap());
    let address = crate::support::recorder::free_address().to_string();
    let args = ["serve", "--listen", &address, "--database-url", &database.url];
    let mut server = reader.command(&args).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    let stored = |count: &str| {
        let total = format!("kalshi_ingest_events_ingested_total{{source=\"kalshi\"}} {count}\n");
        let plain = format!("kalshi_ingest_events_ingested_total {count}\n");
        let body = crate::serving::body_of(&address, "/metrics").unwrap_or_default();
        body.contains(&total) || body.contains(&plain)
    };
    while !stored("30") {
        assert!(Instant::now() < until, "{:?}", crate::serving::body_of(&address, "/metrics"));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!path.with_extension("db-wal").exists(), "nothing left behind");
    // A pass comes while it is looked at, and what it stores is seen.
    let now = bench.exchange.now_us();
    bench.exchange.add_all(seeded_trades(2, "KXA", 5, now + 1, now + 30 * SECOND_US));
    bench.advance(60 * SECOND_US);
    assert_eq!(bench.run("KXA", &[]), 0);
    while !stored("35") {
        assert!(Instant::now() < until, "{:?}", crate::serving::body_of(&address, "/metrics"));
        std::thread::sleep(Duration::from_millis(50));
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn who_may_not_write_is_told_so() {
    let database = Database::sqlite();
    let (_bench, path) = filled(&database);
    let folder = path.parent().unwrap();
    let reader = Reader::find(folder);
    let words = format!("no write permission on {} for user ", path.display());
    for command in [&["run", "--market", "KXA"][..], &["migrate"], &["replay"]] {
        let output = reader.run(&[command, &["--database-url", &database.url]].concat());
        assert_exit(&output, 5, &[&words, "run this as "]);
    }
    allow(&path, 0o666);
    let words = format!("no write permission on {} for user ", folder.display());
    let output = reader.run(&["run", "--market", "KXA", "--database-url", &database.url]);
    assert_exit(&output, 5, &[&words]);
    allow(&path, 0o600);
    let words = format!("no read permission on {} for user ", path.display());
    for command in [&["status"][..], &["status", "--output", "prometheus"]] {
        let output = reader.run(&[command, &["--database-url", &database.url]].concat());
        assert_exit(&output, 5, &[&words]);
    }
}

#[test]
fn a_plan_is_made_although_passes_come_meanwhile() {
    let database = Database::sqlite();
    let (bench, path) = filled(&database);
    let slow = kalshi_simulator::Fault::SlowBody { bytes_per_step: 20, pause_ms: 100 };
    bench.exchange.fail_always("*", Some(slow));
    let flags = ["--dry-run", "--market", "KXA", "--from", "2026-07-01", "--to", "2026-07-02"];
    let mut command = bench.command_of("backfill", &flags);
    let plan = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // While it asks the exchange, and once more before it asks the database.
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(200));
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch("update ingestion_checkpoints set failures = failures + 1")
            .unwrap();
    }
    let output = plan.wait_with_output().unwrap();
    assert_exit(&output, 0, &[]);
}

#[test]
fn a_file_that_is_written_to_while_it_is_read_is_read_again() {
    let database = Database::sqlite();
    let (_bench, path) = filled(&database);
    let url = DatabaseUrl::parse(&database.url, &|_| None).unwrap();
    let mut store = url.open_to_read(VENUE.source).unwrap();
    let now = Timestamp::from_micros(NOON_US);
    assert_eq!(store.report(kalshi_ingest::store::Reported::All, now).unwrap()[0].trades_total, 30);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("delete from prediction_market_trades; delete from trade_counts")
        .unwrap();
    for failure in [
        store.report(kalshi_ingest::store::Reported::All, now).unwrap_err(),
        store.overview(now).unwrap_err(),
        store.check_schema().unwrap_err(),
        store.watches_on_record(&["series:KXA".to_owned()]).unwrap_err(),
    ] {
        assert_eq!(failure.kind, Kind::StoreInterrupted, "{failure}");
    }
    store.reconnect().unwrap();
    assert_eq!(store.report(kalshi_ingest::store::Reported::All, now).unwrap()[0].trades_total, 0);
}

fn an_older_schema_is_left_alone_and_its_owner_named(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    database.execute(OLDER);
    let steps = database.number(STEPS);
    for question in QUESTIONS {
        let output = bench.process_of(question[0], &question[1..]);
        assert_exit(
            &output,
            5,
            &["the schema is not up to date", "run `kalshi-ingest migrate` as "],
        );
        assert!(output.stdout.is_empty(), "no half an answer");
        assert_eq!(stderr(&output).lines().count(), 1);
    }
    let dry = ["--dry-run", "--all", "--from", "2026-07-01", "--to", "2026-07-02"];
    let asked = bench.exchange.requests().len();
    let output = bench.process_of("backfill", &dry);
    assert_exit(&output, 5, &["run `kalshi-ingest migrate` as "]);
    assert_eq!(bench.exchange.requests().len(), asked, "before anybody is asked");
    assert_eq!(database.number(STEPS), steps, "nobody migrated");
}

fn a_newer_schema_is_left_alone(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let newer =
        "insert into kalshi_ingest_migrations values ('999_newer', 'x', '2026-01-01T00:00:00Z')";
    database.execute(newer);
    for question in QUESTIONS {
        let output = bench.process_of(question[0], &question[1..]);
        assert_exit(&output, 5, &["999_newer", "run a newer kalshi-ingest"]);
    }
}

fn nothing_is_made_where_there_is_nothing(database: &Database) {
    database.clear();
    let bench = Bench::served(database, Rules::default());
    let is_file = database.url.starts_with("sqlite:");
    let part = if is_file { "does not exist" } else { "holds nothing of kalshi-ingest yet" };
    for question in QUESTIONS {
        assert_exit(&bench.process_of(question[0], &question[1..]), 5, &[part]);
    }
    let dry = ["--dry-run", "--all", "--from", "2026-07-01", "--to", "2026-07-02"];
    assert_exit(&bench.process_of("backfill", &dry), 0, &[]);
    if is_file {
        assert!(!Path::new(database.url.strip_prefix("sqlite:").unwrap()).exists());
    } else {
        let tables = "select count(*) as x from pg_class where relname like '%ingest%'";
        assert_eq!(database.number(tables), 0);
    }
}
