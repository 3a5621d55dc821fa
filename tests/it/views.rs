//! The views that people query: the same in both stores, whatever else is in the database.

mod candles;
mod names;
mod queries;

use kalshi_ingest::domain::ticker::Ticker;
use rusqlite::types::Value;

use crate::support::database::Database;

/// A trade as it is stored: id, market, side, price in 0.0001 cent, quantity in 0.01 contract, time, block flag.
type Stored<'t> = (&'t str, &'t str, &'t str, i64, i64, &'t str, Option<bool>);

/// Stores these trades, and counts them.
fn store(database: &Database, trades: &[Stored<'_>]) {
    let is_sqlite = database.url.starts_with("sqlite:");
    let row = |(id, market, side, price_e4, quantity_e2, at, is_block): &Stored<'_>| {
        let (price, quantity) = if is_sqlite {
            (price_e4.to_string(), quantity_e2.to_string())
        } else {
            (format!("{price_e4} * 0.0001"), format!("{quantity_e2} * 0.01"))
        };
        let is_block = match is_block {
            None => "null".to_owned(),
            Some(is_block) if is_sqlite => i64::from(*is_block).to_string(),
            Some(is_block) => is_block.to_string(),
        };
        format!(
            "('kalshi', '{id}', '{market}', '{side}', {price}, {quantity}, '{at}', {is_block}, 1, '{at}')"
        )
    };
    let rows: Vec<String> = trades.iter().map(row).collect();
    let (price, quantity) =
        if is_sqlite { ("price_e4", "quantity_e2") } else { ("price", "quantity") };
    database.execute(&format!(
        "insert into prediction_market_trades (source, trade_id, market_ticker, side, {price}, {quantity}, traded_at, \
         is_block_trade, run_id, ingested_at) values {}",
        rows.join(", ")
    ));
    recount(database);
}

/// Counts the trades of all markets anew.
fn recount(database: &Database) {
    let mut store = database.open();
    let markets: Vec<Ticker> = store.counted_markets().unwrap();
    store.recount(&markets).unwrap();
    database.assert_counted();
}

/// The rows of a query, in words that are the same for both stores: a number without zeros at its end and with at most
/// six decimals, an instant as SQLite has it, a truth as 1 or 0.
fn rows(database: &Database, sql: &str) -> Vec<String> {
    let cells: Vec<Vec<String>> = match database.url.strip_prefix("sqlite:") {
        Some(path) => of_sqlite(path, sql),
        None => of_postgres(&database.url, sql),
    };
    cells.into_iter().map(|row| row.join("|")).collect()
}

fn of_sqlite(path: &str, sql: &str) -> Vec<Vec<String>> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let width = statement.column_count();
    let cell = |value: Value| match value {
        Value::Null => "null".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => decimal(number),
        Value::Text(text) => text,
        Value::Blob(bytes) => panic!("{bytes:?}"),
    };
    let found = statement.query_map([], |row| {
        (0..width).map(|at| Ok(cell(row.get(at)?))).collect::<rusqlite::Result<Vec<String>>>()
    });
    found.unwrap().map(Result::unwrap).collect()
}

fn of_postgres(url: &str, sql: &str) -> Vec<Vec<String>> {
    let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
    // Whoever asks may live anywhere.
    client.batch_execute("set timezone = 'Asia/Kathmandu'").unwrap();
    let columns = client.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let read: Vec<String> = columns
        .columns()
        .iter()
        .map(|column| {
            let name = format!("\"{}\"", column.name());
            match column.type_().name() {
                "timestamptz" => {
                    format!(
                        "to_char({name} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
                    )
                }
                "bool" => format!("cast({name} as integer)::text"),
                _ => format!("cast({name} as text)"),
            }
        })
        .collect();
    let numbers: Vec<bool> = columns
        .columns()
        .iter()
        .map(|column| ["numeric", "float8"].contains(&column.type_().name()))
        .collect();
    let asked =
        format!("select {} from ({}) as t", read.join(", "), sql.trim().trim_end_matches(';'));
    let found = client.query(&asked, &[]).unwrap_or_else(|error| panic!("{asked}: {error:?}"));
    let cell = |row: &postgres::Row, at: usize| match row.get::<_, Option<String>>(at) {
        None => "null".to_owned(),
        Some(number) if numbers[at] => decimal(number.parse().unwrap()),
        Some(text) => text,
    };
    found.iter().map(|row| (0..read.len()).map(|at| cell(row, at)).collect()).collect()
}

fn decimal(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
