//! One stream to stdout.

use std::process::Stdio;

use super::{MIDNIGHT_US, bench_with_series, csv_rows, instant, stored_form};
use crate::support::bench::stderr;
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
