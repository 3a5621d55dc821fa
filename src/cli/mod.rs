//! The command line, as types of clap only; `config` decides the meaning.
//!
//! Only this module says which command takes which flags: each command has a struct of its own flags and of the
//! [groups] that it shares with others.

mod commands;
mod export;
pub mod groups;
mod reading;
mod trimmed;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use self::trimmed::Trimmed;
use clap::builder::{PathBufValueParser, RangedU64ValueParser, StringValueParser};
use clap::{Args, Parser, ValueEnum};

pub use commands::{Command, Show, Work};
pub use export::{ExportArgs, ExportFormat, ExportTable, PartitionBy};
pub use groups::{DatabaseArgs, ExchangeArgs, LogArgs, LogFormat, SelectionArgs, TradesArgs};
pub(crate) use words::parse_duration;

use crate::domain::time::Timestamp;

const AFTER_HELP: &str = "\
Exit status:
  0    every selected market is within its SLA
  1    a bug: an error nobody foresaw
  2    wrong flag, environment, file or URL, or an unknown market, event or series
  3    at least one market breaches its staleness SLA; each is named on stderr
  4    the exchange refused, or answered what cannot be decoded
  5    the database could not be reached, or refused
  6    backfill, completeness or export: not complete yet, or under --min-score; run it again
  130  ended by SIGINT, progress kept
  143  ended by SIGTERM, progress kept
When several apply, the first of 2, 5, 3, 4, 6 wins.";

/// Every Kalshi trade exactly once, in PostgreSQL or SQLite: one pass per invocation.
#[derive(Clone, Debug, Parser)]
#[command(name = "kalshi-ingest", version = env!("KALSHI_INGEST_VERSION"), after_help = AFTER_HELP, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line. Flags may also stand before the command; a flag that the command does not use is
    /// rejected by name.
    pub fn read(typed: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Cli, clap::Error> {
        reading::read(typed.into_iter().map(Into::into).collect())
    }

    /// The flags about the log.
    pub fn log(&self) -> &LogArgs {
        self.command.log()
    }
}

/// Flags of `run`.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// How stale a market may be before the pass exits with 3
    #[arg(long, value_name = "SPAN", env = "KALSHI_SLA", hide_env_values = true, default_value = "5m", value_parser = Trimmed(words::parse_duration))]
    pub sla: Duration,

    /// Where a market never read before begins: RFC 3339 or YYYY-MM-DD [default: its whole live
    /// history; the tape: an hour ago]
    #[arg(long, value_name = "INSTANT", env = "KALSHI_SINCE", hide_env_values = true, value_parser = Trimmed(words::instant))]
    pub since: Option<Timestamp>,

    /// How far below its checkpoint each walk re-reads, for late trades
    #[arg(long, value_name = "SPAN", env = "KALSHI_OVERLAP", hide_env_values = true, default_value = "2m", value_parser = Trimmed(words::parse_duration))]
    pub overlap: Duration,

    /// Claim nothing younger than this, by the exchange's date
    #[arg(long, value_name = "SPAN", env = "KALSHI_SETTLE", hide_env_values = true, default_value = "5s", value_parser = Trimmed(words::parse_duration))]
    pub settle: Duration,

    /// Stop cleanly after this long, progress kept
    #[arg(long, value_name = "SPAN", env = "KALSHI_DEADLINE", hide_env_values = true, default_value = "50s", value_parser = Trimmed(words::parse_duration))]
    pub deadline: Duration,

    /// How many markets are read at once
    #[arg(
        long,
        value_name = "N",
        env = "KALSHI_WORKERS", value_parser = Trimmed(RangedU64ValueParser::<usize>::new()),
        hide_env_values = true,
        default_value_t = 8
    )]
    pub workers: usize,

    /// Replace this file with the metrics, for Prometheus's textfile collector; atomically, mode 0644
    #[arg(long, value_name = "FILE", env = "KALSHI_METRICS_FILE", value_parser = Trimmed(PathBufValueParser::new()), hide_env_values = true)]
    pub metrics_file: Option<PathBuf>,

    /// The URL of a push gateway that gets the same metrics, where no file is collected
    #[arg(long, value_name = "URL", env = "KALSHI_PUSH_GATEWAY", hide_env_values = true)]
    pub push_gateway: Option<String>,

    /// The URL of a dead-man switch that is told /start and then /EXIT-STATUS, as healthchecks.io takes them
    #[arg(long, value_name = "URL", env = "KALSHI_PING_URL", hide_env_values = true)]
    pub ping_url: Option<String>,

    /// Sync the markets' metadata in the pass when the last sync is that long ago [default: never]
    #[arg(long, value_name = "SPAN", env = "KALSHI_SYNC_MARKETS", hide_env_values = true, value_parser = Trimmed(words::parse_duration))]
    pub sync_markets: Option<Duration>,

    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags about the exchange.
    #[command(flatten)]
    pub exchange: ExchangeArgs,
    /// The flag for the path of trades.
    #[command(flatten)]
    pub trades: TradesArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `markets`.
#[derive(Clone, Debug, Args)]
pub struct MarketsArgs {
    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags about the exchange.
    #[command(flatten)]
    pub exchange: ExchangeArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `orderbooks`.
#[derive(Clone, Debug, Args)]
pub struct OrderbooksArgs {
    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags about the exchange.
    #[command(flatten)]
    pub exchange: ExchangeArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `candles`.
#[derive(Clone, Debug, Args)]
pub struct CandlesArgs {
    /// The length of a candle
    ///
    /// The exchange's days end at midnight in New York; days of UTC are made of hours.
    #[arg(long, value_enum, default_value_t = CandleInterval::Hour)]
    pub interval: CandleInterval,
    /// Where a market without a stored candle begins, or one whose first one is later: RFC 3339 or YYYY-MM-DD [default:
    /// its opening]
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant))]
    pub since: Option<Timestamp>,
    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags about the exchange.
    #[command(flatten)]
    pub exchange: ExchangeArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The length of a candle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CandleInterval {
    /// One minute
    #[value(name = "1m")]
    Minute,
    /// One hour
    #[value(name = "1h")]
    Hour,
}

