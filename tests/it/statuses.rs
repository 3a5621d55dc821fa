//! `status` and a pass that is locked out judge what is on record as the passes would.

use std::fs;

use chrono::{Duration as Span, SecondsFormat, Utc};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_simulator::{Market, Rules, seeded_trades};

use crate::support::bench::{Bench, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    unnamed_markets_are_judged_as_the_last_pass_was_told,
    a_list_that_nobody_gave_is_told_and_is_a_breach,
    a_share_shows_its_own_markets,
    what_was_never_asked_for_is_named,
    a_pass_that_is_locked_out_judges_lists_as_well,
}

/// So long ago, as both databases read it.
fn ago(seconds: i64) -> String {
    (Utc::now() - Span::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A pass over a series of real time that ends well.
fn filled<'a>(database: &'a Database, flags: &[&str]) -> Bench<'a> {
    let bench = Bench::new(database, Rules::default());
    let now = Utc::now().timestamp_micros();
    bench.run_by_the_machine();
    for market in ["KXA-1-A", "KXA-1-B", "KXA-1-C", "KXA-1-D", "KXA-1-E"] {
        bench.exchange.add_market(Market::new(market, "KXA-1", now - 9_000_000_000, now * 2));
        bench.exchange.add_all(seeded_trades(1, market, 5, now - 90_000_000, now - 60_000_000));
    }
    assert_eq!(bench.pass(flags), 0);
    bench
}

/// The exit status of a check, and what it says.
fn check(bench: &Bench<'_>, flags: &[&str]) -> (Option<i32>, String) {
    let output = bench.process_of("status", &[flags, &["--check"]].concat());
    (output.status.code(), stderr(&output))
}

fn unnamed_markets_are_judged_as_the_last_pass_was_told(database: &Database) {
    let directory = tempfile::tempdir().unwrap();
    let watchlist = directory.path().join("watchlist.toml");
    fs::write(&watchlist, "[[watch]]\nseries = \"KXA\"\nsla = \"30s\"\n").unwrap();
    let watchlist = ["--watchlist", watchlist.to_str().unwrap()];
    let bench = filled(database, &watchlist);
    database.execute(&format!(
        "update ingestion_checkpoints set complete_from = null, complete_until = '{0}', checked_until = null",
        ago(60)
    ));
    for output in ["table", "json", "csv", "prometheus"] {
        assert_eq!(check(&bench, &["--output", output]).0, Some(3), "{output}");
        assert_eq!(check(&bench, &[&watchlist[..], &["--output", output]].concat()).0, Some(3));
    }
    assert_eq!(check(&bench, &["--sla", "1h"]).0, Some(0), "what is said here counts more");
    let table = bench.process_of("status", &[]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("SLA 30s"));
}

fn a_list_that_nobody_gave_is_told_and_is_a_breach(database: &Database) {
    let bench = filled(database, &["--series", "KXA"]);
    assert_eq!(check(&bench, &[]).0, Some(0));
    database.execute(&format!("update selection_watches set resolved_at = '{}'", ago(900)));
    for flags in [&[][..], &["--series", "KXA"], &["--output", "json"]] {
        let (code, said) = check(&bench, flags);
        assert_eq!(code, Some(3), "{flags:?}");
        assert!(said.contains("series:KXA is stale: the exchange has not said for 15m"), "{said}");
    }
}

fn a_share_shows_its_own_markets(database: &Database) {
    let bench = filled(database, &["--series", "KXA"]);
    let rows = |flags: &[&str]| -> usize {
        let output = bench.process_of("status", &[flags, &["--output", "csv"]].concat());
        String::from_utf8(output.stdout).unwrap().lines().count() - 1
    };
    let shares: Vec<usize> =
        ["0/3", "1/3", "2/3"].into_iter().map(|shard| rows(&["--shard", shard])).collect();
    assert_eq!((shares.iter().sum::<usize>(), rows(&[])), (5, 5), "{shares:?}");
    assert!(shares.iter().all(|share| *share < 5), "{shares:?}");
}

fn what_was_never_asked_for_is_named(database: &Database) {
    let bench = filled(database, &["--series", "KXA"]);
    for (flags, name) in [
        (["--market", "NEVER"], "NEVER"),
        (["--series", "KXNEVER"], "series:KXNEVER"),
        (["--event", "KXNEVER-1"], "event:KXNEVER-1"),
    ] {
        let (code, said) = check(&bench, &flags);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(&format!("{name} was never selected")), "{said}");
    }
}

fn a_pass_that_is_locked_out_judges_lists_as_well(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    bench.run_by_the_machine();
    let mut store = database.open();
    let first_selected_at = Timestamp::parse_rfc3339(&ago(600)).unwrap();
    store.watches(&["series:KXA".to_owned()], first_selected_at).unwrap();
    let lock = store.try_lock("run-0-of-1").unwrap();
    assert!(lock.is_some());
    let output = bench.process_of("run", &["-q", "--series", "KXA", "--sla", "1m"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.lines().count() == 1 && said.contains("series:KXA is stale"), "{said}");
    let noted = "select count(*) as x from selection_watches where sla_seconds = 60";
    assert_eq!(database.number(noted), 1, "what it was asked for is on record");
}
