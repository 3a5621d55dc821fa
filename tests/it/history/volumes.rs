//! What is stored of a market, and what was said of it.

use kalshi_ingest::domain::completeness::{Basis, HourVolume, Score};
use kalshi_ingest::domain::time::Timestamp;

use super::{at, event_at, instant, is_sqlite, receive, ticker, tickers};
use crate::support::database::{Database, on_both_stores};

on_both_stores! {
    a_lifetime_is_the_sum_of_all_that_is_stored,
    a_trade_on_the_hour_belongs_to_the_hour_that_ends,
    scores_are_appended_exactly,
    nothing_asked_is_nothing_answered,
}

const HOUR: i64 = 3_600_000_000;

fn a_lifetime_is_the_sum_of_all_that_is_stored(database: &Database) {
    let mut store = database.open();
    let large = 999_999_999_999_999_999;
    let events = vec![
        event_at("A", "a1", -HOUR, large),
        event_at("A", "a2", 0, large),
        event_at("A", "a3", HOUR, 1),
        event_at("B", "b1", 5, 7),
        event_at("C", "c1", 5, 100),
    ];
    receive(store.as_mut(), events, vec![], 60);
    let of_another_source =
        if is_sqlite(database) { "price_e4, quantity_e2" } else { "price, quantity" };
    database.execute(&format!(
        "insert into prediction_market_trades
             (source, trade_id, market_ticker, side, {of_another_source}, traded_at, run_id, ingested_at)
         values ('another', 'b1', 'B', 'yes', 1, 1, '{0}', 1, '{0}')",
        at(0)
    ));
    let asked = tickers(&["B", "nobody", "A"]);
    let mut stored = |until: Option<i64>| {
        let mut stored = store.stored_lifetime(&asked, until.map(Timestamp::from_micros)).unwrap();
        stored.sort();
        stored
    };
    assert_eq!(stored(None), [(ticker("A"), 2 * large + 1), (ticker("B"), 7)]);
    assert_eq!(stored(Some(0)), [(ticker("A"), 2 * large)], "the instant belongs to it");
    assert_eq!(stored(Some(-1)), [(ticker("A"), large)]);
    assert_eq!(stored(Some(-HOUR - 1)), []);
}

fn a_trade_on_the_hour_belongs_to_the_hour_that_ends(database: &Database) {
    let mut store = database.open();
    let events = vec![
        event_at("A", "a0", 9 * HOUR, 1),
        event_at("A", "a1", 9 * HOUR + 1, 10),
        event_at("A", "a2", 10 * HOUR - 1, 100),
        event_at("A", "a3", 10 * HOUR, 3_000_000_000),
        event_at("A", "a4", 10 * HOUR + 1, 7),
        event_at("A", "a5", 12 * HOUR, 70),
        event_at("A", "a6", 12 * HOUR + 1, 700),
        event_at("B", "b1", 11 * HOUR + 1_800_000_000, 5),
        event_at("C", "c1", 11 * HOUR, 5),
        // Before 1970, and around midnight.
        event_at("D", "d1", -1, 1),
        event_at("D", "d2", 0, 2),
        event_at("D", "d3", 1, 4),
    ];
    receive(store.as_mut(), events, vec![], 60);
    let mut hours = |markets: &[&str], from: i64, until: i64| {
        let found = store.stored_by_hour(&tickers(markets), at(from * 3_600), at(until * 3_600));
        let mut found = found.unwrap();
        found.sort();
        found
    };
    let hour = |market: &str, ends: i64, quantity_e2| HourVolume {
        market: ticker(market),
        ends_at: at(ends * 3_600),
        quantity_e2,
    };
    assert_eq!(
        hours(&["B", "A", "nobody"], 9, 12),
        [hour("A", 10, 3_000_000_110), hour("A", 11, 7), hour("A", 12, 70), hour("B", 12, 5)],
    );
    assert_eq!(hours(&["A"], 8, 9), [hour("A", 9, 1)]);
    assert_eq!(hours(&["A"], 12, 13), [hour("A", 13, 700)]);
    assert_eq!(hours(&["A"], 13, 20), []);
    assert_eq!(hours(&["D"], -1, 1), [hour("D", 0, 3), hour("D", 1, 4)]);
}

fn scores_are_appended_exactly(database: &Database) {
    let mut store = database.open();
    let lifetime = Score {
        market: ticker("A"),
        from: None,
        until: None,
        stored_e2: 9_007_199_254_740_993,
        exchange_e2: 90_071_992_547_409_930,
        missing_e2: 81_064_793_292_668_937,
        basis: Basis::Lifetime,
    };
    let candles = Score {
        market: ticker("B"),
        from: Some(at(3_600)),
        until: Some(at(7_200)),
        stored_e2: 205,
        exchange_e2: 200,
        missing_e2: 45,
        basis: Basis::Candles,
    };
    store.save_scores(&[lifetime.clone(), candles], at(60)).unwrap();
    store
        .save_scores(&[Score { stored_e2: 0, exchange_e2: 0, missing_e2: 0, ..lifetime }], at(61))
        .unwrap();
    store.save_scores(&[], at(62)).unwrap();
    let (stored, exchange) = if is_sqlite(database) {
        ("stored_quantity_e2", "exchange_quantity_e2")
    } else {
        ("trim_scale(stored_quantity * 100)", "trim_scale(exchange_quantity * 100)")
    };
    let none = |column: &str| format!("coalesce({}, 'none')", instant(database, column));
    let query = format!(
        "select concat_ws(' ', source, market_ticker, {}, {}, {stored}, {exchange},
             cast(score * 1000000 as integer), basis, {}) as x
         from completeness_scores order by score_id",
        none("window_from"),
        none("window_until"),
        instant(database, "scored_at"),
    );
    let rows: Vec<String> = database.texts(&query).into_iter().flatten().collect();
    let expected = [
        format!("kalshi A none none 9007199254740993 90071992547409930 100000 lifetime {}", at(60)),
        format!("kalshi B {} {} 205 200 620000 candles {}", at(3_600), at(7_200), at(60)),
        format!("kalshi A none none 0 0 1000000 lifetime {}", at(61)),
    ];
    assert_eq!(rows, expected);
    let contracts = "select count(*) as x from completeness_scores
        where market_ticker = 'B' and stored_quantity = 2.05 and exchange_quantity = 2";
    assert_eq!(database.number(contracts), 1);
}

fn nothing_asked_is_nothing_answered(database: &Database) {
    let mut store = database.open();
    receive(store.as_mut(), vec![event_at("A", "a", 1, 1)], vec![], 60);
    assert_eq!(store.stored_lifetime(&[], None).unwrap(), []);
    assert_eq!(store.stored_by_hour(&[], at(0), at(3_600)).unwrap(), []);
}