/// Flags of `migrate`.
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// Also count the stored trades of all markets anew
    ///
    /// Needed after trades were deleted by hand or with a partition: each market's count is kept by the commits that
    /// store its trades. It reads the whole table; passes go on meanwhile.
    #[arg(long)]
    pub recount: bool,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Keep the database and say where it is
    #[arg(long)]
    pub keep: bool,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `backfill`.
#[derive(Clone, Debug, Args)]
// clap's own usage would list the flags that came from the environment. See
// docs/upstream.md#clap-variables-in-the-usage
#[command(override_usage = "kalshi-ingest backfill [OPTIONS] --from <INSTANT> --to <INSTANT>")]
pub struct BackfillArgs {
    /// The first instant of the window: RFC 3339 or YYYY-MM-DD
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant))]
    pub from: Timestamp,

    /// The first instant after the window, which lies in the past
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant))]
    pub to: Timestamp,

    /// Stop cleanly after this long, progress kept [default: never]
    #[arg(long, value_name = "SPAN", value_parser = Trimmed(words::parse_duration))]
    pub deadline: Option<Duration>,

    /// How many slices are read at once
    #[arg(
        long,
        value_name = "N",
        env = "KALSHI_WORKERS", value_parser = Trimmed(RangedU64ValueParser::<usize>::new()),
        hide_env_values = true,
        default_value_t = 8
    )]
    pub workers: usize,

    /// Say what would be read, from where and how long it would take; change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Read finished slices again
    #[arg(long)]
    pub force: bool,

    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags about the exchange.
    #[command(flatten)]
    pub exchange: ExchangeArgs,
    /// The flag for the path of trades.
    #[command(flatten)]
    pub trades: TradesArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `completeness`.
#[derive(Clone, Debug, Args)]
pub struct CompletenessArgs {
    /// The first instant of a window, judged by hourly candles; goes with --to [default: each market's whole life]
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant), requires = "to")]
    pub from: Option<Timestamp>,

    /// The first instant after the window, which lies in the past; goes with --from
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant), requires = "from")]
    pub to: Option<Timestamp>,

    /// Exit with 6 when a market's score is lower, such as 0.999
    #[arg(long, value_name = "SCORE")]
    pub min_score: Option<f64>,

    /// Read the hours that fall short again, and score again
    #[arg(long)]
    pub heal: bool,

    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Output,

    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags about the exchange.
    #[command(flatten)]
    pub exchange: ExchangeArgs,
    /// The flag for the path of trades.
    #[command(flatten)]
    pub trades: TradesArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `replay`.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Only events received from then on
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant))]
    pub from: Option<Timestamp>,

    /// Only events received before
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant))]
    pub to: Option<Timestamp>,

    /// Build a second table of this name beside the usual one, which stays as it is
    #[arg(long, value_name = "TABLE")]
    pub into: Option<String>,

    /// Say how the second table differs from the usual one, as a whole: not with --from or --to
    #[arg(long, requires = "into", conflicts_with_all = ["from", "to"])]
    pub compare: bool,

    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where to listen; whoever can reach it can read it
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "KALSHI_LISTEN", value_parser = Trimmed(StringValueParser::new()),
        hide_env_values = true,
        default_value = "127.0.0.1:8080"
    )]
    pub listen: String,

    /// How stale a market may be that is named here without an SLA of its own
    #[arg(long, value_name = "SPAN", env = "KALSHI_SLA", hide_env_values = true, default_value = "5m", value_parser = Trimmed(words::parse_duration))]
    pub sla: Duration,

    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The flags of `completions`.
#[derive(Clone, Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,

    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The flags of `man`.
#[derive(Clone, Debug, Args)]
pub struct ManArgs {
    /// Of this command alone
    pub command: Option<String>,

    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `prune`.
#[derive(Clone, Debug, Args)]
pub struct PruneArgs {
    /// Delete raw events received longer ago
    #[arg(long, value_name = "SPAN", value_parser = Trimmed(words::parse_duration))]
    pub raw_older_than: Duration,

    /// Say how many events would be deleted and how many kept; change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// Flags of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    /// How stale a market may be [default: as the last pass that was asked for it was told, else 5m]
    #[arg(long, value_name = "SPAN", env = "KALSHI_SLA", hide_env_values = true, value_parser = Trimmed(words::parse_duration))]
    pub sla: Option<Duration>,

    /// How the answer is written
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: StatusOutput,

    /// Exit as run would: with 3 when a market is stale, with 2 when there is none
    #[arg(long)]
    pub check: bool,

    /// The flags of the selection.
    #[command(flatten)]
    pub selection: SelectionArgs,
    /// The flags of the database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The flags about the log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The format of the scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs; names are stable.
    Json,
    /// For spreadsheets; names are stable.
    Csv,
}

/// The format of the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusOutput {
    /// For people.
    Table,
    /// For programs; names are stable.
    Json,
    /// For spreadsheets; names are stable.
    Csv,
    /// The metrics: one value a watch, not one a market.
    Prometheus,
}

#[cfg(test)]
mod tests;
