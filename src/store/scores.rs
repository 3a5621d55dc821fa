//! Scores of completeness, and the sums that they are computed from.

use super::engine::{Access, Engine, statement};
use super::markets::MARKETS;
use super::rows::Row;
use super::value::{Rows, Value, values};
use crate::domain::completeness::{HourVolume, Score};
use crate::domain::ticker::Ticker;
use crate::domain::time::Timestamp;
use crate::failure::Failure;

/// The name of these sums in an error.
const ADDING_UP: &str = "adding up what is stored";

/// The part of a store that is about completeness.
pub trait Scores {
    /// The stored quantity of each of these markets, over its whole life or up to an instant, inclusive. Markets
    /// without such trades are left out.
    fn stored_lifetime(
        &mut self,
        markets: &[Ticker],
        until: Option<Timestamp>,
    ) -> Result<Vec<(Ticker, i64)>, Failure>;

    /// The stored quantity of each of these markets by hour, for trades with `from < traded_at <= until` (both full
    /// hours). Hours without trades are left out.
    fn stored_by_hour(
        &mut self,
        markets: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HourVolume>, Failure>;

    /// Appends scores.
    fn save_scores(&mut self, scores: &[Score], now: Timestamp) -> Result<(), Failure>;
}

impl<E: Engine> Scores for E {
    fn stored_lifetime(
        &mut self,
        markets: &[Ticker],
        until: Option<Timestamp>,
    ) -> Result<Vec<(Ticker, i64)>, Failure> {
        let wanted = values![self.source(), markets, until];
        self.scan(ADDING_UP, statement!("scores", "stored_lifetime"), &wanted, |row| {
            let record = row.of("prediction_market_trades");
            Ok((record.ticker("market_ticker")?, record.get("quantity_e2")?))
        })
    }

    fn stored_by_hour(
        &mut self,
        markets: &[Ticker],
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<HourVolume>, Failure> {
        let volume = |row: Row<'_>| {
            let record = row.of("prediction_market_trades");
            Ok(HourVolume {
                market: record.ticker("market_ticker")?,
                ends_at: record.get("ends_at")?,
                quantity_e2: record.get("quantity_e2")?,
            })
        };
        let wanted = values![self.source(), markets, from, until];
        self.scan(ADDING_UP, statement!("scores", "stored_by_hour"), &wanted, volume)
    }

    fn save_scores(&mut self, scores: &[Score], now: Timestamp) -> Result<(), Failure> {
        let rows: Rows<'_> = scores.iter().map(columns).collect();
        let latest = scores.iter().map(|score| values![&score.market, score.value()]);
        let latest: Rows<'_> = latest.collect();
        let (source, now) = (values![self.source()], values![now]);
        self.transact("storing scores", Access::Alone(MARKETS), |work| {
            work.execute_each(statement!("scores", "insert_scores"), &source, &rows, &now)?;
            work.execute_each(statement!("scores", "mark_scores"), &source, &latest, &now)?;
            Ok(())
        })
    }
}

fn columns(score: &Score) -> [Value<'_>; 7] {
    values![
        &score.market,
        score.from,
        score.until,
        score.stored_e2,
        score.exchange_e2,
        score.value(),
        score.basis.as_str(),
    ]
}
