//! Candles: the trading of a market in each period, by the exchange's own figures.

use std::borrow::Cow;
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
use crate::domain::candle::{Candle, Figures, Interval, Ohlc};
use crate::domain::fixed;
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::domain::trade::{Price, QUANTITY_E2_MAX};
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
    candlesticks: Option<Vec<CandleBody<'a>>>,
}

#[derive(serde::Deserialize)]
struct OneBody<'a> {
    #[serde(borrow)]
    candlesticks: Option<Vec<CandleBody<'a>>>,
}

/// A candle. The live tier and the archive name the same fields differently.
#[derive(serde::Deserialize)]
struct CandleBody<'a> {
    end_period_ts: i64,
    #[serde(borrow, default)]
    volume_fp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    volume: Option<&'a RawValue>,
    #[serde(borrow, default)]
    open_interest_fp: Option<&'a RawValue>,
    #[serde(borrow, default)]
    open_interest: Option<&'a RawValue>,
    #[serde(borrow, default)]
    yes_bid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    yes_ask: Option<&'a RawValue>,
    #[serde(borrow, default)]
    price: Option<&'a RawValue>,
}

/// Quotes or prices of a period, under the names of both tiers.
#[derive(Default, serde::Deserialize)]
struct PriceBody<'a> {
    #[serde(borrow, default)]
    open_dollars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    low_dollars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    high_dollars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    close_dollars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    mean_dollars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous_dollars: Option<&'a RawValue>,
    #[serde(borrow, default)]
    open: Option<&'a RawValue>,
    #[serde(borrow, default)]
    low: Option<&'a RawValue>,
    #[serde(borrow, default)]
    high: Option<&'a RawValue>,
    #[serde(borrow, default)]
    close: Option<&'a RawValue>,
    #[serde(borrow, default)]
    mean: Option<&'a RawValue>,
    #[serde(borrow, default)]
    previous: Option<&'a RawValue>,
}

impl CandleBody<'_> {
    fn candle(&self, market: &Ticker, read_at: Timestamp) -> Result<Candle, Failure> {
        let volume_e2 = decimal(self.volume_fp, 2).or_else(|| decimal(self.volume, 2));
        let volume_e2 = volume_e2.filter(|volume| *volume <= QUANTITY_E2_MAX).ok_or_else(|| {
            let message = format!("a candle of {market} has no volume that can be read");
            Failure::new(Kind::ExchangeUnreadable, message)
        })?;
        let ends_at = Timestamp::from_seconds(self.end_period_ts);
        let figures = self.figures().map_err(String::into_boxed_str);
        Ok(Candle { market: market.clone(), ends_at, read_at, volume_e2, figures })
    }

    fn figures(&self) -> Result<Figures, String> {
        let open_interest = number(self.open_interest_fp.or(self.open_interest), 2)?;
        if open_interest.is_some_and(|open_interest| open_interest > QUANTITY_E2_MAX) {
            return Err("its open interest is more than a table holds".to_owned());
        }
        let price = PriceBody::of(self.price)?;
        Ok(Figures {
            bid: PriceBody::of(self.yes_bid)?.ohlc()?,
            ask: PriceBody::of(self.yes_ask)?.ohlc()?,
            price: price.ohlc()?,
            mean: dollars(price.mean_dollars.or(price.mean))?,
            previous: dollars(price.previous_dollars.or(price.previous))?,
            open_interest_e2: open_interest,
        })
    }
}

