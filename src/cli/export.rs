//! The flags of `export`.

use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::{Args, ValueEnum};

use super::trimmed::Trimmed;
use super::words;
use super::{DatabaseArgs, LogArgs, SelectionArgs};
use crate::domain::time::Timestamp;

/// Flags of `export`.
#[derive(Clone, Debug, Args)]
// clap's own usage would list the flags that came from the environment. See
// docs/upstream.md#clap-variables-in-the-usage
#[command(override_usage = "kalshi-ingest export [OPTIONS] --directory <DIR>")]
pub struct ExportArgs {
    /// The folder of the files and their manifest, new or of the same export; - writes one stream to stdout
    #[arg(long, value_name = "DIR", value_parser = Trimmed(PathBufValueParser::new()))]
    pub directory: PathBuf,

    /// The format of the files
    #[arg(long, value_name = "FORMAT", default_value = "csv")]
    pub format: ExportFormat,

    /// A file for each series and day (UTC), or one for each market
    #[arg(long, value_name = "PART", default_value = "day")]
    pub partition_by: PartitionBy,

    /// The table whose rows are written
    #[arg(long, value_name = "TABLE", default_value = "trades")]
    pub table: ExportTable,

    /// The first instant of the window: RFC 3339 or YYYY-MM-DD [default: the first stored row]
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant))]
    pub from: Option<Timestamp>,

    /// The first instant after the window, which lies in the past [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = Trimmed(words::instant))]
    pub to: Option<Timestamp>,

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

/// The format of exported files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// Text with a line of names.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Typed columns, compressed.
    Parquet,
}

/// The rows that share a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PartitionBy {
    /// Those of a series and a day.
    Day,
    /// Those of a market.
    Market,
}

/// The tables that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportTable {
    /// Canonical trades.
    Trades,
    /// The descriptions of markets.
    Markets,
    /// Snapshots of order books.
    Orderbooks,
    /// The exchange's own JSON of each trade.
    RawEvents,
}
