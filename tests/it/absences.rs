//! What an answer leaves out, or shows though nobody asked for it, is no fact by itself.

mod lists;
mod names;
mod standings;

use kalshi_simulator::{Market, seeded_trades};

use crate::support::bench::{Bench, DAY_US, NOON_US};
use crate::support::database::Database;

pub(crate) const SECOND_US: i64 = 1_000_000;
pub(crate) const MINUTE_US: i64 = 60 * SECOND_US;

/// A market that trades from yesterday to tomorrow.
pub(crate) fn open(bench: &Bench<'_>, ticker: &str, event: &str) {
    let market = Market::new(ticker, event, NOON_US - DAY_US, NOON_US + 30 * DAY_US);
    bench.exchange.add_market(market);
}

/// `count` trades of a market in the forty seconds before `until_us`.
pub(crate) fn trade(bench: &Bench<'_>, market: &str, seed: u64, count: usize, until_us: i64) {
    let from = until_us - 40 * SECOND_US;
    bench.exchange.add_all(seeded_trades(seed, market, count, from, until_us));
}

/// How many requests were made since the last look.
pub(crate) fn requests(bench: &Bench<'_>) -> usize {
    let count = bench.exchange.requests().len();
    bench.exchange.forget_requests();
    count
}

pub(crate) fn retired(database: &Database) -> i64 {
    database.number("select count(*) as x from ingestion_checkpoints where retired_at is not null")
}

pub(crate) fn members(database: &Database) -> i64 {
    database.number("select count(*) as x from selection_members")
}
