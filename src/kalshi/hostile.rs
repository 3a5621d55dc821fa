//! Runs each decoder of an answer on bytes of an attacker, for the targets of `fuzz`.
//!
//! The result of any bytes is bounded by their number, and both stores can hold it.

use super::rows::{self, RawRow};
use super::{account, candles, decode, decode_market};
use crate::domain::candle::Interval;
use crate::domain::market::Sighting;
use crate::domain::scope::Scope;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::is_trade_id;

/// The present time, of the exchange and of us.
const NOW: Timestamp = Timestamp::from_seconds(1_785_002_400);
/// The most characters that one byte becomes in a JSON string.
const ESCAPED_MAX: usize = 6;

/// The scopes that the answer may be for.
fn asked() -> [Option<Scope>; 2] {
    [Scope::parse("KX-A"), Some(Scope::Tape)]
}

/// Decodes a page of trades.
pub(crate) fn page(body: &[u8]) {
    for asked in asked().iter().flatten() {
        let Ok(page) = decode::page(body, asked, NOW, NOW) else { continue };
        assert!(page.cursor.is_none_or(|cursor| decode::is_cursor(&cursor)), "a cursor is none");
        let mut length = 0;
        for event in &page.events {
            assert!(is_trade_id(&event.trade.trade_id), "an id is none");
            assert!(asked.holds(&event.trade.market), "a row is foreign");
            length += check_payload(&event.payload);
        }
        for rejected in &page.rejected {
            assert!(rejected.reason.len() <= 4_096, "a reason is a novel");
            assert!(!rejected.reason.contains('\0'), "no store holds this reason");
            length += check_payload(&rejected.payload);
        }
        assert!(length <= body.len().saturating_mul(ESCAPED_MAX), "{length} bytes were made");
    }
}

/// Checks that a payload is JSON that PostgreSQL can read. Returns its length, without the quotes of a string.
fn check_payload(payload: &str) -> usize {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(payload).is_ok();
    assert!(is_json, "a payload is no JSON");
    assert!(matches!(rows::shallow(payload), RawRow::Sound(_)), "a payload is nested too deep");
    payload.len().saturating_sub(2)
}

fn check_market(sighting: &Sighting) {
    check_payload(&sighting.market.payload);
    let times = [sighting.market.open_time, sighting.market.close_time];
    assert!(times.iter().flatten().all(|at| at.is_credible()), "an instant is none");
}

/// Decodes a page of markets, and one market by its own route.
pub(crate) fn markets(body: &[u8]) {
    if let Ok(page) = decode_market::markets(body, NOW) {
        page.markets.iter().for_each(check_market);
    }
    for asked in asked().iter().flatten().filter_map(Scope::market) {
        if let Ok(Some(page)) = decode_market::market_of(body, asked, NOW) {
            page.markets.iter().for_each(check_market);
        }
    }
}

/// Decodes events, and one event by its own route.
pub(crate) fn events(body: &[u8]) {
    let _ = decode_market::events(body);
    for asked in asked().iter().flatten().filter_map(Scope::market) {
        let _ = decode_market::event_of(body, asked);
    }
}

/// Decodes candles of many markets.
pub(crate) fn candles(body: &[u8]) {
    let (from, until) = (Timestamp::from_seconds(0), NOW);
    let asked = candles::Asked { interval: Interval::Hour, from, until };
    let Ok(named) = candles::named_candles(body, asked, NOW) else { return };
    let count: usize = named.values().map(Vec::len).sum();
    assert!(count <= body.len(), "{count} candles of {} bytes", body.len());
}

/// Decodes order books.
pub(crate) fn books(body: &[u8]) {
    let asked: Vec<Ticker> = asked().iter().flatten().filter_map(Scope::market).cloned().collect();
    let Ok(answer) = decode_market::books(body, &asked, NOW) else { return };
    for book in &answer.books {
        check_payload(&book.levels);
    }
}

/// Decodes the status of the exchange, and the archive cutoff.
pub(crate) fn status(body: &[u8]) {
    let _ = decode::is_trading(body);
    if let Ok(cutoff) = decode::cutoff(body) {
        assert!(cutoff.second() >= 0, "a zero time is no cutoff");
    }
}

/// Decodes the limits of an account.
pub(crate) fn limits(body: &[u8]) {
    let Ok(limits) = account::limits(body, NOW) else { return };
    assert!((1.0..=10_000.0).contains(&limits.rate), "{} requests a second", limits.rate);
    let is_plain = |tier: &String| tier.len() <= 40 && tier.bytes().all(|b| b.is_ascii_graphic());
    assert!(limits.tier.as_ref().is_none_or(is_plain), "{:?}", limits.tier);
    assert!(limits.expires_in.is_none_or(|span| !span.is_zero()), "a grant has ended");
}

/// Decodes the message of a refusal, and its headers.
pub(crate) fn refusal(body: &[u8]) {
    let said = decode::refusal(body);
    assert!(said.len() <= 4_096 && !said.contains(char::is_control), "{said:?}");
    let _ = decode::count_rows(body);
    let text = String::from_utf8_lossy(body);
    let _ = decode::retry_after(&text, NOW);
    assert!(decode::http_date(&text).is_none_or(Timestamp::has_four_digit_year), "{text:?}");
}
