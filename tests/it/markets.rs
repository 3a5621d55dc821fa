//! The `markets` command against the simulated exchange: what it asks for, and what is stored.

mod fields;
mod changes;
mod interrupted;
mod lists;
mod marks;
mod mistakes;

use std::process::{Command, Output};

use kalshi_simulator::{Asked, Market};

use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::Database;

pub(crate) const SECOND_US: i64 = 1_000_000;
pub(crate) const MINUTE_US: i64 = 60 * SECOND_US;
pub(crate) const HOUR_US: i64 = 60 * MINUTE_US;

/// A command with these flags, in this process; its exit status.
pub(crate) fn invoke(bench: &Bench<'_>, command: &str, flags: &[&str]) -> u8 {
    bench.main(command, flags)
}

/// The same as a process of its own, not yet started.
pub(crate) fn command(bench: &Bench<'_>, command: &str, flags: &[&str]) -> Command {
    bench.command_of(command, flags)
}

pub(crate) fn process(bench: &Bench<'_>, name: &str, flags: &[&str]) -> Output {
    command(bench, name, flags).output().unwrap()
}

/// A market that has been trading for a day and does so for a year to come.
pub(crate) fn open_market(ticker: &str, event: &str) -> Market {
    Market::new(ticker, event, NOON_US - DAY_US, NOON_US + 365 * DAY_US)
}

/// What was asked since the last look, without requests for trades.
pub(crate) fn asked(bench: &Bench<'_>) -> Vec<Asked> {
    let asked = bench.exchange.requests();
    bench.exchange.forget_requests();
    asked.into_iter().filter(|asked| !asked.path.ends_with("/trades")).collect()
}

/// Requests as text: the path below the base, and all parameters but limits and cursors.
pub(crate) fn queries(asked: &[Asked]) -> Vec<String> {
    let query = |asked: &Asked| {
        let parameters = asked.query.iter().filter(|(name, _)| name != "limit" && name != "cursor");
        let parameters: Vec<String> =
            parameters.map(|(name, value)| format!("{name}={value}")).collect();
        let path = asked.path.trim_start_matches("/trade-api/v2");
        format!("{path}?{}", parameters.join("&"))
    };
    asked.iter().map(query).collect()
}

fn is_sqlite(database: &Database) -> bool {
    database.url.starts_with("sqlite:")
}

/// The values of these expressions, row by row.
pub(crate) fn rows(
    database: &Database,
    expressions: &[String],
    from: &str,
) -> Vec<Vec<Option<String>>> {
    let columns: Vec<Vec<Option<String>>> = expressions
        .iter()
        .map(|expression| database.texts(&format!("select {expression} as x from {from}")))
        .collect();
    let count = columns.first().map_or(0, Vec::len);
    (0..count).map(|row| columns.iter().map(|column| column[row].clone()).collect()).collect()
}

/// A decimal column as the whole number of its unit, with whatever is left behind a point.
pub(crate) fn scaled(database: &Database, column: &str, decimals: u32) -> String {
    if is_sqlite(database) {
        format!("{column}_e{decimals}")
    } else {
        format!("trim_scale({column} * {})", 10_i64.pow(decimals))
    }
}

/// An instant as microseconds since 1970.
pub(crate) fn micros(database: &Database, column: &str) -> String {
    if is_sqlite(database) {
        // SQLite's own reading of a time ends at milliseconds: the rest is taken from the text.
        format!("(unixepoch({column}) * 1000000 + cast(substr({column}, 21, 6) as integer))")
    } else {
        format!("(extract(epoch from {column}) * 1000000)::bigint")
    }
}

/// Ticker and status of every market stored.
fn statuses(database: &Database) -> Vec<(String, String)> {
    let columns = ["market_ticker", "status"].map(str::to_owned);
    let rows = rows(database, &columns, "prediction_markets order by market_ticker");
    rows.into_iter().map(|row| pair(&row)).collect()
}

fn pair(row: &[Option<String>]) -> (String, String) {
    let text = |at: usize| row[at].clone().unwrap_or_else(|| "-".to_owned());
    (text(0), text(1))
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// Previous status and status of each recorded change of a market; `-` for none.
fn changes(database: &Database, market: &str) -> Vec<(String, String)> {
    let columns = ["previous_status", "status"].map(str::to_owned);
    let from = format!("market_status_changes where market_ticker = '{market}' order by change_id");
    rows(database, &columns, &from).iter().map(|row| pair(row)).collect()
}

/// How many changes of status are recorded.
fn change_count(database: &Database) -> i64 {
    database.number("select count(*) as x from market_status_changes")
}

/// How many markets are stored.
fn market_count(database: &Database) -> i64 {
    database.number("select count(*) as x from prediction_markets")
}
