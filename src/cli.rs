//! What can be typed. Types of clap only; `config.rs` decides what it means.

mod trimmed;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{
    EnumValueParser, FalseyValueParser, PathBufValueParser, RangedU64ValueParser, StringValueParser,
};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use self::trimmed::Trimmed;
use crate::domain::time::Timestamp;

const AFTER_HELP: &str = "\
Exit status:
  0    every selected market is within its SLA
  1    a bug: an error nobody foresaw
  2    wrong flag, environment, file or URL, or an unknown market, event or series
  3    at least one market breaches its staleness SLA; each is named on stderr
  4    the exchange refused, or answered what cannot be decoded
  5    the database could not be reached, or refused
  6    backfill or completeness: not complete yet, or under --min-score; run it again
  130  ended by SIGINT, progress kept
  143  ended by SIGTERM, progress kept
When several apply, the first of 2, 5, 3, 4, 6 wins.";

/// Every Kalshi trade exactly once, in PostgreSQL or SQLite: one pass per invocation.
#[derive(Debug, Parser)]
#[command(name = "kalshi-ingest", version = env!("KALSHI_INGEST_VERSION"), after_help = AFTER_HELP, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Where trades are stored
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Where trades are stored: sqlite:PATH, postgres://user@host/database or \"host=… dbname=…\" \
                [env: DATABASE_URL, or DATABASE_URL_FILE naming a file that holds it] \
                [default: sqlite:kalshi.db]"
    )]
    pub database_url: Option<String>,

    /// The exchange's API
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "KALSHI_BASE_URL",
        value_parser = Trimmed(StringValueParser::new()),
        hide_env_values = true,
        default_value = "https://external-api.kalshi.com/trade-api/v2"
    )]
    pub base_url: String,

    /// The path of public trades below it
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "KALSHI_TRADES_PATH",
        value_parser = Trimmed(StringValueParser::new()),
        hide_env_values = true,
        default_value = "/markets/trades"
    )]
    pub trades_path: String,

    /// Sign requests with this key; market data needs none
    #[arg(
        long,
        global = true,
        value_name = "ID",
        env = "KALSHI_API_KEY_ID",
        value_parser = Trimmed(StringValueParser::new()),
        hide_env_values = true
    )]
    pub api_key_id: Option<String>,

    /// The key's PEM file: RSA or Ed25519
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "KALSHI_PRIVATE_KEY_FILE",
        value_parser = Trimmed(PathBufValueParser::new()),
        hide_env_values = true
    )]
    pub private_key_file: Option<PathBuf>,

    /// How fast to ask at most [default: 4 without a key, 20 with one]
    #[arg(long, global = true, value_name = "N", env = "KALSHI_REQUESTS_PER_SECOND", value_parser = Trimmed(number))]
    pub requests_per_second: Option<f64>,

    /// Markets by ticker; repeat it or separate them by commas
    #[arg(
        long,
        global = true,
        value_name = "TICKER",
        env = "KALSHI_MARKETS",
        value_delimiter = ','
    )]
    pub market: Vec<String>,

    /// The markets of events; resolved on every pass
    #[arg(
        long,
        global = true,
        value_name = "TICKER",
        env = "KALSHI_EVENTS",
        value_delimiter = ','
    )]
    pub event: Vec<String>,

    /// The markets of all events of series; resolved on every pass
    #[arg(
        long,
        global = true,
        value_name = "TICKER",
        env = "KALSHI_SERIES",
        value_delimiter = ','
    )]
    pub series: Vec<String>,

    /// Everything: the tape of the whole exchange
    #[arg(long, global = true, env = "KALSHI_ALL", value_parser = Trimmed(FalseyValueParser::new()))]
    pub all: bool,

    /// A TOML file of what to read: market, event, series or all, each with an SLA of its own
    #[arg(long, global = true, value_name = "FILE", env = "KALSHI_WATCHLIST", value_parser = Trimmed(PathBufValueParser::new()))]
    pub watchlist: Option<PathBuf>,

    /// Share I of N of the markets; /N takes I from `JOB_COMPLETION_INDEX` [default: 0/1]
    #[arg(long, global = true, value_name = "I/N", env = "KALSHI_SHARD")]
    pub shard: Option<String>,

    /// Say more; twice: everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,

    /// Say nothing unless something needs attention, then one line for each
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// How log lines look; `RUST_LOG` filters them as usual
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "KALSHI_LOG_FORMAT",
        value_parser = Trimmed(EnumValueParser::<LogFormat>::new()),
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One pass: drain the selected markets, then judge their staleness. What cron calls
    Run(RunArgs),
    /// How fresh each market is, from the database alone
    Status(StatusArgs),
    /// Bring the metadata of the selected markets up to date: lifecycle, result, settlement
    Markets,
    /// Store one order-book snapshot of each selected market that trades
    Orderbooks,
    /// Fill a window of the past, live and archived; resumable
    Backfill(BackfillArgs),
    /// Score what is stored against the exchange's own figures, and read again what is missing
    Completeness(CompletenessArgs),
    /// Rebuild trades from the raw events, without asking the exchange
    Replay(ReplayArgs),
    /// Delete old raw events whose trade is stored
    Prune(PruneArgs),
    /// Answer over HTTP how fresh everything is, from the database alone: /, /health, /metrics
    Serve(ServeArgs),
    /// Bring the database's schema up to this build; run and whatever else writes does it, too
    Migrate,
    /// Print the completions of a shell
    Completions(CompletionsArgs),
    /// Print the manual page, of a command if one is named
    Man(ManArgs),
}

