//! Entry point: everything that can be tested lives in the library.

use std::process::ExitCode;

use clap::Parser as _;
use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::StopFlag;
use kalshi_ingest::config::LogPlan;
use kalshi_ingest::{app, logging};
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(LogPlan::new(&cli.global));
    let stop = StopFlag::default();
    for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
        // Without a handler the signal ends the process at once, which is safe as well.
        if let Err(error) = signal_hook::flag::register_usize(signal, stop.number(), number) {
            log::warn!("signal {number} will not be waited for: {error}");
        }
    }
    app::main(cli, &stop).into()
}
