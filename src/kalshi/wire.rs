//! The exchange's JSON, field by field, in all the shapes that it has had.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

use super::rows::ListBody;

/// The envelope of a page of trades. Each event is kept as the text that was received.
#[derive(serde::Deserialize)]
pub(super) struct TradesPage<'a> {
    #[serde(borrow)]
    pub(super) trades: Vec<&'a RawValue>,
    /// Empty, null and absent all mean the end of the list.
    #[serde(borrow, default)]
    pub(super) cursor: Option<Text<'a>>,
}

/// Whether the exchange is in operation, and whether trading is possible.
#[derive(serde::Deserialize)]
pub(super) struct ExchangeStatus {
    pub(super) exchange_active: bool,
    pub(super) trading_active: bool,
}

/// The limits of an account: with token buckets and grants, or in the older form with the limit of reads as a number.
#[derive(serde::Deserialize)]
pub(super) struct AccountLimitsBody<'a> {
    #[serde(borrow, default)]
    pub(super) usage_tier: Option<Text<'a>>,
    #[serde(default)]
    pub(super) read: Option<BucketBody>,
    #[serde(default)]
    pub(super) read_limit: Option<i64>,
    #[serde(default)]
    pub(super) grants: Option<Vec<GrantBody>>,
}

/// A token bucket.
#[derive(serde::Deserialize)]
pub(super) struct BucketBody {
    /// Tokens a second.
    pub(super) refill_rate: i64,
}

/// A grant of a tier.
#[derive(serde::Deserialize)]
pub(super) struct GrantBody {
    /// The end of the grant, in seconds since 1970; a permanent grant has none.
    #[serde(default)]
    pub(super) expires_ts: Option<i64>,
}

/// The body of a list without its rows.
#[derive(serde::Deserialize)]
pub(super) struct ListTail<'a> {
    #[serde(borrow, default)]
    pub(super) cursor: Option<Text<'a>>,
}

/// One trade event. Every field is optional here: `normalize` reports a missing one.
///
/// Three shapes are on record: until March 2026 with integer `count` and cent prices, since then with `count_fp` and
/// `*_dollars`, since May 2026 with two more side fields and `is_block_trade`.
#[derive(Default, serde::Deserialize)]
pub(super) struct TradeEvent<'a> {
    #[serde(borrow, default)]
    pub(super) trade_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) ticker: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) created_time: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) count_fp: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) count: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) yes_price_dollars: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) no_price_dollars: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) yes_price: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) no_price: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) taker_outcome_side: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) taker_book_side: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) taker_side: Option<Text<'a>>,
    #[serde(default)]
    pub(super) is_block_trade: Option<bool>,
}

/// The fields that identify an event, when its other fields may be of any type.
#[derive(Default, serde::Deserialize)]
pub(super) struct EventKey<'a> {
    #[serde(borrow, default)]
    pub(super) trade_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) ticker: Option<&'a RawValue>,
}

/// The archive cutoffs.
#[derive(serde::Deserialize)]
pub(super) struct CutoffBody<'a> {
    #[serde(borrow)]
    pub(super) trades_created_ts: Text<'a>,
}

/// The body of a refusal: nested, flat, or a bare string under `error`.
#[derive(serde::Deserialize)]
pub(super) struct ErrorBody<'a> {
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) code: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) message: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) details: Option<Text<'a>>,
}

/// A JSON string, borrowed from the body unless it has escapes.
#[derive(Debug)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> Text<'a> {
    pub(super) fn into_inner(self) -> Cow<'a, str> {
        self.0
    }
}

impl<'a> ListBody<'a> for TradesPage<'a> {
    const NAME: &'static str = "trades";

    fn parts(self) -> (Vec<&'a RawValue>, Option<Text<'a>>) {
        (self.trades, self.cursor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<'a>, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}
