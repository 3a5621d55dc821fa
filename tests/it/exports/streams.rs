//! One stream to stdout.

use std::io::Read as _;
use std::process::Stdio;

use kalshi_simulator::{Rules, seeded_trades};

use super::{HOUR_US, MIDNIGHT_US, bench_with_series, csv_rows, instant, stored_form};
use crate::support::bench::{Bench, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    one_stream_has_all_rows_in_order,
    a_reader_that_stops_early_is_no_error,
}

fn one_stream_has_all_rows_in_order(database: &Database) {
    let bench = bench_with_series(database);
    let output = bench.process_of("export", &["--series", "KXS", "--directory", "-"]);
    assert!([Some(0), Some(6)].contains(&output.status.code()), "{}", stderr(&output));
    let rows = csv_rows(&String::from_utf8(output.stdout).unwrap());
    let keys: Vec<_> = rows.iter().map(|row| (&row[0], &row[2], &row[1])).collect();
    assert!(keys.is_sorted(), "by market, time and id over all days");
    let mut all: Vec<_> = rows.iter().map(|row| stored_form(row)).collect();
    all.sort();
    assert!(all == database.trades());
    let until = instant(MIDNIGHT_US);
    let flags = ["--series", "KXS", "--directory", "-", "--format", "jsonl", "--to", &until];
    let output = bench.process_of("export", &flags);
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), 1_400);
}

fn a_reader_that_stops_early_is_no_error(database: &Database) {
    let bench = bench_with_series(database);
    let mut child = bench
        .command_of("export", &["--series", "KXS", "--directory", "-", "-q"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Nobody reads a single row.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!([Some(0), Some(6)].contains(&output.status.code()), "{}", stderr(&output));
    assert!(!stderr(&output).contains("stdout"), "{}", stderr(&output));
}

#[test]
fn a_stream_that_has_begun_is_not_begun_again() {
    let database = Database::postgres();
    let bench = Bench::new(&database, Rules::default());
    let names = ["KXA", "KXB"];
    for (seed, name) in (1..).zip(names) {
        let (from, until) = (NOON_US - 3 * HOUR_US, NOON_US - HOUR_US);
        bench.exchange.add_all(seeded_trades(seed, name, 15_000, from, until));
    }
    assert_eq!(bench.run(&names.join(","), &[]), 0);
    let mut child = bench
        .command_of("export", &["--market", "KXA,KXB", "--directory", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut text = vec![0; 1_000];
    out.read_exact(&mut text).unwrap();
    // The pipe is full and the second market is not asked for yet.
    let end = "select count(pg_terminate_backend(pid)) as x from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and query like '%traded_at, trade_id%'";
    assert_eq!(database.number(end), 1);
    out.read_to_end(&mut text).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.contains("throw that part away and export again"), "{said}");
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches("market_ticker").count(), 1, "it begins once");
    assert!(text.lines().count() < 30_000, "a part of the rows");
}
