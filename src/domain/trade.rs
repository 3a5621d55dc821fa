//! The canonical trade, its parts, and its raw event.

use std::fmt;

use super::fixed;
use super::scope::Scope;
use super::ticker::Ticker;
use super::time::Timestamp;

/// The longest id: far above the 36 characters of current ids, and far below the limit of an index row.
const TRADE_ID_LEN_MAX: usize = 200;

/// Whether `text` can be the id of a trade. Ids are opaque, but they have to be visible ASCII and short, because they
/// are keys in both stores and are written to logs.
pub fn is_trade_id(text: &str) -> bool {
    (1..=TRADE_ID_LEN_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The taker's outcome side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The taker gained exposure to the event happening.
    Yes,
    /// The taker gained exposure to the event not happening.
    No,
}

impl Side {
    /// The word in the database: `yes` or `no`.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Yes => "yes",
            Side::No => "no",
        }
    }
}

/// The price of one contract, in units of 0.0001 cent (a millionth of a dollar): 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price(i32);

/// One dollar, the highest price of a contract.
const DOLLAR_E4: i32 = 1_000_000;

impl Price {
    /// A price from units of 0.0001 cent; `None` above a dollar or below zero.
    pub fn from_e4_cents(value: i64) -> Option<Price> {
        let value = i32::try_from(value).ok()?;
        (0..=DOLLAR_E4).contains(&value).then_some(Price(value))
    }

    /// The price in units of 0.0001 cent.
    pub fn e4_cents(self) -> i32 {
        self.0
    }

    /// The price of the opposite side: the two add up to a dollar.
    #[must_use]
    pub fn opposite(self) -> Price {
        Price(DOLLAR_E4 - self.0)
    }
}

impl fmt::Display for Price {
    /// The price in cents with four decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fixed::format(i64::from(self.0), 4))
    }
}

/// A number of contracts, in units of 0.01; at least one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity(i64);

/// The largest value of `numeric(18,2)`.
pub const QUANTITY_E2_MAX: i64 = 999_999_999_999_999_999;

impl Quantity {
    /// A quantity from hundredths of a contract; `None` for zero and for more than the tables hold.
    pub fn from_e2(value: i64) -> Option<Quantity> {
        (1..=QUANTITY_E2_MAX).contains(&value).then_some(Quantity(value))
    }

    /// The quantity in hundredths of a contract.
    pub fn e2(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Quantity {
    /// The quantity in contracts with two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fixed::format(self.0, 2))
    }
}

/// One canonical trade: a row of the normalized table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The id that the exchange gave: opaque, unique, the key.
    pub trade_id: Box<str>,
    /// The market of the trade.
    pub market: Ticker,
    /// The taker's outcome side.
    pub side: Side,
    /// The price of one contract of `side`.
    pub price: Price,
    /// The number of contracts.
    pub quantity: Quantity,
    /// The exchange's `created_time`.
    pub traded_at: Timestamp,
    /// Whether the trade was negotiated off the book; None for events of the older formats.
    pub is_block_trade: Option<bool>,
}

/// The start of the reason of an event whose values contradict a stored trade.
pub const CONFLICT: &str = "conflicts with the stored trade";

impl Trade {
    /// Whether both are versions of the same trade that agree, as far as both have values: the exchange added the
    /// block flag later.
    pub fn agrees_with(&self, other: &Trade) -> bool {
        self.trade_id == other.trade_id
            && self.market == other.market
            && self.side == other.side
            && self.price == other.price
            && self.quantity == other.quantity
            && self.traded_at == other.traded_at
    }
}

impl RawEvent {
    /// This event as it is kept when another version of its trade is stored; `None` if the versions agree.
    pub fn conflict_with(&self, stored: &Trade) -> Option<Rejected> {
        let seen = &self.trade;
        if seen.agrees_with(stored) {
            return None;
        }
        let says = |what: &str, stored: String, here: String| {
            (stored != here).then(|| format!("{what} {stored} stored, {here} here"))
        };
        let fields = [
            says("market", stored.market.to_string(), seen.market.to_string()),
            says("side", stored.side.as_str().to_owned(), seen.side.as_str().to_owned()),
            says("price", stored.price.to_string(), seen.price.to_string()),
            says("quantity", stored.quantity.to_string(), seen.quantity.to_string()),
            says("time", stored.traded_at.to_string(), seen.traded_at.to_string()),
        ];
        let fields: Vec<String> = fields.into_iter().flatten().collect();
        Some(Rejected {
            scope: seen.market.clone().into(),
            trade_id: Some(seen.trade_id.clone()),
            payload: self.payload.clone(),
            reason: format!("{CONFLICT}: {}", fields.join("; ")),
        })
    }
}

