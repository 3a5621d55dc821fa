//! The exchange's own candles.

use std::collections::HashMap;

use super::engine::{Access, Engine, statement};
use super::rows::Row;
use super::value::{Rows, Value, values};
use crate::domain::candle::{Candle, Figures, Interval, StoredCandles, is_final};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The part of a store that holds candles.
pub trait Candles {
    /// Stores candles of this length, in one transaction. A stored candle takes the values of a newer answer, unless it
    /// has less volume: that only grows while a period is in progress. The final answer counts all the same, if it has
    /// any volume. A candle whose figures cannot be read is left out.
    fn save_candles(&mut self, interval: Interval, candles: &[Candle]) -> Result<(), Failure>;

    /// The first and the last stored candle of each of these markets; markets without one are left out. Reads only.
    fn stored_candles(
        &mut self,
        interval: Interval,
        markets: &[Ticker],
    ) -> Result<HashMap<Ticker, StoredCandles>, Failure>;
}

impl<E: Engine> Candles for E {
    fn save_candles(&mut self, interval: Interval, candles: &[Candle]) -> Result<(), Failure> {
        let readable = candles.iter().filter(|candle| candle.figures.is_ok());
        let mut candles: Vec<&Candle> = readable.collect();
        // Of two of one period the newer one counts, or the one with more volume, because a statement writes each row
        // once.
        candles.sort_by(|a, b| {
            let newer = b.read_at.cmp(&a.read_at).then(b.volume_e2.cmp(&a.volume_e2));
            key(a).cmp(&key(b)).then(newer)
        });
        candles.dedup_by(|later, kept| key(later) == key(kept));
        let rows = candles.into_iter().filter_map(|candle| {
            let figures = candle.figures.as_ref().ok()?;
            Some(columns(candle, figures))
        });
        let rows: Rows<'_> = rows.collect();
        let of_all = values![self.source(), interval.minutes()];
        self.transact("storing candles", Access::Write, |work| {
            work.execute_each(statement!("candles", "save_candles"), &of_all, &rows, &[])?;
            Ok(())
        })
    }

    fn stored_candles(
        &mut self,
        interval: Interval,
        markets: &[Ticker],
    ) -> Result<HashMap<Ticker, StoredCandles>, Failure> {
        let of_market = |row: Row<'_>| {
            let record = row.of("market_candles");
            let (first, last_final) = (record.get("first_end")?, record.get("last_final_end")?);
            Ok((record.ticker("market_ticker")?, StoredCandles { first, last_final }))
        };
        let wanted = values![self.source(), interval.minutes(), markets];
        let found = statement!("candles", "load_stored_candles");
        Ok(self.read("loading candles", found, &wanted, of_market)?.into_iter().collect())
    }
}

fn key(candle: &Candle) -> (&Ticker, Timestamp) {
    (&candle.market, candle.ends_at)
}

fn columns<'v>(candle: &'v Candle, figures: &Figures) -> [Value<'v>; 20] {
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
        is_final(candle.ends_at, candle.read_at),
        candle.read_at,
    ]
}
