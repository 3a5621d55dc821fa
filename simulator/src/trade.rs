//! A public trade as the exchange knows it, and its JSON in the shapes of different years.

use std::ops::Range;

use crate::text::{push_contracts, push_dollars_e6, push_quoted};
use crate::timestamp;

/// One executed trade; tests compare the ingested trades with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Opaque; UUID-shaped lower-case hex on the real exchange, but any text is served.
    pub trade_id: String,
    /// Market ticker.
    pub ticker: String,
    /// Execution time, microseconds since 1970 UTC.
    pub created_us: i64,
    /// Price of the yes side in millionths of a dollar, `0..=1_000_000`.
    pub yes_price_e6: u32,
    /// Quantity in hundredths of a contract.
    pub count_e2: u64,
    /// Whether the taker bought yes.
    pub taker_yes: bool,
    /// Whether the trade was negotiated off the book.
    pub is_block_trade: bool,
    /// The shape of its JSON.
    pub shape: Shape,
}

/// The fields of a trade's JSON. They changed over time, and archives may hold all shapes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Shape {
    /// Since the end of May 2026: all three side fields and `is_block_trade`.
    #[default]
    Current,
    /// The current shape after the announced removal of the deprecated `taker_side`.
    CurrentWithoutTakerSide,
    /// March to May 2026: `count_fp`, `*_dollars`, and `taker_side` only.
    Spring,
    /// January 2026: integer `count`, float `price`, integer cents, and `*_dollars`.
    Cents,
    /// Before October 2025: integer `count` and integer cents only.
    CentsOnly,
}

impl Trade {
    /// The trade as compact JSON with its keys in alphabetical order.
    ///
    /// # Panics
    ///
    /// If the price is above one dollar, or if the shape has only whole cents and contracts and the trade has
    /// fractions of either.
    #[must_use]
    pub fn json(&self) -> String {
        self.json_with(&[])
    }

