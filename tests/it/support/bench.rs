//! A simulated exchange and a database, and passes between them.

use std::process::{Command, Output};
use std::sync::{Arc, LazyLock};

use clap::CommandFactory as _;
use kalshi_ingest::app;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::{Clock, StopFlag, TURNED_BY, TurnedClock};
use kalshi_ingest::domain::time::Timestamp;
use kalshi_simulator::{Asked, Exchange, Market, Rules, Server, Shape, Trade};

use super::database::{Database, StoredTrade, assert_rows};

/// Noon of some day: the exchange's frozen clock in most tests.
pub(crate) const NOON_US: i64 = 1_785_000_000_000_000;
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// One exchange, served on loopback, and one database.
pub(crate) struct Bench<'a> {
    pub(crate) exchange: Exchange,
    pub(crate) server: Server,
    pub(crate) database: &'a Database,
    /// Ours: right by the exchange's until a test turns it. Both go only when somebody lets time pass,
    /// and ours while it is slept: nothing depends on how fast the machine is.
    pub(crate) clock: Arc<TurnedClock>,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(database: &'a Database, rules: Rules) -> Bench<'a> {
        database.migrate();
        Bench::served(database, rules)
    }

    /// The same over a database as it is.
    pub(crate) fn served(database: &'a Database, rules: Rules) -> Bench<'a> {
        let exchange = Exchange::new(rules);
        exchange.set_now(NOON_US);
        let server = exchange.serve().unwrap();
        let clock = Arc::new(TurnedClock::start(Timestamp::from_micros(NOON_US), 0));
        let up = Arc::clone(&clock);
        exchange.set_uptime(move || up.elapsed());
        Bench { exchange, server, database, clock }
    }

    /// Lets time pass, by both clocks.
    pub(crate) fn advance(&self, us: i64) {
        self.exchange.advance(us);
        self.clock.turn(us);
    }

    /// Sets both clocks.
    pub(crate) fn set_now(&self, now_us: i64) {
        self.exchange.set_now(now_us);
        self.clock.set(Timestamp::from_micros(now_us));
    }

    /// Sets both clocks to the machine's, and lets them run.
    pub(crate) fn run_by_the_machine(&self) {
        self.exchange.set_offset_us(0);
        self.clock.run();
        self.clock.set(Timestamp::from_micros(self.exchange.now_us()));
    }

    /// Lets our clock run, for a test in which something really takes its time.
    pub(crate) fn in_real_time(&self) {
        self.clock.run();
        self.clock.set(Timestamp::from_micros(self.exchange.now_us()));
    }

    /// A command with these flags, and what they do not say.
    pub(crate) fn args_of(&self, name: &str, flags: &[&str]) -> Vec<String> {
        let base_url = self.server.base_url();
        let mut args = vec!["kalshi-ingest", name];
        args.extend(flags);
        for default in [
            ["--base-url", &base_url],
            ["--database-url", &self.database.url],
            ["--requests-per-second", "1000"],
        ] {
            if !flags.contains(&default[0]) && uses(name, default[0]) {
                args.extend(default);
            }
        }
        args.into_iter().map(str::to_owned).collect()
    }

    /// `run` over these markets.
    pub(crate) fn args(&self, markets: &str, flags: &[&str]) -> Vec<String> {
        self.args_of("run", &[&["--market", markets], flags].concat())
    }

    /// One command in this process; its exit status.
    pub(crate) fn main(&self, name: &str, flags: &[&str]) -> u8 {
        let cli = Cli::read(self.args_of(name, flags)).unwrap();
        let clock: Arc<dyn Clock> = self.clock.clone();
        app::main_by(cli, &StopFlag::default(), &clock).code()
    }

    /// One pass over whatever the flags select, in this process; its exit status.
    pub(crate) fn pass(&self, flags: &[&str]) -> u8 {
        self.main("run", flags)
    }

    /// One command as a process of its own, not yet started.
    pub(crate) fn command_of(&self, name: &str, flags: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kalshi-ingest"));
        command.args(&self.args_of(name, flags)[1..]);
        command.env_remove("RUST_LOG").env(TURNED_BY, self.clock.to_environment());
        command
    }

    /// One command as a process of its own.
    pub(crate) fn process_of(&self, name: &str, flags: &[&str]) -> Output {
        self.command_of(name, flags).output().unwrap()
    }

    /// Has the exchange know these markets, also those without a trade.
    pub(crate) fn list_markets(&self, markets: &str) {
        let (open_us, close_us) = (NOON_US - DAY_US, NOON_US + 365 * DAY_US);
        for ticker in markets.split(',').filter(|ticker| self.exchange.market(ticker).is_none()) {
            self.exchange.add_market(Market::new(ticker, ticker, open_us, close_us));
        }
    }

    /// One pass in this process; its exit status.
    pub(crate) fn run(&self, markets: &str, flags: &[&str]) -> u8 {
        self.list_markets(markets);
        self.pass(&[&["--market", markets], flags].concat())
    }

    /// One pass as a process of its own, not yet started.
    pub(crate) fn command(&self, markets: &str, flags: &[&str]) -> Command {
        self.list_markets(markets);
        self.command_of("run", &[&["--market", markets], flags].concat())
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
        let is_page = |asked: &&Asked| asked.path.ends_with("/trades");
        let count = self.exchange.requests().iter().filter(is_page).count();
        self.exchange.forget_requests();
        count
    }
}

/// Whether a command has this flag: others refuse it.
pub(crate) fn uses(name: &str, flag: &str) -> bool {
    // Each test asks for it hundreds of times, and to build the commands takes as long as a small pass.
    static COMMANDS: LazyLock<clap::Command> = LazyLock::new(Cli::command);
    let command = COMMANDS.find_subcommand(name).unwrap();
    command.get_arguments().any(|argument| argument.get_long() == flag.strip_prefix("--"))
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
