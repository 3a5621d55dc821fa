//! The `candles` command against the simulated exchange: are its candles stored as it shows them, and is none left out.

use kalshi_ingest::domain::candle::{Candle, Figures, Interval, Ohlc};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::Price;
use kalshi_simulator::{Market, Rules, seeded_trades};
use serde_json::Value;

use crate::markets::{HOUR_US, MINUTE_US, SECOND_US, asked, micros, queries, rows, scaled};
use crate::support::bench::{Bench, DAY_US, NOON_US, stderr};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    pooled:
    candles_of_both_tiers_are_stored_as_the_exchange_shows_them,
    a_second_reading_asks_for_what_can_have_changed,
    an_empty_answer_in_between_is_asked_about_again,
    a_refused_answer_leaves_no_hole,
    a_clock_that_is_ahead_makes_nothing_final,
    an_answer_of_a_cache_makes_nothing_final,
    an_earlier_beginning_is_read_when_it_is_named,
    a_market_without_a_candle_is_no_error_and_is_asked_again,
    less_volume_and_older_answers_replace_nothing,
    a_candle_that_cannot_be_read_is_told_and_stops_its_market,
    wrong_flags_say_what_to_do,
}

type Row = Vec<Option<String>>;

const DAYS: i64 = 10;
const FULL_HOUR_US: i64 = NOON_US - NOON_US % HOUR_US;

/// Two live markets and an archived one, traded on for ten days.
fn bench(database: &Database) -> Bench<'_> {
    let bench = Bench::new(database, Rules::default());
    for (seed, ticker) in (1..).zip(["KXC-1-A", "KXC-1-B", "KXC-0-OLD"]) {
        let opened = NOON_US - DAYS * DAY_US;
        bench.exchange.add_market(Market::new(ticker, "KXC-1", opened, NOON_US + DAY_US));
        bench.exchange.add_all(seeded_trades(seed, ticker, 400, opened, NOON_US - HOUR_US));
    }
    bench.exchange.settle_market("KXC-0-OLD", "yes", 10_000);
    bench.set_now(NOON_US + 100 * DAY_US);
    bench.exchange.change(|world| {
        world.rules.markets_cutoff_s = (NOON_US + 50 * DAY_US) / SECOND_US;
        world.rules.cutoff_s = world.rules.markets_cutoff_s;
    });
    bench
}

/// The stored candles of a market: the end in seconds, the prices in 0.0001 cent, quantities in 0.01 contract.
fn stored(database: &Database, market: &str, minutes: i64) -> Vec<Row> {
    let mut columns = vec![format!("{} / 1000000", micros(database, "ends_at"))];
    for quote in ["yes_bid", "yes_ask", "price"] {
        for part in ["open", "low", "high", "close"] {
            columns.push(scaled(database, &format!("{quote}_{part}"), 4));
        }
    }
    columns.extend(["price_mean", "price_previous"].map(|column| scaled(database, column, 4)));
    columns.extend(["volume", "open_interest"].map(|column| scaled(database, column, 2)));
    let from = format!(
        "market_candles where market_ticker = '{market}' and interval_minutes = {minutes} order by ends_at"
    );
    rows(database, &columns, &from)
}

