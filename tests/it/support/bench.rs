//! A simulated exchange and a database, and passes between them.

use std::process::{Command, Output};

use clap::Parser as _;
use kalshi_ingest::app;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::StopFlag;
use kalshi_simulator::{Exchange, Rules, Server, Shape, Trade};

use super::database::{Database, StoredTrade, assert_rows};

/// Noon of some day: the exchange's frozen clock in most tests.
pub(crate) const NOON_US: i64 = 1_785_000_000_000_000;

/// One exchange, served on loopback, and one database.
pub(crate) struct Bench<'a> {
    pub(crate) exchange: Exchange,
    pub(crate) server: Server,
    pub(crate) database: &'a Database,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(database: &'a Database, rules: Rules) -> Bench<'a> {
        database.open();
        Bench::served(database, rules)
    }

    /// The same over a database without its tables.
    pub(crate) fn served(database: &'a Database, rules: Rules) -> Bench<'a> {
        let exchange = Exchange::new(rules);
        exchange.set_now(NOON_US);
        let server = exchange.serve().unwrap();
        Bench { exchange, server, database }
    }

    /// `run` with these flags and whatever makes a test quick.
    pub(crate) fn args(&self, markets: &str, flags: &[&str]) -> Vec<String> {
        let base_url = self.server.base_url();
        ["kalshi-ingest", "run", "--market", markets, "--base-url", &base_url]
            .into_iter()
            .chain(["--database-url", &self.database.url, "--requests-per-second", "1000"])
            .chain(flags.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    /// One pass in this process; its exit status.
    pub(crate) fn run(&self, markets: &str, flags: &[&str]) -> u8 {
        let cli = Cli::try_parse_from(self.args(markets, flags)).unwrap();
        app::main(cli, &StopFlag::default()).code()
    }

    /// One pass as a process of its own, not yet started.
    pub(crate) fn command(&self, markets: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
        command.args(&self.args(markets, flags)[1..]);
        command.env_remove("RUST_LOG");
        command
    }

    /// One pass as a process of its own.
    pub(crate) fn process(&self, markets: &str, flags: &[&str]) -> Output {
        self.command(markets, flags).output().unwrap()
    }

    /// The trades of these markets as the exchange has them and as they should be stored.
    pub(crate) fn truth(&self, markets: &[&str]) -> Vec<StoredTrade> {
        let trades = markets.iter().flat_map(|market| self.exchange.trades(market));
        let mut rows: Vec<StoredTrade> = trades.map(|trade| stored_form(&trade)).collect();
        rows.sort();
        rows
    }

    /// Every field of every trade equals the exchange's, each with one raw event.
    #[track_caller]
    pub(crate) fn assert_complete(&self, markets: &[&str], why: &str) {
        let truth = self.truth(markets);
        assert_rows(&self.database.trades(), &truth, why);
        let (raw, _) = self.database.raw_counts();
        assert_eq!(raw, i64::try_from(truth.len()).unwrap(), "raw events: {why}");
    }

    /// How many pages of trades were asked for since the last look.
    pub(crate) fn requests(&self) -> usize {
        let count = self.exchange.requests().len();
        self.exchange.forget_requests();
        count
    }
}

fn stored_form(trade: &Trade) -> StoredTrade {
    let yes = i64::from(trade.yes_price_e6);
    let (side, price) = if trade.taker_yes { ("yes", yes) } else { ("no", 1_000_000 - yes) };
    let block = matches!(trade.shape, Shape::Current | Shape::CurrentWithoutTakerSide)
        .then_some(trade.is_block_trade);
    (
        trade.trade_id.clone(),
        trade.ticker.clone(),
        side.to_owned(),
        price,
        i64::try_from(trade.count_e2).unwrap(),
        trade.created_us,
        block,
    )
}

/// The program's standard error, for the eyes of an assertion.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
