//! Order books, and how busy the tape is.

use std::time::Duration;

use kalshi_ingest::domain::book::{Book, Figures, Level, Snapshot};
use kalshi_ingest::domain::tally::Tally;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::domain::trade::{Price, Quantity};
use kalshi_ingest::store::{RunRecord, Store};

use super::{at, instant, is_sqlite, plain, rows, scaled, some, ticker};
use crate::support::database::{Database, on_both_stores};
use crate::support::scope;

on_both_stores! {
    every_figure_of_a_book_is_stored_exactly,
    an_empty_book_is_nulls_and_noughts,
    a_book_of_a_stored_instant_is_left_out,
    the_tape_is_as_busy_as_the_last_runs_say,
    the_tapes_row_counts_all_trades,
}

fn snapshot(market: &str, second: i64, figures: Figures) -> Snapshot {
    let levels = format!("{{\"yes\": [], \"no\":[[\"0.40\",\"1\"]], \"x\":\"\\u0000{second}\"}}");
    Snapshot { market: ticker(market), captured_at: at(second), figures, levels: levels.into() }
}

fn stored(database: &Database) -> Vec<Vec<Option<String>>> {
    let mut columns =
        vec![plain("market_ticker"), instant(database, "captured_at"), plain("levels")];
    for (column, decimals) in [
        ("best_yes_bid", 4),
        ("best_yes_ask", 4),
        ("best_no_bid", 4),
        ("best_no_ask", 4),
        ("spread", 4),
        ("yes_depth", 2),
        ("no_depth", 2),
        ("slippage_buy_100", 9),
        ("slippage_sell_100", 9),
        ("slippage_buy_1000", 9),
        ("slippage_sell_1000", 9),
    ] {
        columns.push(scaled(database, column, decimals));
    }
    let from = "orderbook_snapshots where source = 'kalshi' order by market_ticker, captured_at";
    rows(database, &columns, from)
}

fn every_figure_of_a_book_is_stored_exactly(database: &Database) {
    let mut store = database.open();
    let price = Price::from_e4_cents;
    let figures = Figures {
        best_yes_bid: price(600_001),
        best_yes_ask: price(590_002),
        best_no_bid: price(409_998),
        best_no_ask: price(399_999),
        spread_e4: Some(-9_999),
        yes_depth_e2: i64::MAX,
        no_depth_e2: 1,
        slippage_buy_e9: [Some(-1), Some(99_999_999_999)],
        slippage_sell_e9: [Some(123_456_789), None],
    };
    let captured_at = Timestamp::from_micros(1_784_958_699_544_670);
    let book = Snapshot { captured_at, ..snapshot("A", 10, figures) };
    store.save_books(std::slice::from_ref(&book)).unwrap();
    let numbers =
        [600_001, 590_002, 409_998, 399_999, -9_999, i64::MAX, 1, -1, 123_456_789, 99_999_999_999];
    let mut expected = vec![some("A"), some(captured_at), some(&book.levels)];
    expected.extend(numbers.map(some));
    expected.push(None);
    assert_eq!(stored(database), [expected]);
    let people = "select count(*) as x from orderbook_snapshots where best_yes_bid = 60.0001
        and best_yes_ask = 59.0002 and best_no_bid = 40.9998 and best_no_ask = 39.9999
        and spread = -0.9999 and no_depth = 0.01 and slippage_buy_100 = -0.000000001
        and slippage_sell_100 = 0.123456789 and slippage_buy_1000 = 99.999999999
        and slippage_sell_1000 is null";
    assert_eq!(database.number(people), 1, "the columns that people read");
}

fn an_empty_book_is_nulls_and_noughts(database: &Database) {
    let mut store = database.open();
    let book = snapshot("A", 10, Book::default().figures());
    store.save_books(std::slice::from_ref(&book)).unwrap();
    let mut expected = vec![some("A"), some(at(10)), some(&book.levels)];
    expected.extend([const { None }; 5]);
    expected.extend([some(0), some(0)]);
    expected.extend([const { None }; 4]);
    assert_eq!(stored(database), [expected]);
}

