//! One event to one canonical trade: every rule of ours about what Kalshi's fields mean.

use serde_json::value::RawValue;

use super::wire::{EventKey, Text, TradeEvent};
use crate::domain::fixed;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Event, Price, Quantity, Rejected, Side, Ticker, Trade, is_trade_id};
use crate::failure::shortened;

/// Deeper nesting than any event has; PostgreSQL's parser gives up on some depth.
const BRACKETS_MAX: usize = 200;

/// Reads one event that came on a page of `asked`.
pub(super) fn event(payload: &str, asked: &Ticker) -> Result<Event, Rejected> {
    if payload.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() > BRACKETS_MAX {
        let reason = "it is nested too deep; kept as a JSON string".to_owned();
        let payload = serde_json::Value::from(payload).to_string().into();
        return Err(Rejected { market: asked.clone(), trade_id: None, payload, reason });
    }
    let wire: TradeEvent<'_> =
        serde_json::from_str(payload).map_err(|error| rejected(payload, asked, &words(&error)))?;
    match trade(&wire, asked) {
        Ok(trade) => Ok(Event { trade, payload: payload.into() }),
        Err(reason) => Err(rejected(payload, asked, &reason)),
    }
}

/// Serde's message without its position: "line 1 column 17" of what would be a riddle.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

fn rejected(payload: &str, asked: &Ticker, reason: &str) -> Rejected {
    let key: EventKey<'_> = serde_json::from_str(payload).unwrap_or_default();
    let text = |raw: Option<&RawValue>| -> Option<String> { serde_json::from_str(raw?.get()).ok() };
    Rejected {
        market: text(key.ticker)
            .and_then(|ticker| Ticker::new(&ticker))
            .unwrap_or_else(|| asked.clone()),
        trade_id: text(key.trade_id).filter(|id| is_trade_id(id)).map(String::into_boxed_str),
        payload: payload.into(),
        reason: shortened(reason),
    }
}

fn trade(wire: &TradeEvent<'_>, asked: &Ticker) -> Result<Trade, String> {
    let trade_id = required(wire.trade_id.as_ref(), "trade_id")?;
    if !is_trade_id(trade_id) {
        return Err("trade_id is not 1 to 200 visible ASCII characters".to_owned());
    }
    let ticker = required(wire.ticker.as_ref(), "ticker")?;
    let market = if ticker == asked.as_str() {
        asked.clone()
    } else {
        Ticker::new(ticker).ok_or("ticker is not 1 to 200 visible ASCII characters")?
    };
    if market.is_tape() {
        return Err("ticker is the name that the tape has here".to_owned());
    }
    let created = required(wire.created_time.as_ref(), "created_time")?;
    let traded_at = Timestamp::parse_rfc3339(created)
        .ok_or_else(|| format!("created_time {created:?} is not an RFC 3339 instant"))?;
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

fn required<'a>(field: Option<&'a Text<'_>>, name: &str) -> Result<&'a str, String> {
    field.map(Text::as_str).ok_or_else(|| format!("{name} is missing"))
}

/// The taker's outcome side: the newest field that is there. A bid on the book is for yes.
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

/// What one contract of `side` cost. Prices that contradict each other are refused: storing
/// either would be a guess.
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

/// Dollars as text, else the older shape's integer cents.
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

/// A JSON number's own digits; null is absent.
fn number(raw: &RawValue) -> Option<&str> {
    Some(raw.get()).filter(|text| *text != "null")
}

#[cfg(test)]
#[path = "normalize_tests.rs"]
mod tests;
