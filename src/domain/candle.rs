//! The exchange's own candles: the quotes, the prices and the volume of a market in one period.

use std::time::Duration;

use super::ticker::Ticker;
use super::time::Timestamp;
use super::trade::Price;

/// The length of a period. The exchange has days as well, but they end at midnight in New York: the days of UTC are
/// made of hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Interval {
    /// One minute.
    Minute,
    /// One hour.
    Hour,
}

impl Interval {
    /// The length in minutes, as the exchange names it.
    pub fn minutes(self) -> i64 {
        match self {
            Interval::Minute => 1,
            Interval::Hour => 60,
        }
    }

    /// The length.
    pub fn length(self) -> Duration {
        Duration::from_secs(self.minutes().unsigned_abs() * 60)
    }

    /// The number of periods between two ends; zero if there are none.
    pub fn periods(self, from: Timestamp, until: Timestamp) -> usize {
        usize::try_from((until.second() - from.second()) / (self.minutes() * 60)).unwrap_or(0)
    }
}

/// The first, least, greatest and last price of a period, each `None` where the exchange names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ohlc {
    /// The first one.
    pub open: Option<Price>,
    /// The least one.
    pub low: Option<Price>,
    /// The greatest one.
    pub high: Option<Price>,
    /// The last one.
    pub close: Option<Price>,
}

/// The figures of a candle beside its volume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The best bid for YES.
    pub bid: Ohlc,
    /// The best offer of YES.
    pub ask: Ohlc,
    /// The prices of the trades; empty without a trade.
    pub price: Ohlc,
    /// The mean of these prices, weighted by quantity.
    pub mean: Option<Price>,
    /// The last price before the period.
    pub previous: Option<Price>,
    /// The open interest at the end of the period, in 0.01 contract.
    pub open_interest_e2: Option<i64>,
}

/// One period of a market.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candle {
    /// The ticker of the market.
    pub market: Ticker,
    /// The end of the period. It belongs to the period and the start does not.
    pub ends_at: Timestamp,
    /// The traded quantity in 0.01 contract.
    pub volume_e2: i64,
    /// The other figures, or the reason why they cannot be read.
    pub figures: Result<Figures, Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_counted_between_ends() {
        let at = Timestamp::from_seconds;
        assert_eq!(Interval::Minute.periods(at(0), at(600)), 10);
        assert_eq!(Interval::Minute.periods(at(600), at(0)), 0);
    }
}