fn a_book_of_a_stored_instant_is_left_out(database: &Database) {
    let mut store = database.open();
    let full = Level {
        price: Price::from_e4_cents(500_000).unwrap(),
        quantity: Quantity::from_e2(1).unwrap(),
    };
    let (empty, full) = (Book::default().figures(), Book::new(vec![full], Vec::new()).figures());
    store.save_books(&[snapshot("B", 10, empty), snapshot("A", 10, empty)]).unwrap();
    let again = [snapshot("A", 10, full), snapshot("A", 11, full), snapshot("A", 11, empty)];
    store.save_books(&again).unwrap();
    let bids: Vec<_> =
        stored(database).into_iter().map(|row| (row[0].clone(), row[3].clone())).collect();
    assert_eq!(
        bids,
        [(some("A"), None), (some("A"), some(500_000)), (some("B"), None)],
        "the first of each instant stays"
    );
}

fn run(store: &mut dyn Store, tape_trades: u64, span: Duration) -> i64 {
    let run = store.begin_run("run", at(5)).unwrap();
    let record = RunRecord {
        finished_at: at(8),
        exit_code: 0,
        markets: 1,
        tally: Tally { tape_trades, tape_span: span, ..Tally::default() },
        ingestion_lag: None,
        error: None,
        overlap: None,
        is_from_exchange: true,
    };
    store.finish_run(run, &record).unwrap();
    run
}

fn the_tape_is_as_busy_as_the_last_runs_say(database: &Database) {
    let mut store = database.open();
    let store = store.as_mut();
    assert_eq!(store.tape_rate().unwrap(), None, "no run");
    run(store, 0, Duration::ZERO);
    assert_eq!(store.tape_rate().unwrap(), None, "no run that read it");
    let first = run(store, 300, Duration::from_millis(60_500));
    run(store, 95, Duration::from_millis(39_500));
    store.begin_run("run", at(6)).unwrap();
    let without = run(store, 7, Duration::ZERO);
    assert_eq!(store.tape_rate().unwrap(), Some(3.95), "together, not each alone");
    let row = |run: i64| {
        let columns = ["tape_trades", "tape_seconds"].map(plain);
        rows(database, &columns, &format!("ingestion_runs where run_id = {run}")).remove(0)
    };
    assert_eq!(row(first), [some(300), some(60.5)]);
    assert_eq!(row(without), [some(7), None]);
    for _ in 0..29 {
        run(store, 20, Duration::from_secs(2));
    }
    assert_eq!(store.tape_rate().unwrap(), Some(10.0), "what was long ago does not count");
}

fn the_tapes_row_counts_all_trades(database: &Database) {
    let mut store = database.open();
    store.checkpoints(&["*", "A", "C"].map(scope), at(1)).unwrap();
    let (price, quantity) =
        if is_sqlite(database) { ("price_e4", "quantity_e2") } else { ("price", "quantity") };
    for (source, id, market, traded_at) in [
        ("kalshi", "1", "A", 5_399),
        ("kalshi", "2", "A", 5_401),
        ("kalshi", "3", "B", 5_402),
        ("another", "4", "B", 5_403),
    ] {
        database.execute(&format!(
            "insert into prediction_market_trades
                 (source, trade_id, market_ticker, side, {price}, {quantity}, traded_at, run_id,
                  ingested_at)
             values ('{source}', '{id}', '{market}', 'yes', 1, 1, '{}', 1, '{}')",
            at(traded_at),
            at(9_000),
        ));
    }
    database.execute(
        "insert into trade_counts (source, market_ticker, trades) values ('another', 'B', 1), ('kalshi', 'A', 7)",
    );
    let markets = store.counted_markets().unwrap();
    assert_eq!(markets, ["A", "B"].map(ticker), "C has no trade and no count");
    assert_eq!(store.recount(&markets).unwrap(), 2);
    let counts: Vec<_> = store
        .report(kalshi_ingest::store::Reported::All, at(9_000))
        .unwrap()
        .into_iter()
        .map(|row| (row.checkpoint.scope.to_string(), row.trades_total, row.trades_last_hour))
        .collect();
    let row = |market: &str, total, last_hour| (market.to_owned(), total, last_hour);
    assert_eq!(counts, [row("*", 3, 2), row("A", 2, 1), row("C", 0, 0)]);
}
