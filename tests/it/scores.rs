//! Completeness: found, healed, and never healed without end.

mod contradictions;

use kalshi_simulator::{Market, Rules, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    hours_deleted_by_hand_are_found_and_healed,
    a_finalized_market_is_judged_by_its_lifetime,
    an_exchange_that_claims_more_than_it_serves_is_not_healed_for_ever,
    markets_never_read_count,
    archived_markets_have_candles_under_other_names,
    scores_come_in_three_forms_and_are_kept,
    only_closed_hours_count,
    an_exchange_without_candles_is_no_score,
}

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

fn instant(us: i64) -> String {
    kalshi_ingest::domain::time::Timestamp::from_micros(us).to_string()
}

/// Markets of a series with trades in the ten hours before eleven, all stored.
fn bench_with<'a>(database: &'a Database, markets: &[&str]) -> Bench<'a> {
    let bench = Bench::new(database, Rules::default());
    for (market, seed) in markets.iter().zip(1..) {
        add_market(&bench, market, seed);
    }
    assert_eq!(bench.pass(&["--market", &markets.join(",")]), 0);
    bench
}

fn add_market(bench: &Bench<'_>, market: &str, seed: u64) {
    let from = NOON_US - 11 * HOUR_US;
    bench.exchange.add_market(Market::new(market, "KXS-A", from, NOON_US + DAY_US));
    bench.exchange.add_all(seeded_trades(seed, market, 800, from, NOON_US - HOUR_US));
}

fn json(bench: &Bench<'_>, flags: &[&str]) -> (Option<i32>, serde_json::Value) {
    let output = bench.process_of("completeness", &[flags, &["--output", "json"]].concat());
    let value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)));
    (output.status.code(), value)
}

/// Deletes what a market traded in the hour that ends so many hours before noon.
fn delete_hour(database: &Database, market: &str, hours_ago: i64) {
    let ends = NOON_US / HOUR_US * HOUR_US - hours_ago * HOUR_US;
    let trades = format!(
        "prediction_market_trades where market_ticker = '{market}' and traded_at > '{}' and traded_at <= '{}'",
        instant(ends - HOUR_US),
        instant(ends)
    );
    database.execute(&format!(
        "delete from raw_kalshi_trade_events where trade_id in (select trade_id from {trades});
         delete from {trades}"
    ));
}

fn hours_deleted_by_hand_are_found_and_healed(database: &Database) {
    let bench = bench_with(database, &["KXA", "KXB"]);
    for hours_ago in [3, 4, 7] {
        delete_hour(database, "KXA", hours_ago);
    }
    let (from, until) = (instant(NOON_US - 12 * HOUR_US), instant(NOON_US));
    let flags = ["--market", "KXA,KXB", "--from", &from, "--to", &until, "--min-score", "0.999"];
    let (exit, value) = json(&bench, &flags);
    assert_eq!(exit, Some(6), "{value}");
    let [a, b] = &value["markets"].as_array().unwrap()[..] else { panic!("{value}") };
    assert_eq!(b["score"], 1.0, "{b}");
    assert!(a["score"].as_f64().unwrap() < 0.9, "{a}");
    let mut hours: Vec<String> = a["worst_hours"]
        .as_array()
        .unwrap()
        .iter()
        .map(|hour| hour["ends_at"].as_str().unwrap().to_owned())
        .collect();
    hours.sort();
    let ends = |ago: i64| instant(NOON_US / HOUR_US * HOUR_US - ago * HOUR_US);
    assert_eq!(hours, [ends(7), ends(4), ends(3)], "exactly those hours");
    bench.exchange.forget_requests();
    let (exit, value) = json(&bench, &[&flags[..], &["--heal"]].concat());
    assert_eq!(exit, Some(0), "{value}");
    assert_eq!(value["universe"]["score"], 1.0, "{value}");
    assert_eq!(bench.requests(), 4, "two spans are read again, their ends confirmed, nothing else");
    bench.assert_complete(&["KXA", "KXB"], "healed");
}

fn a_finalized_market_is_judged_by_its_lifetime(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    bench.exchange.settle_market("KXA", "yes", 10_000);
    let (exit, value) = json(&bench, &["--market", "KXA", "--min-score", "1"]);
    assert_eq!(exit, Some(0), "{value}");
    assert_eq!(value["markets"][0]["basis"], "lifetime");
    delete_hour(database, "KXA", 5);
    let (exit, value) = json(&bench, &["--market", "KXA", "--min-score", "1"]);
    assert_eq!(exit, Some(6), "{value}");
    let (exit, value) = json(&bench, &["--market", "KXA", "--min-score", "1", "--heal"]);
    assert_eq!((exit, &value["markets"][0]["score"]), (Some(0), &1.0.into()), "{value}");
    bench.assert_complete(&["KXA"], "the candles say where");
}

