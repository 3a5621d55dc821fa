//! What bears a slice out that shows nothing, or less than there is: descriptions, volumes, candles, another list. None
//! of them is believed of an instant that it does not speak of.

use kalshi_simulator::{Market, Rules, Trade, seeded_trades};

use super::{CUTOFF_S, HOUR_US, SECOND_US, instant};
use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, assert_rows, on_both_stores};

on_both_stores! {
    pooled:
    an_old_volume_makes_no_answer_whole,
}

const MINUTE_US: i64 = 60 * SECOND_US;

/// A trade of one contract.
fn one(market: &str, seed: u64, at: i64) -> Trade {
    let trade = seeded_trades(seed, market, 1, at, at + SECOND_US).remove(0);
    Trade { count_e2: 100, created_us: at, ..trade }
}

/// An exchange whose archive ends sixty days before noon, with a series of which these markets opened three days ago.
fn bench_of<'a>(database: &'a Database, markets: &[&str], rules: Rules) -> Bench<'a> {
    let bench = Bench::new(database, Rules { cutoff_s: CUTOFF_S, ..rules });
    bench.exchange.add_series("KXS", "s");
    for market in markets {
        let (opens, closes) = (NOON_US - 3 * DAY_US, NOON_US + 60 * DAY_US);
        bench.exchange.add_market(Market::new(market, "KXS-A", opens, closes));
    }
    bench
}

/// Lets time pass until then; another market has traded a minute before.
fn at(bench: &Bench<'_>, now: i64) {
    bench.set_now(now);
    bench.exchange.add_market(Market::new("KXON", "KXON", NOON_US - DAY_US, NOON_US + 90 * DAY_US));
    bench.exchange.add_all(seeded_trades(
        u64::try_from(now).unwrap(),
        "KXON",
        1,
        now - 2 * MINUTE_US,
        now - MINUTE_US,
    ));
}

/// Fills `[from, until)` of the series.
fn fill(bench: &Bench<'_>, from: i64, until: i64) -> u8 {
    let (from, until) = (instant(from), instant(until));
    bench.main("backfill", &["--series", "KXS", "--from", &from, "--to", &until])
}

/// A market that was described after two trades, and of which no list of changes says that it traded on.
fn an_old_volume_makes_no_answer_whole(database: &Database) {
    let bench = bench_of(database, &["KXS-A-1"], Rules::default());
    let market = |seed, at| one("KXS-A-1", seed, at);
    bench.exchange.add_all([1, 2].map(|n| market(n, NOON_US - 2 * DAY_US)));
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    let now = NOON_US + 10 * DAY_US;
    let from = now - 5 * DAY_US;
    at(&bench, now);
    bench.exchange.add_all([3, 4].map(|n| market(n, from + HOUR_US)));
    // The first answer is cut: it shows the newest two of the window, and no cursor.
    bench.exchange.before_each_page(move |world, number| {
        if number == 2 {
            world.add_all([5, 6].map(|n| market(n, from + MINUTE_US)));
        }
    });
    assert_eq!(fill(&bench, from, now - 4 * DAY_US), 0);
    let mut truth = bench.truth(&["KXS-A-1"]);
    truth.retain(|row| from <= row.5);
    assert_eq!(truth.len(), 4);
    assert_rows(&database.trades(), &truth, "two are as many as the description says, and not all");
}
