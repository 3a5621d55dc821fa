//! Candles: the quantity traded in each hour, by the exchange's own figures.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::value::RawValue;

use super::client::{Client, Get};
use super::decode::excerpt;
use super::decode_market::{body, decimal, market_ticker, sound};
use super::markets::{in_path, joined, list_question};
use super::rows::{self, ListBody};
use super::wire::Text;
use crate::clock::Clock;
use crate::domain::completeness::{HOUR_SECONDS, HourVolume};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::{Failure, Kind};

/// The number of candles, of all markets together, that one request for many markets answers at most.
pub const CANDLES_PER_BATCH: usize = 10_000;
/// The number of candles that one request for an archived market answers at most.
pub const CANDLES_PER_MARKET: usize = 5_000;

#[derive(serde::Deserialize)]
struct BatchBody<'a> {
    #[serde(borrow)]
    markets: Option<Vec<&'a RawValue>>,
}

impl<'a> ListBody<'a> for BatchBody<'a> {
    const NAME: &'static str = "markets";

    fn parts(self) -> (Vec<&'a RawValue>, Option<Text<'a>>) {
        (self.markets.unwrap_or_default(), None)
    }
}

#[derive(serde::Deserialize)]
struct MarketBody<'a> {
    #[serde(borrow)]
    market_ticker: Text<'a>,
    #[serde(borrow)]
    candlesticks: Option<Vec<Candle<'a>>>,
}

#[derive(serde::Deserialize)]
struct OneBody<'a> {
    #[serde(borrow)]
    candlesticks: Option<Vec<Candle<'a>>>,
}

/// A candle. The live tier and the archive name the same fields differently.
#[derive(serde::Deserialize)]
struct Candle<'a> {
    end_period_ts: i64,
    #[serde(borrow, default)]
    volume_fp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    volume: Option<&'a RawValue>,
}

impl Candle<'_> {
    fn volume(&self, market: &Ticker) -> Result<HourVolume, Failure> {
        let quantity_e2 = decimal(self.volume_fp, 2).or_else(|| decimal(self.volume, 2));
        let quantity_e2 = quantity_e2.ok_or_else(|| {
            let message = format!("a candle of {market} has no volume that can be read");
            Failure::new(Kind::ExchangeUnreadable, message)
        })?;
        let ends_at = Timestamp::from_seconds(self.end_period_ts);
        Ok(HourVolume { market: market.clone(), ends_at, quantity_e2 })
    }
}

