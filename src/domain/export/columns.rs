//! The columns of the exported tables.

use super::Table;
use crate::domain::time::Timestamp;

/// The kind of values that a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A point in time, to the microsecond, UTC.
    Instant,
    /// A truth value.
    Bool,
    /// An integer.
    Integer,
    /// A decimal number with so many digits in all, and so many of them after the point.
    Decimal(u8, u8),
}

/// A column of an exported table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The name.
    pub name: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// Whether a value may be null.
    pub is_nullable: bool,
    /// The meaning, for people.
    pub meaning: &'static str,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell<'r> {
    /// A text.
    Text(Option<&'r str>),
    /// A point in time.
    Instant(Option<Timestamp>),
    /// A truth value.
    Bool(Option<bool>),
    /// An integer, or a decimal number in units of its last digit.
    Number(Option<i64>),
}

/// The most columns that a table has.
pub const COLUMNS_MAX: usize = 20;

const fn column(name: &'static str, kind: Kind, meaning: &'static str) -> Column {
    Column { name, kind, is_nullable: false, meaning }
}

const fn nullable(name: &'static str, kind: Kind, meaning: &'static str) -> Column {
    Column { name, kind, is_nullable: true, meaning }
}

const PRICE: Kind = Kind::Decimal(7, 4);
const QUANTITY: Kind = Kind::Decimal(18, 2);
const SLIPPAGE: Kind = Kind::Decimal(13, 9);

const TRADES: [Column; 9] = [
    column("market_ticker", Kind::Text, "the market"),
    column("trade_id", Kind::Text, "the exchange's id of the trade; unique"),
    column("traded_at", Kind::Instant, "the exchange's time of the trade, UTC"),
    column("side", Kind::Text, "the taker's outcome: yes or no"),
    column("price", PRICE, "the price of one contract of `side`, in cents"),
    column("yes_price", PRICE, "the price of one YES contract, in cents"),
    column("quantity", QUANTITY, "contracts"),
    nullable(
        "is_block_trade",
        Kind::Bool,
        "negotiated off the book; null where the exchange did not say",
    ),
    column("ingested_at", Kind::Instant, "the time at which the trade was stored, UTC"),
];

const MARKETS: [Column; 16] = [
    column("market_ticker", Kind::Text, "the market"),
    column("event_ticker", Kind::Text, "the event that the market belongs to"),
    nullable("series_ticker", Kind::Text, "the series that the market belongs to"),
    nullable("title", Kind::Text, "the title, which all markets of an event can share"),
    column("status", Kind::Text, "the last known status"),
    nullable("result", Kind::Text, "the outcome: yes, no, scalar, or empty"),
    nullable("open_time", Kind::Instant, "when trading begins, UTC"),
    nullable("close_time", Kind::Instant, "when trading ends, UTC"),
    nullable("expected_expiration_time", Kind::Instant, "when the outcome is expected, UTC"),
    nullable(
        "latest_expiration_time",
        Kind::Instant,
        "when the outcome is known at the latest, UTC",
    ),
    nullable("settlement_time", Kind::Instant, "when the market was settled, UTC"),
    nullable("settlement_value", PRICE, "cents that one YES contract paid"),
    nullable("volume", QUANTITY, "contracts traded in its life, by the exchange"),
    nullable("price_level_structure", Kind::Text, "the grid of its prices"),
    column(
        "observed_at",
        Kind::Instant,
        "the exchange's time of the answer with these values, UTC",
    ),
    column("payload", Kind::Text, "the exchange's own JSON"),
];

const ORDERBOOKS: [Column; 14] = [
    column("market_ticker", Kind::Text, "the market"),
    column("captured_at", Kind::Instant, "the exchange's time of the answer, UTC"),
    nullable("best_yes_bid", PRICE, "in cents"),
    nullable("best_yes_ask", PRICE, "in cents"),
    nullable("best_no_bid", PRICE, "in cents"),
    nullable("best_no_ask", PRICE, "in cents"),
    nullable("spread", Kind::Decimal(8, 4), "in cents; negative in a crossed book"),
    column("yes_depth", QUANTITY, "contracts bid for YES"),
    column("no_depth", QUANTITY, "contracts bid for NO"),
    nullable(
        "slippage_buy_100",
        SLIPPAGE,
        "cents a contract above the mid when 100 are bought at once",
    ),
    nullable(
        "slippage_sell_100",
        SLIPPAGE,
        "cents a contract below the mid when 100 are sold at once",
    ),
    nullable("slippage_buy_1000", SLIPPAGE, "the same for 1,000; null where the book is too thin"),
    nullable("slippage_sell_1000", SLIPPAGE, "the same for 1,000; null where the book is too thin"),
    column("levels", Kind::Text, "the book as the exchange sent it, JSON"),
];

const RAW_EVENTS: [Column; 6] = [
    column("market_ticker", Kind::Text, "the market, or * if the event names none"),
    column("event_id", Kind::Integer, "the number of the event in the database"),
    column("received_at", Kind::Instant, "the time of receipt, UTC"),
    nullable(
        "trade_id",
        Kind::Text,
        "the exchange's id of the trade; null where it cannot be read",
    ),
    nullable("rejected", Kind::Text, "the reason why it is no trade; null for a trade"),
    column("payload", Kind::Text, "the exchange's JSON, byte for byte"),
];

impl Table {
    /// The columns, in order.
    pub fn columns(self) -> &'static [Column] {
        match self {
            Table::Trades => &TRADES,
            Table::Markets => &MARKETS,
            Table::Orderbooks => &ORDERBOOKS,
            Table::RawEvents => &RAW_EVENTS,
        }
    }

    /// The column that tells rows apart, if one alone does.
    pub fn key(self) -> Option<&'static str> {
        match self {
            Table::Trades => Some("trade_id"),
            Table::Markets => Some("market_ticker"),
            Table::Orderbooks => None,
            Table::RawEvents => Some("event_id"),
        }
    }

    /// The columns by which the rows of a file are sorted.
    pub fn sorted_by(self) -> &'static [&'static str] {
        match self {
            Table::Trades => &["market_ticker", "traded_at", "trade_id"],
            Table::Markets => &["market_ticker"],
            Table::Orderbooks => &["market_ticker", "captured_at"],
            Table::RawEvents => &["market_ticker", "received_at", "event_id"],
        }
    }
}
