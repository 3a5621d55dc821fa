//! A candle in the exchange's JSON; each tier has its own names.

use super::market_json::Prices as Quotes;
use crate::candle::Candle;
use crate::text::{Object, dollars_e4, dollars_e6, quoted};
use crate::tier::Tier;

const DOLLAR_E4: i64 = 10_000;

/// The candle as one compact object, its keys in alphabetical order. The quotes are those of the present book, because
/// the book has no history.
pub(super) fn candle(candle: &Candle, quotes: &Quotes, tier: Tier) -> String {
    let (ask_e4, bid_e4) = (DOLLAR_E4 - quotes.no_bid.0, quotes.yes_bid.0);
    let mut json = Object::new();
    json.raw("end_period_ts", &candle.end_s.to_string());
    match tier {
        Tier::Live => json
            .contracts("open_interest_fp", candle.open_interest_e2)
            .raw("price", &live_prices(candle))
            .contracts("volume_fp", candle.volume_e2),
        Tier::Historical => json
            .contracts("open_interest", candle.open_interest_e2)
            .raw("price", &historical_prices(candle))
            .contracts("volume", candle.volume_e2),
    };
    json.raw("yes_ask", &quote(ask_e4, tier)).raw("yes_bid", &quote(bid_e4, tier));
    json.end()
}

/// The prices: an empty object before the first trade, nulls in the periods without a trade.
fn live_prices(candle: &Candle) -> String {
    if candle.prices.is_none() && candle.previous_e6.is_none() {
        return "{}".to_owned();
    }
    let texts = Texts::of(candle);
    let mut json = Object::new();
    json.raw("close_dollars", &texts.close)
        .raw("high_dollars", &texts.high)
        .raw("low_dollars", &texts.low)
        .raw("max_dollars", "null")
        .raw("mean_dollars", &texts.mean)
        .raw("min_dollars", "null")
        .raw("open_dollars", &texts.open)
        .raw("previous_dollars", &texts.previous);
    json.end()
}

fn historical_prices(candle: &Candle) -> String {
    let texts = Texts::of(candle);
    let mut json = Object::new();
    json.raw("close", &texts.close)
        .raw("high", &texts.high)
        .raw("low", &texts.low)
        .raw("mean", &texts.mean)
        .raw("open", &texts.open)
        .raw("previous", &texts.previous);
    json.end()
}

/// Prices as JSON, `null` where there is none.
struct Texts {
    close: String,
    high: String,
    low: String,
    mean: String,
    open: String,
    previous: String,
}

impl Texts {
    fn of(candle: &Candle) -> Texts {
        let text = |price_e6: Option<u32>| {
            price_e6.map_or("null".to_owned(), |price_e6| quoted(&dollars_e6(price_e6)))
        };
        let prices = candle.prices;
        Texts {
            close: text(prices.map(|prices| prices.close_e6)),
            high: text(prices.map(|prices| prices.high_e6)),
            low: text(prices.map(|prices| prices.low_e6)),
            mean: prices.map_or("null".to_owned(), |prices| quoted(&dollars_e4(prices.mean_e4))),
            open: text(prices.map(|prices| prices.open_e6)),
            previous: text(candle.previous_e6),
        }
    }
}

fn quote(price_e4: i64, tier: Tier) -> String {
    let [close, high, low, open] = match tier {
        Tier::Live => ["close_dollars", "high_dollars", "low_dollars", "open_dollars"],
        Tier::Historical => ["close", "high", "low", "open"],
    };
    let mut json = Object::new();
    json.dollars(close, price_e4)
        .dollars(high, price_e4)
        .dollars(low, price_e4)
        .dollars(open, price_e4);
    json.end()
}