impl Client {
    /// Asks for the hours of live markets that end after `from` and not after `until`, for at most
    /// [`MARKETS_PER_REQUEST`](super::MARKETS_PER_REQUEST) [listable](Ticker::is_listable) markets and
    /// [`CANDLES_PER_BATCH`] candles. The result holds the markets that the answer names; archived and unknown ones
    /// have no hours.
    pub fn candles(
        &self,
        markets: &[Ticker],
        from: Timestamp,
        until: Timestamp,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<HashMap<Ticker, Vec<HourVolume>>, Failure> {
        let mut query = vec![("market_tickers", joined(markets))];
        query.extend(bounds(from, until));
        let about = format!("{} markets", markets.len());
        let question = list_question("/markets/candlesticks", query, &about);
        self.get(&question, left, clock, |bytes, _| {
            let mut named = named_hours(bytes, from, until)?;
            named.retain(|market, _| markets.contains(market));
            Ok(named)
        })
    }

    /// Asks for the hours of one market of a series by its own route, whatever its name; `None` when the live tier
    /// does not know it. At most [`CANDLES_PER_MARKET`] hours.
    pub fn market_candles(
        &self,
        series: &Ticker,
        market: &Ticker,
        (from, until): (Timestamp, Timestamp),
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<HourVolume>>, Failure> {
        let path = format!("/series/{}/markets/{}/candlesticks", in_path(series), in_path(market));
        self.candles_of(&path, market, (from, until), left, clock)
    }

    /// Asks for the hours of one archived market; `None` when the archive does not know it.
    pub fn archived_candles(
        &self,
        market: &Ticker,
        (from, until): (Timestamp, Timestamp),
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<HourVolume>>, Failure> {
        let path = format!("/historical/markets/{}/candlesticks", in_path(market));
        self.candles_of(&path, market, (from, until), left, clock)
    }

    fn candles_of(
        &self,
        path: &str,
        market: &Ticker,
        (from, until): (Timestamp, Timestamp),
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<HourVolume>>, Failure> {
        let question: Get<'_> = list_question(path, bounds(from, until).into(), market.as_str());
        let answer = self.get(&question, left, clock, |bytes, _| {
            let wire: OneBody<'_> = body(bytes, "a list of candles")?;
            hours(market, wire.candlesticks, from, until).map(Some)
        });
        match answer {
            // Only 404 means an unknown market: 400 means that the request asks for too many candles.
            Err(failure) if failure.status == Some(404) => Ok(None),
            answer => answer,
        }
    }
}

/// The hours of each market whose candles can all be read; nothing is known of the other markets.
pub(super) fn named_hours(
    bytes: &[u8],
    from: Timestamp,
    until: Timestamp,
) -> Result<HashMap<Ticker, Vec<HourVolume>>, Failure> {
    let list = rows::list::<BatchBody<'_>>(bytes, "a list of candles")?;
    let mut named = HashMap::new();
    for row in &list.rows {
        match sound(row).and_then(|payload| market_hours(payload, from, until)) {
            Ok(Some((market, hours))) => drop(named.insert(market, hours)),
            Ok(None) => {}
            Err(reason) => log::warn!("the candles of a market could not be read: {reason}"),
        }
    }
    Ok(named)
}

fn market_hours(
    payload: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<Option<(Ticker, Vec<HourVolume>)>, String> {
    let wire: MarketBody<'_> = serde_json::from_str(payload)
        .map_err(|error| format!("{error} in {:?}", excerpt(payload.as_bytes())))?;
    let Some(market) = market_ticker(&wire.market_ticker) else { return Ok(None) };
    let hours = hours(&market, wire.candlesticks, from, until);
    Ok(Some((market, hours.map_err(|failure| failure.to_string())?)))
}

/// Keeps the hours that were asked for: the exchange may show the hour before, or one with a nonsensical date.
fn hours(
    market: &Ticker,
    candles: Option<Vec<Candle<'_>>>,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<HourVolume>, Failure> {
    let asked = from.second() + 1..=until.second();
    let candles = candles.unwrap_or_default().into_iter();
    let wanted = candles.filter(|candle| asked.contains(&candle.end_period_ts));
    wanted.map(|candle| candle.volume(market)).collect()
}

/// The bounds of a request. The exchange includes a candle whose end is one of the bounds.
fn bounds(from: Timestamp, until: Timestamp) -> [(&'static str, String); 3] {
    [
        ("start_ts", (from.second() + HOUR_SECONDS).to_string()),
        ("end_ts", until.second().to_string()),
        ("period_interval", (HOUR_SECONDS / 60).to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &[u8]) -> Result<HashMap<Ticker, Vec<HourVolume>>, Failure> {
        named_hours(body, Timestamp::from_seconds(0), Timestamp::from_seconds(7_200))
    }

    #[test]
    fn candles_that_cannot_be_read_cost_no_other_market_its_own() {
        let good = r#"{"market_ticker":"GOOD","candlesticks":[{"end_period_ts":3600,"volume_fp":"1.00"}]}"#;
        for odd in [
            "null",
            "{\"market_ticker\":\"ODD\",\"candlesticks\":[{\"x\":\"\0\"}]}",
            r#"{"market_ticker":"ODD","candlesticks":[{"end_period_ts":"3600"}]}"#,
            r#"{"market_ticker":"ODD","candlesticks":[{"end_period_ts":3600}]}"#,
            r#"{"market_ticker":7,"candlesticks":[]}"#,
            r#"{"market_ticker":"*","candlesticks":[]}"#,
        ] {
            let body = format!("{{\"markets\":[{good},{odd}]}}");
            let known = named(body.as_bytes()).unwrap();
            let markets: Vec<&str> = known.keys().map(Ticker::as_str).collect();
            assert_eq!(markets, ["GOOD"], "{odd}");
        }
        assert!(named(b"{}").unwrap().is_empty(), "as ever");
        assert!(named(b"[]").is_err() && named(b"{\"markets\":[{}").is_err());
    }
}
