//! The only list of the commands. `mod.rs` has the flags of each.

use clap::Subcommand;

use super::{
    BackfillArgs, CandlesArgs, CompletenessArgs, CompletionsArgs, DemoArgs, ExportArgs, LogArgs,
    ManArgs, MarketsArgs, MigrateArgs, OrderbooksArgs, PruneArgs, ReplayArgs, RunArgs, ServeArgs,
    StatusArgs,
};

/// The commands.
#[derive(Clone, Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "an invocation has one")]
pub enum Command {
    /// Those that work on a database.
    #[command(flatten)]
    Works(Work),
    /// Those that show something of the program itself.
    #[command(flatten)]
    Shows(Show),
}

/// The commands that work on a database.
///
/// A new one is a variant here with a struct of its flags. The compiler then asks for the rest: where its `log` is
/// (below), its terms (`config::Terms`), its plan (`config::Config`) and its call (`app`).
#[derive(Clone, Debug, Subcommand)]
pub enum Work {
    /// One pass, as cron calls it: drain the selected markets, then judge their staleness
    ///
    /// A market that was never read begins at --since, any other one at its checkpoint. The exit status says whether
    /// each market is within its SLA.
    Run(RunArgs),
    /// How fresh each market is, from the database alone
    ///
    /// It only reads: a SQLite file or a role that may be read is enough. Without a selection it is about what the last
    /// passes were asked for.
    Status(StatusArgs),
    /// Bring the metadata of the selected markets up to date: lifecycle, result, settlement
    Markets(MarketsArgs),
    /// Store one order-book snapshot of each selected market that trades
    Orderbooks(OrderbooksArgs),
    /// Store the exchange's own candles of the selected markets: quotes, prices, volume, open interest
    ///
    /// It goes on after the last stored candle of each market; the period in progress is read again.
    Candles(CandlesArgs),
    /// Fill a window of the past, live and archived; resumable
    ///
    /// It goes slice by slice. When it is ended, the same command goes on with the slices that are left. A --dry-run
    /// only reads: a SQLite file or a role that may be read is enough, and none need be there yet.
    Backfill(BackfillArgs),
    /// Score what is stored against the exchange's own figures, and read again what is missing
    Completeness(CompletenessArgs),
    /// Write trades as CSV, JSON lines or Parquet, with a manifest that says how complete each file is
    ///
    /// It only reads the database, never asks the exchange, and takes the claims, ledgers and scores that are on
    /// record. Run again, it adds what is new and writes changed files anew. It exits with 6 if a part of the window
    /// is not complete; those files are written too, and say so.
    Export(ExportArgs),
    /// Rebuild trades from the raw events, without asking the exchange
    ///
    /// With --into they go to a second table, which can be compared with the usual one.
    Replay(ReplayArgs),
    /// Delete old raw events whose trade is stored
    ///
    /// Events that never became trades are kept.
    Prune(PruneArgs),
    /// Answer over HTTP how fresh everything is, from the database alone: /, /health, /metrics
    ///
    /// It only reads: a SQLite file or a role that may be read is enough. Without a selection it is about what the last
    /// passes were asked for, with their SLAs.
    Serve(ServeArgs),
    /// Bring the database's schema up to this build; commands that write to it do so themselves
    ///
    /// They can if their role may change the schema; where it may not, call this with a role that may. The commands
    /// that only read never do: `status`, `serve`, `export` and `backfill --dry-run`.
    Migrate(MigrateArgs),
}

/// The commands that show something of the program itself: no setting and no database of the user concerns them.
#[derive(Clone, Debug, Subcommand)]
pub enum Show {
    /// Show the program at work: a simulated exchange, three passes and their status; needs no server, key or network
    ///
    /// It has a database of its own, which it deletes at the end unless --keep is given. Nothing that is set for other
    /// commands reaches it.
    Demo(DemoArgs),
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the manual page, of a command if one is named
    Man(ManArgs),
}

impl Command {
    /// The flags about the log.
    pub(super) fn log(&self) -> &LogArgs {
        match self {
            Command::Works(
                Work::Run(RunArgs { log, .. })
                | Work::Status(StatusArgs { log, .. })
                | Work::Markets(MarketsArgs { log, .. })
                | Work::Orderbooks(OrderbooksArgs { log, .. })
                | Work::Candles(CandlesArgs { log, .. })
                | Work::Backfill(BackfillArgs { log, .. })
                | Work::Completeness(CompletenessArgs { log, .. })
                | Work::Export(ExportArgs { log, .. })
                | Work::Replay(ReplayArgs { log, .. })
                | Work::Prune(PruneArgs { log, .. })
                | Work::Serve(ServeArgs { log, .. })
                | Work::Migrate(MigrateArgs { log, .. }),
            )
            | Command::Shows(
                Show::Demo(DemoArgs { log, .. })
                | Show::Completions(CompletionsArgs { log, .. })
                | Show::Man(ManArgs { log, .. }),
            ) => log,
        }
    }
}
