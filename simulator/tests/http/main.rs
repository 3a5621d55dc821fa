//! The exchange as a client sees it: everything here goes over a socket, through a client of its
//! own that is as plain as can be.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests, too")]

mod absences;
mod archive;
mod books;
mod candles;
mod client;
mod command;
mod events;
mod faults;
mod filters;
mod implicit_markets;
mod market_filters;
mod markets;
mod paging;
mod path_faults;
mod resources;
mod signing;
mod tiers;
mod wire;

use std::thread;
use std::time::{Duration, Instant};

use kalshi_simulator::{Exchange, Market, Rules, Server, Shape, Trade, seeded_trades};

/// 2026-09-21T14:26:40Z, a time of no meaning.
pub(crate) const START_US: i64 = 1_790_000_800_000_000;
pub(crate) const SECOND_US: i64 = 1_000_000;
pub(crate) const TICKER: &str = "KXTEST-26NOV22-A";

/// An exchange with one market, served.
pub(crate) fn exchange(rules: Rules, trade_count: usize) -> (Exchange, Server) {
    let exchange = Exchange::new(rules);
    let until_us = START_US + 3_600 * SECOND_US;
    exchange.add_all(seeded_trades(1, TICKER, trade_count, START_US, until_us));
    let server = exchange.serve().unwrap();
    (exchange, server)
}

pub(crate) fn trade(created_us: i64, trade_id: &str) -> Trade {
    Trade {
        trade_id: trade_id.to_owned(),
        ticker: TICKER.to_owned(),
        created_us,
        yes_price_e6: 250_000,
        count_e2: 100,
        taker_yes: true,
        is_block_trade: false,
        shape: Shape::Current,
    }
}

/// A market that is open for the hour from the start on.
pub(crate) fn market(ticker: &str, event_ticker: &str) -> Market {
    Market::new(ticker, event_ticker, START_US, START_US + 3_600 * SECOND_US)
}

/// Waits for what another thread or process is about to bring, as long as a test may wait.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(5), "waited in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The ids of the true trades, newest first.
pub(crate) fn ids(exchange: &Exchange) -> Vec<String> {
    exchange.all_trades().into_iter().map(|trade| trade.trade_id).collect()
}
