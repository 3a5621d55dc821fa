//! The exchange's own candles.

use std::collections::HashMap;

use super::engine::{Access, Engine, statement};
use super::rows::Row;
use super::value::{Rows, Value, values};
use crate::domain::candle::{Candle, Figures, Interval, is_final};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The part of a store that holds candles.
pub trait Candles {
    /// Stores candles of this length, read at this time of the exchange, in one transaction. A stored candle takes the
    /// newer values, unless they have less volume: that only grows. A candle whose figures cannot be read is left out.
    fn save_candles(
        &mut self,
        interval: Interval,
        candles: &[Candle],
        fetched_at: Timestamp,
    ) -> Result<(), Failure>;

    /// The end of the last candle of each of these markets that changes no more; markets without one are left out.
    /// Reads only.
    fn final_candles(
        &mut self,
        interval: Interval,
        markets: &[Ticker],
    ) -> Result<HashMap<Ticker, Timestamp>, Failure>;
}

impl<E: Engine> Candles for E {
    fn save_candles(
        &mut self,
        interval: Interval,
        candles: &[Candle],
        fetched_at: Timestamp,
    ) -> Result<(), Failure> {
        let readable = candles.iter().filter(|candle| candle.figures.is_ok());
        let mut candles: Vec<&Candle> = readable.collect();
        // Of two of one period the one with more volume counts, because a statement writes each row once.
        candles.sort_by(|a, b| key(a).cmp(&key(b)).then(b.volume_e2.cmp(&a.volume_e2)));
        candles.dedup_by(|later, kept| key(later) == key(kept));
        let rows = candles.into_iter().filter_map(|candle| {
            let figures = candle.figures.as_ref().ok()?;
            Some(columns(candle, figures, fetched_at))
        });
        let rows: Rows<'_> = rows.collect();
        let of_all = values![self.source(), interval.minutes(), fetched_at];
        self.transact("storing candles", Access::Write, |work| {
            work.execute_each(statement!("candles", "save_candles"), &of_all, &rows, &[])?;
            Ok(())
        })
    }

    fn final_candles(
        &mut self,
        interval: Interval,
        markets: &[Ticker],
    ) -> Result<HashMap<Ticker, Timestamp>, Failure> {
        let last = |row: Row<'_>| {
            let record = row.of("market_candles");
            Ok((record.ticker("market_ticker")?, record.get("ends_at")?))
        };
        let wanted = values![self.source(), interval.minutes(), markets];
        let found = statement!("candles", "load_final_candles");
        Ok(self.read("loading candles", found, &wanted, last)?.into_iter().collect())
    }
}

fn key(candle: &Candle) -> (&Ticker, Timestamp) {
    (&candle.market, candle.ends_at)
}

fn columns<'v>(candle: &'v Candle, figures: &Figures, fetched_at: Timestamp) -> [Value<'v>; 19] {
    let Figures { bid, ask, price, mean, previous, open_interest_e2 } = *figures;
    values![
        &candle.market,
        candle.ends_at,
        bid.open,
        bid.low,
        bid.high,
        bid.close,
        ask.open,
        ask.low,
        ask.high,
        ask.close,
        price.open,
        price.low,
        price.high,
        price.close,
        mean,
        previous,
        candle.volume_e2,
        open_interest_e2,
        is_final(candle.ends_at, fetched_at),
    ]
}
