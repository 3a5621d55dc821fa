//! What bears a slice out that shows nothing, or less than there is: descriptions, volumes, candles, another list. None
//! of them is believed of an instant that it does not speak of.

use kalshi_simulator::{Asked, Fault, Market, Rules, Trade, seeded_trades};

use super::{CUTOFF_S, HOUR_US, SECOND_US, instant};
use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::{Database, assert_rows, on_both_stores};

on_both_stores! {
    pooled:
    an_old_volume_makes_no_answer_whole,
    a_later_trade_makes_up_for_none_that_is_missing,
    a_market_that_never_traded_is_described_anew,
    a_market_that_never_traded_needs_no_candles,
    a_market_that_was_taken_away_never_traded,
    a_market_that_was_taken_away_after_it_traded_is_left,
    a_quiet_market_needs_no_candles,
    candles_that_are_not_found_do_not_keep_a_market_that_never_traded,
    candles_that_are_refused_do_not_keep_a_market_that_never_traded,
    candles_that_fail_are_asked_for_by_the_next_backfill,
    a_market_whose_candles_fail_keeps_none_of_its_neighbours,
    nobody_is_asked_twice,
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

/// A trade of an hour that no list shows, and a later one of the same size.
fn a_later_trade_makes_up_for_none_that_is_missing(database: &Database) {
    let bench = bench_of(database, &["KXS-A-1"], Rules::default());
    let opens = NOON_US - 3 * DAY_US;
    let hidden = opens + 30 * MINUTE_US;
    bench.exchange.change(|world| world.add_phantom_volume("KXS-A-1", hidden, 100));
    // Above the window is too much for the list to say where it ends.
    let (from, until) = (NOON_US - DAY_US, NOON_US - 10 * MINUTE_US);
    bench.exchange.add_all(seeded_trades(7, "KXS-A-1", 3_400, from, until));
    at(&bench, NOON_US);
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    for (days, why) in [(0, "the candles contradict"), (1, "also after a trade of the same size")] {
        let now = NOON_US + days * DAY_US;
        at(&bench, now);
        bench.exchange.add_all((0..days).map(|_| one("KXS-A-1", 5, NOON_US + HOUR_US)));
        assert_eq!(bench.pass(&["--series", "KXS"]), 0, "{why}");
        assert_eq!(fill(&bench, opens, opens + HOUR_US), 6, "{why}");
        assert_eq!(complete(database), 0, "{why}");
    }
}

/// How many slices are complete.
fn complete(database: &Database) -> i64 {
    database.number("select count(*) as x from ingestion_windows where status = 'complete'")
}

/// An exchange on which two markets were described long ago, and one has traded; and its now.
fn long_described(database: &Database, rules: Rules) -> (Bench<'_>, i64) {
    let bench = bench_of(database, &["KXS-A-1", "KXS-A-2"], rules);
    let opens = NOON_US - 3 * DAY_US;
    bench.exchange.add_all(seeded_trades(7, "KXS-A-2", 5, opens, NOON_US));
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    (bench, NOON_US + 10 * DAY_US)
}

/// Fills a day that ended four days before now, long after the markets were described.
fn fill_a_day(bench: &Bench<'_>, now: i64) -> u8 {
    fill(bench, now - 5 * DAY_US, now - 4 * DAY_US)
}

fn a_market_that_never_traded_is_described_anew(database: &Database) {
    never_traded(database, false);
}

fn a_market_that_never_traded_needs_no_candles(database: &Database) {
    never_traded(database, true);
}

fn never_traded(database: &Database, empty_candles: bool) {
    let (bench, now) = long_described(database, Rules { empty_candles, ..Rules::default() });
    at(&bench, now);
    bench.exchange.forget_requests();
    assert_eq!(fill_a_day(&bench, now), 0);
    let by_name = |asked: &&Asked| asked.param("tickers").is_some();
    assert_eq!(bench.exchange.requests().iter().filter(by_name).count(), 1, "one for a hundred");
    assert_eq!(complete(database), 2);
}

fn a_market_that_was_taken_away_never_traded(database: &Database) {
    let (bench, now) = long_described(database, Rules::default());
    bench.exchange.change(|world| world.remove_market("KXS-A-1"));
    at(&bench, now);
    // The lists of changes do not tell.
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    assert_eq!(fill_a_day(&bench, now), 0);
    assert_eq!(complete(database), 2);
}

/// Nobody can say any more what it traded.
fn a_market_that_was_taken_away_after_it_traded_is_left(database: &Database) {
    let bench = bench_of(database, &["KXS-A-1"], Rules::default());
    let opens = NOON_US - 3 * DAY_US;
    bench.exchange.change(|world| world.add_phantom_volume("KXS-A-1", opens + HOUR_US, 100));
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    bench.exchange.change(|world| world.remove_market("KXS-A-1"));
    let now = NOON_US + 10 * DAY_US;
    at(&bench, now);
    assert_eq!(fill_a_day(&bench, now), 6);
    assert_eq!(complete(database), 0);
}

/// All that it ever traded is stored, as its volume says.
fn a_quiet_market_needs_no_candles(database: &Database) {
    let rules = Rules { empty_candles: true, ..Rules::default() };
    let bench = bench_of(database, &["KXS-A-1"], rules);
    // It traded in the archive only, and the archive has grown over that.
    bench.exchange.add_all([1, 2].map(|n| one("KXS-A-1", n, NOON_US - 2 * DAY_US)));
    bench.exchange.change(|world| world.rules.cutoff_s = (NOON_US - DAY_US) / SECOND_US);
    assert_eq!(bench.main("markets", &["--series", "KXS"]), 0);
    let now = NOON_US + 10 * DAY_US;
    at(&bench, now);
    assert_eq!(fill(&bench, NOON_US - 3 * DAY_US, now - 4 * DAY_US), 0);
    assert_rows(&database.trades(), &bench.truth(&["KXS-A-1"]), "both tiers");
    assert_eq!(fill_a_day(&bench, now), 0, "and later");
}

fn candles_that_are_not_found_do_not_keep_a_market_that_never_traded(database: &Database) {
    without_candles(database, 404, 0);
}

fn candles_that_are_refused_do_not_keep_a_market_that_never_traded(database: &Database) {
    without_candles(database, 403, 0);
}

fn candles_that_fail_are_asked_for_by_the_next_backfill(database: &Database) {
    let (bench, now) = without_candles(database, 503, 6);
    bench.exchange.fail_always("/markets/candlesticks", None);
    assert_eq!(fill_a_day(&bench, now), 0);
}

/// Fills a day of a market that never traded, while candles are answered so.
fn without_candles(database: &Database, status: u16, exit: u8) -> (Bench<'_>, i64) {
    let (bench, now) = long_described(database, Rules::default());
    bench.exchange.fail_always("/markets/candlesticks", Some(Fault::Status(status)));
    at(&bench, now);
    assert_eq!(fill_a_day(&bench, now), exit);
    (bench, now)
}

/// An archived market is asked for by itself, among a hundred.
fn a_market_whose_candles_fail_keeps_none_of_its_neighbours(database: &Database) {
    let bench = bench_of(database, &[], Rules::default());
    let opens = NOON_US - 90 * DAY_US;
    for market in ["KXS-A-1", "KXS-A-2"] {
        bench.exchange.add_market(Market::new(market, "KXS-A", opens, opens + 10 * DAY_US));
    }
    let path = "/historical/markets/KXS-A-1/candlesticks";
    bench.exchange.fail_always(path, Some(Fault::Garbage));
    at(&bench, NOON_US);
    assert_eq!(
        fill(&bench, opens, opens + 5 * DAY_US),
        0,
        "three lists and two descriptions agree"
    );
    assert!(
        complete(database) >= 2,
        "the other one is not kept open by it, nor for ever is this one"
    );
}

/// Doubts that nobody settles are told once, however many rounds the others take.
fn nobody_is_asked_twice(database: &Database) {
    let bench = bench_of(database, &["KXS-A-1", "KXS-A-2"], Rules::default());
    let opens = NOON_US - 3 * DAY_US;
    bench.exchange.change(|world| world.add_phantom_volume("KXS-A-1", opens + HOUR_US, 100));
    at(&bench, NOON_US);
    assert_eq!(fill(&bench, opens, NOON_US - HOUR_US), 6);
    let asked = bench.exchange.requests();
    let count = |path: &str| asked.iter().filter(|asked| asked.path.ends_with(path)).count();
    assert_eq!(count("/candlesticks"), 2, "before it was read, and of what was shown empty");
    let by_name = asked.iter().filter(|asked| asked.param("tickers").is_some()).count();
    assert_eq!(by_name, 0, "it was described a moment ago");
}
