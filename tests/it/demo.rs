//! The demonstration: what somebody sees who has nothing but the program.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Calls it in an environment that would lead every other command astray.
fn demo(temporary: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.arg("demo").args(flags).env("TMPDIR", temporary).env_remove("RUST_LOG");
    let astray = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("DATABASE_URL_FILE", "/nowhere"),
        ("KALSHI_SERIES", "KXNONE"),
        ("KALSHI_API_KEY_ID", "a-key-without-its-file"),
        ("KALSHI_BASE_URL", "http://127.0.0.1:1"),
    ];
    command.envs(astray).output().unwrap()
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn it_shows_three_passes_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(temporary.path(), &[]);
    let (said, logged) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{said}{logged}");
    for words in ["First pass", "Second pass", "Third pass", "fresh", "The data is gone now"] {
        assert!(said.contains(words), "{words} is missing: {said}");
    }
    assert_eq!(logged.matches("pass ended after").count(), 3, "{logged}");
    assert!(logged.contains("events_ingested=5940 "), "{logged}");
    assert!(logged.contains("events_ingested=26 "), "{logged}");
    assert_eq!(entries(temporary.path()), [""; 0]);
}

#[test]
fn what_is_kept_is_named_and_is_a_database() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(temporary.path(), &["--keep"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find_map(|line| line.strip_prefix("The data is in ")).unwrap();
    let database = rusqlite::Connection::open(line.trim_end_matches('.')).unwrap();
    let count = "select count(*) from prediction_market_trades";
    let count: i64 = database.query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(count, 5_966);
}

#[test]
fn a_folder_that_cannot_be_made_is_a_mistake_of_the_user() {
    let output = demo(Path::new("/nowhere/at/all"), &[]);
    assert_eq!(output.status.code(), Some(2));
    let logged = String::from_utf8(output.stderr).unwrap();
    assert!(logged.contains("making the folder /nowhere/at/all/kalshi-ingest-demo-"), "{logged}");
    assert!(logged.contains("set TMPDIR to another place"), "{logged}");
}

#[test]
fn it_is_as_quiet_as_it_is_told_to_be() {
    let temporary = tempfile::tempdir().unwrap();
    let output = demo(temporary.path(), &["--quiet"]);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0));
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
    command.arg("demo").env("TMPDIR", temporary.path()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // It says so once signals are waited for and the first pass is about to begin.
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().starts_with("First pass")));
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let rest: Vec<String> = said.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{rest:?}");
    assert!(!rest.iter().any(|line| line.starts_with("Third pass")), "{rest:?}");
    assert_eq!(entries(temporary.path()), [""; 0]);
}
