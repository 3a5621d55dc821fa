//! Entry point: everything that can be tested lives in the library.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use kalshi_ingest::cli::{Cli, Command};
use kalshi_ingest::clock::{self, StopFlag};
use kalshi_ingest::config::LogPlan;
use kalshi_ingest::exit::Exit;
use kalshi_ingest::{app, logging, watchdog};
use signal_hook::consts::{SIGINT, SIGTERM};

/// What a status may take before it counts as hanging.
const STATUS_MAX: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    logging::start(LogPlan::new(cli.log()));
    let (stop, clock) = (StopFlag::default(), clock::of_environment());
    // What works ends after the batch in hand; what only asks ends at once, as signals do.
    let deadline = match &cli.command {
        Command::Run(args) => Some(args.deadline),
        // Without a deadline it takes as long as it takes.
        Command::Backfill(args) => Some(args.deadline.unwrap_or(Duration::MAX)),
        Command::Markets(_)
        | Command::Orderbooks(_)
        | Command::Completeness(_)
        | Command::Replay(_)
        | Command::Prune(_)
        | Command::Demo(_)
        | Command::Serve(_) => Some(Duration::MAX),
        Command::Status(_) | Command::Migrate(_) | Command::Completions(_) | Command::Man(_) => {
            None
        }
    };
    if let Some(deadline) = deadline {
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
            if let Err(error) = signal_hook::flag::register_usize(signal, stop.number(), number) {
                log::warn!("signal {number} will not be waited for: {error}");
            }
        }
        watchdog::start(deadline, stop.clone(), clock.clone());
    } else if let Command::Status(_) = &cli.command {
        watchdog::start(STATUS_MAX, stop.clone(), clock.clone());
    }
    // What a panic says is printed by then.
    catch_unwind(AssertUnwindSafe(|| app::main_by(cli, &stop, &clock))).unwrap_or(Exit::Bug).into()
}
