//! The exchange's own candles: the quotes, the prices and the volume of a market in one period.

use std::collections::HashMap;
use std::time::Duration;

use super::backfill::Lifespan;
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

    /// The end of the period that this instant is in. An end belongs to the period that it ends.
    pub fn end_of(self, at: Timestamp) -> Timestamp {
        let begin = at.floor_to(self.length());
        if begin == at { at } else { begin.after(self.length()) }
    }

    /// The number of periods between two ends; zero if there are none.
    pub fn periods(self, from: Timestamp, until: Timestamp) -> usize {
        usize::try_from((until.second() - from.second()) / (self.minutes() * 60)).unwrap_or(0)
    }
}

const DAY: Duration = Duration::from_secs(86_400);

/// The age of a period at which it changes no more: trades that come late have come.
const FINAL_AFTER: Duration = Duration::from_secs(600);

/// Whether a period that ends then was final when it was read.
pub fn is_final(ends_at: Timestamp, read_at: Timestamp) -> bool {
    ends_at.after(FINAL_AFTER) <= read_at
}

/// The stored candles of a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredCandles {
    /// The end of the first one.
    pub first: Timestamp,
    /// The end of the last one that changes no more.
    pub last_final: Option<Timestamp>,
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
    /// The exchange's time of the answer, less its age in a cache.
    pub read_at: Timestamp,
    /// The traded quantity in 0.01 contract.
    pub volume_e2: i64,
    /// The other figures, or the reason why they cannot be read.
    pub figures: Result<Figures, Box<str>>,
}

/// The periods of a market to ask for: those after its last final one, up to the end of its trading or the period in
/// progress. Without a final one, or if `since` lies before the first stored one, they begin at `since`; without
/// `since` a day before the market opened, because the exchange can move that. `first` is the beginning of the
/// exchange's own record. The bounds are ends of periods.
pub fn wanted(
    interval: Interval,
    lifespan: &Lifespan,
    stored: Option<StoredCandles>,
    since: Option<Timestamp>,
    first: Timestamp,
    now: Timestamp,
) -> (Timestamp, Timestamp) {
    let opened = || lifespan.open_time.map_or(first, |at| at.before(DAY));
    let last = stored.and_then(|stored| stored.last_final);
    let is_earlier = |since: &Timestamp| {
        stored.is_some_and(|stored| since.after(interval.length()) < stored.first)
    };
    let from = since.filter(is_earlier).or(last).or(since).unwrap_or_else(opened);
    let from = from.max(first).floor_to(interval.length());
    let closed = lifespan.close_time.filter(|_| !lifespan.status.may_trade());
    (from, interval.end_of(closed.map_or(now, |at| at.min(now))))
}

/// Decides which candles of the answers are stored. No answer alone proves that a market was silent: where periods are
/// left out between two candles, in one answer or by empty ones, the market is asked again, another way, from there on.
#[derive(Debug)]
pub struct Intake {
    interval: Interval,
    /// The end of the last candle of each market: the next one follows it.
    last: HashMap<Ticker, Timestamp>,
    /// Markets whose later answers wait for a second question, and where it begins.
    doubted: HashMap<Ticker, Timestamp>,
    /// The reasons why candles cannot be read, by market. Later candles of the market wait as well.
    unreadable: HashMap<Ticker, Box<str>>,
    /// Whether the answers are those to the second question.
    is_second: bool,
}

impl Intake {
    /// The intake of the answers to the first question. `last` has the last stored candles.
    pub fn first(interval: Interval, last: HashMap<Ticker, Timestamp>) -> Intake {
        let (doubted, unreadable) = (HashMap::new(), HashMap::new());
        Intake { interval, last, doubted, unreadable, is_second: false }
    }

    /// The intake of the answers to the second question, which decides.
    pub fn second(interval: Interval) -> Intake {
        Intake { is_second: true, ..Intake::first(interval, HashMap::new()) }
    }

    /// The candles to store of an answer about a market. The answers of a market come in order.
    pub fn take(&mut self, market: &Ticker, mut candles: Vec<Candle>) -> Vec<Candle> {
        if self.doubted.contains_key(market) || self.unreadable.contains_key(market) {
            return Vec::new();
        }
        candles.sort_by_key(|candle| candle.ends_at);
        for place in 0..candles.len() {
            let Candle { ends_at, figures, .. } = &candles[place];
            let last = self.last.get(market).copied().filter(|_| !self.is_second);
            if let Some(last) = last.filter(|last| last.after(self.interval.length()) < *ends_at) {
                self.doubted.insert(market.clone(), last);
            } else if let Err(reason) = figures {
                self.unreadable.insert(market.clone(), reason.clone());
            } else {
                self.last.insert(market.clone(), *ends_at);
                continue;
            }
            candles.truncate(place);
            break;
        }
        candles
    }

    /// The markets to ask again, and where each question begins.
    pub fn doubted(&self) -> &HashMap<Ticker, Timestamp> {
        &self.doubted
    }