/// Flags of `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// How stale a market may be before the pass exits with 3
    #[arg(long, value_name = "SPAN", env = "KALSHI_SLA", default_value = "5m", value_parser = Trimmed(span))]
    pub sla: Duration,

    /// Where a market never read before begins: RFC 3339 or YYYY-MM-DD [default: its whole live
    /// history; the tape: an hour ago]
    #[arg(long, value_name = "INSTANT", env = "KALSHI_SINCE", value_parser = Trimmed(instant))]
    pub since: Option<Timestamp>,

    /// How far below its checkpoint each walk re-reads, for late trades
    #[arg(long, value_name = "SPAN", env = "KALSHI_OVERLAP", default_value = "2m", value_parser = Trimmed(span))]
    pub overlap: Duration,

    /// A window ends this long before the exchange's now
    #[arg(long, value_name = "SPAN", env = "KALSHI_SETTLE", default_value = "5s", value_parser = Trimmed(span))]
    pub settle: Duration,

    /// Stop cleanly after this long, progress kept
    #[arg(long, value_name = "SPAN", env = "KALSHI_DEADLINE", default_value = "50s", value_parser = Trimmed(span))]
    pub deadline: Duration,

    /// How many markets are read at once
    #[arg(long, value_name = "N", env = "KALSHI_WORKERS", default_value_t = 8, value_parser = Trimmed(RangedU64ValueParser::<usize>::new()))]
    pub workers: usize,

    /// Replace this file with the metrics, for Prometheus's textfile collector
    #[arg(long, value_name = "FILE", env = "KALSHI_METRICS_FILE", value_parser = Trimmed(PathBufValueParser::new()))]
    pub metrics_file: Option<PathBuf>,

    /// Push the metrics to this gateway, where no file is collected
    #[arg(long, value_name = "URL", env = "KALSHI_PUSH_GATEWAY", hide_env_values = true)]
    pub push_gateway: Option<String>,

    /// A dead-man switch that is told /start and then the exit status, as healthchecks.io takes them
    #[arg(long, value_name = "URL", env = "KALSHI_PING_URL", hide_env_values = true)]
    pub ping_url: Option<String>,

    /// Sync the markets' metadata in the pass when the last sync is that long ago [default: never]
    #[arg(long, value_name = "SPAN", env = "KALSHI_SYNC_MARKETS", value_parser = Trimmed(span))]
    pub sync_markets: Option<Duration>,
}

/// Flags of `backfill`.
#[derive(Args, Debug)]
pub struct BackfillArgs {
    /// The first instant: RFC 3339 or YYYY-MM-DD
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(instant))]
    pub from: Timestamp,

    /// The first instant after the window
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(instant))]
    pub to: Timestamp,

    /// Stop cleanly after this long, progress kept [default: never]
    #[arg(long, value_name = "SPAN", value_parser = Trimmed(span))]
    pub deadline: Option<Duration>,

    /// How many slices are read at once
    #[arg(long, value_name = "N", env = "KALSHI_WORKERS", default_value_t = 8, value_parser = Trimmed(RangedU64ValueParser::<usize>::new()))]
    pub workers: usize,

    /// Say what would be read, from where and how long it would take; change nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Read finished slices again
    #[arg(long)]
    pub force: bool,
}

