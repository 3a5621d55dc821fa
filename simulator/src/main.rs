//! The simulated exchange, run by hand.

mod cli;
mod fault_kind;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use kalshi_simulator::{Exchange, Rules, Shape, Trade, seeded_book, seeded_trades};

use crate::cli::Cli;

/// The interval between two looks for new trades that are due.
const TICK: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(&format!("error: {why}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), String> {
    let exchange = exchange(cli)?;
    let server =
        exchange.serve_on(cli.listen).map_err(|error| format!("{}: {error}", cli.listen))?;
    announce(&server.base_url(), &exchange.tickers());
    grow(cli, &exchange);
    server.stop();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the URL is what the program is asked for")]
fn announce(base_url: &str, tickers: &[String]) {
    println!("{base_url}");
    for ticker in tickers {
        println!("{ticker}");
    }
}

#[expect(clippy::print_stderr, reason = "a program run by hand talks to its user")]
fn say(line: &str) {
    eprintln!("{line}");
}

fn exchange(cli: &Cli) -> Result<Exchange, String> {
    let exchange = Exchange::new(Rules::default());
    exchange.set_offset_us(cli.clock_offset);
    let now_us = exchange.now_us();
    let key_pem = cli.public_key.as_deref().map(read).transpose()?;
    let rules = cli.rules(key_pem.as_deref(), now_us)?;
    exchange.change(|world| world.rules = rules);
    if cli.span <= 0 {
        return Err("--span: there is no time for trades in it".to_owned());
    }
    for ticker in cli.tickers() {
        let trades = seeded_trades(cli.seed, &ticker, cli.trades, now_us - cli.span, now_us);
        exchange.add_all(trades.into_iter().map(|trade| shaped(trade, cli.shape)));
    }
    if let Some(path) = &cli.file {
        let loaded = exchange.load_json_lines(&read(path)?);
        loaded.map_err(|why| format!("{}: {why}", path.display()))?;
    }
    for ticker in exchange.tickers() {
        exchange.set_book(&ticker, seeded_book(cli.seed, &ticker));
    }
    let kinds: &[_] = if cli.fault.is_empty() { &fault_kind::PASSING } else { &cli.fault };
    exchange.random_faults(cli.seed, cli.fault_per_mille, kinds);
    if cli.verbose {
        exchange.on_request(|asked| {
            let status = asked.status.map_or("-".to_owned(), |status| status.to_string());
            let query: Vec<_> = asked.query.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let (method, path, query) = (&asked.method, &asked.path, query.join("&"));
            let fault = asked.fault;
            say(&format!("{status} {} rows {method} {path}?{query} {fault:?}", asked.row_count));
        });
    }
    Ok(exchange)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Adds new trades at the wanted rate, until the time to run is over.
fn grow(cli: &Cli, exchange: &Exchange) {
    let tickers = cli.tickers();
    let started = Instant::now();
    let run_for = cli.run_for.map(|us| Duration::from_micros(us.unsigned_abs()));
    let mut added_count = 0_u64;
    while run_for.is_none_or(|run_for| started.elapsed() < run_for) {
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due_count = elapsed_ms.saturating_mul(u64::from(cli.live)) / 1_000;
        for number in added_count..due_count {
            let turn = usize::try_from(number).unwrap_or(0).checked_rem(tickers.len());
            if let Some(turn) = turn {
                exchange.add(shaped(new_trade(cli, exchange, &tickers[turn], number), cli.shape));
            }
        }
        added_count = due_count;
        thread::sleep(TICK);
    }
}

fn new_trade(cli: &Cli, exchange: &Exchange, ticker: &str, number: u64) -> Trade {
    let now_us = exchange.now_us();
    let from_us = now_us - cli.late_max.max(0);
    // Each trade has its own seed, different from the seed of the first trades and from those of an earlier run,
    // because ids must not repeat.
    let moment = u64::try_from(now_us).unwrap_or(0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let seed = moment ^ cli.seed.wrapping_add(1).wrapping_add(number);
    seeded_trades(seed, ticker, 1, from_us, now_us + 1).remove(0)
}

/// The trade in this shape: older shapes hold whole cents and contracts only.
fn shaped(trade: Trade, shape: Shape) -> Trade {
    let is_whole = matches!(shape, Shape::Cents | Shape::CentsOnly);
    let mut trade = Trade { shape, ..trade };
    if is_whole {
        trade.yes_price_e6 = (trade.yes_price_e6 / 10_000).clamp(1, 99) * 10_000;
        trade.count_e2 = trade.count_e2.div_ceil(100) * 100;
    }
    trade
}