    /// The markets with a candle that cannot be read, and the reasons.
    pub fn unreadable(&self) -> &HashMap<Ticker, Box<str>> {
        &self.unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_belongs_to_its_period() {
        let at = Timestamp::from_seconds;
        for (interval, second, end) in [
            (Interval::Minute, 0, 0),
            (Interval::Minute, 1, 60),
            (Interval::Minute, 60, 60),
            (Interval::Minute, 61, 120),
            (Interval::Hour, 1, 3_600),
            (Interval::Hour, 3_600, 3_600),
        ] {
            assert_eq!(interval.end_of(at(second)), at(end), "{interval:?} {second}");
        }
        assert_eq!(Interval::Hour.end_of(Timestamp::from_micros(3_600_000_001)), at(7_200));
        assert_eq!(Interval::Minute.periods(at(0), at(600)), 10);
        assert_eq!(Interval::Minute.periods(at(600), at(0)), 0);
    }

    fn candle(second: i64, figures: Result<Figures, Box<str>>) -> Candle {
        let ends_at = Timestamp::from_seconds(second);
        Candle {
            market: Ticker::new("A").unwrap(),
            ends_at,
            read_at: ends_at,
            volume_e2: 100,
            figures,
        }
    }

    #[test]
    fn candles_after_a_gap_wait_for_a_second_question() {
        let (a, b) = (Ticker::new("A").unwrap(), Ticker::new("B").unwrap());
        let at = Timestamp::from_seconds;
        let good = |second| candle(second, Ok(Figures::default()));
        let first = |stored: &[i64]| {
            let stored = stored.iter().map(|second| (a.clone(), at(*second)));
            Intake::first(Interval::Minute, stored.collect())
        };
        let mut intake = first(&[]);
        assert_eq!(intake.take(&a, vec![good(600)]).len(), 1, "it may have opened then");
        assert_eq!(intake.take(&b, vec![]).len(), 0);
        assert_eq!(intake.take(&a, vec![]).len(), 0);
        assert_eq!(intake.take(&a, vec![good(1_860)]).len(), 0, "it waits");
        assert_eq!(intake.take(&a, vec![good(660)]).len(), 0, "also the next");
        assert_eq!(intake.doubted(), &HashMap::from([(a.clone(), at(600))]), "B ended in silence");

        let mut within = first(&[]);
        assert_eq!(within.take(&a, vec![good(240), good(60), good(120)]), [good(60), good(120)]);
        assert_eq!(within.doubted()[&a], at(120), "within one answer");
        let mut behind = first(&[60]);
        assert_eq!(behind.take(&a, vec![good(180)]).len(), 0);
        assert_eq!(behind.doubted()[&a], at(60), "behind a stored one");
        assert_eq!(first(&[60]).take(&a, vec![good(60), good(120)]).len(), 2);

        let mut second = Intake::second(Interval::Minute);
        assert_eq!(second.take(&a, vec![good(60), good(1_860)]).len(), 2, "both agree");
        assert!(second.doubted().is_empty());
    }

    #[test]
    fn nothing_is_stored_from_a_candle_on_that_cannot_be_read() {
        let a = Ticker::new("A").unwrap();
        let mut intake = Intake::first(Interval::Minute, HashMap::new());
        let odd = candle(120, Err("odd".into()));
        let good = |second| candle(second, Ok(Figures::default()));
        assert_eq!(intake.take(&a, vec![good(180), odd, good(60)]), [good(60)]);
        assert!(intake.take(&a, vec![good(240)]).is_empty());
        assert_eq!(intake.unreadable()[&a], "odd".into());
    }

    #[test]
    fn a_market_is_asked_from_its_last_final_period_to_the_end_of_its_trading() {
        use crate::domain::market::Status;
        let at = Timestamp::from_seconds;
        let hour = |number: i64| at(number * 3_600);
        let lifespan = |status| Lifespan {
            market: Ticker::new("A").unwrap(),
            series: None,
            open_time: Some(at(100 * 3_600 + 7)),
            close_time: Some(at(200 * 3_600 + 7)),
            status,
            volume_e2: None,
            seen_at: None,
        };
        let (open, over) = (lifespan(Status::Active), lifespan(Status::Finalized));
        let now = at(300 * 3_600 + 1);
        let span =
            |of: &Lifespan, stored, since| wanted(Interval::Hour, of, stored, since, hour(10), now);
        assert_eq!(span(&open, None, None), (hour(76), hour(301)), "a day before it opened");
        assert_eq!(span(&over, None, None), (hour(76), hour(201)));
        let stored = |first, last| Some(StoredCandles { first, last_final: Some(last) });
        let (from_120, all) = (stored(hour(120), hour(150)), stored(hour(77), hour(201)));
        assert_eq!(span(&over, from_120, Some(hour(119))), (hour(150), hour(201)));
        assert_eq!(span(&over, from_120, Some(hour(90))), (hour(90), hour(201)), "earlier ones");
        assert_eq!(span(&over, from_120, None), (hour(150), hour(201)));
        assert_eq!(span(&over, None, Some(hour(5))), (hour(10), hour(201)));
        assert_eq!(span(&over, all, None), (hour(201), hour(201)), "nothing is left");
    }
}