impl<'a> PriceBody<'a> {
    /// An absent object has no price.
    fn of(raw: Option<&'a RawValue>) -> Result<PriceBody<'a>, String> {
        let Some(raw) = raw else { return Ok(PriceBody::default()) };
        serde_json::from_str(raw.get())
            .map_err(|error| format!("{error} in {:?}", excerpt(raw.get().as_bytes())))
    }

    fn ohlc(&self) -> Result<Ohlc, String> {
        Ok(Ohlc {
            open: dollars(self.open_dollars.or(self.open))?,
            low: dollars(self.low_dollars.or(self.low))?,
            high: dollars(self.high_dollars.or(self.high))?,
            close: dollars(self.close_dollars.or(self.close))?,
        })
    }
}

/// A price in dollars; `None` for null.
fn dollars(raw: Option<&RawValue>) -> Result<Option<Price>, String> {
    let Some(value) = number(raw, 6)? else { return Ok(None) };
    let price = Price::from_e4_cents(value);
    price.map(Some).ok_or_else(|| format!("{:?} is no price", raw.map(RawValue::get)))
}

/// A decimal number, as text or as a number; `None` for null.
fn number(raw: Option<&RawValue>, decimals: u32) -> Result<Option<i64>, String> {
    let Some(raw) = raw else { return Ok(None) };
    let text: Cow<'_, str> = match serde_json::from_str::<Text<'_>>(raw.get()) {
        Ok(text) => text.into_inner(),
        Err(_) => Cow::Borrowed(raw.get()),
    };
    let value = fixed::parse(&text, decimals);
    value
        .map(Some)
        .map_err(|error| format!("{:?} {}", excerpt(raw.get().as_bytes()), error.words()))
}

impl Client {
    /// Asks for the periods of live markets that end after `from` and not after `until`, for at most
    /// [`MARKETS_PER_REQUEST`](super::MARKETS_PER_REQUEST) [listable](Ticker::is_listable) markets and
    /// [`CANDLES_PER_BATCH`] candles. The result holds the markets that the answer names; archived and unknown ones
    /// have no periods.
    pub fn candles(
        &self,
        markets: &[Ticker],
        asked: Asked,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<HashMap<Ticker, Vec<Candle>>, Failure> {
        let mut query = vec![("market_tickers", joined(markets))];
        query.extend(asked.query());
        let about = format!("{} markets", markets.len());
        let question = list_question("/markets/candlesticks", query, &about);
        self.get(&question, left, clock, |bytes, read_at| {
            let mut named = named_candles(bytes, asked, read_at)?;
            named.retain(|market, _| markets.contains(market));
            Ok(named)
        })
    }

    /// Asks for the periods of one market of a series by its own route, whatever its name; `None` when the live tier
    /// does not know it. At most [`CANDLES_PER_MARKET`] periods.
    pub fn market_candles(
        &self,
        series: &Ticker,
        market: &Ticker,
        asked: Asked,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<Candle>>, Failure> {
        let path = format!("/series/{}/markets/{}/candlesticks", in_path(series), in_path(market));
        self.candles_of(&path, market, asked, left, clock)
    }

    /// Asks for the periods of one archived market; `None` when the archive does not know it.
    pub fn archived_candles(
        &self,
        market: &Ticker,
        asked: Asked,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<Candle>>, Failure> {
        let path = format!("/historical/markets/{}/candlesticks", in_path(market));
        self.candles_of(&path, market, asked, left, clock)
    }

    fn candles_of(
        &self,
        path: &str,
        market: &Ticker,
        asked: Asked,
        left: Duration,
        clock: &dyn Clock,
    ) -> Result<Option<Vec<Candle>>, Failure> {
        let question: Get<'_> = list_question(path, asked.query().into(), market.as_str());
        let answer = self.get(&question, left, clock, |bytes, read_at| {
            let wire: OneBody<'_> = body(bytes, "a list of candles")?;
            candles(market, wire.candlesticks, asked, read_at).map(Some)
        });
        match answer {
            // Only 404 means an unknown market: 400 means that the request asks for too many candles.
            Err(failure) if failure.status == Some(404) => Ok(None),
            answer => answer,
        }
    }
}

/// The periods that are asked for: those of this length that end after `from` and not after `until`.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The length of a period.
    pub interval: Interval,
    /// The end of the period before the first one.
    pub from: Timestamp,
    /// The end of the last one.
    pub until: Timestamp,
}

impl Asked {
    /// The bounds of a request. The exchange includes a candle whose end is one of the bounds.
    fn query(self) -> [(&'static str, String); 3] {
        let minutes = self.interval.minutes();
        [
            ("start_ts", (self.from.second() + minutes * 60).to_string()),
            ("end_ts", self.until.second().to_string()),
            ("period_interval", minutes.to_string()),
        ]
    }
}

/// The candles of each market whose candles can all be read; nothing is known of the other markets.
pub(super) fn named_candles(
    bytes: &[u8],
    asked: Asked,
    read_at: Timestamp,
) -> Result<HashMap<Ticker, Vec<Candle>>, Failure> {
    let list = rows::list::<BatchBody<'_>>(bytes, "a list of candles")?;
    let mut named = HashMap::new();
    for row in &list.rows {
        match sound(row).and_then(|payload| market_candles(payload, asked, read_at)) {
            Ok(Some((market, candles))) => drop(named.insert(market, candles)),
            Ok(None) => {}
            Err(reason) => log::warn!("the candles of a market could not be read: {reason}"),
        }
    }
    Ok(named)
}

fn market_candles(
    payload: &str,
    asked: Asked,
    read_at: Timestamp,
) -> Result<Option<(Ticker, Vec<Candle>)>, String> {
    let wire: MarketBody<'_> = serde_json::from_str(payload)
        .map_err(|error| format!("{error} in {:?}", excerpt(payload.as_bytes())))?;
    let Some(market) = market_ticker(&wire.market_ticker) else { return Ok(None) };
    let candles = candles(&market, wire.candlesticks, asked, read_at);
    Ok(Some((market, candles.map_err(|failure| failure.to_string())?)))
}

/// Keeps the periods that were asked for: the exchange may show the one before, or one with a nonsensical date.
fn candles(
    market: &Ticker,
    candles: Option<Vec<CandleBody<'_>>>,
    asked: Asked,
    read_at: Timestamp,
) -> Result<Vec<Candle>, Failure> {
    let ends = asked.from.second() + 1..=asked.until.second();
    let candles = candles.unwrap_or_default().into_iter();
    let wanted = candles.filter(|candle| ends.contains(&candle.end_period_ts));
    wanted.map(|candle| candle.candle(market, read_at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &[u8]) -> Result<HashMap<Ticker, Vec<Candle>>, Failure> {
        let (from, until) = (Timestamp::from_seconds(0), Timestamp::from_seconds(7_200));
        named_candles(body, Asked { interval: Interval::Hour, from, until }, until)
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

    /// The one candle of a market.
    fn only(candle: &str) -> Candle {
        let body = format!(r#"{{"markets":[{{"market_ticker":"A","candlesticks":[{candle}]}}]}}"#);
        let mut named = named(body.as_bytes()).unwrap();
        named.remove(&Ticker::new("A").unwrap()).unwrap().remove(0)
    }

    #[test]
    fn both_tiers_say_the_same_under_their_own_names() {
        let live = only(
            r#"{"end_period_ts":3600,"volume_fp":"12.50","open_interest_fp":"7.00",
                "yes_bid":{"open_dollars":"0.4000","low_dollars":"0.3900","high_dollars":"0.4100","close_dollars":"0.4050"},
                "yes_ask":{"open_dollars":"0.4200","low_dollars":"0.4100","high_dollars":"0.4300","close_dollars":"0.4250"},
                "price":{"open_dollars":"0.4100","low_dollars":"0.4000","high_dollars":"0.4200","close_dollars":"0.4150",
                    "mean_dollars":"0.4125","previous_dollars":"0.4090","min_dollars":null,"max_dollars":null}}"#,
        );
        let archived = only(
            r#"{"end_period_ts":3600,"volume":"12.50","open_interest":"7.00",
                "yes_bid":{"open":"0.4000","low":"0.3900","high":"0.4100","close":"0.4050"},
                "yes_ask":{"open":"0.4200","low":"0.4100","high":"0.4300","close":"0.4250"},
                "price":{"open":"0.4100","low":"0.4000","high":"0.4200","close":"0.4150","mean":"0.4125","previous":"0.4090"}}"#,
        );
        assert_eq!(live, archived);
        let figures = live.figures.unwrap();
        let e4 = |price: Option<Price>| price.map(Price::e4_cents);
        assert_eq!(e4(figures.bid.close), Some(405_000));
        assert_eq!(e4(figures.ask.low), Some(410_000));
        assert_eq!((e4(figures.mean), e4(figures.previous)), (Some(412_500), Some(409_000)));
        assert_eq!((live.volume_e2, figures.open_interest_e2), (1_250, Some(700)));
    }

    #[test]
    fn a_silent_period_has_no_price_and_a_wrong_one_says_so() {
        let silent = only(r#"{"end_period_ts":3600,"volume_fp":"0.00","price":{}}"#);
        assert_eq!(silent.figures, Ok(Figures::default()));
        for price in [r#"{"open_dollars":"1.0001"}"#, r#"{"open_dollars":"x"}"#, "7"] {
            let text = format!(r#"{{"end_period_ts":3600,"volume_fp":"1.00","price":{price}}}"#);
            let candle = only(&text);
            assert!(candle.figures.is_err() && candle.volume_e2 == 100, "{price}");
        }
    }
}
