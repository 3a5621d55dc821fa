//! The exchange's own figures of what was traded in each hour.

use std::collections::{HashMap, HashSet};

use super::asker::Asker;
use crate::domain::backfill::Life;
use crate::domain::completeness::{HOUR_SECONDS, HourVolume};
use crate::domain::market::Status;
use crate::domain::time::Timestamp;
use crate::domain::trade::Ticker;
use crate::failure::{Failure, Kind};
use crate::kalshi::{CANDLES_PER_BATCH, CANDLES_PER_MARKET, MARKETS_PER_REQUEST};
use crate::retry::Jitter;

/// Hours asked for at once: as many as one archived market may have, and two live ones.
const HOURS_MAX: usize =
    if CANDLES_PER_MARKET < CANDLES_PER_BATCH { CANDLES_PER_MARKET } else { CANDLES_PER_BATCH };

/// What the exchange says of some markets.
#[derive(Debug, Default)]
pub struct Measured {
    /// The hours of each market of which all were answered for; empty when nothing was traded.
    pub hours: HashMap<Ticker, Vec<HourVolume>>,
    /// Markets of which something was not answered: nothing is known of them.
    pub unmeasured: HashSet<Ticker>,
    /// What went wrong, by who has to act.
    pub troubles: Vec<Failure>,
}

/// Asks for the hours of `[from, until]` (full hours) of these markets, in as few requests as the
/// limits allow.
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
                measured.unmeasured.extend(batch.iter().map(|life| life.market.clone()));
                measured.troubles.push(failure);
            }
        }
        at = end;
    }
    let Measured { hours, unmeasured, .. } = &mut measured;
    hours.retain(|market, _| !unmeasured.contains(market));
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
    let mut answered = asker
        .ask(jitter, |client, left, clock| client.candles(&tickers, from, until, left, clock))?
        .ok_or_else(out_of_time)?;
    for life in batch {
        // Empty also when nothing happened, but an archived market is always empty here.
        let is_empty = answered.get(&life.market).is_none_or(Vec::is_empty);
        if !is_empty || life.status != Status::Finalized {
            continue;
        }
        let archived = asker
            .ask(jitter, |client, left, clock| {
                client.archived_candles(&life.market, from, until, left, clock)
            })?
            .ok_or_else(out_of_time)?;
        // If the archive does not know it, it is live, and was quiet if the answer named it.
        if let Some(hours) = archived {
            answered.insert(life.market.clone(), hours);
        }
    }
    for life in batch {
        match answered.remove(&life.market) {
            Some(hours) => measured.hours.entry(life.market.clone()).or_default().extend(hours),
            None => {
                measured.unmeasured.insert(life.market.clone());
            }
        }
    }
    Ok(())
}

fn out_of_time() -> Failure {
    Failure::new(Kind::ExchangeUnavailable, "there was no time left to ask for candles")
}
