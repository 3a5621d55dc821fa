//! Passes of `run`: over everything, with nothing new, and over many level markets.

use std::process::Command;
use std::sync::Arc;

use kalshi_ingest::app;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::{Clock, StopFlag, TurnedClock};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_simulator::{Exchange, Market, Rules, Trade, seeded_trades};
use tempfile::TempDir;

use crate::table::{Goal, Table, float};
use crate::world::World;
use crate::{Setting, child};

/// A pass over all markets of this world from their beginning, so that a second one meets nothing but duplicates.
pub(crate) fn whole(world: &World, database: &str) -> Command {
    over(world, &world.markets, database)
}

/// The same over some of its markets.
pub(crate) fn over(world: &World, markets: &[String], database: &str) -> Command {
    let (markets, base_url) = (markets.join(","), world.base_url());
    let mut command = child::ours(&["run", "--market", &markets, "--base-url", &base_url]);
    command.args(["--database-url", database, "--requests-per-second", "1200"]);
    command.args(["--deadline", "1h", "--overlap", "3650d"]);
    command
}

/// A pass over one market without a new trade, from the start of the process to its exit.
pub(crate) fn measure_idle(setting: &Setting<'_>, table: &mut Table) {
    const PASSES: usize = 30;
    let world = World::new(&["KXA-26NOV22-A".to_owned()], 1_000);
    let database = format!("sqlite:{}", setting.directory.join("idle.db").display());
    let base_url = world.base_url();
    let pass = || {
        let mut command = child::ours(&["run", "--market", &world.markets[0]]);
        command.args(["--base-url", &base_url, "--database-url", &database]);
        command.args(["--requests-per-second", "1200"]);
        command
    };
    child::seconds(&mut pass());
    let ms = (0..PASSES).map(|_| child::seconds(&mut pass()) * 1_000.0).collect();
    table.row("SQLite: a pass with nothing new, start to exit", " ms", Goal::AtMost(15.0), ms);
    let peaks = (0..3).map(|_| child::usage(&pass()).peak_mb).collect();
    table.row("SQLite: its peak memory", " MB", Goal::AtMost(16.0), peaks);
}

const SECOND_US: i64 = 1_000_000;
const MINUTE_US: i64 = 60 * SECOND_US;
const DAY_US: i64 = 86_400 * SECOND_US;
/// The frozen time of the exchange at the first pass.
const NOON_US: i64 = 1_785_000_000 * SECOND_US;

/// The requests of a pass over a thousand level markets of fifteen hundred, with 3,000 trades a minute on the tape.
pub(crate) fn measure_level(table: &mut Table) {
    const PASSES: i64 = 5;
    let exchange = Exchange::new(Rules::default());
    exchange.set_now(NOON_US);
    let markets: Vec<String> = (0..1_500).map(|n| format!("KXT-A{}-{n}", n / 40)).collect();
    for (number, market) in markets.iter().enumerate() {
        let event = format!("KXT-A{}", number / 40);
        exchange.add_market(Market::new(market, &event, NOON_US - DAY_US, NOON_US + DAY_US));
    }
    let server = exchange.serve().unwrap();
    let clock = Arc::new(TurnedClock::start(Timestamp::from_micros(NOON_US), 0));
    let uptime = Arc::clone(&clock);
    exchange.set_uptime(move || uptime.elapsed());
    let directory = TempDir::new().unwrap();
    let database = format!("sqlite:{}", directory.path().join("level.db").display());
    let selected = markets[..1_000].join(",");
    let pass = || {
        exchange.forget_requests();
        let base_url = server.base_url();
        let words = ["kalshi-ingest", "run", "--market", &selected, "--base-url", &base_url];
        let more = ["--database-url", &database, "--requests-per-second", "1000"];
        let cli = Cli::read([&words[..], &more].concat()).unwrap();
        let clock: Arc<dyn Clock> = clock.clone();
        assert_eq!(app::main_by(cli, &StopFlag::default(), &clock).code(), 0);
        float(exchange.requests().len())
    };
    busy_minute(&exchange, &markets, 0);
    let alone = pass();
    assert!(alone >= 1_000.0, "each market is new, and {alone} requests were made");
    let level = (1..=PASSES).map(|minute| {
        exchange.set_now(NOON_US + minute * MINUTE_US);
        clock.set(Timestamp::from_micros(NOON_US + minute * MINUTE_US));
        busy_minute(&exchange, &markets, minute);
        pass()
    });
    let name = "1,000 level markets on a busy tape: requests of a pass";
    table.row(name, "", Goal::AtMost(12.0), level.collect());
}

/// Adds the trades of one minute, of any of the markets.
fn busy_minute(exchange: &Exchange, markets: &[String], minute: i64) {
    let until_us = NOON_US + minute * MINUTE_US - 10 * SECOND_US;
    let seed = minute.cast_unsigned() + 1;
    let trades = seeded_trades(seed, "any", 3_000, until_us - MINUTE_US, until_us);
    let market = |n: usize| markets[(n * 7 + n / 3) % markets.len()].clone();
    let moved = trades.into_iter().enumerate();
    exchange.add_all(moved.map(|(n, trade)| Trade { ticker: market(n), ..trade }));
}
