//! The whole program in a few seconds, as `kalshi-ingest demo` shows it, and the data kept in `quickstart.db`.
//!
//! `cargo run --example quickstart`

#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::StopFlag;
use kalshi_ingest::config::LogPlan;
use kalshi_ingest::{app, logging};

const FILE: &str = "quickstart.db";

fn main() -> ExitCode {
    for suffix in ["", "-wal", "-shm"] {
        // Whatever an earlier quickstart left; usually nothing.
        std::fs::remove_file(format!("{FILE}{suffix}")).ok();
    }
    let mut say = |words: &str| {
        print!("{words}");
        Ok(())
    };
    let code = match app::play(Path::new(FILE), &mut |words| Ok(kalshi_ingest(words)), &mut say) {
        Ok(code) => code,
        Err(error) => {
            println!("{error:#}");
            return ExitCode::FAILURE;
        }
    };
    let place = std::env::current_dir().unwrap_or_default().join(FILE);
    println!("\nThe data is in {}. For example:\n", place.display());
    println!(
        "  sqlite3 -header -column {FILE} 'select * from prediction_market_trades order by traded_at desc limit 5'"
    );
    ExitCode::from(code)
}

/// What the program does when it is called like this; its exit status.
fn kalshi_ingest(words: &[&str]) -> u8 {
    let cli = Cli::parse_from(["kalshi-ingest"].iter().chain(words));
    logging::start(LogPlan::new(cli.log()));
    app::main(cli, &StopFlag::default()).code()
}
