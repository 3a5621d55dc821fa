//! What comes from the environment as it comes from there: with line breaks that belong to nobody,
//! with a key that others can read, with a disk that is full.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use clap::CommandFactory as _;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::retry::Jitter;
use kalshi_simulator::Rules;

use crate::support::bench::{Bench, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_migration_that_is_killed_is_whole_or_none,
}

const KEY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fixtures/throwaway-keys/ed25519.pem");

/// A command in a folder of its own with nothing but these variables.
fn kalshi(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.env_clear().envs(variables.iter().copied()).current_dir(folder).args(args);
    command.output().unwrap()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_line_break_at_the_end_of_a_url_makes_no_odd_file() {
    for (name, value) in [
        ("DATABASE_URL", "sqlite:a.db\n"),
        ("DATABASE_URL", " sqlite:a.db \r\n"),
        ("DATABASE_URL_FILE", "url\n"),
        ("DATABASE_URL_FILE", "url"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("url"), "\u{feff}sqlite:a.db\r\n\n").unwrap();
        let output = kalshi(folder.path(), &["migrate"], &[(name, value)]);
        assert!(output.status.success(), "{value:?}: {}", stderr(&output));
        let made = names(folder.path());
        assert_eq!(made, ["a.db", "url"].map(str::to_owned).into(), "{value:?}");
    }
}

#[test]
fn no_url_makes_an_odd_file_or_none() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    for url in [
        "sqlite:file:x?mode=memory",
        "sqlite::memory:",
        "sqlite://:memory:",
        "sqlite:file::memory:?cache=shared",
        "sqlite:file:x.db",
        "sqlite:x.db?cache=shared",
        "sqlite:x?mode=memory",
        "sqlite:x\ny.db",
        "sqlite:\u{1}",
        "sqlite:",
    ] {
        for args in [
            &["run", "--market", "A"][..],
            &["migrate"],
            &["status"],
            &["backfill", "--dry-run", "--all", "--from", "2026-01-01", "--to", "2026-01-02"],
        ] {
            for output in [
                kalshi(folder.path(), args, &[("DATABASE_URL", url)]),
                kalshi(folder.path(), &[args, &["--database-url", url]].concat(), &[]),
            ] {
                assert_eq!(output.status.code(), Some(2), "{url:?} {args:?}: {}", stderr(&output));
                assert_eq!(stderr(&output).lines().count(), 1);
            }
        }
    }
    let output = kalshi(folder.path(), &["migrate"], &[("DATABASE_URL_FILE", "empty")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("the file empty is empty; DATABASE_URL_FILE names it"));
    assert_eq!(names(folder.path()), ["empty".to_owned()].into(), "nothing was made");
}

#[test]
fn no_variable_minds_a_line_break_at_its_end() {
    let database = Database::sqlite();
    let bench = Bench::new(&database, Rules::default());
    bench.list_markets("KXA");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| format!("{}\n", folder.path().join(name).display());
    fs::write(folder.path().join("watch.toml"), "[[watch]]\nmarket = \"KXA\"\n").unwrap();
    fs::copy(KEY, folder.path().join("key.pem")).unwrap();
    let base_url = format!("{}\n", bench.server.base_url());
    let url = format!("{}\n", database.url);
    let (watchlist, key, metrics) = (path("watch.toml"), path("key.pem"), path("kalshi.prom"));
    let variables = [
        ("DATABASE_URL", &*url),
        ("KALSHI_BASE_URL", &base_url),
        ("KALSHI_TRADES_PATH", "/markets/trades\n"),
        ("KALSHI_API_KEY_ID", "id\n"),
        ("KALSHI_PRIVATE_KEY_FILE", &key),
        ("KALSHI_REQUESTS_PER_SECOND", "1000\n"),
        ("KALSHI_MARKETS", "KXA\n"),
        ("KALSHI_EVENTS", "\n"),
        ("KALSHI_SERIES", "\n"),
        ("KALSHI_ALL", "0\n"),
        ("KALSHI_WATCHLIST", &watchlist),
        ("KALSHI_SHARD", "0/1\n"),
        ("KALSHI_LOG_FORMAT", "json\n"),
        ("KALSHI_SLA", "3650d\n"),
        ("KALSHI_SINCE", "2026-01-01\n"),
        ("KALSHI_OVERLAP", "2m\n"),
        ("KALSHI_SETTLE", "5s\n"),
        ("KALSHI_DEADLINE", "30s\n"),
        ("KALSHI_WORKERS", "2\n"),
        ("KALSHI_METRICS_FILE", &metrics),
        ("KALSHI_PUSH_GATEWAY", "\n"),
        ("KALSHI_PING_URL", "\n"),
        ("KALSHI_SYNC_MARKETS", "1h\n"),
    ];
    let cli = Cli::command();
    let known = cli.find_subcommand("run").unwrap().get_arguments();
    let known: BTreeSet<&str> =
        known.filter_map(|argument| argument.get_env()?.to_str()).chain(["DATABASE_URL"]).collect();
    assert_eq!(BTreeSet::from(variables.map(|(name, _)| name)), known, "each that `run` reads");
    let output = kalshi(folder.path(), &["run"], &variables);
    let said = stderr(&output);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    assert!(said.starts_with("{\"level\"") || said.starts_with('{'), "as JSON: {said}");
    let made: BTreeSet<String> = names(folder.path());
    assert_eq!(made, ["kalshi.prom", "key.pem", "watch.toml"].map(str::to_owned).into());
    let taped = "select count(*) as x from ingestion_checkpoints where market_ticker = '*'";
    assert_eq!(database.number(taped), 0, "0 is no");
}

#[test]
fn a_private_key_that_others_can_read_is_told_of_once() {
    let database = Database::sqlite();
    let bench = Bench::new(&database, Rules::default());
    bench.list_markets("KXA");
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key.pem");
    fs::copy(KEY, &key).unwrap();
    let name = key.to_str().unwrap();
    let said = |mode: u32| {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let flags = ["--market", "KXA", "--api-key-id", "id", "--private-key-file", name];
        stderr(&bench.process_of("run", &flags))
    };
    for (mode, is_warned) in [
        (0o600, false),
        (0o400, false),
        (0o700, false),
        (0o640, true),
        (0o604, true),
        (0o644, true),
        (0o666, true),
    ] {
        let said = said(mode);
        let count = said.matches(&format!("chmod 600 {name}")).count();
        assert_eq!(count, usize::from(is_warned), "{mode:o}: {said}");
        assert_eq!(said.contains("can be read by others"), is_warned, "{mode:o}: {said}");
    }
}

fn a_migration_that_is_killed_is_whole_or_none(database: &Database) {
    database.clear();
    let migrations = "select count(*) as x from kalshi_ingest_migrations";
    let is_there = |table: &str| {
        let catalogue =
            if database.url.starts_with("sqlite:") { "sqlite_schema" } else { "pg_tables" };
        let column = if database.url.starts_with("sqlite:") { "name" } else { "tablename" };
        let query = format!("select count(*) as x from {catalogue} where {column} = '{table}'");
        database.number(&query) > 0
    };
    let mut random = Jitter::seeded(7);
    let whole = database_of_a_whole_migration();
    for _ in 0..40 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
        command.args(["migrate", "-q", "--database-url", &database.url]).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(60).mul_f64(random.next_fraction()));
        child.kill().unwrap();
        let is_killed = child.wait().unwrap().code().is_none();
        // A server goes on with a statement whose client is gone, to its end.
        std::thread::sleep(Duration::from_millis(30));
        let steps =
            if is_there("kalshi_ingest_migrations") { database.number(migrations) } else { 0 };
        assert!(steps == 0 || steps == whole, "{steps} of {whole} steps, killed: {is_killed}");
        assert_eq!(
            is_there("ingestion_runs"),
            steps == whole,
            "tables and their record go together"
        );
        if steps == whole && !is_killed {
            return;
        }
    }
    drop(database.open());
    assert_eq!(database.number(migrations), whole, "and afterwards it is made");
}

fn database_of_a_whole_migration() -> i64 {
    let database = Database::sqlite();
    drop(database.open());
    database.number("select count(*) as x from kalshi_ingest_migrations")
}

#[test]
fn a_migration_on_a_full_disk_leaves_nothing_half_made() {
    // Files may grow to so many blocks of 512 bytes, beyond which a write fails as on a full disk.
    for blocks in [16, 64, 100, 150] {
        let database = Database::sqlite();
        let path = database.url.strip_prefix("sqlite:").unwrap();
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec {} migrate -q --database-url {}",
            env!("CARGO_BIN_EXE_kalshi-ingest"),
            database.url
        );
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(output.status.code(), Some(5), "{blocks}: {}", stderr(&output));
        let tables = "select count(*) as x from sqlite_schema";
        assert_eq!(database.number(tables), 0, "{blocks} blocks");
        drop(database.open());
        let steps = database.number("select count(*) as x from kalshi_ingest_migrations");
        assert_eq!(steps, database_of_a_whole_migration(), "{path}: room again");
    }
}
