//! The upper edge of what a backfill finishes: the newest trade of the exchange, and what lies just below it.

use kalshi_simulator::{Fault, Market, Rules, Trade, seeded_trades};

use super::{CUTOFF_S, HOUR_US, SECOND_US, instant};
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    a_newest_trade_that_is_not_known_finishes_nothing,
    where_the_newest_trade_is_refused_the_rest_is_filled,
    an_archived_gap_that_is_shown_empty_once_is_asked_for_again,
    an_archived_gap_of_which_nobody_says_anything_is_left,
    an_archived_gap_that_is_stored_is_told,
}

const MINUTE_US: i64 = 60 * SECOND_US;

fn one(seed: u64, at: i64) -> Trade {
    let trade = seeded_trades(seed, "KXA", 1, at, at + SECOND_US).remove(0);
    Trade { created_us: at, ..trade }
}

/// A market with trades at these instants.
fn bench_at<'a>(database: &'a Database, trades: &[i64]) -> Bench<'a> {
    let bench = Bench::new(database, Rules { cutoff_s: CUTOFF_S, ..Rules::default() });
    let (opens, closes) = (NOON_US - 3 * DAY_US, NOON_US + 60 * DAY_US);
    bench.exchange.add_market(Market::new("KXA", "KXA", opens, closes));
    bench.exchange.add_all(trades.iter().zip(1..).map(|(at, seed)| one(seed, *at)));
    bench
}

fn fill(bench: &Bench<'_>, until: i64) -> u8 {
    let (from, until) = (instant(NOON_US - DAY_US / 2), instant(until));
    let flags = ["--market", "KXA", "--from", &from, "--to", &until, "--workers", "1"];
    bench.main("backfill", &flags)
}

fn finished_above(database: &Database, at: i64) -> i64 {
    let at = instant(at);
    database
        .number(&format!("select count(*) as x from ingestion_windows where window_until > '{at}'"))
}

/// The feed has stood still for half an hour, and the question about its newest trade is not answered.
fn a_newest_trade_that_is_not_known_finishes_nothing(database: &Database) {
    let newest = NOON_US - 30 * MINUTE_US;
    let until = NOON_US - 3 * MINUTE_US;
    for failures in [1, 30] {
        let bench = bench_at(database, &[NOON_US - 3 * HOUR_US, newest]);
        bench.exchange.script_for("/markets/trades", vec![Fault::Status(503); failures]);
        let exit = fill(&bench, until);
        assert_eq!(exit == 0, failures == 1, "{failures} failures: it is asked for again");
        assert_eq!(finished_above(database, newest), 0, "{failures} failures");
        bench.exchange.clear_faults();
        // It moves on, and shows what it held back.
        bench.exchange.add_all([one(3, NOON_US - 20 * MINUTE_US)]);
        assert_eq!(fill(&bench, until), 0);
        bench.assert_complete(&["KXA"], "what was held back");
        for table in ["ingestion_windows", "prediction_market_trades", "raw_kalshi_trade_events"] {
            database.execute(&format!("delete from {table}"));
        }
    }
}

/// A gateway that passes nothing on without a ticker: each answer is held against its own date.
fn where_the_newest_trade_is_refused_the_rest_is_filled(database: &Database) {
    let bench = bench_at(database, &[NOON_US - 3 * HOUR_US]);
    bench.exchange.script_for("/markets/trades", [Fault::Status(403); 3]);
    assert_eq!(fill(&bench, NOON_US - HOUR_US), 0);
    bench.assert_complete(&["KXA"], "nobody is told of the newest trade");
    assert_eq!(finished_above(database, NOON_US - 2 * HOUR_US), 1);
}

/// The newest trade of the exchange lies half a minute above the window, another one half a minute below its end.
fn an_archived_gap_that_is_shown_empty_once_is_asked_for_again(database: &Database) {
    let until = NOON_US - HOUR_US;
    let trades = [NOON_US - 3 * HOUR_US, until - 30 * SECOND_US, until + 30 * SECOND_US];
    for empty in 1..5 {
        let bench = bench_at(database, &trades);
        let faults = (0..8).map(|n| if n == empty { Fault::EmptyList } else { Fault::None });
        bench.exchange.script_for("/markets/trades", faults);
        assert_eq!(fill(&bench, until), 0, "answer {empty}");
        assert_eq!(database.trades().len(), 2, "answer {empty}");
        for table in ["ingestion_windows", "prediction_market_trades", "raw_kalshi_trade_events"] {
            database.execute(&format!("delete from {table}"));
        }
    }
}

/// A market that has traded, as its description says, and shows nothing.
fn an_archived_gap_of_which_nobody_says_anything_is_left(database: &Database) {
    let bench = bench_at(database, &[]);
    bench.exchange.add_market(Market::new("KXON", "KXON", NOON_US - DAY_US, NOON_US + DAY_US));
    let newest = seeded_trades(9, "KXON", 1, NOON_US - HOUR_US, NOON_US - HOUR_US + SECOND_US);
    bench.exchange.add_all(newest);
    bench.exchange.change(|world| world.rules.empty_candles = true);
    assert_eq!(fill(&bench, NOON_US - HOUR_US + MINUTE_US), 0, "it never traded");
    let hidden = NOON_US - HOUR_US - MINUTE_US;
    bench.exchange.change(|world| world.add_phantom_volume("KXA", hidden, 100));
    assert_eq!(fill(&bench, NOON_US - HOUR_US + MINUTE_US), 6, "it has, and nobody shows it");
}

fn an_archived_gap_that_is_stored_is_told(database: &Database) {
    let bench = bench_at(database, &[NOON_US - 3 * HOUR_US, NOON_US - HOUR_US]);
    let (from, until) = (instant(NOON_US - DAY_US / 2), instant(NOON_US - HOUR_US + MINUTE_US));
    let flags = ["--market", "KXA", "--from", &from, "--to", &until];
    let output = bench.process_of("backfill", &flags);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("the next backfill reads that again"), "{}", stderr(&output));
    bench.assert_complete(&["KXA"], "all that is shown");
}
