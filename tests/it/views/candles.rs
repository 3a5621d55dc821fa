//! The candles and the last trades are those of the stored trades, however and whenever these came.

use std::collections::BTreeMap;
use std::time::Duration;

use kalshi_ingest::domain::time::Timestamp;

use super::{Stored, decimal, recount, rows, store};
use crate::support::database::{Database, StoredTrade, on_both_stores};

on_both_stores! {
    candles_are_those_of_the_trades,
    the_last_trade_is_the_newest_with_the_greatest_id,
    a_candle_holds_extreme_values,
    the_time_in_microseconds_is_the_time,
    a_question_about_a_market_reads_no_other,
}

const SECOND_US: i64 = 1_000_000;
/// 2026-11-22T09:58:00Z
const BEGIN_US: i64 = 1_795_341_480 * SECOND_US;

/// Trades in no order: many at one instant, many at the edge of a minute or an hour.
fn drawn(seed: u64, count: u64) -> Vec<(String, String, &'static str, i64, i64, String)> {
    let mut state = seed;
    let mut draw = |below: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((state >> 33) % below).unwrap()
    };
    let mut trade = |number: u64| {
        let second = draw(7_200);
        let micros = [0, 0, 999_999, draw(1_000_000)][usize::try_from(draw(4)).unwrap()];
        let second = if draw(3) == 0 { second / 60 * 60 + 59 } else { second / 30 * 30 };
        let at = Timestamp::from_micros(BEGIN_US + second * SECOND_US + micros);
        let side = if draw(2) == 0 { "yes" } else { "no" };
        let price = [draw(1_000_001), draw(100) * 10_000][usize::try_from(draw(2)).unwrap()];
        let (id, market) = (format!("t{seed}-{number}"), format!("M{}", draw(3)));
        (id, market, side, price, 1 + draw(100_000), at.to_string())
    };
    (0..count).map(&mut trade).collect()
}

fn store_drawn(database: &Database, seed: u64, count: u64) {
    let drawn = drawn(seed, count);
    let trades: Vec<Stored<'_>> = drawn
        .iter()
        .map(|(id, market, side, price, quantity, at)| {
            (&**id, &**market, *side, *price, *quantity, &**at, None)
        })
        .collect();
    store(database, &trades);
}

fn float(number: i64) -> f64 {
    number.to_string().parse().unwrap()
}

/// The rows that `candles_1m` or `candles_1h` should have, worked out from the trades.
fn expected(trades: &[StoredTrade], seconds: i64) -> Vec<String> {
    let mut bars: BTreeMap<(String, i64), Vec<&StoredTrade>> = BTreeMap::new();
    for trade in trades {
        let begin = trade.5.div_euclid(seconds * SECOND_US) * seconds * SECOND_US;
        bars.entry((trade.1.clone(), begin)).or_default().push(trade);
    }
    let bar = |((market, begin), mut trades): ((String, i64), Vec<&StoredTrade>)| {
        trades.sort_by_key(|trade| (trade.5, trade.0.clone()));
        let yes =
            |trade: &StoredTrade| if trade.2 == "yes" { trade.3 } else { 1_000_000 - trade.3 };
        let cents = |e4: i64| decimal(float(e4) / 10_000.0);
        let prices: Vec<i64> = trades.iter().map(|trade| yes(trade)).collect();
        let volume: i64 = trades.iter().map(|trade| trade.4).sum();
        let weighted: i64 = trades.iter().map(|trade| yes(trade) * trade.4).sum();
        let paid: i64 = trades.iter().map(|trade| trade.3 * trade.4).sum();
        [
            market,
            Timestamp::from_micros(begin).to_string(),
            cents(prices[0]),
            cents(*prices.iter().max().unwrap()),
            cents(*prices.iter().min().unwrap()),
            cents(*prices.last().unwrap()),
            decimal(float(weighted) / float(volume) / 10_000.0),
            decimal(float(volume) / 100.0),
            decimal(float(paid) / 100_000_000.0),
            trades.len().to_string(),
            Timestamp::from_micros(begin).floor_to(Duration::from_secs(3_600)).to_string(),
        ]
        .join("|")
    };
    bars.into_iter().map(bar).collect()
}

#[track_caller]
fn assert_candles(database: &Database, why: &str) {
    for (view, seconds) in [("candles_1m", 60), ("candles_1h", 3_600)] {
        let sql = format!("select * from {view} order by ticker, starts_at");
        let (found, expected) = (rows(database, &sql), expected(&database.trades(), seconds));
        assert!(found.len() > 5, "{why}: {view}");
        assert_eq!(found, expected, "{why}: {view}");
    }
}

fn candles_are_those_of_the_trades(database: &Database) {
    drop(database.open());
    store_drawn(database, 1, 400);
    assert_candles(database, "at first");
    store_drawn(database, 2, 300);
    assert_candles(database, "with late trades");
    database.execute("delete from prediction_market_trades where trade_id like '%7'");
    recount(database);
    assert_candles(database, "without those that were deleted");
    let hour = "select * from candles_1m where hour = '2026-11-22T10:00:00.000000Z' order by ticker, starts_at";
    let some = "select * from candles_1m where ticker = 'M1' and starts_at >= '2026-11-22T10:00:00.000000Z'
                and starts_at < '2026-11-22T10:30:00.000000Z' order by starts_at";
    let all = rows(database, "select * from candles_1m order by ticker, starts_at");
    let wanted = |row: &&String| {
        row.starts_with("M1|2026-11-22T10:") && row["M1|2026-11-22T10:".len()..] < *"30"
    };
    let wanted: Vec<String> = all.iter().filter(wanted).cloned().collect();
    assert!(!wanted.is_empty());
    assert_eq!(rows(database, some), wanted, "a part is the same as in the whole");
    let of_hour = |row: &&String| row.contains("|2026-11-22T10:");
    let of_hour: Vec<String> = all.iter().filter(of_hour).cloned().collect();
    assert_eq!(rows(database, hour), of_hour, "as is an hour of all markets");
}

