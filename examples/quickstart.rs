//! The whole program in a few seconds, without an account, a server or a network: a simulated
//! exchange on loopback, three real passes into a SQLite file, and the status they leave.
//!
//! `cargo run --example quickstart`

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::StopFlag;
use kalshi_ingest::config::LogPlan;
use kalshi_ingest::{app, logging};
use kalshi_simulator::{Exchange, Fault, Rules, seeded_trades};

const FILE: &str = "quickstart.db";
const MARKETS: [(&str, usize); 3] =
    [("KXBTCD-26NOV22-T99000", 4_200), ("KXHIGHNY-26NOV22-B50", 1_700), ("KXNEWPOPE-35", 40)];
const SECOND_US: i64 = 1_000_000;

fn main() -> ExitCode {
    for suffix in ["", "-wal", "-shm"] {
        // Whatever an earlier quickstart left; usually nothing.
        std::fs::remove_file(format!("{FILE}{suffix}")).ok();
    }
    let exchange = Exchange::new(Rules::default());
    let now = exchange.now_us();
    for (market, count) in MARKETS {
        let hours_us = 3 * 3_600 * SECOND_US;
        exchange.add_all(seeded_trades(1, market, count, now - hours_us, now - 6 * SECOND_US));
    }
    let server = match exchange.serve() {
        Ok(server) => server,
        Err(error) => {
            println!("the simulated exchange cannot listen on 127.0.0.1: {error}");
            return ExitCode::FAILURE;
        }
    };
    let base_url = server.base_url();
    println!("A simulated exchange answers at {base_url}.\n");

    for pass in 1..=3 {
        match pass {
            1 => println!("First pass: the whole history, through a 503 and a cut connection."),
            2 => println!("\nSecond pass: nothing new, so nothing is stored twice."),
            _ => println!(
                "\nThird pass: 26 trades appeared behind the checkpoint, one of them a minute late."
            ),
        }
        if pass == 1 {
            exchange.script([Fault::None, Fault::Status(503), Fault::Truncated]);
        }
        if pass == 3 {
            let now = exchange.now_us();
            let fresh =
                seeded_trades(2, MARKETS[0].0, 25, now - 20 * SECOND_US, now - 6 * SECOND_US);
            let late =
                seeded_trades(3, MARKETS[1].0, 1, now - 60 * SECOND_US, now - 59 * SECOND_US);
            exchange.add_all(fresh.into_iter().chain(late));
        }
        let markets = MARKETS.map(|(market, _)| market).join(",");
        let exit = kalshi_ingest(&[
            "run",
            "--market",
            &markets,
            "--base-url",
            &base_url,
            "--requests-per-second",
            "50",
        ]);
        if exit != 0 {
            println!("the pass ended with status {exit}");
            return ExitCode::from(exit);
        }
        std::thread::sleep(Duration::from_millis(300));
    }

    println!("\n$ kalshi-ingest status --database-url sqlite:{FILE}\n");
    let exit = kalshi_ingest(&["status"]);
    let place = std::env::current_dir().unwrap_or_default().join(FILE);
    println!("\nThe data is in {}. For example:\n", place.display());
    println!(
        "  sqlite3 -header -column {FILE} 'select * from prediction_market_trades order by traded_at desc limit 5'"
    );
    ExitCode::from(exit)
}

/// What the program does when it is called like this; its exit status.
fn kalshi_ingest(args: &[&str]) -> u8 {
    let database = format!("sqlite:{FILE}");
    let words = ["kalshi-ingest"].iter().chain(args).copied();
    let cli = Cli::parse_from(words.chain(["--database-url", &database]));
    logging::start(LogPlan::new(cli.log()));
    app::main(cli, &StopFlag::default()).code()
}
