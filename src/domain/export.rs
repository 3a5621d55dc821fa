//! An export: its tables and files, and the claim that each file has. Pure.

mod claims;
mod columns;
mod kept;
mod names;
mod plan;
mod scores;

pub use claims::{Claims, Evidence, Lowered, Membership};
pub use columns::{COLUMNS_MAX, Cell, Column, Kind};
pub use kept::{Past, keep};
pub use names::{date, of_resource};
pub use plan::{Bare, Known, Plan, Planned, Wanted, is_current, plan, reads};
pub use scores::{Looked, Scored, Scores};

use super::ticker::Ticker;
use super::time::Timestamp;

/// The tables that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Canonical trades.
    Trades,
    /// The descriptions of markets.
    Markets,
    /// Snapshots of order books.
    Orderbooks,
    /// The exchange's own JSON of each trade.
    RawEvents,
}

impl Table {
    /// The word on the command line, in names and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Trades => "trades",
            Table::Markets => "markets",
            Table::Orderbooks => "orderbooks",
            Table::RawEvents => "raw_events",
        }
    }

    /// Whether a claim of completeness is about the rows of this table.
    pub fn has_claims(self) -> bool {
        self == Table::Trades
    }

    /// Whether the figures of `completeness` are about the rows of this table.
    pub fn has_scores(self) -> bool {
        self == Table::Trades
    }
}

/// The rows that share a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Those of a series and a day (UTC).
    Day,
    /// Those of a market.
    Market,
}

impl Partition {
    /// The word on the command line and in the manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Partition::Day => "day",
            Partition::Market => "market",
        }
    }
}

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a line of names.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The word on the command line and in the manifest, which is the suffix of the files too.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Jsonl => "jsonl",
            Format::Parquet => "parquet",
        }
    }

    /// The registered or usual media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Csv => "text/csv",
            Format::Jsonl => "application/x-ndjson",
            Format::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// A span of time: from its first instant up to the first instant after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after it.
    pub until: Timestamp,
}

impl Span {
    /// The smallest span that holds both.
    #[must_use]
    pub fn hull(self, other: Span) -> Span {
        Span { from: self.from.min(other.from), until: self.until.max(other.until) }
    }

    /// The common part; `None` if there is none.
    #[must_use]
    pub fn and(self, other: Span) -> Option<Span> {
        let (from, until) = (self.from.max(other.from), self.until.min(other.until));
        (from < until).then_some(Span { from, until })
    }
}

/// A market of the selection, by the database alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The ticker of the market.
    pub market: Ticker,
    /// The series of the market, if known.
    pub series: Option<Box<str>>,
    /// The time when trading begins, if known.
    pub open_time: Option<Timestamp>,
    /// The time when trading ends, if known.
    pub close_time: Option<Timestamp>,
}

impl Member {
    /// Whether the market can have traded in this span, as far as its life is known.
    pub fn touches(&self, span: Span) -> bool {
        self.open_time.is_none_or(|open| open < span.until)
            && self.close_time.is_none_or(|close| close >= span.from)
    }
}

/// The stored rows of one market and one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The ticker of the market; of a raw event, the text of the scope that was read.
    pub market: Box<str>,
    /// The first instant of the day (UTC).
    pub day: Timestamp,
    /// The content.
    pub content: Content,
}

/// The rows of a file in figures. Rows are only ever added, and a row that is added changes these figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The number of rows.
    pub rows: u64,
    /// The sum of the quantities in 0.01 contract; zero where rows have none.
    pub contracts_e2: i64,
    /// The time at which the last row was stored.
    pub newest: Option<Timestamp>,
    /// The number of the first and of the last row, where the table numbers its rows.
    pub numbers: Option<(i64, i64)>,
}

impl Content {
    /// The content of both together.
    #[must_use]
    pub fn and(self, other: Content) -> Content {
        let numbers = match (self.numbers, other.numbers) {
            (Some((first, last)), Some((low, high))) => Some((first.min(low), last.max(high))),
            (one, other) => one.or(other),
        };
        Content {
            rows: self.rows.saturating_add(other.rows),
            contracts_e2: self.contracts_e2.saturating_add(other.contracts_e2),
            newest: self.newest.max(other.newest),
            numbers,
        }
    }
}

/// The claim of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whether all trades of the window are stored that the exchange has shown; `None` for a table without claims.
    pub is_complete: Option<bool>,
    /// The end of the complete part of the window, if its beginning is complete.
    pub complete_until: Option<Timestamp>,
    /// Whether the file is complete, ended longer ago than a day, and rests on no claim that was found false.
    pub is_final: bool,
}

impl Claim {
    /// The claim of a table that has none.
    pub const NONE: Claim = Claim { is_complete: None, complete_until: None, is_final: false };
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