fn an_exchange_that_claims_more_than_it_serves_is_not_healed_for_ever(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    bench.exchange.add_phantom_volume("KXA", NOON_US - 4 * HOUR_US, 12_345);
    bench.exchange.settle_market("KXA", "no", 0);
    bench.exchange.forget_requests();
    let (exit, value) = json(&bench, &["--market", "KXA", "--min-score", "0.999999", "--heal"]);
    assert_eq!(exit, Some(6), "{value}");
    assert_eq!(value["markets"][0]["missing_quantity"], "123.45");
    assert!(value["markets"][0]["score"].as_f64().unwrap() < 1.0);
    assert!(bench.requests() <= 2, "tried once");
}

fn markets_never_read_count(database: &Database) {
    let bench = bench_with(database, &["KXS-A-1"]);
    add_market(&bench, "KXS-A-2", 9);
    let (from, until) = (instant(NOON_US - 12 * HOUR_US), instant(NOON_US));
    let flags = ["--series", "KXS", "--from", &from, "--to", &until];
    let (exit, value) = json(&bench, &flags);
    assert_eq!(exit, Some(0), "nobody set a score: {value}");
    assert_eq!(value["universe"]["markets"], 2, "{value}");
    assert_eq!(value["universe"]["never_read"], 1, "{value}");
    let score = value["universe"]["score"].as_f64().unwrap();
    assert!((0.1..0.9).contains(&score), "{value}");
    let quietly = [&flags[..], &["-q", "--min-score", "0.9"]].concat();
    let output = bench.process_of("completeness", &quietly);
    assert_eq!(output.status.code(), Some(6));
    let said = stderr(&output);
    assert!(said.lines().count() == 1 && said.contains("KXS-A-2 below --min-score"), "{said}");
    let (exit, value) = json(&bench, &[&flags[..], &["--heal", "--min-score", "1"]].concat());
    assert_eq!(exit, Some(0), "{value}");
    bench.assert_complete(&["KXS-A-1", "KXS-A-2"], "healing reads what was never read");
}

fn archived_markets_have_candles_under_other_names(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    bench.exchange.settle_market("KXA", "yes", 10_000);
    let later = NOON_US + 100 * DAY_US;
    bench.set_now(later);
    bench.exchange.change(|world| {
        world.rules.markets_cutoff_s = (later - 60 * DAY_US) / SECOND_US;
        world.rules.cutoff_s = world.rules.markets_cutoff_s;
    });
    delete_hour(database, "KXA", 6);
    let (from, until) = (instant(NOON_US - 12 * HOUR_US), instant(NOON_US));
    let flags = ["--market", "KXA", "--from", &from, "--to", &until, "--min-score", "1"];
    let (exit, value) = json(&bench, &flags);
    assert_eq!((exit, &value["markets"][0]["hours_short"]), (Some(6), &1.into()), "{value}");
    let (exit, value) = json(&bench, &[&flags[..], &["--heal"]].concat());
    assert_eq!(exit, Some(0), "{value}");
    bench.assert_complete(&["KXA"], "from the archive");
}

fn scores_come_in_three_forms_and_are_kept(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    delete_hour(database, "KXA", 2);
    let (from, until) = (instant(NOON_US - 12 * HOUR_US), instant(NOON_US));
    let flags = ["--market", "KXA", "--from", &from, "--to", &until];
    let text = |output| {
        let output =
            bench.process_of("completeness", &[&flags[..], &["--output", output]].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let table = text("table");
    assert!(table.contains("KXA lacks ") && table.contains("1 markets, 0 complete"), "{table}");
    let csv = text("csv");
    assert!(csv.starts_with("market,basis,") && csv.contains("\nKXA,candles,"), "{csv}");
    assert_eq!(text("json").lines().next(), Some("{"));
    assert_eq!(database.number("select count(*) as x from completeness_scores"), 3);
    let kept = "select count(*) as x from completeness_scores
        where basis = 'candles' and score < 1 and stored_quantity < exchange_quantity";
    assert_eq!(database.number(kept), 3);
}

fn only_closed_hours_count(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    // Traded a minute ago, and not read yet: the hour is still running.
    let now = NOON_US / HOUR_US * HOUR_US + HOUR_US / 2;
    bench.set_now(now);
    bench.exchange.add_all(seeded_trades(77, "KXA", 20, now - 60 * SECOND_US, now));
    let (from, until) = (instant(NOON_US - 12 * HOUR_US), instant(now));
    let (exit, value) =
        json(&bench, &["--market", "KXA", "--from", &from, "--to", &until, "--min-score", "1"]);
    assert_eq!(exit, Some(0), "{value}");
}

fn an_exchange_without_candles_is_no_score(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    bench.exchange.fail_always("/markets/candlesticks", Some(kalshi_simulator::Fault::Status(500)));
    let output = bench.process_of(
        "completeness",
        &["--market", "KXA", "--min-score", "1", "--requests-per-second", "1000"],
    );
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(database.number("select count(*) as x from completeness_scores"), 0);
}