/// An event that became a trade, with the JSON of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// The trade of the event.
    pub trade: Trade,
    /// The JSON of the event, byte for byte.
    pub payload: Box<str>,
}

/// An event that could not be normalized. It is kept in the raw table with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The market of the event, or the scope that was read if the event names no market.
    pub scope: Scope,
    /// The id of the trade; None if it cannot be read.
    pub trade_id: Option<Box<str>>,
    /// The JSON of the event, byte for byte; text that no store can hold is kept as a JSON string.
    pub payload: Box<str>,
    /// The reason why the event is no trade, in one clause.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_visible_ascii() {
        // (text, a ticker, an id of a trade, can be named in a list)
        for (text, is_ticker, is_id, is_listable) in [
            ("KXBTCD-26JUL2502-T74099.99", true, true, true),
            ("GDP-232022 Q4-T2.5", true, false, false),
            ("JOBLESS-22SEP10-C220,000", true, true, false),
            ("FEDDECISION-23JUL-H>25", true, true, true),
            ("A  B", true, false, false),
            ("", false, false, false),
            (" ", false, false, false),
            (" KX", false, false, false),
            ("KX ", false, false, false),
            ("KX\tBTC", false, false, false),
            ("KX\u{a0}BTC", false, false, false),
            ("KX\u{0}", false, false, false),
            ("é", false, false, false),
        ] {
            let ticker = Ticker::new(text);
            assert_eq!(ticker.is_some(), is_ticker, "{text:?}");
            assert_eq!(ticker.is_some_and(|ticker| ticker.is_listable()), is_listable, "{text:?}");
            assert_eq!(is_trade_id(text), is_id, "{text:?}");
        }
        assert!(Ticker::new(&"K".repeat(201)).is_none());
    }

    fn trade() -> Trade {
        Trade {
            trade_id: "t1".into(),
            market: Ticker::new("KXA").unwrap(),
            side: Side::Yes,
            price: Price::from_e4_cents(380_000).unwrap(),
            quantity: Quantity::from_e2(100).unwrap(),
            traded_at: Timestamp::from_seconds(1_785_000_000),
            is_block_trade: None,
        }
    }

    #[test]
    fn a_conflict_names_what_differs() {
        let market = Ticker::new("KXB").unwrap();
        let later = Timestamp::from_micros(1_785_000_000_000_001);
        let quantity = Quantity::from_e2(101).unwrap();
        for (other, words) in [
            (trade(), None),
            (Trade { is_block_trade: Some(true), ..trade() }, None),
            (Trade { market, ..trade() }, Some("market KXA stored, KXB here")),
            (Trade { side: Side::No, ..trade() }, Some("side yes stored, no here")),
            (
                Trade { price: trade().price.opposite(), ..trade() },
                Some("price 38.0000 stored, 62.0000 here"),
            ),
            (
                Trade { traded_at: later, ..trade() },
                Some("time 2026-07-25T17:20:00.000000Z stored, 2026-07-25T17:20:00.000001Z here"),
            ),
            (
                Trade { side: Side::No, quantity, ..trade() },
                Some("side yes stored, no here; quantity 1.00 stored, 1.01 here"),
            ),
        ] {
            let event = RawEvent { trade: other, payload: "{}".into() };
            let reason = event.conflict_with(&trade()).map(|rejected| rejected.reason);
            assert_eq!(reason, words.map(|words| format!("{CONFLICT}: {words}")));
        }
    }

    #[test]
    fn money_reads_as_people_write_it() {
        let price = Price::from_e4_cents(380_001).unwrap();
        assert_eq!(
            (price.to_string(), price.opposite().to_string()),
            ("38.0001".into(), "61.9999".into())
        );
        assert_eq!(Quantity::from_e2(1261).unwrap().to_string(), "12.61");
        assert_eq!(Price::from_e4_cents(1_000_001), None);
        assert_eq!(Quantity::from_e2(0), None);
    }
}
