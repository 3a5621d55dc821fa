//! Flags that several commands share, in groups by their subject. A command takes only the groups that it uses: it
//! heeds every flag that its `--help` lists.

use std::path::PathBuf;

use super::trimmed::Trimmed;
use clap::builder::{EnumValueParser, FalseyValueParser, PathBufValueParser, StringValueParser};
use clap::{ArgAction, Args, ValueEnum};

/// Where trades are stored: of every command that opens the database.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// Where trades are stored
    #[arg(
        long,
        value_name = "URL",
        help = "Where trades are stored: sqlite:PATH, postgres://user@host/database or \"host=… dbname=…\" \
                [env: DATABASE_URL, or DATABASE_URL_FILE naming a file that holds it] \
                [default: sqlite:kalshi.db]"
    )]
    pub database_url: Option<String>,
}

/// How the exchange is asked: of every command that does.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Exchange")]
pub struct ExchangeArgs {
    /// The exchange's API
    #[arg(
        long,
        value_name = "URL",
        env = "KALSHI_BASE_URL", value_parser = Trimmed(StringValueParser::new()),
        hide_env_values = true,
        default_value = "https://external-api.kalshi.com/trade-api/v2"
    )]
    pub base_url: String,

    /// Sign requests with this key; market data needs none, but one has a rate of its own
    #[arg(long, value_name = "ID", env = "KALSHI_API_KEY_ID", value_parser = Trimmed(StringValueParser::new()), hide_env_values = true)]
    pub api_key_id: Option<String>,

    /// The key's PEM file: RSA or Ed25519; one that others can read is warned of
    #[arg(long, value_name = "FILE", env = "KALSHI_PRIVATE_KEY_FILE", value_parser = Trimmed(PathBufValueParser::new()), hide_env_values = true)]
    pub private_key_file: Option<PathBuf>,

    /// How many requests a second at most, of each shard; fewer when the exchange refuses
    /// [default: 4 without a key; with one, the rate of its account, divided by the shards]
    #[arg(long, value_name = "N", env = "KALSHI_REQUESTS_PER_SECOND", value_parser = Trimmed(number), hide_env_values = true)]
    pub requests_per_second: Option<f64>,
}

/// Where trades are at the exchange: of the commands that read any.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Exchange")]
pub struct TradesArgs {
    /// The path of public trades below the exchange's API, for a gateway that has them elsewhere
    #[arg(
        long,
        value_name = "PATH",
        env = "KALSHI_TRADES_PATH", value_parser = Trimmed(StringValueParser::new()),
        hide_env_values = true,
        default_value = "/markets/trades"
    )]
    pub trades_path: String,
}

/// The flags of the selection: of every command that works on some markets and not on others.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Selection")]
pub struct SelectionArgs {
    /// Markets by ticker; repeat it or separate them by commas, and write a comma in a ticker as \,
    #[arg(
        long,
        value_name = "TICKER",
        env = "KALSHI_MARKETS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub market: Vec<String>,

    /// The markets of events; resolved on every pass
    #[arg(
        long,
        value_name = "TICKER",
        env = "KALSHI_EVENTS",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub event: Vec<String>,

    /// The markets of all events of series; resolved on every pass
    #[arg(
        long,
        value_name = "TICKER",
        env = "KALSHI_SERIES",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub series: Vec<String>,

    /// Everything: the tape of the whole exchange
    #[arg(
        long,
        env = "KALSHI_ALL",
        hide_env_values = true,
        value_parser = Trimmed(FalseyValueParser::new())
    )]
    pub all: bool,

    /// A TOML file of what to read: market, event, series or all, each with an SLA of its own
    #[arg(long, value_name = "FILE", env = "KALSHI_WATCHLIST", value_parser = Trimmed(PathBufValueParser::new()), hide_env_values = true)]
    pub watchlist: Option<PathBuf>,

    /// Share I of N of the markets; /N takes I from `JOB_COMPLETION_INDEX` [default: 0/1]
    ///
    /// The tape of --all belongs to one of the shares.
    #[arg(long, value_name = "I/N", env = "KALSHI_SHARD", hide_env_values = true)]
    pub shard: Option<String>,
}

/// The flags about stderr: of every command, because each of them can report a problem.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct LogArgs {
    /// Say more; twice: everything, the URL of each request as well
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,

    /// Say nothing unless something needs attention, then one line for each
    #[arg(short, long)]
    pub quiet: bool,

    /// How log lines look on stderr; `RUST_LOG` filters them as usual
    #[arg(
        long,
        value_name = "FORMAT",
        env = "KALSHI_LOG_FORMAT", value_parser = Trimmed(EnumValueParser::<LogFormat>::new()),
        hide_env_values = true,
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

fn number(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.parse()
}
