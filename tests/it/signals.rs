//! A signal ends every command that works after the batch in hand, and says which it was.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kalshi_simulator::{Market, Rules};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_sync_ends,
    a_snapshot_ends,
    a_backfill_ends,
    a_scoring_ends,
}

/// So few requests that none of these commands comes to its end by itself.
const SLOWLY: [&str; 2] = ["--requests-per-second", "0.5"];

/// Starts the command, waits until it has asked for something, and ends it.
#[track_caller]
fn ends(database: &Database, name: &str, flags: &[&str]) {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let bench = Bench::new(database, Rules::default());
        for event in 0..20 {
            let (event, market) = (format!("KXA-{event}"), format!("KXA-{event}-B"));
            bench.exchange.add_market(Market::new(
                &market,
                &event,
                NOON_US - DAY_US,
                NOON_US + DAY_US,
            ));
        }
        let events: Vec<String> = (0..20).map(|event| format!("KXA-{event}")).collect();
        let selection = ["--event", &events.join(",")];
        let flags = [&SLOWLY[..], flags, &selection].concat();
        let process = bench.command_of(name, &flags).stderr(Stdio::piped()).spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while bench.exchange.requests().len() < 2 {
            assert!(Instant::now() < until, "{name} asked for nothing");
            thread::sleep(Duration::from_millis(20));
        }
        let begun = Instant::now();
        let id = process.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{name}: {}", stderr(&output));
        assert!(begun.elapsed() < Duration::from_secs(10), "{name} took {:?}", begun.elapsed());
        let ended = "select count(*) as x from ingestion_runs where finished_at is null";
        assert_eq!(database.number(ended), 0, "{name} has closed its row");
    }
}

fn a_sync_ends(database: &Database) {
    ends(database, "markets", &[]);
}

fn a_snapshot_ends(database: &Database) {
    ends(database, "orderbooks", &[]);
}

fn a_backfill_ends(database: &Database) {
    let flags = ["--from", "2026-07-01", "--to", "2026-07-20"];
    ends(database, "backfill", &flags);
}

fn a_scoring_ends(database: &Database) {
    ends(database, "completeness", &[]);
}