/// The same from the exchange's own answers, in spans that it takes.
fn shown(bench: &Bench<'_>, path: &str, minutes: i64, is_archived: bool) -> Vec<Row> {
    let mut found = Vec::new();
    let (mut from, until) =
        ((NOON_US - (DAYS + 2) * DAY_US) / SECOND_US, bench.exchange.now_us() / SECOND_US);
    let step = 4_000 * minutes * 60;
    while from < until {
        let (begin, end) = (from + minutes * 60, (from + step).min(until + minutes * 60));
        let target =
            format!("/trade-api/v2{path}?start_ts={begin}&end_ts={end}&period_interval={minutes}");
        let answer = bench.exchange.ask(&target, Vec::new()).unwrap();
        assert_eq!(answer.status, 200, "{target}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        let candles = body["candlesticks"].as_array().unwrap();
        found.extend(candles.iter().map(|candle| row(candle, is_archived)));
        from += step;
    }
    found
}

fn row(candle: &Value, is_archived: bool) -> Row {
    let name = |part: &str, tail: &str| {
        if is_archived { part.to_owned() } else { format!("{part}_{tail}") }
    };
    let number = |value: &Value, decimals: i32| {
        let value: f64 = value.as_str()?.parse().unwrap();
        Some(format!("{:.0}", value * 10_f64.powi(decimals)))
    };
    let mut row = vec![Some(candle["end_period_ts"].to_string())];
    for quote in ["yes_bid", "yes_ask", "price"] {
        for part in ["open", "low", "high", "close"] {
            row.push(number(&candle[quote][name(part, "dollars")], 6));
        }
    }
    row.extend(["mean", "previous"].map(|part| number(&candle["price"][name(part, "dollars")], 6)));
    row.extend(["volume", "open_interest"].map(|part| number(&candle[name(part, "fp")], 2)));
    row
}

fn candles_of_both_tiers_are_stored_as_the_exchange_shows_them(database: &Database) {
    let bench = bench(database);
    for (interval, minutes) in [("1h", 60), ("1m", 1)] {
        assert_eq!(bench.main("candles", &["--series", "KXC", "--interval", interval]), 0);
        for market in ["KXC-1-A", "KXC-1-B"] {
            let path = format!("/series/KXC/markets/{market}/candlesticks");
            let shown = shown(&bench, &path, minutes, false);
            assert!(shown.len() > 200, "{market}: {}", shown.len());
            assert_eq!(stored(database, market, minutes), shown, "{market} {interval}");
        }
        let path = "/historical/markets/KXC-0-OLD/candlesticks";
        let shown = shown(&bench, path, minutes, true);
        assert!(shown.len() > 200, "{}", shown.len());
        assert_eq!(stored(database, "KXC-0-OLD", minutes), shown, "{interval}");
    }
}

/// The questions about candles since the last look.
fn questions(bench: &Bench<'_>) -> Vec<String> {
    let asked = asked(bench).into_iter().filter(|asked| asked.path.ends_with("/candlesticks"));
    queries(&asked.collect::<Vec<_>>())
}

fn a_second_reading_asks_for_what_can_have_changed(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    let opened = FULL_HOUR_US - 5 * HOUR_US;
    bench.exchange.add_market(Market::new("KXC-1-A", "KXC-1", opened, FULL_HOUR_US + DAY_US));
    bench.exchange.add_all(seeded_trades(1, "KXC-1-A", 60, opened, FULL_HOUR_US));
    bench.set_now(FULL_HOUR_US + 5 * MINUTE_US);
    assert_eq!(bench.main("candles", &["--market", "KXC-1-A"]), 0);
    let first = stored(database, "KXC-1-A", 60);
    assert_eq!(first.len(), 6, "five hours, and the one in progress: {first:?}");
    questions(&bench);

    // A trade in the hour that ended five minutes ago, and one in the hour in progress.
    let late = seeded_trades(2, "KXC-1-A", 1, FULL_HOUR_US - MINUTE_US, FULL_HOUR_US - SECOND_US);
    bench.exchange.add_all(late);
    bench.set_now(FULL_HOUR_US + 30 * MINUTE_US);
    let new = seeded_trades(
        3,
        "KXC-1-A",
        1,
        FULL_HOUR_US + 20 * MINUTE_US,
        FULL_HOUR_US + 21 * MINUTE_US,
    );
    bench.exchange.add_all(new);
    assert_eq!(bench.main("candles", &["--market", "KXC-1-A"]), 0);
    let hour = |number: i64| (FULL_HOUR_US + number * HOUR_US) / SECOND_US;
    let wanted = format!(
        "/markets/candlesticks?market_tickers=KXC-1-A&start_ts={}&end_ts={}&period_interval=60",
        hour(0),
        hour(1)
    );
    assert_eq!(questions(&bench), [wanted], "from the last hour that had been over for long");
    let path = "/series/KXC/markets/KXC-1-A/candlesticks";
    assert_eq!(stored(database, "KXC-1-A", 60), shown(&bench, path, 60, false));
    assert_ne!(stored(database, "KXC-1-A", 60), first);
}

fn an_empty_answer_in_between_is_asked_about_again(database: &Database) {
    let bench = bench(database);
    // The second of the three questions about ten days of minutes.
    let opened = (NOON_US - (DAYS + 1) * DAY_US) / SECOND_US;
    let hidden = (opened + 4_000 * 60, opened + 6_000 * 60);
    bench.exchange.change(|world| world.rules.hidden_candles_s = Some(hidden));
    let output = bench.process_of("candles", &["--market", "KXC-1-A", "--interval", "1m", "-v"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("asking about 1 markets another way"), "{}", stderr(&output));
    let path = "/series/KXC/markets/KXC-1-A/candlesticks";
    assert_eq!(stored(database, "KXC-1-A", 1), shown(&bench, path, 1, false));
}

fn a_refused_answer_leaves_no_hole(database: &Database) {
    use kalshi_simulator::Fault::{None, Status};
    let bench = bench(database);
    bench.exchange.script_for("/markets/candlesticks", [None, Status(400)]);
    let flags = ["--market", "KXC-1-A", "--interval", "1m"];
    let output = bench.process_of("candles", &flags);
    assert_ne!(output.status.code(), Some(0), "{}", stderr(&output));
    let path = "/series/KXC/markets/KXC-1-A/candlesticks";
    let shown = shown(&bench, path, 1, false);
    let kept = stored(database, "KXC-1-A", 1);
    assert!(!kept.is_empty() && kept.len() < shown.len());
    assert_eq!(kept, shown[..kept.len()], "nothing after the gap");
    assert_eq!(bench.main("candles", &flags), 0);
    assert_eq!(stored(database, "KXC-1-A", 1), shown);
}

fn a_clock_that_is_ahead_makes_nothing_final(database: &Database) {
    for (ours, theirs) in [(0, 3 * HOUR_US), (3 * HOUR_US, 0)] {
        let bench = Bench::new(database, Rules::default());
        let opened = FULL_HOUR_US - 5 * HOUR_US;
        bench.exchange.add_market(Market::new("KXC-1-A", "KXC-1", opened, NOON_US + DAY_US));
        bench.exchange.add_all(seeded_trades(1, "KXC-1-A", 60, opened, FULL_HOUR_US));
        let now = FULL_HOUR_US + 5 * MINUTE_US;
        bench.set_now(now);
        bench.exchange.set_now(now + theirs);
        bench.clock.turn(ours);
        assert_eq!(bench.main("candles", &["--market", "KXC-1-A"]), 0);
        let until = format!("{} > {}", micros(database, "ends_at"), FULL_HOUR_US - SECOND_US);
        let early = format!("select count(*) as x from market_candles where is_final and {until}");
        let is_final =
            if database.url.starts_with("sqlite:") { "is_final = 1" } else { "is_final" };
        assert_eq!(database.number(&early.replace("is_final", is_final)), 0, "{ours} {theirs}");
        database.execute("delete from market_candles");
    }
}

/// A market that opened five hours before a full hour, which was five minutes ago.
fn young(bench: &Bench<'_>) {
    let opened = FULL_HOUR_US - 5 * HOUR_US;
    bench.exchange.add_market(Market::new("KXC-1-A", "KXC-1", opened, NOON_US + DAY_US));
    bench.exchange.add_all(seeded_trades(1, "KXC-1-A", 60, opened, FULL_HOUR_US));
    bench.set_now(FULL_HOUR_US + 5 * MINUTE_US);
}

fn an_answer_of_a_cache_makes_nothing_final(database: &Database) {
    let bench = Bench::new(database, Rules { age_s: Some(3_600), ..Rules::default() });
    young(&bench);
    assert_eq!(bench.main("candles", &["--market", "KXC-1-A"]), 0);
    let at = |hours: i64| Timestamp::from_micros(FULL_HOUR_US + hours * HOUR_US);
    let market = Ticker::new("KXC-1-A").unwrap();
    let these = std::slice::from_ref(&market);
    let stored = database.open().stored_candles(Interval::Hour, these).unwrap();
    assert_eq!(stored[&market].last_final, Some(at(-2)), "the last one of which it is old enough");
}

fn an_earlier_beginning_is_read_when_it_is_named(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    young(&bench);
    let path = "/series/KXC/markets/KXC-1-A/candlesticks";
    let shown = shown(&bench, path, 60, false);
    let hour = |number: i64| Timestamp::from_micros(FULL_HOUR_US - number * HOUR_US).to_string();
    let read = |since: &str| {
        assert_eq!(bench.main("candles", &["--market", "KXC-1-A", "--since", since]), 0);
        stored(database, "KXC-1-A", 60)
    };
    assert_eq!(read(&hour(2)), shown[3..]);
    assert_eq!(read(&hour(1)), shown[3..]);
    assert_eq!(read(&hour(4)), shown[1..]);
    assert_eq!(read("2026-01-01"), shown);
}

fn a_market_without_a_candle_is_no_error_and_is_asked_again(database: &Database) {
    let bench = Bench::new(database, Rules { empty_candles: true, ..Rules::default() });
    let opened = NOON_US - 5 * HOUR_US;
    bench.exchange.add_market(Market::new("KXC-1-A", "KXC-1", opened, NOON_US + DAY_US));
    for _ in 0..2 {
        let output = bench.process_of("candles", &["--market", "KXC-1-A"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        assert_eq!(questions(&bench).len(), 1);
        assert_eq!(stored(database, "KXC-1-A", 60).len(), 0);
    }
}

fn less_volume_and_older_answers_replace_nothing(database: &Database) {
    let mut store = database.open();
    let (market, ends_at) = (Ticker::new("KXC-1-A").unwrap(), Timestamp::from_micros(NOON_US));
    let price = |e4| Price::from_e4_cents(e4);
    let candle = |volume_e2, e4, read_at| {
        let price = Ohlc { open: price(e4), low: price(e4), high: price(e4), close: price(e4) };
        let figures = Figures { price, ..Figures::default() };
        Candle { market: market.clone(), ends_at, read_at, volume_e2, figures: Ok(figures) }
    };
    let at = |minute: i64| Timestamp::from_micros(NOON_US + minute * MINUTE_US);
    let these = std::slice::from_ref(&market);
    let close = || {
        let stored = stored(database, "KXC-1-A", 60);
        stored[0][12].clone().unwrap()
    };
    for (volume_e2, e4, read_at, wanted, why) in [
        (500, 100_000, at(5), "100000", "the first"),
        (400, 200_000, at(6), "100000", "less volume"),
        (600, 300_000, at(4), "100000", "an older answer"),
        (500, 400_000, at(7), "400000", "as much, and later"),
        (0, 450_000, at(11), "400000", "nothing, though final"),
        (300, 500_000, at(12), "500000", "less, and final: trades were taken back"),
        (200, 600_000, at(13), "500000", "a second final answer"),
    ] {
        store.save_candles(Interval::Hour, &[candle(volume_e2, e4, read_at)]).unwrap();
        assert_eq!(close(), wanted, "{why}");
        let stored = store.stored_candles(Interval::Hour, these).unwrap()[&market];
        assert_eq!(stored.first, ends_at);
        assert_eq!(stored.last_final.is_some(), read_at >= at(12), "{why}");
        assert!(store.stored_candles(Interval::Minute, these).unwrap().is_empty());
    }
}

fn a_candle_that_cannot_be_read_is_told_and_stops_its_market(database: &Database) {
    let bench = Bench::served(database, Rules::default());
    let opened = NOON_US - 5 * HOUR_US;
    bench.exchange.add_market(Market::new("KXC-1-A", "KXC-1", opened, NOON_US + DAY_US));
    bench.exchange.fail_always("/markets/candlesticks", Some(kalshi_simulator::Fault::Garbage));
    let output = bench.process_of("candles", &["--market", "KXC-1-A"]);
    assert_eq!(output.status.code(), Some(4), "{}", stderr(&output));
    assert_eq!(stored(database, "KXC-1-A", 60).len(), 0);
}

fn wrong_flags_say_what_to_do(database: &Database) {
    let bench = Bench::new(database, Rules::default());
    for (flags, said) in [
        (&["--market", "KXC", "--interval", "1d"][..], "1d"),
        (&["--market", "KXC", "--since", "2100-01-01"], "--since lies in the future"),
        (&[], "--market"),
    ] {
        let output = bench.process_of("candles", flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        assert!(stderr(&output).contains(said), "{flags:?}: {}", stderr(&output));
    }
}
