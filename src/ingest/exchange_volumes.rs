//! The exchange's own figures of the volume traded in each hour.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use super::asker::Asker;
use super::candles::{Answer, CandleSpan, Route, Unanswered, each_candles};
use crate::domain::candle::{Candle, Interval};
use crate::domain::completeness::HourVolume;
use crate::domain::ticker::Ticker;
use crate::failure::Failure;

/// The exchange's answers about some markets.
#[derive(Debug, Default)]
pub struct ExchangeVolumes {
    /// The hours of each market with a complete answer; empty when nothing was traded.
    pub hours: HashMap<Ticker, Vec<HourVolume>>,
    /// Markets without a complete answer: nothing is known of them.
    pub unmeasured: HashSet<Ticker>,
    /// The part of `unmeasured` whose candles repeated questions cannot get.
    pub refused: HashSet<Ticker>,
    /// The failures; the kind of each says who has to act.
    pub troubles: Vec<Failure>,
}

/// Asks for these full hours in as few requests as the limits allow. A market without any hour is not in the answer.
pub fn exchange_volumes(wanted: Vec<CandleSpan>, asker: &Asker) -> ExchangeVolumes {
    let mut hours: HashMap<Ticker, Vec<HourVolume>> = HashMap::new();
    let mut take = |answer: Answer<'_>| -> Result<(), Infallible> {
        let of_market = hours.entry(answer.wanted.lifespan.market.clone()).or_default();
        of_market.extend(answer.candles.into_iter().map(volume));
        Ok(())
    };
    let Ok(Unanswered { unmeasured, refused, troubles }) =
        each_candles(wanted, Interval::Hour, Route::Together, asker, &mut take);
    hours.retain(|market, _| !unmeasured.contains(market));
    ExchangeVolumes { hours, unmeasured, refused, troubles }
}

fn volume(candle: Candle) -> HourVolume {
    HourVolume { market: candle.market, ends_at: candle.ends_at, quantity_e2: candle.volume_e2 }
}
