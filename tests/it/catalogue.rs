//! Every promise of `Catalogue`, held against both stores.

mod absence;
mod markets;
mod terms;
mod selection;
mod books;
mod upgrade;

use kalshi_ingest::domain::market::{Known, Market, Sighting, Status, Terms};
use kalshi_ingest::domain::ticker::Ticker;
use kalshi_ingest::domain::time::Timestamp;
use kalshi_ingest::store::Store;

use crate::support::database::Database;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(second)
}

fn ticker(text: &str) -> Ticker {
    Ticker::new(text).unwrap()
}

fn tickers(texts: &[&str]) -> Vec<Ticker> {
    texts.iter().map(|text| ticker(text)).collect()
}

fn is_sqlite(database: &Database) -> bool {
    database.url.starts_with("sqlite:")
}

/// A market of which only the least is known.
fn market(name: &str, status: &str) -> Market {
    Market {
        ticker: ticker(name),
        event_ticker: format!("{name}-EVENT").into(),
        series: None,
        title: None,
        yes_label: None,
        status: Status::parse(status),
        result: None,
        open_time: None,
        close_time: None,
        expected_expiration_time: None,
        latest_expiration_time: None,
        settlement_time: None,
        settlement_value: None,
        volume_e2: None,
        price_level_structure: None,
        terms: Terms::new(),
        payload: "{}".into(),
    }
}

fn seen(market: Market, second: i64) -> Sighting {
    Sighting { market, seen_at: at(second) }
}

/// Stores one sighting a hundred thousand seconds after it was made, by our clock.
fn see(store: &mut dyn Store, name: &str, status: &str, second: i64) -> u64 {
    store.save_markets(&[seen(market(name, status), second)], &[], at(second + 100_000)).unwrap()
}

fn known(store: &mut dyn Store, name: &str) -> Known {
    let mut known = store.known_markets(&[ticker(name)]).unwrap();
    assert_eq!(known.len(), 1, "{name}");
    known.remove(0)
}

/// The values of these expressions, row by row.
fn rows(database: &Database, expressions: &[String], from: &str) -> Vec<Vec<Option<String>>> {
    let columns: Vec<Vec<Option<String>>> = expressions
        .iter()
        .map(|expression| database.texts(&format!("select {expression} as x from {from}")))
        .collect();
    let count = columns.first().map_or(0, Vec::len);
    (0..count).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

fn plain(column: &str) -> String {
    column.to_owned()
}

/// A decimal as the whole number of its unit, with whatever is left of it behind a point.
fn scaled(database: &Database, column: &str, decimals: u32) -> String {
    if is_sqlite(database) {
        format!("{column}_e{decimals}")
    } else {
        format!("trim_scale({column} * {})", 10_i64.pow(decimals))
    }
}

/// An instant as `Timestamp` prints it.
fn instant(database: &Database, column: &str) -> String {
    if is_sqlite(database) {
        column.to_owned()
    } else {
        format!("to_char({column} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a cell of a table")]
#[expect(clippy::needless_pass_by_value, reason = "numbers are clearer without a reference")]
fn some(text: impl ToString) -> Option<String> {
    Some(text.to_string())
}

/// Market, status, previous status and time of each recorded change, in the order of recording.
fn changes(database: &Database) -> Vec<[Option<String>; 4]> {
    let columns = [
        plain("market_ticker"),
        plain("status"),
        plain("previous_status"),
        instant(database, "observed_at"),
    ];
    let from = "market_status_changes where source = 'kalshi' order by change_id";
    rows(database, &columns, from).into_iter().map(|row| row.try_into().unwrap()).collect()
}

fn change(name: &str, status: &str, previous: Option<&str>, second: i64) -> [Option<String>; 4] {
    [some(name), some(status), previous.map(str::to_owned), some(at(second))]
}
