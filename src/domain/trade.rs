//! The canonical trade and what surrounds it.

use std::fmt;

use super::fixed;
use super::scope::Scope;
use super::ticker::Ticker;
use super::time::Timestamp;

/// Far above the 36 characters of today's ids, far below what an index row holds.
const TRADE_ID_LEN_MAX: usize = 200;

/// Whether `text` can be a trade's id: opaque, but visible ASCII and bounded, because it is a
/// key in both stores and goes into logs.
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
    /// As stored: `yes` or `no`.
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Yes => "yes",
            Side::No => "no",
        }
    }
}

/// What one contract cost, in units of 0.0001 cent (a millionth of a dollar): 0 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price(i32);

/// One dollar, the most a contract can cost.
const DOLLAR_E4: i32 = 1_000_000;

impl Price {
    /// From units of 0.0001 cent; `None` above a dollar or below nothing.
    pub fn from_e4_cents(value: i64) -> Option<Price> {
        let value = i32::try_from(value).ok()?;
        (0..=DOLLAR_E4).contains(&value).then_some(Price(value))
    }

    /// Units of 0.0001 cent.
    pub fn e4_cents(self) -> i32 {
        self.0
    }

    /// What the opposite side cost: the two make a dollar.
    #[must_use]
    pub fn opposite(self) -> Price {
        Price(DOLLAR_E4 - self.0)
    }
}

impl fmt::Display for Price {
    /// In cents with four decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fixed::format(i64::from(self.0), 4))
    }
}

/// Contracts, in units of 0.01; at least one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity(i64);

/// What `numeric(18,2)` holds.
const QUANTITY_E2_MAX: i64 = 999_999_999_999_999_999;

impl Quantity {
    /// From hundredths of a contract; `None` for nothing and for more than the tables hold.
    pub fn from_e2(value: i64) -> Option<Quantity> {
        (1..=QUANTITY_E2_MAX).contains(&value).then_some(Quantity(value))
    }

    /// Hundredths of a contract.
    pub fn e2(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Quantity {
    /// In contracts with two decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&fixed::format(self.0, 2))
    }
}

/// One canonical trade: what the normalized table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// The exchange's id: opaque, unique, the key.
    pub trade_id: Box<str>,
    /// The market it happened in.
    pub market: Ticker,
    /// The taker's outcome side.
    pub side: Side,
    /// What one contract of `side` cost.
    pub price: Price,
    /// How many contracts changed hands.
    pub quantity: Quantity,
    /// The exchange's `created_time`.
    pub traded_at: Timestamp,
    /// Whether it was negotiated off the book; unknown for events of the older shapes.
    pub is_block_trade: Option<bool>,
}

/// How the reason of an event begins that says something else of a trade that is stored already.
pub const CONFLICT: &str = "conflicts with the stored trade";

impl Trade {
    /// Whether both are the same trade, as far as both say what it was: the block flag came late.
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
    /// As it is kept when another version of its trade is stored; `None` if that says the same.
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

/// An event that became a trade, with the provider's own JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    /// What it says.
    pub trade: Trade,
    /// How it was said, byte for byte.
    pub payload: Box<str>,
}

/// An event that normalization refused: kept in the raw table with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The event's market, or what was read when it names none.
    pub scope: Scope,
    /// Its id, when that much can be read.
    pub trade_id: Option<Box<str>>,
    /// How it was said, byte for byte; what no store can hold as a JSON string.
    pub payload: Box<str>,
    /// Why it is no trade, in one clause.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_bounded_visible_ascii() {
        // (text, a ticker, a trade's id, can be named in a list)
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