fn the_last_trade_is_the_newest_with_the_greatest_id(database: &Database) {
    drop(database.open());
    store_drawn(database, 3, 500);
    let last = "select ticker, trade_id, yes_price from market_last_trade order by ticker";
    let mut newest: BTreeMap<String, StoredTrade> = BTreeMap::new();
    let trades = database.trades();
    for trade in &trades {
        let best = newest.entry(trade.1.clone()).or_insert_with(|| trade.clone());
        if (trade.5, &trade.0) > (best.5, &best.0) {
            *best = trade.clone();
        }
    }
    assert_eq!(newest.len(), 3);
    let row = |best: &StoredTrade| {
        let yes = if best.2 == "yes" { best.3 } else { 1_000_000 - best.3 };
        format!("{}|{}|{}", best.1, best.0, decimal(float(yes) / 10_000.0))
    };
    assert_eq!(rows(database, last), newest.values().map(row).collect::<Vec<_>>());
    let best = newest["M0"].clone();
    let at = Timestamp::from_micros(best.5).to_string();
    store(
        database,
        &[("z", "M0", "no", 990_000, 1, &at, None), ("a", "M0", "no", 980_000, 1, &at, None)],
    );
    assert_eq!(rows(database, last)[0], "M0|z|1", "of three at one instant");
}

fn a_candle_holds_extreme_values(database: &Database) {
    drop(database.open());
    let most = 999_999_999_999_999_999;
    let at = "2026-11-22T10:00:00.000000Z";
    let trades: Vec<String> = (0..20).map(|number| format!("t{number:02}")).collect();
    let trades: Vec<Stored<'_>> =
        trades.iter().map(|id| (&**id, "M", "yes", 1_000_000, most, at, None)).collect();
    store(database, &trades);
    let found = rows(
        database,
        "select open, low, vwap, trades, volume > 1.9e17 as many, notional_usd > 1.9e17 as dear from candles_1h",
    );
    assert_eq!(found, ["100|100|100|20|1|1"]);
    let found = rows(database, "select count(*), min(notional_usd) > 9.9e15 as dear from trades");
    assert_eq!(found, ["20|1"]);
}

fn the_time_in_microseconds_is_the_time(database: &Database) {
    drop(database.open());
    let times = [
        "2021-07-01T00:00:00.000000Z",
        "2024-02-28T23:59:59.999999Z",
        "2024-02-29T00:00:00.000001Z",
        "2024-03-01T12:34:56.789012Z",
        "2024-12-31T23:59:59.999999Z",
        "2025-01-01T00:00:00.000000Z",
        "2026-11-22T10:00:30.500000Z",
        "2028-02-29T23:00:00.000000Z",
        "2028-12-31T00:00:00.000000Z",
        "2099-12-31T23:59:59.999999Z",
    ];
    let ids: Vec<String> = (0..times.len()).map(|number| format!("t{number:02}")).collect();
    let trades: Vec<Stored<'_>> =
        ids.iter().zip(times).map(|(id, at)| (&**id, "M", "yes", 500_000, 100, at, None)).collect();
    store(database, &trades);
    let expected: Vec<String> = times
        .iter()
        .map(|at| format!("{}|{}", Timestamp::parse_rfc3339(at).unwrap().micros(), &at[..10]))
        .collect();
    assert_eq!(rows(database, "select traded_us, day from trades order by trade_id"), expected);
}

/// By the index of the market, even where a whole table would do.
fn a_question_about_a_market_reads_no_other(database: &Database) {
    drop(database.open());
    store_drawn(database, 4, 300);
    let questions = [
        "select yes_price from trades where ticker = 'M1'",
        "select * from candles_1m where ticker = 'M1'",
        "select * from candles_1h where ticker = 'M1'",
        "select * from candles_1m where hour = '2026-11-22T10:00:00.000000Z'",
        "select * from candles_1h where hour = '2026-11-22T10:00:00.000000Z'",
        "select yes_price from market_last_trade where ticker = 'M1'",
        "select price_1d from market_calibration where ticker = 'M1'",
    ];
    for question in questions {
        let plan = if database.url.starts_with("sqlite:") {
            let steps = of_sqlite_plan(database, question);
            assert!(
                !steps.contains("SCAN t\n") && !steps.contains("SCAN prediction_market_trades"),
                "{steps}"
            );
            steps
        } else {
            let asked = format!("explain {question}");
            let mut client = ::postgres::Client::connect(&database.url, ::postgres::NoTls).unwrap();
            client.batch_execute("set enable_seqscan = off").unwrap();
            let steps = client.query(&asked, &[]).unwrap();
            steps.iter().map(|row| row.get::<_, String>(0) + "\n").collect()
        };
        assert!(plan.contains("prediction_market_trades_market_time"), "{question}: {plan}");
    }
}

fn of_sqlite_plan(database: &Database, question: &str) -> String {
    let path = database.url.strip_prefix("sqlite:").unwrap();
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare(&format!("explain query plan {question}")).unwrap();
    let steps = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
    steps.map(|step| step.unwrap() + "\n").collect()
}
