//! Normalizes one event to one canonical trade. Here is every rule of ours about the meaning of Kalshi's fields.

use super::venue::VENUE;
use std::time::Duration;

use serde_json::value::RawValue;

use super::rows::Broken;
use super::wire::{EventKey, Text, TradeEvent};
use crate::domain::fixed;
use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, Quantity, RawEvent, Rejected, Side, Trade, is_trade_id};
use crate::failure::shortened;

/// A trade dated further than this in the future is rejected; a smaller difference may come from a wrong clock.
const FUTURE_MAX: Duration = Duration::from_secs(86_400);

/// The reason why a text is no ticker. A `*` alone is the name of the tape in our columns.
const NO_TICKER: &str =
    "ticker is not 1 to 200 visible ASCII characters, or is a name that is reserved";

/// Reads one event that came on a page of `asked` and was received by `now`.
pub(super) fn event(payload: &str, asked: &Scope, now: Timestamp) -> Result<RawEvent, Rejected> {
    let read = || {
        let wire: TradeEvent<'_> = serde_json::from_str(payload).map_err(|error| words(&error))?;
        trade(&wire, asked, now)
    };
    match read() {
        Ok(trade) => Ok(RawEvent { trade, payload: payload.into() }),
        Err(reason) => Err(rejected(payload, payload.into(), asked, &reason)),
    }
}

/// The rejected form of an event that is no JSON.
pub(super) fn broken(row: Broken, asked: &Scope) -> Rejected {
    rejected(&row.legible, row.payload, asked, &row.reason)
}

/// Serde's message without its position: "line 1 column 17" means nothing without the text.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// A rejected event. Its keys come from `legible`, as far as that has any.
fn rejected(legible: &str, payload: Box<str>, asked: &Scope, reason: &str) -> Rejected {
    let key: EventKey<'_> = serde_json::from_str(legible).unwrap_or_default();
    let text = |raw: Option<&RawValue>| -> Option<String> { serde_json::from_str(raw?.get()).ok() };
    Rejected {
        scope: text(key.ticker)
            .and_then(|ticker| Scope::parse(&ticker))
            .unwrap_or_else(|| asked.clone()),
        trade_id: text(key.trade_id).filter(|id| is_trade_id(id)).map(String::into_boxed_str),
        payload,
        reason: shortened(reason),
    }
}

fn trade(wire: &TradeEvent<'_>, asked: &Scope, now: Timestamp) -> Result<Trade, String> {
    let trade_id = required(wire.trade_id.as_ref(), "trade_id")?;
    if !is_trade_id(trade_id) {
        return Err("trade_id is not 1 to 200 visible ASCII characters".to_owned());
    }
    let ticker = required(wire.ticker.as_ref(), "ticker")?;
    let market = match asked.market() {
        Some(market) if market.as_str() == ticker => market.clone(),
        _ => Ticker::new(ticker).ok_or(NO_TICKER)?,
    };
    let traded_at = traded_at(required(wire.created_time.as_ref(), "created_time")?, now)?;
    let side = side(wire)?;
    Ok(Trade {
        trade_id: trade_id.into(),
        market,
        side,
        price: price(wire, side)?,
        quantity: quantity(wire)?,
        traded_at,
        is_block_trade: wire.is_block_trade,
    })
}

/// The exchange's time of a trade. A time before the exchange traded, or in the future, is rejected.
fn traded_at(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let at = Timestamp::parse_rfc3339(text)
        .ok_or_else(|| format!("created_time {text:?} is not an RFC 3339 instant"))?;
    if at < VENUE.first_trades {
        return Err(format!("created_time {text:?} is before the exchange had trades"));
    }
    if at > now.after(FUTURE_MAX) {
        return Err(format!("created_time {text:?} is more than a day later than all clocks"));
    }
    Ok(at)
}

fn required<'a>(field: Option<&'a Text<'_>>, name: &str) -> Result<&'a str, String> {
    field.map(Text::as_str).ok_or_else(|| format!("{name} is missing"))
}

/// The taker's outcome side, from the newest field that is there. A bid on the book is for yes.
fn side(wire: &TradeEvent<'_>) -> Result<Side, String> {
    let (name, text) = [
        ("taker_outcome_side", &wire.taker_outcome_side),
        ("taker_book_side", &wire.taker_book_side),
        ("taker_side", &wire.taker_side),
    ]
    .into_iter()
    .find_map(|(name, field)| Some((name, field.as_ref()?.as_str())))
    .ok_or("none of taker_outcome_side, taker_book_side and taker_side is there")?;
    let (yes, no) = if name == "taker_book_side" { ("bid", "ask") } else { ("yes", "no") };
    if text == yes {
        Ok(Side::Yes)
    } else if text == no {
        Ok(Side::No)
    } else {
        Err(format!("{name} {text:?} is not a side"))
    }
}

/// The price of one contract of `side`. Prices that contradict each other are rejected: each of them could be wrong.
fn price(wire: &TradeEvent<'_>, side: Side) -> Result<Price, String> {
    let yes = one_price(wire.yes_price_dollars.as_ref(), wire.yes_price, "yes_price")?;
    let no = one_price(wire.no_price_dollars.as_ref(), wire.no_price, "no_price")?;
    let yes = match (yes, no) {
        (Some(yes), Some(no)) if yes.opposite() != no => {
            return Err(format!("yes price {yes} and no price {no} do not make a dollar"));
        }
        (Some(yes), _) => yes,
        (None, Some(no)) => no.opposite(),
        (None, None) => return Err("yes_price_dollars is missing".to_owned()),
    };
    Ok(match side {
        Side::Yes => yes,
        Side::No => yes.opposite(),
    })
}

/// A price, from dollars as text or from the older shape's integer cents.
fn one_price(
    dollars: Option<&Text<'_>>,
    cents: Option<&RawValue>,
    name: &str,
) -> Result<Option<Price>, String> {
    let (text, decimals) = match (dollars, cents.and_then(number)) {
        (Some(dollars), _) => (dollars.as_str(), 6),
        (None, Some(cents)) => (cents, 4),
        (None, None) => return Ok(None),
    };
    let value = fixed::parse(text, decimals)
        .map_err(|error| format!("{name} {text:?} {}", error.words()))?;
    let price = Price::from_e4_cents(value)
        .ok_or_else(|| format!("{name} {text:?} is not between nothing and a dollar"))?;
    Ok(Some(price))
}

fn quantity(wire: &TradeEvent<'_>) -> Result<Quantity, String> {
    let text = wire
        .count_fp
        .as_ref()
        .map(Text::as_str)
        .or_else(|| wire.count.and_then(number))
        .ok_or("count_fp is missing")?;
    let value =
        fixed::parse(text, 2).map_err(|error| format!("count_fp {text:?} {}", error.words()))?;
    Quantity::from_e2(value).ok_or_else(|| format!("count_fp {text:?} is out of range"))
}

/// The digits of a JSON number; null counts as absent.
fn number(raw: &RawValue) -> Option<&str> {
    Some(raw.get()).filter(|text| *text != "null")
}

#[cfg(test)]
#[path = "normalize_tests.rs"]
mod tests;
