//! The exchange's own figures of what was traded in each hour.

use std::collections::HashMap;

use super::asker::Asker;
use crate::domain::backfill::Life;
use crate::domain::completeness::{HOUR_SECONDS, HourVolume};
use crate::domain::market::Status;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::Failure;
use crate::kalshi::{CANDLES_PER_BATCH, CANDLES_PER_MARKET, MARKETS_PER_REQUEST};
use crate::retry::Jitter;

/// Hours asked for at once: as many as one archived market may have, and two live ones.
const HOURS_MAX: usize =
    if CANDLES_PER_MARKET < CANDLES_PER_BATCH { CANDLES_PER_MARKET } else { CANDLES_PER_BATCH };

/// What the exchange says of some markets.
#[derive(Debug, Default)]
pub struct Measured {
    /// The hours of each market that was answered for.
    pub hours: HashMap<Ticker, Vec<HourVolume>>,
    /// What went wrong, by who has to act.
    pub troubles: Vec<Failure>,
}

/// Asks for the hours of `[from, until]` (full hours) of these markets, in as few requests as the
/// limits allow. Markets of which neither tier has candles are missing from the answer.
pub fn measure(lives: &[Life], from: Timestamp, until: Timestamp, asker: &Asker) -> Measured {
    let mut measured = Measured::default();
    let mut jitter = Jitter::from_entropy();
    let mut at = from;
    while at < until {
        let hours = usize::try_from((until.second() - at.second()) / HOUR_SECONDS)
            .unwrap_or(1)
            .min(HOURS_MAX);
        let seconds = i64::try_from(hours).unwrap_or(1).max(1) * HOUR_SECONDS;
        let end = Timestamp::from_seconds(at.second().saturating_add(seconds)).min(until);
        let markets = (CANDLES_PER_BATCH / hours.max(1)).clamp(1, MARKETS_PER_REQUEST);
        for batch in lives.chunks(markets) {
            if let Err(failure) = batch_hours(batch, (at, end), asker, &mut jitter, &mut measured) {
                measured.troubles.push(failure);
                if asker.is_forbidden() || asker.budget().is_over() {
                    return measured;
                }
            }
        }
        at = end;
    }
    measured
}

fn batch_hours(
    batch: &[Life],
    (from, until): (Timestamp, Timestamp),
    asker: &Asker,
    jitter: &mut Jitter,
    measured: &mut Measured,
) -> Result<(), Failure> {
    let tickers: Vec<Ticker> = batch.iter().map(|life| life.market.clone()).collect();
    let live = asker
        .ask(jitter, |client, left, clock| client.candles(&tickers, from, until, left, clock))?
        .unwrap_or_default();
    let mut answered: HashMap<Ticker, Vec<HourVolume>> = HashMap::new();
    for hour in live {
        answered.entry(hour.market.clone()).or_default().push(hour);
    }
    for life in batch {
        // Empty also when nothing happened, but an archived market is always empty here.
        if answered.contains_key(&life.market) || life.status != Status::Finalized {
            continue;
        }
        let archived = asker.ask(jitter, |client, left, clock| {
            client.archived_candles(&life.market, from, until, left, clock)
        })?;
        if let Some(hours) = archived.flatten() {
            answered.insert(life.market.clone(), hours);
        }
    }
    for life in batch {
        let hours = answered.remove(&life.market).unwrap_or_default();
        measured.hours.entry(life.market.clone()).or_default().extend(hours);
    }
    Ok(())
}
