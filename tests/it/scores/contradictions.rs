//! Figures that contradict what is stored, or each other.

use kalshi_simulator::{Market, MarketVolume, Rules, seeded_trades};

use super::{HOUR_US, add_market, bench_with, delete_hour, instant, json};
use crate::markets::scaled;
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    one_trade_does_not_make_up_for_fifty_one_others,
    more_than_the_exchange_says_is_no_full_score,
    nothing_scored_reaches_no_score,
    silent_figures_prove_nothing,
    an_old_volume_of_nothing_proves_nothing,
}

/// The contracts, in hundredths, of what is stored of a market.
fn stored_e2(database: &Database, market: &str) -> i64 {
    let quantity = scaled(database, "quantity", 2);
    database.number(&format!(
        "select cast(sum({quantity}) as bigint) as x from prediction_market_trades
         where market_ticker = '{market}'"
    ))
}

/// Makes the newest trade of a market larger than it was.
fn enlarge(database: &Database, market: &str, by_e2: i64) {
    let set = if database.url.starts_with("sqlite:") {
        format!("quantity_e2 = quantity_e2 + {by_e2}")
    } else {
        format!("quantity = quantity + {by_e2} * 0.01")
    };
    database.execute(&format!(
        "update prediction_market_trades set {set} where trade_id = (
             select trade_id from prediction_market_trades
             where market_ticker = '{market}' order by traded_at desc, trade_id limit 1)"
    ));
}

/// Deletes fifty-one trades of an early hour.
fn delete_some(database: &Database, market: &str) {
    let begins = NOON_US / HOUR_US * HOUR_US - 8 * HOUR_US;
    let some = format!(
        "select trade_id from prediction_market_trades
         where market_ticker = '{market}' and traded_at > '{}' and traded_at <= '{}'
         order by trade_id limit 51",
        instant(begins),
        instant(begins + HOUR_US),
    );
    let before = database.number("select count(*) as x from prediction_market_trades");
    database.execute(&format!(
        "delete from raw_kalshi_trade_events where trade_id in ({some});
         delete from prediction_market_trades where trade_id in ({some})"
    ));
    let after = database.number("select count(*) as x from prediction_market_trades");
    assert_eq!(before - after, 51);
}

fn one_trade_does_not_make_up_for_fifty_one_others(database: &Database) {
    let bench = bench_with(database, &["KXA", "KXB", "KXC"]);
    for market in ["KXA", "KXB", "KXC"] {
        bench.exchange.settle_market(market, "yes", 10_000);
        let before = stored_e2(database, market);
        delete_some(database, market);
        let lost = before - stored_e2(database, market);
        match market {
            "KXA" => enlarge(database, market, lost),
            "KXB" => enlarge(database, market, 10 * lost),
            _ => enlarge(database, market, lost - 1),
        }
    }
    let markets = ["--market", "KXA,KXB,KXC"];
    let window = [instant(NOON_US - 12 * HOUR_US), instant(NOON_US)];
    let window = [&markets[..], &["--from", &window[0], "--to", &window[1]]].concat();
    for flags in [&markets[..], &window[..]] {
        for least in ["1", "0.9999"] {
            let (exit, value) = json(&bench, &[flags, &["--min-score", least]].concat());
            assert_eq!(exit, Some(6), "{value}");
            for market in value["markets"].as_array().unwrap() {
                assert!(market["score"].as_f64().unwrap() < 0.9999, "{market}");
                assert_eq!(market["hours_short"], 1, "{market}");
                assert_ne!(market["missing_quantity"], "0.00", "{market}");
                assert_ne!(market["excess_quantity"], "0.00", "{market}");
            }
            assert_eq!(value["universe"]["complete"], 0, "{value}");
            assert!(value["universe"]["score"].as_f64().unwrap() < 0.9999, "{value}");
        }
    }
    let truth: usize = ["KXA", "KXB", "KXC"].map(|m| bench.exchange.trades(m).len()).iter().sum();
    let (exit, value) = json(&bench, &[&markets[..], &["--min-score", "1", "--heal"]].concat());
    assert_eq!(exit, Some(6), "what is too much is still wrong: {value}");
    let stored = database.number("select count(*) as x from prediction_market_trades");
    assert_eq!(usize::try_from(stored).unwrap(), truth, "the fifty-one are back");
}

fn more_than_the_exchange_says_is_no_full_score(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    for is_settled in [false, true] {
        if is_settled {
            bench.exchange.settle_market("KXA", "yes", 10_000);
        }
        enlarge(database, "KXA", 5_000);
        let output = bench.process_of("completeness", &["--market", "KXA", "--min-score", "1"]);
        assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
        assert!(stderr(&output).contains("more is stored than the exchange says"));
        let (exit, value) = json(&bench, &["--market", "KXA"]);
        assert_eq!(exit, Some(0), "nobody set a score: {value}");
        assert!(value["markets"][0]["score"].as_f64().unwrap() < 1.0, "{value}");
    }
}

