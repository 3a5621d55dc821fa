//! Entry point: everything that can be tested lives in the library.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use kalshi_ingest::cli::Cli;
use kalshi_ingest::clock::{self, StopFlag};
use kalshi_ingest::config::{LogPlan, Patience};
use kalshi_ingest::exit::Exit;
use kalshi_ingest::{app, logging, watchdog};

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    logging::start(LogPlan::new(cli.log()));
    let (stop, clock) = (StopFlag::default(), clock::of_environment());
    watchdog::guard(Patience::of(&cli.command), &stop, &clock);
    // A panic has printed its message by then.
    catch_unwind(AssertUnwindSafe(|| app::main_by(cli, &stop, &clock))).unwrap_or(Exit::Bug).into()
}
