//! `GET /series/{series_ticker}/markets/{ticker}/candlesticks`, `/markets/candlesticks`, and
//! `/historical/markets/{ticker}/candlesticks`.

use std::ops::Range;

use super::market_json::Prices as Quotes;
use super::{candle_json, paging};
use crate::candle;
use crate::catalogue::Listed;
use crate::http::{Reply, Request};
use crate::market::Market;
use crate::period::Period;
use crate::refusal;
use crate::text::{array, quoted};
use crate::tier::Tier;
use crate::world::World;

/// The most candles of a request: for one market, and for several together. All periods of the request count, whether
/// or not the market was open in them.
const CANDLES_MAX: i64 = 5_000;
const BATCH_CANDLES_MAX: i64 = 10_000;
const TICKERS_MAX: usize = 100;

/// The candles that a request asks for.
struct Span {
    /// The length of a period; `None` if there are no candles of the wanted length.
    period: Option<Period>,
    from_s: i64,
    to_s: i64,
}

pub(crate) fn one(world: &World, request: &Request, series_ticker: &str, ticker: &str) -> Reply {
    let is_of_series = |listed: &&Listed| {
        let group = world.catalogue.group(&listed.market.event_ticker);
        group.is_some_and(|group| group.series_ticker == series_ticker)
    };
    let found = find(world, ticker, Tier::Live).filter(is_of_series);
    single(world, request, found, Tier::Live)
}

pub(crate) fn historical(world: &World, request: &Request, ticker: &str) -> Reply {
    single(world, request, find(world, ticker, Tier::Historical), Tier::Historical)
}

pub(crate) fn several(world: &World, request: &Request) -> Reply {
    batch(world, request).unwrap_or_else(|details| refusal::bad_request(&world.rules, &details))
}

fn single(world: &World, request: &Request, found: Option<&Listed>, tier: Tier) -> Reply {
    let (period, numbers) = match asked_of_one(request) {
        Ok(asked) => asked,
        Err(details) => return refusal::bad_request(&world.rules, &details),
    };
    let Some(listed) = found else {
        return match tier {
            Tier::Live => refusal::not_found(&world.rules),
            Tier::Historical => refusal::no_historical_market(&world.rules),
        };
    };
    let rows = rows(world, &listed.market, period, numbers, tier);
    let (candles, ticker) = (list(&rows), quoted(&listed.market.ticker));
    let body = format!("{{\"candlesticks\":{candles},\"ticker\":{ticker}}}");
    Reply { row_count: rows.len(), ..Reply::json(200, body) }
}

/// Each market in the request has a list: an empty one if there is no such market, or no longer.
fn batch(world: &World, request: &Request) -> Result<Reply, String> {
    let tickers = paging::list(request, "market_tickers").unwrap_or_default();
    if tickers.is_empty() || TICKERS_MAX < tickers.len() {
        return Err("invalid market_tickers".to_owned());
    }
    let span = Span::asked(request)?;
    let numbers = span.numbers();
    let ticker_count = i64::try_from(tickers.len()).expect("at most a hundred");
    check_count(count(&numbers) * ticker_count, BATCH_CANDLES_MAX)?;
    let hidden = world.rules.hidden_candles_s;
    let is_hidden = hidden.is_some_and(|(from, to)| from <= span.from_s && span.from_s < to);
    let mut row_count = 0;
    let markets: Vec<String> = tickers
        .iter()
        .map(|ticker| {
            let rows = match (find(world, ticker, Tier::Live), span.period) {
                (Some(listed), Some(period)) if !is_hidden => {
                    rows(world, &listed.market, period, numbers.clone(), Tier::Live)
                }
                _ => Vec::new(),
            };
            row_count += rows.len();
            let (candles, ticker) = (list(&rows), quoted(ticker));
            format!("{{\"candlesticks\":{candles},\"market_ticker\":{ticker}}}")
        })
        .collect();
    let body = format!("{{\"markets\":{}}}", list(&markets));
    Ok(Reply { row_count, ..Reply::json(200, body) })
}

impl Span {
    /// The error is the `details` of a 400.
    fn asked(request: &Request) -> Result<Span, String> {
        let number = |name: &str| match request.filled_param(name).map(str::parse::<i64>) {
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(format!("invalid {name}")),
            None => Err(format!("{name} is required")),
        };
        let minutes = number("period_interval")?;
        if minutes < 1 {
            return Err("invalid period_interval".to_owned());
        }
        let (from_s, to_s) = (number("start_ts")?, number("end_ts")?);
        Ok(Span { period: Period::of_minutes(minutes), from_s, to_s })
    }

    fn numbers(&self) -> Range<i64> {
        self.period.map_or(0..0, |period| period.ending_within(self.from_s, self.to_s))
    }
}

fn asked_of_one(request: &Request) -> Result<(Period, Range<i64>), String> {
    let span = Span::asked(request)?;
    let period = span.period.ok_or("invalid period_interval")?;
    let numbers = span.numbers();
    check_count(count(&numbers), CANDLES_MAX)?;
    Ok((period, numbers))
}

fn count(numbers: &Range<i64>) -> i64 {
    (numbers.end - numbers.start).max(0)
}

fn check_count(candle_count: i64, max: i64) -> Result<(), String> {
    if candle_count <= max {
        return Ok(());
    }
    Err(format!("requested time range with candlesticks: {candle_count}, max candlesticks: {max}"))
}

/// The market of this name if it is in this tier.
fn find<'a>(world: &'a World, ticker: &str, tier: Tier) -> Option<&'a Listed> {
    let listed = world.listed(ticker)?;
    (world.is_archived(&listed.market) == (tier == Tier::Historical)).then_some(listed)
}

fn rows(
    world: &World,
    market: &Market,
    period: Period,
    numbers: Range<i64>,
    tier: Tier,
) -> Vec<String> {
    if world.rules.empty_candles {
        return Vec::new();
    }
    let quotes = Quotes::of(world, market);
    let candles = candle::candles(world, market, period, numbers);
    candles.iter().map(|candle| candle_json::candle(candle, &quotes, tier)).collect()
}

fn list(rows: &[String]) -> String {
    array(rows.iter().map(String::as_str))
}