fn nothing_scored_reaches_no_score(database: &Database) {
    let bench = bench_with(database, &["KXA"]);
    bench.exchange.add_series("KXEMPTY", "Without a market");
    let (from, until) = (instant(NOON_US - 12 * HOUR_US), instant(NOON_US));
    let window = ["--from", &from, "--to", &until];
    for flags in [&["--series", "KXEMPTY"][..], &[&["--series", "KXEMPTY"][..], &window].concat()] {
        let flags = [flags, &["-q", "--min-score", "0.5"]].concat();
        let output = bench.process_of("completeness", &flags);
        assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
        assert!(stderr(&output).contains("nothing could be scored"), "{}", stderr(&output));
    }
    // One with an answer does not speak for one without.
    let late = Market::new("KXLATE", "KXLATE", NOON_US - 10 * DAY_US, NOON_US + DAY_US);
    bench.exchange.add_market(late);
    bench.exchange.change(|world| {
        world.rules.market_volume = MarketVolume::Null;
    });
    let output =
        bench.process_of("completeness", &["--market", "KXA,KXLATE", "-q", "--min-score", "0.5"]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains("no figures of KXLATE"), "{}", stderr(&output));
}

/// Whatever the exchange's volume says, alone or with its candles, of a market that was traded.
fn silent_figures_prove_nothing(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for market in ["KXALL", "KXNONE"] {
        add_market(&bench, market, 7);
        let open_us = NOON_US - 5 * DAY_US;
        bench.exchange.change_market(market, |market| market.open_us = open_us);
    }
    bench.exchange.add_all(seeded_trades(8, "KXNONE", 10, NOON_US - 3 * HOUR_US, NOON_US));
    let quiet = Market::new("KXQUIET", "KXS-A", NOON_US - 5 * DAY_US, NOON_US + DAY_US);
    bench.exchange.add_market(quiet);
    assert_eq!(bench.pass(&["--market", "KXALL"]), 0);
    for (volume, empty_candles, is_settled, expected) in [
        // (stored, never read, never traded)
        (MarketVolume::Told, false, false, [0, 6, 0]),
        (MarketVolume::Zero, false, false, [0, 6, 0]),
        (MarketVolume::Null, false, false, [0, 6, 6]),
        (MarketVolume::Told, true, false, [6, 6, 0]),
        (MarketVolume::Null, true, false, [6, 6, 6]),
        (MarketVolume::Zero, true, false, [6, 0, 0]),
        (MarketVolume::Told, false, true, [0, 6, 0]),
        (MarketVolume::Zero, false, true, [0, 6, 0]),
        (MarketVolume::Null, false, true, [0, 6, 6]),
        (MarketVolume::Told, true, true, [0, 6, 0]),
        (MarketVolume::Zero, true, true, [6, 0, 0]),
    ] {
        bench.exchange.change(|world| {
            world.rules.market_volume = volume;
            world.rules.empty_candles = empty_candles;
        });
        bench.advance(60_000_000);
        for (market, exit) in ["KXALL", "KXNONE", "KXQUIET"].into_iter().zip(expected) {
            if is_settled {
                bench.exchange.settle_market(market, "yes", 10_000);
            }
            let flags = ["--market", market, "--min-score", "1"];
            assert_eq!(
                bench.main("completeness", &flags),
                exit,
                "{market}: {volume:?} {empty_candles} {is_settled}"
            );
        }
    }
    delete_hour(database, "KXALL", 5);
    bench.exchange.change(|world| world.rules.market_volume = MarketVolume::Zero);
    bench.exchange.change(|world| world.rules.empty_candles = false);
    bench.advance(60_000_000);
    let flags = ["--market", "KXALL", "--min-score", "1"];
    assert_eq!(bench.main("completeness", &flags), 6, "the candles decide");
}

/// A market was described when it had not traded; no list of changes tells that it has since.
fn an_old_volume_of_nothing_proves_nothing(database: &Database) {
    let bench = Bench::new(database, Rules { empty_candles: true, ..Rules::default() });
    bench.exchange.add_series("KXS", "s");
    let opens = NOON_US - 3 * DAY_US;
    bench.exchange.add_market(Market::new("KXS-A-1", "KXS-A", opens, NOON_US + 60 * DAY_US));
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    let by_series = ["--series", "KXS", "--min-score", "1"];
    bench.set_now(NOON_US + 10 * DAY_US);
    assert_eq!(bench.main("completeness", &by_series), 0, "it never traded");
    bench.set_now(NOON_US + 20 * DAY_US);
    let from = NOON_US + 15 * DAY_US;
    bench.exchange.add_all(seeded_trades(8, "KXS-A-1", 1, from, from + HOUR_US));
    assert_eq!(bench.main("completeness", &by_series), 6, "it has");
}