    /// Like [`Trade::json`], with extra fields given as name and raw JSON value.
    pub(crate) fn json_with(&self, extra: &[(&'static str, &str)]) -> String {
        assert!(self.yes_price_e6 <= 1_000_000, "{} costs more than a dollar", self.trade_id);
        let mut fields = Fields::default();
        fields.put("created_time", |text| {
            text.push('"');
            timestamp::push_rfc3339(text, self.created_us);
            text.push('"');
        });
        fields.put("ticker", |text| push_quoted(text, &self.ticker));
        fields.put("trade_id", |text| push_quoted(text, &self.trade_id));
        for (name, value) in extra {
            fields.raw(name, value);
        }
        match self.shape {
            Shape::Current => {
                self.push_decimals(&mut fields);
                self.push_directions(&mut fields);
                fields.raw("taker_side", self.side());
            }
            Shape::CurrentWithoutTakerSide => {
                self.push_decimals(&mut fields);
                self.push_directions(&mut fields);
            }
            Shape::Spring => {
                self.push_decimals(&mut fields);
                fields.raw("taker_side", self.side());
            }
            Shape::Cents => {
                self.push_cents(&mut fields);
                fields.raw("price", &dollars_as_float(self.yes_cents()));
                self.push_prices(&mut fields);
            }
            Shape::CentsOnly => self.push_cents(&mut fields),
        }
        fields.object()
    }

    fn push_decimals(&self, fields: &mut Fields) {
        fields.put("count_fp", |text| {
            text.push('"');
            push_contracts(text, self.count_e2);
            text.push('"');
        });
        self.push_prices(fields);
    }

    fn push_prices(&self, fields: &mut Fields) {
        for (name, price_e6) in
            [("no_price_dollars", self.no_price_e6()), ("yes_price_dollars", self.yes_price_e6)]
        {
            fields.put(name, |text| {
                text.push('"');
                push_dollars_e6(text, price_e6);
                text.push('"');
            });
        }
    }

    fn push_directions(&self, fields: &mut Fields) {
        fields.raw("is_block_trade", if self.is_block_trade { "true" } else { "false" });
        fields.raw("taker_book_side", if self.taker_yes { "\"bid\"" } else { "\"ask\"" });
        fields.raw("taker_outcome_side", self.side());
    }

    fn push_cents(&self, fields: &mut Fields) {
        assert!(self.count_e2.is_multiple_of(100), "{}: the shape has whole counts", self.trade_id);
        let yes_cents = self.yes_cents();
        fields.raw("count", &(self.count_e2 / 100).to_string());
        fields.raw("no_price", &(100 - yes_cents).to_string());
        fields.raw("taker_side", self.side());
        fields.raw("yes_price", &yes_cents.to_string());
    }

    fn yes_cents(&self) -> u32 {
        assert!(self.yes_price_e6.is_multiple_of(10_000), "{}: whole cents only", self.trade_id);
        self.yes_price_e6 / 10_000
    }

    fn no_price_e6(&self) -> u32 {
        1_000_000 - self.yes_price_e6
    }

    /// The taker's side as JSON.
    fn side(&self) -> &'static str {
        if self.taker_yes { "\"yes\"" } else { "\"no\"" }
    }
}

/// A JSON number as a float is printed: without trailing zeros.
fn dollars_as_float(cents: u32) -> String {
    let text = format!("{}.{:02}", cents / 100, cents % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The fields of an object, in any order.
#[derive(Default)]
struct Fields {
    /// The values as JSON, one after the other.
    values: String,
    /// The names, and the positions of their values.
    places: Vec<(&'static str, Range<usize>)>,
}

impl Fields {
    /// Adds a field whose value is JSON already.
    fn raw(&mut self, name: &'static str, json: &str) {
        self.put(name, |text| text.push_str(json));
    }

    /// Adds a field; `write` appends its value.
    fn put(&mut self, name: &'static str, write: impl FnOnce(&mut String)) {
        if self.places.is_empty() {
            self.values.reserve(320);
            self.places.reserve(16);
        }
        let start = self.values.len();
        write(&mut self.values);
        self.places.push((name, start..self.values.len()));
    }

    /// The object, with its keys in alphabetical order.
    fn object(mut self) -> String {
        self.places.sort_unstable_by_key(|(name, _)| *name);
        let mut json = String::with_capacity(2 * self.values.len() + 64);
        for (name, value) in self.places {
            let mark = if json.is_empty() { "{\"" } else { ",\"" };
            for part in [mark, name, "\":", &self.values[value]] {
                json.push_str(part);
            }
        }
        json.push('}');
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(shape: Shape) -> Trade {
        Trade {
            trade_id: "c174ce46-46d8-705a-6f03-2e1037bd1dd1".to_owned(),
            ticker: "KXETH15M-26JUL250200-00".to_owned(),
            created_us: 1_784_958_699_544_670,
            yes_price_e6: 380_000,
            count_e2: 1_261,
            taker_yes: true,
            is_block_trade: false,
            shape,
        }
    }

    #[test]
    fn the_current_shape_is_the_recorded_one() {
        assert_eq!(
            trade(Shape::Current).json(),
            r#"{"count_fp":"12.61","created_time":"2026-07-25T05:51:39.54467Z","is_block_trade":false,"no_price_dollars":"0.6200","taker_book_side":"bid","taker_outcome_side":"yes","taker_side":"yes","ticker":"KXETH15M-26JUL250200-00","trade_id":"c174ce46-46d8-705a-6f03-2e1037bd1dd1","yes_price_dollars":"0.3800"}"#
        );
    }

    #[test]
    fn older_shapes_have_the_fields_of_their_time() {
        let keys = |shape| {
            let json = Trade { count_e2: 100, ..trade(shape) }.json();
            let value: serde_json::Value = serde_json::from_str(&json).unwrap();
            value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ")
        };
        let tail = "ticker trade_id yes_price_dollars";
        for (shape, expected) in [
            (
                Shape::CurrentWithoutTakerSide,
                format!("count_fp created_time is_block_trade no_price_dollars taker_book_side taker_outcome_side {tail}"),
            ),
            (Shape::Spring, format!("count_fp created_time no_price_dollars taker_side {tail}")),
            (
                Shape::Cents,
                "count created_time no_price no_price_dollars price taker_side ticker trade_id yes_price yes_price_dollars".to_owned(),
            ),
            (
                Shape::CentsOnly,
                "count created_time no_price taker_side ticker trade_id yes_price".to_owned(),
            ),
        ] {
            assert_eq!(keys(shape), expected, "{shape:?}");
        }
    }

    #[test]
    fn prices_are_exact() {
        for (price_e6, text) in [
            (0, "0.0000"),
            (100, "0.0001"),
            (999_900, "0.9999"),
            (1_000_000, "1.0000"),
            (123_456, "0.123456"),
            (1, "0.000001"),
        ] {
            assert_eq!(crate::text::dollars_e6(price_e6), text);
        }
        for (cents, text) in [(0, "0"), (6, "0.06"), (50, "0.5"), (100, "1")] {
            assert_eq!(dollars_as_float(cents), text);
        }
    }

    #[test]
    #[should_panic(expected = "whole cents only")]
    fn cents_do_not_round() {
        let _ = Trade { yes_price_e6: 100, count_e2: 100, ..trade(Shape::Cents) }.json();
    }
}