/// Flags of `completeness`.
#[derive(Args, Debug)]
pub struct CompletenessArgs {
    /// The first instant of a window, judged by hourly candles [default: each market's whole life]
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(instant), requires = "to")]
    pub from: Option<Timestamp>,

    /// The first instant after the window
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(instant), requires = "from")]
    pub to: Option<Timestamp>,

    /// Exit with 6 when a market's score is lower, such as 0.999
    #[arg(long, value_name = "SCORE")]
    pub min_score: Option<f64>,

    /// Read the hours that fall short again, and score again
    #[arg(long)]
    pub heal: bool,

    /// What it looks like
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Output,
}

/// Flags of `replay`.
#[derive(Args, Debug)]
pub struct ReplayArgs {
    /// Only events received from then on
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(instant))]
    pub from: Option<Timestamp>,

    /// Only events received before
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(instant))]
    pub to: Option<Timestamp>,

    /// Build a second table of this name beside the usual one, which stays as it is
    #[arg(long, value_name = "TABLE")]
    pub into: Option<String>,

    /// Say how the second table differs from the usual one
    #[arg(long, requires = "into", conflicts_with_all = ["from", "to"])]
    pub compare: bool,
}

/// Flags of `serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Where to listen; whoever can reach it can read it
    #[arg(long, value_name = "HOST:PORT", env = "KALSHI_LISTEN", default_value = "127.0.0.1:8080", value_parser = Trimmed(StringValueParser::new()))]
    pub listen: String,

    /// How stale a market may be that is named here without an SLA of its own
    #[arg(long, value_name = "SPAN", env = "KALSHI_SLA", default_value = "5m", value_parser = Trimmed(span))]
    pub sla: Duration,
}

/// What `completions` takes.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}

/// What `man` takes.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Of this command alone
    pub command: Option<String>,
}

/// Flags of `prune`.
#[derive(Args, Debug)]
pub struct PruneArgs {
    /// Delete raw events received longer ago
    #[arg(long, value_name = "SPAN", value_parser = Trimmed(span))]
    pub raw_older_than: Duration,
}

/// Flags of `status`.
#[derive(Args, Debug)]
pub struct StatusArgs {
    /// How stale a market may be [default: as the last pass that was asked for it was told, else 5m]
    #[arg(long, value_name = "SPAN", env = "KALSHI_SLA", value_parser = Trimmed(span))]
    pub sla: Option<Duration>,

    /// What it looks like
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: StatusOutput,

    /// Exit as run would: with 3 when a market is stale
    #[arg(long)]
    pub check: bool,
}

/// What `completeness` looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs; names are stable.
    Json,
    /// For spreadsheets; names are stable.
    Csv,
}

/// What `status` looks like.
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

fn number(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.parse()
}

/// Reads a duration such as `90s`, `5m` or `2h`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let advice = "write it like 90s, 5m, 2h or 1d";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let count: u64 = text[..digits].parse().map_err(|_| advice.to_owned())?;
    let unit_ms: u64 = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(advice.to_owned()),
    };
    let ms = count.checked_mul(unit_ms).filter(|ms| *ms <= 3_650 * 86_400_000);
    ms.map(Duration::from_millis).ok_or_else(|| "it is longer than ten years".to_owned())
}

/// Reads an instant: RFC 3339, or a date for its first moment (UTC).
fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text)
        .or_else(|| Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")))
        .ok_or_else(|| "write it like 2026-11-22T13:00:00Z or 2026-11-22".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn spans_read_like_people_write_them() {
        for (text, ms) in [
            ("90s", Some(90_000)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("250ms", Some(250)),
            ("0s", Some(0)),
            ("5", None),
            ("m", None),
            ("", None),
            ("-5m", None),
            ("5 m", None),
            ("1.5h", None),
            ("5µ", None),
            ("99999999999999999999s", None),
            ("9999999999999d", None),
        ] {
            let read = span(text).ok();
            assert_eq!(read, ms.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn instants_are_rfc3339_or_dates() {
        let second = |text| instant(text).ok().map(Timestamp::second);
        assert_eq!(second("1970-01-02"), Some(86_400));
        assert_eq!(second("1970-01-02T01:00:00+01:00"), Some(86_400));
        assert_eq!(second("yesterday"), None);
    }
}
